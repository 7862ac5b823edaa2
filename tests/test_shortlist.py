"""Long lists of names, cut short for a text."""

from collections.abc import Iterable

import pytest

from geoseg.shortlist import some


@pytest.mark.parametrize(
    ("names", "counted", "uncounted"),
    [
        ([], "", ""),
        (["a", "b"], "a, b", "a, b"),
        (["a", "b", "c"], "a, b and 1 more", "a, b, ..."),
        (range(5, 10), "5, 6 and 3 more", "5, 6, ..."),
        (iter("abcd"), "a, b and 2 more", "a, b, ..."),
    ],
)
def test_what_is_beyond_the_first_names_is_told(
    names: Iterable[object], counted: str, uncounted: str
) -> None:
    names = list(names)
    assert some(iter(names), 2) == counted
    assert some(iter(names), 2, counted=False) == uncounted
