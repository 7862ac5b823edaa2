"""Labels on another grid: each pixel takes the id of the pixel that its centre lies in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid
from geoseg.labels.base import Ids, Labels
from geoseg.labels.ids import pad_ids
from geoseg.labels.sources import RasterLabels, SourceLabels
from geoseg.sources.warping.pixelmap import PixelMap, covering
from geoseg.sources.warping.plan import meet
from geoseg.window import Window

_WINDOW = 1 << 20
"""Target pixels worked on at once."""
_RECTANGLE = 1 << 22
"""Pixels read at once, as long as the target can be cut any smaller."""
_SNAP = 1e-6
"""Pixels: a centre so near to the edge of a pixel lies on it, and counts to the next."""


class NearestLabels(Labels):
    """Labels as seen on another grid, window by window: a window equals the crop of the whole."""

    def __init__(self, labels: Labels, grid: Grid) -> None:
        """Read lazily.

        Args:
            labels: On a grid of their own, with a CRS.
            grid: Where they are wanted, with a CRS.

        Raises:
            GridError: One of the two has no CRS, or they lie apart.
        """
        self.labels, self.grid, self.classes = labels, grid, labels.classes
        own = labels.grid
        if own.crs is None or grid.crs is None:
            raise GridError(
                f"labels on one grid cannot be brought onto the other: {own.describe()}, and "
                f"{grid.describe()}; both need a CRS"
            )
        self._pixels = PixelMap.between(grid, own)
        if not meet(self._pixels, own, grid):
            raise GridError(
                f"truth and prediction share no ground: {own.describe()} with bounds {own.bounds}, and "
                f"{grid.describe()} with bounds {grid.bounds}; do they belong together?"
            )

    def read(self, window: Window) -> Ids:
        """(height, width) class ids; `ignore_id` where not known and outside either grid."""
        return pad_ids(
            window, self.grid, ignore_id=self.classes.ignore_id, inside=self._read_inside
        )

    def _read_inside(self, window: Window) -> Ids:
        if window.height * window.width > _WINDOW:
            return self._in_halves(window)
        cols, rows = self._pixels.centres(window)
        cols, rows = (np.broadcast_to(values, window.shape).copy() for values in (cols, rows))
        self._pixels.settle_ties(window, (cols, rows))
        rectangle = covering(self.labels.grid, (cols, rows), (1.0, 1.0))
        if rectangle is None:
            return np.full(window.shape, self.classes.ignore_id, np.uint8)
        if rectangle.height * rectangle.width > _RECTANGLE and window.shape != (1, 1):
            return self._in_halves(window)
        col = _places(cols, rectangle.col, rectangle.width)
        row = _places(rows, rectangle.row, rectangle.height)
        found: Ids = self.labels.read(rectangle)[row, col]
        found[(row < 0) | (col < 0)] = self.classes.ignore_id
        return found

    def _in_halves(self, window: Window) -> Ids:
        """The same from the two halves of a window, cut across its longer side."""
        row, col, height, width = window.row, window.col, window.height, window.width
        if height > width:
            cut = height // 2
            parts = Window(row, col, cut, width), Window(row + cut, col, height - cut, width)
            return np.concatenate([self._read_inside(part) for part in parts])
        cut = width // 2
        parts = Window(row, col, height, cut), Window(row, col + cut, height, width - cut)
        return np.concatenate([self._read_inside(part) for part in parts], axis=1)


def _places(values: Floats, first: int, length: int) -> NDArray[np.intp]:
    """Coordinates as places in a span of pixels; -1 outside it."""
    places = np.floor(values + _SNAP) - first
    places[~((places >= 0) & (places < length))] = -1  # NaN too
    return places.astype(np.intp)


def brought_onto(labels: Labels, grid: Grid) -> tuple[Labels, str | None]:
    """Labels on a grid, and a note that says so where their own is another.

    Label sources are asked for the grid wanted, so that polygons are burned on it; others take the
    nearest pixel.

    Raises:
        GridError: The grids differ and one of them has no CRS, or they lie apart.
    """
    there = _same(labels.grid, grid)
    brought: Labels
    if isinstance(labels, SourceLabels):
        source = labels.source
        own = source.grid if isinstance(source, RasterLabels) else labels.grid
        brought = labels if there else source.on(grid)
        how = source.resampling if isinstance(source, RasterLabels) else "as polygons"
    elif there:
        return labels, None
    else:
        own, brought, how = labels.grid, NearestLabels(labels, grid), "nearest"
    if _same(own, grid):
        return brought, None
    return brought, (
        f"the truth ({placed(own)}) was brought onto the prediction's grid ({placed(grid)}): {how}"
    )


def placed(grid: Grid) -> str:
    """A grid in words, with the place of its first corner."""
    return f"{grid.describe()} from ({grid.transform.c:.10g}, {grid.transform.f:.10g})"


def _same(one: Grid, other: Grid) -> bool:
    return one.shape == other.shape and one.offset_of(other) == (0, 0)
