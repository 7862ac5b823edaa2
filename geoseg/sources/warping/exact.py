"""Warping by the exact pixel mapping: a window equals the crop of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.grid import Floats, Grid
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.warping import resample, resample_boxes
from geoseg.sources.warping.pixelmap import PixelMap, covering
from geoseg.sources.warping.resample import Patch
from geoseg.sources.warping.seam import read_round, unrolled
from geoseg.window import Window

_WINDOW = 1 << 20
"""Target pixels worked on at once."""
_RECTANGLE = 1 << 21
"""Source pixels read at once; what one target pixel needs beyond that is read tile by tile."""
_REACH = 2.0
"""Source pixels on each side of a place that a kernel without boxes needs."""

KERNELS: dict[str, Callable[..., Chip]] = {
    "nearest": resample.nearest,
    "bilinear": resample.bilinear,
    "cubic": resample.cubic,
    "average": resample_boxes.average,
    "mode": resample_boxes.mode,
}
"""The kernels of the exact method, by the names that GDAL gives them."""
_TALLIES: dict[str, Callable[[np.dtype[Any], int], resample_boxes.Tally]] = {
    "average": resample_boxes.MeanTally,
    "mode": resample_boxes.ModeTally,
}
"""Of the kernels over boxes, what they do with a box that is too large to be read at once."""


def warp_exact(source: RasterSource, pixels: PixelMap, window: Window, resampling: str) -> Chip:
    """Resample a window; cut in two as long as it, or what it needs of the source, is too much.

    Args:
        source: Where the pixels come from.
        pixels: From the target grid to the source's.
        window: Of the target grid.
        resampling: A key of KERNELS.

    Raises:
        SourceError: The source cannot be read.
    """
    if window.height * window.width > _WINDOW:
        return _in_halves(source, pixels, window, resampling)
    boxed = resampling in _TALLIES
    cols, rows, *boxes = pixels.boxes(window) if boxed else pixels.centres(window)
    if resampling == "nearest":
        _settle_ties(pixels, window, cols, rows)
    if pixels.whole_turn:
        cols = unrolled(cols, source.grid.width)
    reach = (boxes[0] / 2 + 1, boxes[1] / 2 + 1) if boxes else (_REACH, _REACH)
    rectangle = covering(source.grid, (cols, rows), reach, round_the_earth=pixels.whole_turn)
    if rectangle is None:
        data = np.zeros((len(source.band_names), *window.shape), source.dtype)
        return Chip(data, np.zeros(window.shape, bool))
    if rectangle.height * rectangle.width > _RECTANGLE:
        if window.shape != (1, 1):
            return _in_halves(source, pixels, window, resampling)
        if boxed:
            box = resample_boxes.box_of(rectangle, cols, rows, *boxes)
            tally = _TALLIES[resampling](source.dtype, len(source.band_names))
            return _by_tiles(source, box, tally, round_the_earth=pixels.whole_turn)
    chip = _read(source, rectangle, round_the_earth=pixels.whole_turn)
    lost = _bring_near(cols, rows)
    if not boxed:
        _hold(source.grid, cols, rows, round_the_earth=pixels.whole_turn)
    chip = KERNELS[resampling](Patch(chip, rectangle), cols, rows, *boxes)
    if lost.any():
        chip.data[:, lost], chip.valid[lost] = 0, False
    return chip


def _by_tiles(
    source: RasterSource, box: Window, tally: resample_boxes.Tally, *, round_the_earth: bool
) -> Chip:
    """The chip of one target pixel whose box is too large to be read at once."""
    width = min(box.width, _RECTANGLE)
    height = max(_RECTANGLE // width, 1)
    for row in range(box.row, box.row_stop, height):
        for col in range(box.col, box.col_stop, width):
            shape = min(height, box.row_stop - row), min(width, box.col_stop - col)
            tile = Window(row, col, *shape)
            tally.add(_read(source, tile, round_the_earth=round_the_earth))
    return tally.chip()


def _settle_ties(pixels: PixelMap, window: Window, cols: Floats, rows: Floats) -> None:
    """Bring places to the pixel that they are in, in place, strip by strip."""
    for strip in resample.strips(window.shape):
        part = Window(window.row + strip.start, window.col, len(cols[strip]), window.width)
        pixels.settle_ties(part, (cols[strip], rows[strip]))


def _read(source: RasterSource, window: Window, *, round_the_earth: bool) -> Chip:
    return read_round(source, window) if round_the_earth else source.read(window)


def _bring_near(cols: Floats, rows: Floats) -> NDArray[np.bool_]:
    """Give every pixel a place on the source, in place; tell which had none."""
    lost = np.isnan(cols)
    if lost.any():
        some = np.argmin(lost)
        cols[lost], rows[lost] = cols.flat[some], rows.flat[some]
    return lost


def _hold(source: Grid, cols: Floats, rows: Floats, *, round_the_earth: bool) -> None:
    """Bring places outside the source to half a pixel from its edge, in place.

    There they are as good as farther out: nothing is valid.
    """
    if not round_the_earth:
        np.clip(cols, -0.5, source.width + 0.5, out=cols)
    np.clip(rows, -0.5, source.height + 0.5, out=rows)


def _in_halves(source: RasterSource, pixels: PixelMap, window: Window, resampling: str) -> Chip:
    """The same from the two halves of a window, cut across its longer side."""
    row, col, height, width = window.row, window.col, window.height, window.width
    if height > width:
        axis, cut = 0, height // 2
        halves = Window(row, col, cut, width), Window(row + cut, col, height - cut, width)
    else:
        axis, cut = 1, width // 2
        halves = Window(row, col, height, cut), Window(row, col + cut, height, width - cut)
    chips = [warp_exact(source, pixels, half, resampling) for half in halves]
    data = np.concatenate([chip.data for chip in chips], axis=axis + 1)
    return Chip(data, np.concatenate([chip.valid for chip in chips], axis=axis))
