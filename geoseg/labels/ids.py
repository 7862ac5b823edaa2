"""Arrays of class ids: bounded by the class map, padded around the grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids
from geoseg.shortlist import some
from geoseg.window import Window

_PIXELS = 1 << 20
"""Pixels looked at once, so that memory stays small beside the array."""
_NAMED = 5
"""Ids that an error names."""


def pad_ids(window: Window, grid: Grid, *, ignore_id: int, inside: Callable[[Window], Ids]) -> Ids:
    """Read what lies in the grid and put `ignore_id` around it.

    Args:
        window: May reach past the grid, or lie outside it.
        grid: What `inside` can read.
        ignore_id: The id of pixels outside.
        inside: Reads a window that lies in the grid.
    """
    part = window.intersection(grid.whole)
    if part == window:
        return inside(window)
    ids = np.full(window.shape, ignore_id, np.uint8)
    if part is not None:
        ids[part.relative_to(window).slices] = inside(part)
    return ids


def unknown_ids(ids: Ids, classes: ClassMap) -> dict[int, int]:
    """Id to number of pixels, for the ids that are neither a class nor `ignore_id`."""
    known = bytes({*classes.ids, classes.ignore_id})
    flat = ids.reshape(-1)
    counts = np.zeros(256, np.int64)
    for start in range(0, flat.size, _PIXELS):
        left = flat[start : start + _PIXELS].tobytes().translate(None, delete=known)
        if left:
            counts += np.bincount(np.frombuffer(left, np.uint8), minlength=256)
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}


def check_ids(ids: Ids, classes: ClassMap, what: str) -> None:
    """See that ids are uint8 and in the class map.

    Args:
        ids: Of any shape.
        classes: The ids that are allowed, beside `ignore_id`.
        what: What errors call them, e.g. the file and the window.

    Raises:
        LabelError: They are not; the text names ids and counts.
    """
    if ids.dtype != np.uint8:
        raise LabelError(
            f"{what}: ids are {ids.dtype}, expected uint8; cast them with astype('uint8')"
        )
    unknown = unknown_ids(ids, classes)
    if unknown:
        raise LabelError(unknown_text(unknown, classes, what))


def unknown_text(unknown: dict[int, int], classes: ClassMap, what: str) -> str:
    """The error for ids outside the class map."""
    named = some((f"{i} ({n} px)" for i, n in unknown.items()), _NAMED)
    return (
        f"{what}: ids outside the class map: {named}; expected one of {classes.ids} or "
        f"{classes.ignore_id} for ignored; map them (RasterLabels(mapping=...)) or add the classes"
    )
