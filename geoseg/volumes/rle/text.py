"""Runs as text: pairs "start length", starts from 1, single spaces, nothing at the ends."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, NamedTuple, NoReturn

import numpy as np

from geoseg.errors import LabelError
from geoseg.volumes.rle.runs import Positions, Runs, merged

_CHUNK = 2**16
"""Values made into text at once: few enough to keep memory low."""
_DIGITS, _BLANKS = b"0123456789", b" \t\n\r\f\v"
_NUMBER = re.compile(r"[0-9]+")
_NEGATIVE = re.compile(r"-[0-9]+")
_LONGEST = 40
"""Characters of a token that an error shows."""
_LENIENT = "strict=False"


class Reading(NamedTuple):
    """What a text says."""

    runs: Runs
    """Canonical runs, positions from 0."""
    notes: tuple[str, ...]
    """What was not as geoseg writes it, with counts; empty for a text of its own."""


def text_of(runs: Runs) -> str:
    """The text of canonical runs; the empty string for none."""
    starts, ends = runs
    chunks = []
    for first in range(0, len(starts), _CHUNK // 2):
        some = slice(first, first + _CHUNK // 2)
        pairs = np.column_stack([starts[some] + 1, ends[some] - starts[some]])
        chunks.append(_joined_text(pairs.reshape(-1)))
    return " ".join(chunks)


def _joined_text(values: Positions) -> str:
    """Numbers with single spaces between them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # From buffers, because pyarrow loads pandas when it is given anything else: 60 MB and 0.2 s.
    numbers = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
    blank = pa.Array.from_buffers(pa.string(), 1, [None, _ends(1), pa.py_buffer(b" ")])
    tokens = numbers.cast(pa.string())
    ends = [None, _ends(len(values))]
    line = pa.Array.from_buffers(pa.list_(pa.string()), 1, ends, children=[tokens])
    text: str = pc.binary_join(line, blank[0])[0].as_py()
    return text


def _ends(count: int) -> Any:
    """Offsets of one list, or one string, of so many items."""
    import pyarrow as pa

    return pa.py_buffer(np.array([0, count], np.int32))


def read_text(text: object, *, size: int, strict: bool, where: str) -> Reading:
    """Read a text, or the cell of a table in which there should be one.

    Args:
        text: The text; anything else is an error, or nothing where it is None or NaN and not `strict`.
        size: Voxels in the volume.
        strict: Whether white space other than single spaces, missing texts, and runs that overlap or
            come out of order are errors. Otherwise they are read for what they can mean, and noted.
        where: What an error begins with, such as the names of the image and the class.

    Raises:
        LabelError: The text is not a list of runs inside the volume.
    """
    notes: list[str] = []
    data = _digits(text, strict=strict, where=where, notes=notes)
    if not data:
        return Reading((np.empty(0, np.int64), np.empty(0, np.int64)), tuple(notes))
    values = np.fromstring(data, np.int64, sep=" ")  # more than 64 bits: the largest, past any end
    if len(values) % 2:
        _refuse(
            where,
            f"it holds {len(values)} values, an odd count; expected pairs of start and length",
        )
    starts, lengths = values[::2], values[1::2]
    _check_numbers(data, starts, lengths, size=size, where=where)
    ends = starts - 1 + lengths
    return Reading(_joined(starts - 1, ends, strict=strict, where=where, notes=notes), tuple(notes))


def _digits(text: object, *, strict: bool, where: str, notes: list[str]) -> bytes:
    """The text as bytes of ASCII digits and single spaces between them."""
    if _is_missing(text):
        if strict:
            _refuse(where, f"it is missing ({text}); expected the empty string for an empty mask")
        notes.append(f"the text is missing ({text}); read as an empty mask")
        return b""
    if not isinstance(text, str):
        _refuse(where, f"it is {type(text).__name__} {_shown(str(text))}; expected a string")
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        _refuse_token(text, where=where)
    if not _spaced(data):
        if data.translate(None, _DIGITS + _BLANKS):
            _refuse_token(text, where=where)
        if strict:
            _refuse_spaces(text, where=where)
        data = b" ".join(data.split())
        notes.append("there is white space other than single spaces between values; passed over")
    zeros = _padded(data)
    notes += [f"values with leading zeros: {zeros}"] if zeros else []
    return data


def _is_missing(text: object) -> bool:
    """Whether it is None, a NaN of Python or numpy, or pandas.NA, which is told by its type: pandas is not needed."""
    if isinstance(text, float | np.floating):
        return bool(np.isnan(text))
    return text is None or type(text).__name__ == "NAType"


def _spaced(data: bytes) -> bool:
    """Whether there are single spaces, and they lie between tokens only."""
    if data.translate(None, _DIGITS + b" "):
        return False
    space = np.frombuffer(data, np.uint8) == ord(" ")  # several times faster than to look for "  "
    return data.strip() == data and not (space[1:] & space[:-1]).any()


def _padded(data: bytes) -> int:
    """How many values begin with a zero and go on."""
    digits = np.frombuffer(b" " + data + b" ", np.uint8)
    space, zero = digits == ord(" "), digits == ord("0")
    return int(np.count_nonzero(space[:-2] & zero[1:-1] & ~space[2:]))


def _check_numbers(
    data: bytes, starts: Positions, lengths: Positions, *, size: int, where: str
) -> None:
    """LabelError unless each run begins and ends inside the volume."""
    volume = f"the volume has {size} voxels"
    checks = (
        (starts < 1, 0, "starts count from 1"),
        (starts > size, 0, f"the run starts past the end: {volume}"),
        (lengths < 1, 1, "a run is at least 1 voxel long"),
        (lengths > size + 1 - starts, 1, f"the run reaches past the end: {volume}"),
    )
    for wrong, second, why in checks:
        if wrong.any():
            run = int(wrong.argmax())
            tokens = islice(re.finditer(rb"\S+", data), 2 * run, 2 * run + 2)
            start, length = (token.group().decode() for token in tokens)
            what, token = ("length", length) if second else ("start", start)
            beside = f" of the run at {_shown(start)}" if second else ""
            _refuse(
                where, f"value {2 * run + second + 1} is the {what} {_shown(token)}{beside}; {why}"
            )


def _joined(
    starts: Positions, ends: Positions, *, strict: bool, where: str, notes: list[str]
) -> Runs:
    """Canonical runs; LabelError where they overlap or are not sorted, if that is not allowed."""
    late = starts[1:] < ends[:-1]
    touching = int(np.count_nonzero(starts[1:] == ends[:-1]))
    if touching:
        notes.append(f"{touching} of {len(starts)} runs touch the one before; joined")
    if late.any():
        if strict:
            run = int(late.argmax()) + 1
            how = "overlaps" if ends[run] > starts[run - 1] else "lies before"
            _refuse(
                where,
                f"value {2 * run + 1}, the start {starts[run] + 1}, {how} the previous run, "
                f"{starts[run - 1] + 1} to {ends[run - 1]}; expected starts that ascend and runs that "
                f"lie apart; {_LENIENT} merges them",
            )
        notes.append(
            f"{np.count_nonzero(late)} of {len(starts)} runs overlap the one before or come out of "
            "order; merged"
        )
    return merged(starts, ends) if touching or late.any() else (starts, ends)


def _refuse_spaces(text: str, *, where: str) -> NoReturn:
    """LabelError that names the first blank that is not a single space between values."""
    found = re.search(r"^\s|[^\S ]|\s\s|\s$", text)
    at = found.start() if found else 0
    _refuse(
        where,
        f"there is white space {text[at : at + 2]!r} at character {at + 1}; expected single spaces "
        f"between values and none at the ends; {_LENIENT} passes over it",
    )


def _refuse_token(text: str, *, where: str) -> NoReturn:
    """LabelError that names the first token that is not a number from 0."""
    found = re.finditer(r"[^ \t\n\r\f\v]+", text)
    tokens = (token.group() for token in found)
    place, token = next(
        (place, token) for place, token in enumerate(tokens) if not _NUMBER.fullmatch(token)
    )
    expected = "expected a whole number in the digits 0 to 9"
    if _NEGATIVE.fullmatch(token):
        expected = "a run is at least 1 voxel long" if place % 2 else "starts count from 1"
    _refuse(where, f"value {place + 1} is {_shown(token)!a}; {expected}")


def _shown(token: str) -> str:
    return token if len(token) <= _LONGEST else f"{token[:_LONGEST]}..."


def _refuse(where: str, problem: str) -> NoReturn:
    raise LabelError(
        f"{where}: run-length text: {problem}" if where else f"run-length text: {problem}"
    )
