"""Words that an argument is chosen from."""

from typing import Any, Literal

import numpy as np
import pytest

from geoseg.choices import one_of
from geoseg.errors import ConfigError

Edge = Literal["flush", "pad", "drop"]


@pytest.mark.parametrize("known", [Edge, ("flush", "pad", "drop"), {"flush": 0, "pad": 1}])
def test_a_word_that_there_is_comes_back(known: Any) -> None:
    assert one_of("pad", known, name="edge") == "pad"


def test_the_error_lists_the_words_in_their_order() -> None:
    with pytest.raises(ConfigError) as told:
        one_of("zzz", Edge, name="edge")
    assert str(told.value) == "edge is 'zzz', expected one of: flush, pad, drop"


def test_the_error_tells_a_near_word_last() -> None:
    with pytest.raises(ConfigError) as told:
        one_of("flash", Edge, name="edge", also=", or a callable")
    assert str(told.value) == (
        "edge is 'flash', expected one of: flush, pad, drop, or a callable; did you mean 'flush'?"
    )


def test_none_is_a_word_only_where_it_is_listed() -> None:
    assert one_of(None, (None, "flips"), name="tta") is None
    with pytest.raises(ConfigError, match=r"^tta is 'd5', expected one of: None, flips$"):
        one_of("d5", (None, "flips"), name="tta")
    with pytest.raises(ConfigError, match=r"^edge is None, expected one of: flush, pad, drop$"):
        one_of(None, Edge, name="edge")


@pytest.mark.parametrize(
    "value", [["pad"], {"pad": 1}, np.array(["pad", "drop"]), np.arange(3), 1, True, b"pad"]
)
def test_what_is_no_text_is_refused_of_any_type(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^edge is .*, expected one of: flush, pad, drop"):
        one_of(value, Edge, name="edge")
