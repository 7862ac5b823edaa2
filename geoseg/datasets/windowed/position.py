"""Numbers of items, counted from either end."""

from __future__ import annotations

import operator


def position_of(index: int, length: int, *, of: str = "window") -> int:
    """A position from 0, of an index that may count from the end.

    Args:
        index: As given.
        length: How many there are.
        of: What an error calls one.

    Raises:
        IndexError: There is none of that number.

    >>> position_of(2, 5), position_of(-1, 5)
    (2, 4)
    """
    number = operator.index(index)
    position = number + length if number < 0 else number
    if not 0 <= position < length:
        raise IndexError(f"{of} {index} of {length}")
    return position
