"""Bounds in degrees that cross the antimeridian: the larger longitude comes first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid
from geoseg.sampling.windowindex.masks import Masks, crs_of
from geoseg.sampling.windowindex.onpixels import RowCRS, parts

_HALF = 180.0
"""Degrees: sides that are further apart are not merely swapped."""


def across_antimeridian(bounds: Floats, masks: Masks, crs: RowCRS | None) -> Floats:
    """Bounds with a right side past 180 degrees where they cross the antimeridian.

    As in GeoJSON (RFC 7946, section 5.2) a box from 179.9 to -179.9 is 0.2 degrees wide. Sides that are
    merely swapped are left: they are at most 180 degrees apart. Boxes in the CRS of their mask go once
    around the Earth where the mask lies there.

    Args:
        bounds: (row, 4) left, bottom, right, top as the table has them.
        masks: The masks of all rows.
        crs: The CRSs of the bounds; None: those of the masks.
    """
    crossing = bounds[:, 0] - bounds[:, 2] > _HALF
    if not crossing.any():
        return bounds
    found = bounds.copy()
    for mask, rows, cell in parts(masks, crs):
        turned = rows[crossing[rows]]
        grid = masks.grids[mask]
        if len(turned) and _in_degrees(cell, grid):
            found[turned, 2] += 2 * _HALF
            if cell is None or _in_degrees(None, grid):
                found[turned] += _turn(found[turned], grid)
    return found


def _in_degrees(cell: Any, grid: Grid) -> bool:
    try:
        crs = grid.crs if cell is None else crs_of(cell)
    except (GridError, ValueError, TypeError):  # told where the CRS is looked at
        return False
    return crs is not None and bool(crs.is_geographic)


def _turn(bounds: Floats, grid: Grid) -> NDArray[np.float64]:
    """(row, 4) what brings boxes to a mask that goes on below -180 degrees."""
    before = bounds[:, 0] >= max(grid.bounds[0], grid.bounds[2])
    turn: NDArray[np.float64] = before[:, None] * np.array([-2 * _HALF, 0.0, -2 * _HALF, 0.0])
    return turn
