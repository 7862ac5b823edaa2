"""Kernels at points: values at places between pixels, in plain numpy.

Every kernel takes a `Patch` of the source and a place in it for each pixel of the target: source
columns and rows as float64 (height, width), counted from the corner of the source's first pixel (a
centre is at +0.5). It gives a `Chip` of the target in the source's dtype, with 0 where not valid.
A pixel depends on its own neighbours only: a window of the target equals the crop of a larger one.
What is blended is computed in float64 where float32 would round: integers of 64 bits are exact up to
2**53 only, but for those that are taken as they are (nearest, mode).
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

SNAP = 1e-7
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
        return self.index(np.floor(cols + SNAP), np.floor(rows + SNAP))


def strips(shape: tuple[int, int]) -> Iterator[slice]:
    """Groups of rows of a (height, width) array, few enough to be worked on in the cache."""
    height, width = shape
    step = max(_STRIP // width, 1)
    return (slice(first, first + step) for first in range(0, height, step))


def nearest(patch: Patch, cols: Floats, rows: Floats) -> Chip:
    """The pixel that holds the place."""
    out = like(patch, cols)
    for strip in strips(cols.shape):
        index = patch.nearest(cols[strip], rows[strip])
        for band, data in zip(patch.bands, out.data, strict=True):
            data[strip] = band.take(index)
        out.valid[strip] = patch.chip.valid.take(index)
    return blank(out)


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


def like(patch: Patch, cols: Floats) -> Chip:
    """A chip for values at places: pixels to be filled in, all valid."""
    shape = (len(patch.chip.data), *cols.shape)
    return Chip(np.empty(shape, patch.chip.data.dtype), np.ones(cols.shape, bool))


def blank(chip: Chip) -> Chip:
    """Set what is not valid to 0, in place."""
    if not chip.valid.all():
        np.copyto(chip.data, 0, where=~chip.valid)
    return chip


def store(values: Values, out: Values) -> None:
    """Write computed values, rounded and held to the dtype's range where it is an integer one."""
    if out.dtype.kind in "biu":
        np.rint(values, out=values)
    if out.dtype.kind not in "iu":
        out[...] = values
        return
    low, high = np.iinfo(out.dtype).min, np.iinfo(out.dtype).max
    top = values.dtype.type(high)
    if int(top) <= high:
        np.clip(values, low, top, out=values)
        out[...] = values
        return
    # As a float the limit of 64 bits is one more than it is, which the dtype does not hold.
    full = values >= top
    np.clip(values, low, np.nextafter(top, values.dtype.type(0)), out=values)
    out[...] = values
    out[full] = high


def _blend(patch: Patch, cols: Floats, rows: Floats, *, taps: int) -> Chip:
    """The weighted sum of taps x taps neighbours, strip by strip."""
    chip = patch.chip
    work = np.result_type(chip.data, np.float32)  # float64 for integers that float32 would round
    data, solid = chip.data.astype(work, copy=False), None
    if not chip.valid.all():
        data = np.where(chip.valid, data, work.type(0))  # NaN with a weight of 0 would stay NaN
        solid = _solid(chip.valid, taps)
    clean = Patch(Chip(data, chip.valid), patch.window)
    out = like(patch, cols)
    for strip in strips(cols.shape):
        x, y = cols[strip], rows[strip]
        values = _weigh(clean, x, y, taps)
        if solid is not None:
            out.valid[strip] = chip.valid.take(patch.nearest(x, y))
            torn = out.valid[strip] & ~solid.take(_corner(patch, x, y, taps)[0])
            values[:, torn] = _share(clean, x[torn], y[torn])
        store(values, out.data[:, strip])
    return blank(out)


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
