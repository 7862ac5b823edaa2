"""All that is wrong with one run-length text, not only the first token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count, islice
from math import prod

from geoseg.errors import LabelError
from geoseg.volumes.rle import Rle, Shape, parse_with_notes

_SHOWN = 10
"""Problems of a text that are told one by one; more are counted."""
_COUNTED = 1000
"""Problems up to which they are counted: each takes time."""
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_DIGITS = 18
"""More do not fit 64 bits."""
_VALUE = re.compile(r"value (\d+)\b")
_LONGEST = 40


def check_text(
    text: str | None, *, shape: Shape, where: str
) -> tuple[Rle | None, list[str], list[str]]:
    """(runs, errors, warnings) of a text, read strictly; None where it has errors.

    Args:
        text: The text.
        shape: (depth, height, width).
        where: What each problem begins with.
    """
    try:
        rle, notes = parse_with_notes(text, shape=shape, where=where)
    except LabelError as error:
        first = str(error)
        named = _VALUE.search(first)
        known = int(named.group(1)) if named else 0
        wrong = _values(text, prod(shape)) if isinstance(text, str) else ()
        rest = (problem for value, problem in wrong if value != known)
        more = [f"{where}: run-length text: {problem}" for problem in islice(rest, _SHOWN)]
        others = sum(1 for _ in islice(rest, _COUNTED))
        if others:
            told = f"{others} or" if others == _COUNTED else f"{others}"
            more.append(f"{where}: run-length text: {told} more values are wrong")
        return None, [first, *more], []
    return rle, [], list(notes)


def _values(text: str, size: int) -> Iterator[tuple[int, str]]:
    """(place from 1, problem) of each value that is wrong by itself or beside the one before."""
    tokens = (found.group() for found in re.finditer(r"\S+", text))  # one in memory at a time
    end = 0
    for place, pair in zip(count(0, 2), zip(tokens, tokens, strict=False), strict=False):
        start, length = (_number(token) for token in pair)
        for value, (token, number) in enumerate(zip(pair, (start, length), strict=True), place + 1):
            if number is None:
                yield value, f"value {value} is {token[:_LONGEST]!a}; expected a whole number"
        if start is not None:
            if not 1 <= start <= size:
                yield place + 1, f"value {place + 1} is the start {start}; expected 1 to {size}"
            elif start <= end:
                yield (
                    place + 1,
                    f"value {place + 1}, the start {start}, lies before the end of another run",
                )
        if length is not None and length < 1:
            yield (
                place + 2,
                f"value {place + 2} is the length {length}; a run is at least 1 voxel long",
            )
        if start is not None and length is not None and 1 <= start <= size:
            if length > size + 1 - start:
                yield (
                    place + 2,
                    f"value {place + 2} is the length {length}; the run reaches past the end",
                )
            end = max(end, start + length - 1)


def _number(token: str) -> int | None:
    """A token as a number; None where it is none, or too long for one."""
    return int(token) if _NUMBER.fullmatch(token) and len(token.lstrip("0")) <= _DIGITS else None
