"""Long lists of names, cut short for a text."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[object], most: int, *, counted: bool = True) -> str:
    """The first names, and that there are more, if there are.

    Args:
        names: All of them.
        most: So many are named.
        counted: Whether to say how many more.

    >>> some("abcde", 3)
    'a, b, c and 2 more'
    >>> some("abcde", 3, counted=False)
    'a, b, c, ...'
    """
    listed = list(names)
    shown = ", ".join(map(str, listed[:most]))
    if len(listed) <= most:
        return shown
    return f"{shown} and {len(listed) - most} more" if counted else f"{shown}, ..."
