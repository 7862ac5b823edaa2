"""Rasters round the Earth: where their columns begin again."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyproj
from pyproj.exceptions import ProjError

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid, transformer
from geoseg.sources.base import Chip, RasterSource
from geoseg.window import Window

_WHOLE = 1e-3
"""Columns by which a raster may miss a whole turn and still be one."""
_STRAIGHT = 1e-9
"""Relative error below which x grows evenly with the longitude."""


def turn_of(grid: Grid) -> float | None:
    """How many columns of a grid go once round the Earth.

    None where columns do not count longitude evenly: rotated grids, and projections other than
    degrees and the cylindrical ones (Mercator, equidistant, equal-area).
    """
    t = grid.transform
    if grid.crs is None or t.b or t.d:
        return None
    length = _length_of_a_turn(grid.crs.to_string())
    return None if length is None else abs(length / t.a)


def is_whole_turn(grid: Grid) -> bool:
    """Whether the column after a grid's last is its first."""
    turn = turn_of(grid)
    return turn is not None and abs(turn - grid.width) < _WHOLE


def unrolled(cols: Floats, width: int) -> Floats:
    """Columns of a whole turn, so that those on both sides of its seam are neighbours.

    Args:
        cols: NaN is no place.
        width: Columns of the turn; a result may differ by whole turns from what went in.
    """
    if not np.fmax.reduce(cols, axis=None) - np.fmin.reduce(cols, axis=None) > width / 2:
        return cols
    base = cols[np.isfinite(cols)][0]
    near: Floats = cols + width * np.rint((base - cols) / width)
    return near


def read_round(source: RasterSource, window: Window) -> Chip:
    """Pixels of a window; those of a whole turn go on past its first and last column."""
    grid = source.grid
    width = grid.width
    if (window.col >= 0 and window.col_stop <= width) or not is_whole_turn(grid):
        return source.read(window)
    chips, col = [], window.col
    while col < window.col_stop:
        first = col % width
        count = min(width - first, window.col_stop - col)
        chips.append(source.read(Window(window.row, first, window.height, count)))
        col += count
    data = np.concatenate([chip.data for chip in chips], axis=2)
    return Chip(data, np.concatenate([chip.valid for chip in chips], axis=1))


@lru_cache(maxsize=256)
def _length_of_a_turn(text: str) -> float | None:
    """360 degrees in x of a CRS, where every degree of longitude is equally long at every latitude."""
    try:
        crs = pyproj.CRS.from_user_input(text)
        if crs.is_bound and crs.source_crs is not None:  # to WGS 84
            crs = crs.source_crs
        if crs.is_geographic and crs.axis_info:
            return 2 * math.pi / crs.axis_info[0].unit_conversion_factor
        if not crs.is_projected or crs.geodetic_crs is None:
            return None
        project = transformer(crs.geodetic_crs.to_wkt(), crs.to_wkt()).transform
        lon, lat = np.meshgrid(np.arange(-174.5, 180, 15.0), [-40.0, 10.0, 40.0])
        with np.errstate(invalid="ignore"):  # infinite where the projection ends
            step = project(lon + 1, lat)[0] - project(lon, lat)[0]
    except (ProjError, GridError):  # no CRS of the Earth
        return None
    middle = float(np.median(step))
    even = np.abs(step - middle) <= _STRAIGHT * abs(middle)
    # Of each latitude one step may lie across the seam.
    straight = middle and (even.sum(axis=1) >= step.shape[1] - 1).all()
    return 360 * abs(middle) if straight else None
