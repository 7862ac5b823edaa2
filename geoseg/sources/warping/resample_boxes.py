"""Kernels over boxes: what the source's pixels in a target pixel have in common, in plain numpy.

Patches, places and chips are those of the kernels at points. With each place comes the size of a box
around it, the target pixel's outline in the source.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.grid import Floats
from geoseg.sources.base import Chip
from geoseg.sources.warping.resample import SNAP, Index, Patch, Values, blank, like, store
from geoseg.window import Window

_TABLE_BYTES = 2
"""Size of integers of which each value has a place in a table."""


def average(patch: Patch, cols: Floats, rows: Floats, wide: Floats, high: Floats) -> Chip:
    """The mean of the valid pixels whose centres lie in a box around the place; valid if there is one.

    Args:
        patch: Covers the boxes as far as they lie in the source.
        cols: Places, as for the other kernels.
        rows: The same.
        wide: Width of the boxes in source pixels; a box without a centre takes the nearest pixel.
        high: Height of the boxes, likewise.
    """
    index, sizes = _in_boxes(patch, (cols, rows), (wide, high))
    first = np.cumsum(sizes) - sizes
    measured = patch.chip.valid.take(index)
    count = np.add.reduceat(measured, first, dtype=np.float64)
    data = like(patch, cols).data
    for band, out in zip(patch.bands, data, strict=True):
        values = np.where(measured, band.take(index), band.dtype.type(0))
        total = np.add.reduceat(values, first, dtype=np.float64)
        store((total / np.maximum(count, 1)).reshape(cols.shape), out)
    return blank(Chip(data, (count > 0).reshape(cols.shape)))


def mode(patch: Patch, cols: Floats, rows: Floats, wide: Floats, high: Floats) -> Chip:
    """The most frequent valid value in a box around the place, of several the lowest.

    Boxes and validity as for `average`; each band by itself.
    """
    index, sizes = _in_boxes(patch, (cols, rows), (wide, high))
    measured = patch.chip.valid.take(index)
    index, owner = index[measured], np.repeat(np.arange(sizes.size), sizes)[measured]
    data = like(patch, cols).data
    data[...] = 0
    for band, out in zip(patch.bands, data, strict=True):
        _put_most_frequent(band.take(index), owner, out.reshape(-1))
    valid = np.zeros(cols.size, bool)
    valid[owner] = True
    return Chip(data, valid.reshape(cols.shape))


class Tally(Protocol):
    """What is kept of a single box that is gone through piece by piece."""

    def add(self, piece: Chip) -> None:
        """Take in pixels of the box; all pieces together are the box, and no two of them overlap."""

    def chip(self) -> Chip:
        """(band, 1, 1) what the kernel gives for all of them at once."""


class MeanTally:
    """`average` of one box: sums of floats are right to what their order rounds."""

    def __init__(self, dtype: np.dtype[Any], bands: int) -> None:
        self._dtype, self._count = dtype, 0
        self._total = np.zeros(bands)

    def add(self, piece: Chip) -> None:
        """Add up the valid pixels."""
        self._count += int(np.count_nonzero(piece.valid))
        for band, data in enumerate(piece.data):
            self._total[band] += data[piece.valid].sum(dtype=np.float64)

    def chip(self) -> Chip:
        """The means."""
        data = np.zeros((len(self._total), 1, 1), self._dtype)
        store((self._total / max(self._count, 1))[:, None, None], data)
        return Chip(data, np.full((1, 1), self._count > 0))


class ModeTally:
    """`mode` of one box: its memory grows with the number of different values."""

    def __init__(self, dtype: np.dtype[Any], bands: int) -> None:
        self._dtype = dtype
        self._values = [np.zeros(0, dtype) for _ in range(bands)]
        self._counts = [np.zeros(0, np.intp) for _ in range(bands)]

    def add(self, piece: Chip) -> None:
        """Count the values of the valid pixels."""
        for band, data in enumerate(piece.data):
            values, counts = _counted(data[piece.valid])
            both = np.concatenate([self._values[band], values])
            self._values[band], place = np.unique(both, return_inverse=True, equal_nan=False)
            weights = np.concatenate([self._counts[band], counts])
            self._counts[band] = np.zeros(len(self._values[band]), np.intp)
            np.add.at(self._counts[band], place, weights)

    def chip(self) -> Chip:
        """The most frequent values, of several the lowest."""
        data = np.zeros((len(self._values), 1, 1), self._dtype)
        found = bool(self._values and len(self._values[0]))
        for band, (values, counts) in enumerate(zip(self._values, self._counts, strict=True)):
            if found:
                data[band] = values[counts.argmax()]
        return Chip(data, np.full((1, 1), found))


def box_of(rectangle: Window, col: Floats, row: Floats, wide: Floats, high: Floats) -> Window:
    """The pixels of a single box, as far as they lie in a rectangle of the source."""
    first_col, width = _span(col.ravel(), wide.ravel(), rectangle.col, rectangle.col_stop)
    first_row, height = _span(row.ravel(), high.ravel(), rectangle.row, rectangle.row_stop)
    return Window(int(first_row[0]), int(first_col[0]), int(height[0]), int(width[0]))


def _counted(values: Values) -> tuple[Values, NDArray[np.intp]]:
    """The different values from the lowest on, and how often each occurs; NaN once, unlike itself."""
    if values.dtype.kind in "iu" and values.dtype.itemsize <= _TABLE_BYTES:
        low = int(np.iinfo(values.dtype).min)
        table = np.bincount(values.astype(np.int32).ravel() - low)
        there = np.flatnonzero(table)
        return (there + low).astype(values.dtype), table[there]
    different, counts = np.unique(values, return_counts=True)
    if values.dtype.kind == "f":
        counts[np.isnan(different)] = 1
    return different, counts


def _in_boxes(
    patch: Patch, place: tuple[Floats, Floats], size: tuple[Floats, Floats]
) -> tuple[Index, Index]:
    """Positions of the pixels in each box, box after box, and how many there are in each (>= 1)."""
    w = patch.window
    col, wide = _span(place[0].ravel(), size[0].ravel(), w.col, w.col_stop)
    row, high = _span(place[1].ravel(), size[1].ravel(), w.row, w.row_stop)
    lines = patch.index(np.repeat(col, high), _ranges(row, high))
    return _ranges(lines, np.repeat(wide, high)), wide * high


def _span(centre: Floats, size: Floats, first: int, stop: int) -> tuple[Index, Index]:
    """First pixel and number of pixels whose centres a span covers, on one axis."""
    low = np.ceil(centre - size / 2 - 0.5 - SNAP)
    high = np.ceil(centre + size / 2 - 0.5 - SNAP)
    low = np.where(high > low, low, np.floor(centre + SNAP)).clip(first, stop - 1)
    return low.astype(np.intp), (high.clip(low + 1, stop) - low).astype(np.intp)


def _ranges(starts: Index, lengths: Index) -> Index:
    """Whole numbers from each start on, one range after another.

    >>> _ranges(np.array([5, 9]), np.array([2, 3]))
    array([ 5,  6,  9, 10, 11])
    """
    before = np.cumsum(lengths) - lengths
    ranges: Index = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return ranges


def _put_most_frequent(values: Values, owner: Index, out: Values) -> None:
    """Write to `out[owner]` the value that most often comes with this owner."""
    order = np.lexsort((values, owner))
    values, owner = values[order], owner[order]
    new = np.ones(len(values), bool)
    new[1:] = (values[1:] != values[:-1]) | (owner[1:] != owner[:-1])
    start = np.flatnonzero(new)
    length = np.diff(start, append=len(values))
    # The longest run is written last, of equal ones that of the lowest value.
    last = start[::-1][np.argsort(length[::-1], kind="stable")]
    out[owner[last]] = values[last]
