"""How a source is warped: with which kernel, from which of its overviews."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid
from geoseg.sources.base import RasterSource
from geoseg.sources.transformed import TransformedSource
from geoseg.sources.warping.pixelmap import PixelMap
from geoseg.sources.warping.seam import is_whole_turn, turn_of
from geoseg.window import Window

CATEGORICAL_KERNELS = ("nearest", "mode")
"""The kernels that invent no value."""

_FINE = 2.0
"""So many times finer than the target a source is blended at points; beyond, pixels are averaged."""
_FINER = 4.0
"""So many times finer than the target a source is read as it is; beyond, from an overview."""
_LEAST = 2.0
"""So many times finer than the target the overview is at least."""
_CORNERS, _MARGIN = 9, 32
"""Places on each side of a window that are looked at, and parts of its side by which it may bend there."""
_SAMPLES = 17
"""Places on each side at which sizes are compared."""


@dataclass(frozen=True)
class WarpPlan:
    """What a WarpedSource does on its grid, the same for every window."""

    resampling: str
    """The kernel; "none" where the grids share a lattice: there the pixels are read as they are."""
    source: RasterSource
    """What is read: the source itself, or an overview of it."""
    ratio: float
    """Pixels of the source, at full resolution, along a side of a target pixel: the median over the
    target; above 1 the source is finer."""
    offset: tuple[int, int] | None = None
    """(row, col) of the target's first pixel on the source's lattice, where they share it."""

    @property
    def grid(self) -> Grid:
        """The grid of the pixels that are read."""
        return self.source.grid


def make_plan(
    source: RasterSource,
    sizes: tuple[float, float],
    *,
    resampling: str,
    overviews: bool,
    categorical: bool,
    wholly: bool,
) -> WarpPlan:
    """Choose kernel and overview.

    Args:
        source: Where the pixels come from.
        sizes: Width and height of a target pixel in source pixels.
        resampling: A kernel, or "auto".
        overviews: Whether one may be read.
        categorical: Whether "auto" may invent no value.
        wholly: Whether it may take the most frequent value; else the nearest.
    """
    ratio = math.sqrt(sizes[0] * sizes[1])
    if resampling == "auto":
        still, averaged = CATEGORICAL_KERNELS if categorical else ("bilinear", "average")
        resampling = averaged if ratio > _FINE and categorical == wholly else still
    # Stacks ask their sources for overviews, whatever is done to the stack's own pixels.
    keeps_means = not isinstance(source, TransformedSource) or source.keeps_means
    if overviews and keeps_means and resampling not in CATEGORICAL_KERNELS and ratio > _FINER:
        source = source.coarser(min(sizes) / _LEAST)
    return WarpPlan(resampling, source, ratio)


def common_lattice(source: Grid, target: Grid) -> tuple[int, int] | None:
    """(row, col) of the target's first pixel on the source's lattice; None where it must be warped.

    So must a target that reaches more than half a turn round the Earth from the source's middle, unless
    the source is a whole turn.
    """
    offset = source.offset_of(target)
    turn = None if is_whole_turn(source) else turn_of(source)
    if offset is None or turn is None:
        return offset
    first = offset[1] - source.width / 2
    return offset if -turn / 2 <= first and first + target.width <= turn / 2 else None


def meet(pixels: PixelMap, source: Grid, target: Grid) -> bool:
    """Whether pixels of the target may lie on the source."""
    if _common(source, target) is not None:
        return True
    u, v = pixels.exact(*_lattice(target.whole))
    return bool(_inside(source, u, v).any())


def measure(pixels: PixelMap, source: Grid, target: Grid) -> tuple[float, float]:
    """Width and height of a target pixel in source pixels: the medians where the two grids meet.

    Where no place that is tried lies on the source, around it; 1 where none has a place in its CRS.
    """
    places = [
        pixels.sizes(*_lattice(window))
        for window in (_common(source, target) or target.whole, target.whole)
    ]
    met = [_inside(source, u, v) for u, v, *_ in places]
    best = next((i for i, inside in enumerate(met) if inside.any()), None)
    (u, _, *sizes), inside = places[best or 0], met[best or 0]
    if best is None:
        inside = np.isfinite(u)
    wide, high = (_median(size[inside]) for size in sizes)
    return wide, high


def place_around(pixels: PixelMap, window: Window, *, reach: int) -> Window | None:
    """The pixels of the source within reach of any place in a window of the target.

    None where that cannot be told: a CRS ends in the window, or it lies across the end of a turn.
    """
    cols = np.linspace(window.col, window.col_stop, _CORNERS)
    rows = np.linspace(window.row, window.row_stop, _CORNERS)
    spans = []
    for values in pixels.exact(*(side.ravel() for side in np.meshgrid(cols, rows))):
        if not np.isfinite(values).all():
            return None
        low, high = float(values.min()), float(values.max())
        margin = reach + (high - low) / _MARGIN
        spans.append((math.floor(low - margin), math.ceil(high + margin)))
    (col, col_stop), (row, row_stop) = spans
    if pixels.turn is not None and not _within_half_a_turn(pixels, col, col_stop):
        return None
    return Window(row, col, row_stop - row, col_stop - col)


def _within_half_a_turn(pixels: PixelMap, col: int, col_stop: int) -> bool:
    """Whether columns are the only ones meant: no break lies between them, and none is another's twin."""
    turn = pixels.turn or math.inf
    inside = pixels.middle - turn / 2 <= col and col_stop <= pixels.middle + turn / 2
    return inside and col_stop - col < turn / 2


def _common(source: Grid, target: Grid) -> Window | None:
    """Where a source lies on the target; all of the target where that cannot be told."""
    try:
        place = target.window(source.bounds, source.crs)
    except GridError:  # reaches past what the target's CRS can express
        return target.whole
    return place.intersection(target.whole)


def _inside(source: Grid, cols: Floats, rows: Floats) -> NDArray[np.bool_]:
    """Which places lie on the source; NaN does not."""
    return (cols >= 0) & (rows >= 0) & (cols < source.width) & (rows < source.height)


def _lattice(window: Window) -> tuple[Floats, Floats]:
    """Centres of pixels spread evenly over a window."""
    cols = np.linspace(window.col, window.col_stop - 1, _SAMPLES) + 0.5
    rows = np.linspace(window.row, window.row_stop - 1, _SAMPLES) + 0.5
    across, down = np.meshgrid(cols, rows)
    return across.ravel(), down.ravel()


def _median(sizes: Floats) -> float:
    """The median of what is finite; 1 of nothing."""
    finite = sizes[np.isfinite(sizes)]
    return float(np.median(finite)) if finite.size else 1.0
