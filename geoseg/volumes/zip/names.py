"""Names that are near to one that is missing."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_MANY = 2000
"""Names among which near ones are looked for: it takes time for each."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most like a missing one; None where none is."""
    some = list(islice(names, _MANY))
    same = [other for other in some if other.rsplit("/", 1)[-1] == name.rsplit("/", 1)[-1]]
    lower = [other for other in some if other.lower() == name.lower()]
    near = same or lower or get_close_matches(name, some, n=1)
    return near[0] if near else None
