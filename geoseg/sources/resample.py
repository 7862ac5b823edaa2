"""Resampling kernels: values at places between pixels, in plain numpy.

Every kernel takes a `Patch` of the source and a place in it for each pixel of the target: source
columns and rows as float64 (height, width), counted from the corner of the source's first pixel (a
centre is at +0.5). It gives a `Chip` of the target in the source's dtype, with 0 where not valid.
A pixel depends on its own neighbours only: a window of the target equals the crop of a larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.grid import Floats
from geoseg.sources.base import Chip
from geoseg.window import Window

_SNAP = 1e-7
"""Source pixels: a place this near below a pixel edge lies on it, so that rounding decides nothing."""
_STRIP = 1 << 14
"""Target pixels worked on at once, so that what is computed stays in the processor's cache."""

Index = NDArray[np.intp]
Values = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Pixels of a rectangle of the source, which reaches 3 pixels around all places inside it."""

    chip: Chip
    window: Window
    """Where the rectangle lies in the source; past its edge pixels are not valid."""

    @property
    def bands(self) -> Values:
        """(band, pixel), row by row."""
        return self.chip.data.reshape(len(self.chip.data), -1)

    def index(self, cols: Values, rows: Values) -> Index:
        """Position in a band of pixels given by whole-numbered columns and rows."""
        first = self.window.row * self.window.width + self.window.col
        return (rows * self.window.width + cols - first).astype(np.intp)

    def nearest(self, cols: Floats, rows: Floats) -> Index:
        """Position in a band of the pixels that hold these places."""
        return self.index(np.floor(cols + _SNAP), np.floor(rows + _SNAP))


def strips(shape: tuple[int, int]) -> Iterator[slice]:
    """Groups of rows of a (height, width) array, few enough to be worked on in the cache."""
    height, width = shape
    step = max(_STRIP // width, 1)
    return (slice(first, first + step) for first in range(0, height, step))


def nearest(patch: Patch, cols: Floats, rows: Floats) -> Chip:
    """The pixel that holds the place."""
    out = _like(patch, cols)
    for strip in strips(cols.shape):
        index = patch.nearest(cols[strip], rows[strip])
        for band, data in zip(patch.bands, out.data, strict=True):
            data[strip] = band.take(index)
        out.valid[strip] = patch.chip.valid.take(index)
    return _blank(out)


def bilinear(patch: Patch, cols: Floats, rows: Floats) -> Chip:
    """The four pixels around the place; those not valid have no weight, the others share it.

    A pixel is valid where the source's nearest pixel is.
    """
    return _blend(patch, cols, rows, taps=2)


def cubic(patch: Patch, cols: Floats, rows: Floats) -> Chip:
    """The sixteen pixels around the place by cubic convolution (Keys 1981, a = -0.5).

    Where one of them is not valid the value is bilinear, as in GDAL: weights of both signs cannot be
    shared out. A pixel is valid where the source's nearest pixel is.
    """
    return _blend(patch, cols, rows, taps=4)


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
    data = _like(patch, cols).data
    for band, out in zip(patch.bands, data, strict=True):
        values = np.where(measured, band.take(index), band.dtype.type(0))
        total = np.add.reduceat(values, first, dtype=np.float64)
        _store((total / np.maximum(count, 1)).reshape(cols.shape), out)
    return _blank(Chip(data, (count > 0).reshape(cols.shape)))


def mode(patch: Patch, cols: Floats, rows: Floats, wide: Floats, high: Floats) -> Chip:
    """The most frequent valid value in a box around the place, of several the lowest.

    Boxes and validity as for `average`; each band by itself.
    """
    index, sizes = _in_boxes(patch, (cols, rows), (wide, high))
    measured = patch.chip.valid.take(index)
    index, owner = index[measured], np.repeat(np.arange(sizes.size), sizes)[measured]
    data = _like(patch, cols).data
    data[...] = 0
    for band, out in zip(patch.bands, data, strict=True):
        _put_most_frequent(band.take(index), owner, out.reshape(-1))
    valid = np.zeros(cols.size, bool)
    valid[owner] = True
    return Chip(data, valid.reshape(cols.shape))


def _like(patch: Patch, cols: Floats) -> Chip:
    """A chip for values at places: pixels to be filled in, all valid."""
    shape = (len(patch.chip.data), *cols.shape)
    return Chip(np.empty(shape, patch.chip.data.dtype), np.ones(cols.shape, bool))


def _blank(chip: Chip) -> Chip:
    """Set what is not valid to 0, in place."""
    if not chip.valid.all():
        np.copyto(chip.data, 0, where=~chip.valid)
    return chip


def _store(values: Values, out: Values) -> None:
    """Write computed values, rounded and held to the dtype's range where it is an integer one."""
    if out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        values = np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
    out[...] = values


def _blend(patch: Patch, cols: Floats, rows: Floats, *, taps: int) -> Chip:
    """The weighted sum of taps x taps neighbours, strip by strip."""
    chip = patch.chip
    work = np.result_type(chip.data, np.float32)  # float64 for integers that float32 would round
    data, solid = chip.data.astype(work, copy=False), None
    if not chip.valid.all():
        data = np.where(chip.valid, data, work.type(0))  # NaN with a weight of 0 would stay NaN
        solid = _solid(chip.valid, taps)
    clean = Patch(Chip(data, chip.valid), patch.window)
    out = _like(patch, cols)
    for strip in strips(cols.shape):
        x, y = cols[strip], rows[strip]
        values = _weigh(clean, x, y, taps)
        if solid is not None:
            out.valid[strip] = chip.valid.take(patch.nearest(x, y))
            torn = out.valid[strip] & ~solid.take(_corner(patch, x, y, taps)[0])
            values[:, torn] = _share(clean, x[torn], y[torn])
        _store(values, out.data[:, strip])
    return _blank(out)


def _share(patch: Patch, cols: Floats, rows: Floats) -> Values:
    """(band, place): bilinear over the valid pixels only; those not valid hold 0."""
    weight = Chip(patch.chip.valid.astype(patch.chip.data.dtype)[None], patch.chip.valid)
    return _weigh(patch, cols, rows, 2) / _weigh(Patch(weight, patch.window), cols, rows, 2)


def _corner(patch: Patch, cols: Floats, rows: Floats, taps: int) -> tuple[Index, Floats, Floats]:
    """First of the neighbours, and how far (0..1) the place is past the centre it is next to."""
    x, y = cols - 0.5, rows - 0.5
    col, row = np.floor(x), np.floor(y)
    before = taps // 2 - 1
    return patch.index(col - before, row - before), x - col, y - row


def _weigh(patch: Patch, cols: Floats, rows: Floats, taps: int) -> Values:
    """(band, ...): the weighted sum of taps x taps neighbours, all taken as valid."""
    bands = patch.bands
    corner, x, y = _corner(patch, cols, rows, taps)
    across, down = _WEIGHTS[taps](x.astype(bands.dtype)), _WEIGHTS[taps](y.astype(bands.dtype))
    values = np.empty((len(bands), *corner.shape), bands.dtype)
    line, term = np.empty_like(values[0]), np.empty_like(values[0])
    for band, total in zip(bands, values, strict=True):
        for i, weight in enumerate(down):
            for j, factor in enumerate(across):
                # The mode spares a copy into `out`; no index is past the end.
                np.take(band[i * patch.window.width + j :], corner, out=term, mode="clip")
                np.multiply(term, factor, out=term if j else line)
                if j:
                    np.add(line, term, out=line)
            np.multiply(line, weight, out=line if i else total)
            if i:
                np.add(total, line, out=total)
    return values


def _linear_weights(past: Values) -> tuple[Values, ...]:
    return 1 - past, past


def _cubic_weights(past: Values) -> tuple[Values, ...]:
    """Of the pixels at -1, 0, 1 and 2 from the one before the place."""
    t = past
    return (
        ((1 - t / 2) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((2 - 1.5 * t) * t + 0.5) * t,
        (t - 1) / 2 * t * t,
    )


_WEIGHTS: dict[int, Callable[[Values], tuple[Values, ...]]] = {
    2: _linear_weights,
    4: _cubic_weights,
}


def _solid(valid: NDArray[np.bool_], taps: int) -> NDArray[np.bool_]:
    """Where all of the taps x taps pixels to the right and below are valid."""
    solid = valid.copy()
    for _ in range(taps - 1):
        solid[:, :-1] &= solid[:, 1:]
        solid[:-1] &= solid[1:]
    return solid


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
    low = np.ceil(centre - size / 2 - 0.5 - _SNAP)
    high = np.ceil(centre + size / 2 - 0.5 - _SNAP)
    low = np.where(high > low, low, np.floor(centre + _SNAP)).clip(first, stop - 1)
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
