"""Regions that are nearly rectangles, as rectangles: how buildings are drawn."""

from __future__ import annotations

import numpy as np
import shapely

from geoseg.grid import Grid
from geoseg.labels.polygons.ground import pixel_sides_m
from geoseg.labels.polygons.rings import Bools, Polygons, flat, unflat

_EXACT = 1e-9
"""The share of its rectangle that a region may lack to be one already."""


def rectangles(polygons: Polygons, grid: Grid, *, iou: float) -> tuple[Bools, Polygons]:
    """The rectangles of regions that fill their smallest rotated rectangle well enough.

    A rectangle has right angles on the ground, in any CRS, and the area of its region: it is scaled
    about its middle. Holes go. A region that is a rectangle already is none of them.

    Args:
        polygons: Regions in pixels of the grid, at least one.
        grid: The pixels.
        iou: The share of its rectangle that a region fills at least; as it lies within, that is the
            intersection over the union of both.

    Returns:
        (region,) whether it becomes a rectangle, and (rectangle,) those, in pixels of the grid.
    """
    centres = shapely.get_coordinates(shapely.centroid(polygons))
    sides = pixel_sides_m(grid, *centres.T)
    coords, (rings, parts) = flat(polygons)
    region = np.repeat(np.arange(len(polygons)), np.diff(rings[parts]))
    metres = np.einsum("nij,nj->ni", sides[region], coords - centres[region])
    regions = unflat(metres, (rings, parts))
    boxes = shapely.oriented_envelope(regions)
    share = shapely.area(regions) / shapely.area(boxes)
    chosen = (share >= iou) & (share < 1 - _EXACT)
    corners = shapely.get_coordinates(boxes[chosen]).reshape(-1, 5, 2)
    middles = corners[:, :4].mean(axis=1, keepdims=True)
    corners = middles + (corners - middles) * np.sqrt(share[chosen])[:, None, None]
    back = np.einsum("nij,nkj->nki", np.linalg.inv(sides[chosen]), corners)
    drawn: Polygons = shapely.polygons(back + centres[chosen][:, None])
    return chosen, drawn
