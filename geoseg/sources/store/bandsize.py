"""Bands of any size on one common size: both cover the same ground, edge to edge."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.window import Window

Index = NDArray[np.intp]
_EXACT_BYTES = 4
"""Integers of so many bytes or more are blended in float64: float32 would round them."""


def nearest_into(
    out: NDArray[Any], band: NDArray[Any], *, size: tuple[int, int], window: Window
) -> None:
    """Fill a window with the pixels that hold its pixels' centres; of an edge, the one right or below.

    Args:
        out: (height, width) of the window; its dtype takes every value of the band.
        band: (height, width) of any size.
        size: The common (height, width).
        window: Which part of that; it lies inside.
    """
    if band.shape == size:
        out[...] = band[window.slices]
        return
    rows = nearest_index(band.shape[0], size[0], window.row, window.height)
    cols = nearest_index(band.shape[1], size[1], window.col, window.width)
    # The small band is widened first; whole rows are then copied as runs of memory.
    few = band[rows[0] : rows[-1] + 1].take(cols, axis=1).astype(out.dtype, copy=False)
    np.take(few, rows - rows[0], axis=0, out=out, mode="clip")


def bilinear_into(
    out: NDArray[Any],
    band: NDArray[Any],
    *,
    size: tuple[int, int],
    window: Window,
    valid: NDArray[np.bool_] | None = None,
) -> None:
    """Fill a window with values between the four nearest centres; past the outer centres with theirs.

    Pixels that are not valid have no weight, the others share it. Where the nearest pixel is not valid
    the value is unspecified. Where the common size is the smaller one nothing is averaged: four pixels
    count, however many lie under one. Integers are rounded.

    Args:
        out: (height, width) of the window; its dtype takes every value of the band.
        band: (height, width) of any size.
        size: The common (height, width).
        window: Which part of that; it lies inside.
        valid: (height, width) of the band; None: all.
    """
    if band.shape == size:
        out[...] = band[window.slices]
        return
    rows = _neighbours(band.shape[0], size[0], window.row, window.height)
    cols = _neighbours(band.shape[1], size[1], window.col, window.width)
    wide = band.dtype.kind in "iu" and band.dtype.itemsize >= _EXACT_BYTES
    work = np.dtype(np.float64) if wide else np.result_type(band.dtype, np.float32)
    if valid is None or valid.all():
        values = _blend(band.astype(work, copy=False), rows, cols)
    else:
        weight = _blend(valid.astype(work), rows, cols)
        values = _blend(np.where(valid, band, work.type(0)).astype(work, copy=False), rows, cols)
        np.divide(values, weight, out=values, where=weight > 0)
    if out.dtype.kind in "iu":
        np.rint(values, out=values)
    np.copyto(out, values, casting="unsafe")  # between values of the band, which all fit


@lru_cache(maxsize=256)
def nearest_index(length: int, target: int, first: int, count: int) -> Index:
    """Of `length` pixels, those that hold the centres of `count` of `target` pixels from `first` on.

    In whole numbers, so that no centre falls on the wrong side of an edge.

    >>> nearest_index(2, 6, 0, 6).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    index = (2 * np.arange(first, first + count) + 1) * length // (2 * target)
    return np.asarray(index, np.intp)


@lru_cache(maxsize=256)
def _neighbours(
    length: int, target: int, first: int, count: int
) -> tuple[Index, Index, NDArray[np.float64]]:
    """(pixel before the centre, pixel after it, weight of the latter); both held to the band."""
    place = (np.arange(first, first + count) + 0.5) * length / target - 0.5
    before = np.floor(place).astype(np.intp)
    return (
        before.clip(0, length - 1),
        (before + 1).clip(0, length - 1),
        place - before,
    )


def _blend(
    band: NDArray[Any],
    rows: tuple[Index, Index, NDArray[np.float64]],
    cols: tuple[Index, Index, NDArray[np.float64]],
) -> NDArray[Any]:
    """Along the columns of the rows that are needed, then along the rows."""
    above, below, down = rows
    first = above[0]
    few = band[first : below[-1] + 1]
    left, right, across = cols
    few = _between(few.take(left, axis=1), few.take(right, axis=1), across.astype(band.dtype))
    down = down.astype(band.dtype)[:, None]
    return _between(few.take(above - first, axis=0), few.take(below - first, axis=0), down)


def _between(one: NDArray[Any], other: NDArray[Any], past: NDArray[Any]) -> NDArray[Any]:
    """The weighted mean, without a step beyond either: equal neighbours give that value exactly."""
    mean: NDArray[Any] = one + (other - one) * past
    return mean
