"""Outlines with fewer corners, the same on both sides of every border."""

from __future__ import annotations

import numpy as np
import shapely

from geoseg.grid import Grid
from geoseg.labels.polygons.ground import pixel_area_m2
from geoseg.labels.polygons.rings import Polygons, with_common_vertices


def simplified(polygons: Polygons, grid: Grid, *, metres: float) -> Polygons:
    """All polygons of a map with fewer corners; neighbours go on sharing their borders.

    Corners whose triangle with their neighbours is smaller than a square of `metres` a side go
    (Visvalingam and Whyatt), by areas at the middle of the grid. No polygon vanishes or overlaps.

    Args:
        polygons: In pixels of the grid.
        grid: The pixels.
        metres: The length that a change may have, about.

    Raises:
        GridError: The grid's CRS does not tell metres.
    """
    area = pixel_area_m2(grid, np.array([grid.width / 2]), np.array([grid.height / 2]))[0]
    if not len(polygons):
        return polygons
    made: Polygons = shapely.coverage_simplify(
        with_common_vertices(polygons), metres / np.sqrt(area)
    )
    return made
