"""Square metres: of polygons, and of the pixels that they became."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from geoseg.grid import Floats, Grid, apply, transformer
from geoseg.prepare.vectormasks.layer import Layer
from geoseg.prepare.vectormasks.regions import Region
from geoseg.sources.features.frames import Geometries, polygon_parts
from geoseg.sources.features.localmetric import in_metres
from geoseg.window import Window, sliding

_CELL_M = 100_000.0
"""Metres a side of a cell at most, in which all pixels count as much as the middle one."""
_CELL = 256
"""Pixels a side of it at most."""


class PixelAreas:
    """How many square metres of the ellipsoid the pixels of a grid cover."""

    def __init__(self, grid: Grid) -> None:
        """Choose the cells."""
        self._grid = grid
        metres = grid.ground_resolution
        self.known = metres is not None
        """Whether the CRS tells a place on the Earth; else all areas are NaN."""
        self._cell = _CELL if metres is None else int(np.clip(_CELL_M / max(metres), 1, _CELL))

    def summed(self, classes: NDArray[np.int32], window: Window, *, count: int) -> Floats:
        """(class,) square metres of the pixels of each class in a window; -1 is none.

        Args:
            classes: (height, width) places from 0 to `count` - 1, or -1.
            window: Where they lie on the grid.
            count: Of classes.
        """
        cells = list(self._cells(window))
        sizes = self._pixel([(cell.row, cell.col, cell.height, cell.width) for cell in cells])
        total = np.zeros(count)
        for cell, size in zip(cells, sizes, strict=True):
            part = classes[cell.relative_to(window).slices]
            total += np.bincount(part.ravel() + 1, minlength=count + 1)[1:] * size
        return total

    def _cells(self, window: Window) -> Iterator[Window]:
        for cell in sliding(window.shape, self._cell, edge="pad"):
            part = Window(
                window.row + cell.row, window.col + cell.col, cell.height, cell.width
            ).intersection(window)
            if part is not None:
                yield part

    def _pixel(self, cells: list[tuple[int, int, int, int]]) -> Floats:
        """(cell,) square metres of a pixel in the middle of each."""
        if not self.known or self._grid.crs is None:
            return np.full(len(cells), np.nan)
        row, col, height, width = np.array(cells, float).T
        middle_row, middle_col = row + height / 2, col + width / 2
        cols = np.stack([middle_col - 0.5, middle_col + 0.5, middle_col, middle_col])
        rows = np.stack([middle_row, middle_row, middle_row - 0.5, middle_row + 0.5])
        x, y = apply(self._grid.transform, cols, rows)
        to_degrees = transformer(self._grid.crs.to_string(), "EPSG:4326")
        lon, lat = to_degrees.transform(x, y)
        geod = Geod(ellps="WGS84")
        across, _, along_row = geod.inv(lon[0], lat[0], lon[1], lat[1])
        down, _, along_column = geod.inv(lon[2], lat[2], lon[3], lat[3])
        turn = np.abs(np.sin(np.radians(np.subtract(across, down))))
        area: Floats = np.asarray(along_row) * np.asarray(along_column) * turn
        return area


def pieces_of(layer: Layer, regions: tuple[Region, ...]) -> tuple[NDArray[np.intp], Geometries]:
    """What each polygon has in each region.

    Returns:
        (piece,) the place of its polygon in the layer, and (piece,) geometries in pixels, with an area.
    """
    tree = shapely.STRtree(layer.polygons)
    owners, pieces = [np.empty(0, np.intp)], [np.empty(0, object)]
    for region in regions:
        near = np.sort(tree.query(region.polygon))
        polygons = layer.polygons[near]
        shapely.prepare(region.polygon)
        cut = np.flatnonzero(~shapely.covers(region.polygon, polygons))
        valid = shapely.make_valid(polygons[cut])
        polygons[cut] = polygon_parts(shapely.intersection(valid, region.polygon))
        kept = shapely.area(polygons) > 0
        owners.append(near[kept])
        pieces.append(polygons[kept])
    return np.concatenate(owners), np.concatenate(pieces)


def square_metres(pieces: Geometries, grid: Grid, *, name: str) -> Floats:
    """(piece,) the area on the ground of polygons in pixels; NaN where the CRS is not on the Earth."""
    areas = np.full(len(pieces), np.nan)
    if grid.ground_resolution is None:
        return areas

    def on_ground(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return apply(grid.transform, x, y)

    def measured(local: Geometries, members: NDArray[np.intp]) -> Geometries:
        areas[members] = shapely.area(local)
        return local

    ground = shapely.transform(pieces, on_ground, interleaved=False)
    in_metres(ground, grid.crs, measured, extra_m=np.zeros(len(pieces)), name=name)
    return areas
