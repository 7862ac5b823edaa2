"""Values of a label raster to class ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.labels.base import Ids
from geoseg.spec import AlsoWritten

ClassId = Annotated[int, AlsoWritten({"type": "string"})]
"""A class id in a file; an experiment takes the name of the class too."""
_SHOWN = 8
"""How many values an error lists."""
_NO_ID = 256
"""Stands for "no class" where ids are still wider than 8 bits."""
_TABLED_BYTES = 2
"""Integers of so many bytes or fewer are looked up in a table of all their values."""


def known_values(classes: ClassMap, mapping: Mapping[int, int] | None) -> dict[int, int]:
    """{value in a file: class id}; `ignore_id` stands for itself unless it is mapped.

    Without a mapping class ids stand for themselves; with one, only what it names is known.

    Raises:
        LabelError: The mapping leads to an id that is neither a class nor `ignore_id`.
    """
    allowed = {*classes.ids, classes.ignore_id}
    if mapping is None:
        return {value: value for value in allowed}
    wrong = sorted({target for target in mapping.values() if target not in allowed})
    if wrong:
        raise LabelError(
            f"mapping leads to the ids {wrong}, which are no classes; expected ids of "
            f"{listed(classes)}, or {classes.ignore_id} for ignored"
        )
    return {classes.ignore_id: classes.ignore_id, **mapping}


def to_ids(
    data: NDArray[Any], valid: NDArray[np.bool_], *, known: Mapping[int, int], ignore_id: int
) -> tuple[Ids, NDArray[np.bool_] | None]:
    """Class ids of the values of one band.

    Args:
        data: (height, width) of any real dtype.
        valid: (height, width); elsewhere the id is `ignore_id` whatever the value.
        known: {value: class id}.
        ignore_id: The id of pixels that are not labelled.

    Returns:
        (height, width) ids, and where valid values are unknown; None in place of the latter if nowhere.
    """
    spare = next((i for i in range(256) if i != ignore_id and i not in known.values()), None)
    narrow = _as_bytes(data, valid)
    if narrow is not None and spare is not None:
        table = bytes(known.get(value, spare) for value in range(256))
        ids = np.frombuffer(narrow.tobytes().translate(table), np.uint8).reshape(data.shape)
        ids = np.where(valid, ids, np.uint8(ignore_id))
        unknown = ids == spare
    else:
        wide = np.where(valid, _look_up(data, known), np.uint16(ignore_id))
        unknown = wide == _NO_ID
        ids = wide.astype(np.uint8)
    return ids, unknown if unknown.any() else None


def listed(classes: ClassMap) -> str:
    """The classes for an error: `0 background, 1 building`."""
    return ", ".join(f"{c.id} {c.name}" for c in classes.classes)


def counted(values: NDArray[Any], what: str) -> str:
    """Distinct values with how often they occur, most frequent first, for an error."""
    distinct, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(f"{distinct[i].item()!r} ({counts[i]} {what})" for i in order[:_SHOWN])
    return shown if len(order) <= _SHOWN else f"{shown} and {len(order) - _SHOWN} more"


def _as_bytes(data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """The values as uint8, which are translated ten times faster; None where one does not fit."""
    if data.dtype == np.uint8:
        return data
    values = np.where(valid, data, data.dtype.type(0))
    with np.errstate(invalid="ignore"):  # a float out of range: the comparison finds it
        narrow: NDArray[np.uint8] = values.astype(np.uint8)
    return narrow if (narrow == values).all() else None


def _look_up(data: NDArray[Any], known: Mapping[int, int]) -> NDArray[np.uint16]:
    """The id of each value, `_NO_ID` where there is none; floats must be whole to have one."""
    if data.dtype.kind in "iu" and data.dtype.itemsize <= _TABLED_BYTES:
        return _tabled(data, known)
    values = sorted(known)
    keys = np.array(values, np.float64 if np.issubdtype(data.dtype, np.inexact) else np.int64)
    ids = np.array([known[value] for value in values], np.uint16)
    place = np.minimum(np.searchsorted(keys, data), len(keys) - 1)
    found: NDArray[np.uint16] = np.where(keys[place] == data, ids[place], np.uint16(_NO_ID))
    return found


def _tabled(data: NDArray[Any], known: Mapping[int, int]) -> NDArray[np.uint16]:
    """The same for short integers, from a table of all that they can be: many times faster."""
    limits, unsigned = np.iinfo(data.dtype), np.dtype(f"u{data.dtype.itemsize}")
    span = int(limits.max) - int(limits.min) + 1
    table = np.full(span, _NO_ID, np.uint16)
    for value, target in known.items():
        if limits.min <= value <= limits.max:
            table[value % span] = target  # where a negative value lies once it is read as unsigned
    found: NDArray[np.uint16] = table[data.astype(unsigned, copy=False)]
    return found
