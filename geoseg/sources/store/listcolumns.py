"""Columns of a manifest as Python objects: equal rows share one, so that millions of bands cost little."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Objects = NDArray[np.object_]
Kind = Literal["text", "numbers", "sizes"]

_EXPECTED: dict[Kind, str] = {
    "text": "expected lists of text",
    "numbers": "expected lists of numbers",
    "sizes": "expected lists of lists of whole numbers",
}


def text_values(column: Any, *, repeated: bool) -> Objects:
    """A column of text; None where there is none.

    Args:
        column: A pyarrow array.
        repeated: Whether it has few different values, which rows then share.

    Raises:
        TypeError: It is no text.
    """
    if not _is_text(column.type):
        raise TypeError("expected text")
    if not repeated:
        found: Objects = column.to_numpy(zero_copy_only=False)
        return found
    coded = column.dictionary_encode()
    return _picked([*coded.dictionary.to_pylist(), None], coded.indices.fill_null(-1).to_numpy())


def number_rows(column: Any, *, count: int) -> Objects:
    """A column of lists of so many finite numbers, as tuples; None where there is none.

    Raises:
        TypeError: It is of another type.
        ValueError: A list has another length, or a number that is none.
    """
    _check(column, "numbers")
    present = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    if (_lengths(column)[present] != count).any() or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite numbers in each row")
    found = np.full(len(column), None, object)
    rows = zip(*map(_floats, numbers.reshape(-1, count).T), strict=True)
    found[present] = _objects(list(rows))
    return found


def list_values(column: Any, *, kind: Kind, seen: dict[Any, Any]) -> Objects:
    """A column of lists as tuples (of tuples); equal rows share one; None where there is none.

    Only lists that differ from that of the row before are looked up, only new ones are made.

    Args:
        column: A pyarrow array.
        kind: What the lists hold.
        seen: Tuples of the same column that were made before; more are added.

    Raises:
        TypeError: It is of another type.
    """
    _check(column, kind)
    if len(column) and column[1:].equals(column[:-1]):  # as most columns of most stores
        value = _frozen(column[0].as_py())
        return _picked([seen.setdefault(value, value)], np.zeros(len(column), np.intp))
    tracks, leaves = _tracks(column)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    changed = np.ones(len(column), bool)
    changed[1:] = present[1:] != present[:-1]
    for codes, lengths in tracks:
        changed[1:] |= _differ(codes, lengths)
    rows = np.flatnonzero(changed)
    keys = _keys(tracks, rows)
    known = {}
    for key, row in dict(zip(keys, rows.tolist(), strict=True)).items():
        if leaves is None:
            value = _frozen(column[row].as_py() or [])
        else:
            value = tuple(leaves[n] for n in np.frombuffer(key, tracks[0][0].dtype).tolist())
        known[key] = seen.setdefault(value, value)
    found = _picked([known[key] for key in keys], np.cumsum(changed) - 1)
    found[~present] = None
    return found


Track = tuple[NDArray[Any], NDArray[np.int64]]
"""What tells the lists of a column apart: one number after the other, and how many are each row's."""


def _tracks(column: Any) -> tuple[list[Track], list[Any] | None]:
    """(the numbers of what is in the lists, of lists of lists their lengths too; what they stand for)."""
    import pyarrow as pa

    lengths = _lengths(column)
    inner = column.flatten()
    if not _is_list(inner.type):
        coded = inner.dictionary_encode()
        return [(_numbers(coded), lengths)], [*coded.dictionary.to_pylist(), None]
    sides, leaves = _lengths(inner), inner.flatten()
    ends = np.cumsum(np.concatenate([[0], sides]))[np.cumsum(np.concatenate([[0], lengths]))]
    whole = pa.types.is_integer(leaves.type) and not leaves.null_count
    numbers = leaves.to_numpy() if whole else _numbers(leaves.dictionary_encode())
    return [(sides, lengths), (numbers, np.diff(ends))], None


def _numbers(coded: Any) -> NDArray[Any]:
    """The numbers of a dictionary's entries; -1 where there is none."""
    numbers: NDArray[Any] = coded.indices.fill_null(-1).to_numpy()
    return numbers


def _floats(numbers: NDArray[np.float64]) -> Iterable[float]:
    """As Python's; those that are all the same are one."""
    if len(numbers) and (numbers == numbers[0]).all():
        return repeat(float(numbers[0]), len(numbers))
    found: list[float] = numbers.tolist()
    return found


def _differ(codes: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each row but the first, whether it differs from the one before."""
    if not len(lengths) or (lengths == lengths[0]).all():
        table = codes.reshape(len(lengths), -1) if len(codes) else codes.reshape(len(lengths), 0)
        found: NDArray[np.bool_] = (table[1:] != table[:-1]).any(axis=1)
        return found
    ends = np.cumsum(lengths)
    before = np.arange(len(codes)) - np.repeat(lengths, lengths)
    unequal = np.concatenate([[0], np.cumsum(codes != codes[before.clip(0)])])
    count = unequal[ends] - unequal[ends - lengths]
    differ: NDArray[np.bool_] = (lengths[1:] != lengths[:-1]) | (count[1:] > 0)
    return differ


def _keys(tracks: list[Track], rows: NDArray[np.intp]) -> list[Any]:
    """Of some rows, what is the same for equal ones."""
    runs = []
    for numbers, lengths in tracks:
        ends = np.cumsum(lengths)[rows]
        memory, width = numbers.tobytes(), numbers.itemsize
        firsts, lasts = ((ends - lengths[rows]) * width).tolist(), (ends * width).tolist()
        runs.append([memory[a:b] for a, b in zip(firsts, lasts, strict=True)])
    return runs[0] if len(runs) == 1 else list(zip(*runs, strict=True))


def _check(column: Any, kind: Kind) -> None:
    import pyarrow as pa

    inner = column.type.value_type if _is_list(column.type) else None
    if inner is not None and kind == "sizes":
        inner = inner.value_type if _is_list(inner) else None
    fits = {
        "text": _is_text,
        "numbers": lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
        "sizes": pa.types.is_integer,
    }[kind]
    if inner is None or not (fits(inner) or pa.types.is_null(inner)):
        raise TypeError(_EXPECTED[kind])


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _lengths(column: Any) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    lengths: NDArray[np.int64] = pc.list_value_length(column).fill_null(0).to_numpy()
    return lengths.astype(np.int64, copy=False)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _picked(values: list[Any], numbers: NDArray[Any]) -> Objects:
    """The values with these numbers."""
    picked: Objects = _objects(values)[numbers]
    return picked


def _objects(values: list[Any]) -> Objects:
    """An array of them as they are: numpy would make tuples into axes."""
    return np.fromiter(values, object, len(values))
