"""AOI: the polygons of an area of interest, seen on the pixels of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import GEOSException

from geoseg.burn import Edges, burn
from geoseg.errors import SceneError
from geoseg.grid import Bounds, Floats, Grid, to_crs
from geoseg.sources.base import VectorSource
from geoseg.sources.cache import remember
from geoseg.sources.features.frames import Geometries, geometries_of, name_of, polygon_parts
from geoseg.sources.features.ongrid import box_around, polygons_on
from geoseg.window import Window

_TOUCH = 1e-6
"""Pixels: what reaches less far into a window only touches it (reprojected edges are not exact)."""
_SAME = 1e-6
"""Part of its area by which the triangles of a polygon may miss it."""
_TRIES = 4096
"""Points that are tried at once where a polygon cannot be cut into triangles."""


class AOI:
    """Where the labels of a scene may be trusted and predictions are wanted.

    `AOI.of` makes one and keeps it. Coordinates are pixels of the grid; what lies outside the raster
    does not count.
    """

    area_px: float
    """Pixels, with fractions, that the AOI covers within the raster."""

    def __init__(self, source: VectorSource, grid: Grid) -> None:
        """Read the polygons and index them.

        Args:
            source: The polygons, in any CRS; they may overlap.
            grid: The raster.

        Raises:
            GridError: One of the two has no CRS.
            SceneError: There is no polygon, or none on the raster.
            SourceError: The features cannot be read.
        """
        polygons = geometries_of(polygons_on(grid, source))
        self._parts = _disjoint(polygons, grid)
        if not len(self._parts):
            raise SceneError(_why_missed(source, grid))
        self._whole = grid.whole
        self._edges = Edges.of(
            polygons, np.ones(len(polygons), np.uint8), mirrored=grid.transform.determinant < 0
        )
        self._tree = shapely.STRtree(self._parts)
        areas = shapely.area(self._parts)
        self.area_px = float(areas.sum())
        self._chances = _Chances(areas)
        self._triangles: dict[int, _Triangles | None] = {}

    @classmethod
    def of(cls, source: VectorSource, grid: Grid) -> AOI:
        """The polygons of a source on a grid; kept, and made anew when the file changes.

        Raises:
            GridError: One of the two has no CRS.
            SceneError: There is no polygon, or none on the raster.
            SourceError: The features cannot be read.
        """
        return remember(
            ("aoi", source, grid),
            lambda: cls(source, grid),
            files=source.files,
            nbytes=lambda area: area.nbytes,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        points = int(shapely.get_num_coordinates(self._parts).sum())
        return self._edges.nbytes + 100 * points + 500 * len(self._parts)

    def keeps(self, window: Window) -> bool:
        """Whether a window shares ground with the AOI; one that crosses its edge does."""
        return bool(self._tree.query(_inset((window,))[0], predicate="intersects").size)

    def keep(self, windows: Sequence[Window]) -> NDArray[np.bool_]:
        """(window,) whether `keeps` each; much faster than one by one."""
        kept = np.zeros(len(windows), bool)
        if len(windows):
            # Windows in the tree, polygons as the query: a polygon is prepared once for all windows.
            tree = shapely.STRtree(_inset(windows))
            kept[tree.query(self._parts, predicate="intersects")[1]] = True
        return kept

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(height, width), True where a pixel's centre lies in the AOI and on the raster."""
        inside = np.zeros(window.shape, bool)
        part = window.intersection(self._whole)
        if part is not None:
            ids = burn(
                self._edges,
                rows=(part.row, part.row_stop),
                columns=(part.col, part.col_stop),
                fill=0,
            )
            inside[part.relative_to(window).slices] = ids.astype(bool)
        return inside

    def sample(self, rng: np.random.Generator) -> tuple[float, float]:
        """(row, column) of a point of the AOI, each equally likely, holes and overlaps respected."""
        part = self._chances.draw(rng)
        if part not in self._triangles:
            self._triangles[part] = _Triangles.of(self._parts[part])
        pieces = self._triangles[part]
        x, y = _try_points(self._parts[part], rng) if pieces is None else pieces.point(rng)
        height, width = self._whole.shape
        return _below(y, height), _below(x, width)


class _Chances:
    """Numbers drawn by weight; a binary search, where Generator.choice takes a pass over all."""

    def __init__(self, weights: Floats) -> None:
        self._sums = np.cumsum(weights)

    def draw(self, rng: np.random.Generator) -> int:
        aim = rng.random() * self._sums[-1]
        return min(int(np.searchsorted(self._sums, aim, side="right")), len(self._sums) - 1)


class _Triangles:
    """A polygon cut into triangles, to draw points from."""

    def __init__(self, corners: Floats, areas: Floats) -> None:
        self._corners = corners  # (triangle, corner, xy)
        self._chances = _Chances(areas)

    @classmethod
    def of(cls, polygon: Any) -> _Triangles | None:
        """None where the triangles do not add up to the polygon."""
        try:
            pieces = shapely.get_parts(shapely.constrained_delaunay_triangles(polygon))
        except GEOSException:
            return None
        areas = shapely.area(pieces)
        if abs(areas.sum() - polygon.area) > _SAME * polygon.area:
            return None
        return cls(shapely.get_coordinates(pieces).reshape(len(pieces), 4, 2)[:, :3], areas)

    def point(self, rng: np.random.Generator) -> tuple[float, float]:
        """(x, y), uniform: a point of a parallelogram, folded onto its lower half."""
        a, b, c = self._corners[self._chances.draw(rng)]
        u, v = rng.random(2)
        if u + v > 1:
            u, v = 1 - u, 1 - v
        x, y = a + u * (b - a) + v * (c - a)
        return float(x), float(y)


def _why_missed(source: VectorSource, grid: Grid) -> str:
    """The error of an AOI that does not meet its image."""
    name, frame = name_of(source), source.read()
    if frame.empty:
        return f"{name}: holds no feature at all, expected the polygons of an AOI"
    where = f"{_rounded(grid.bounds)} in {_short(grid.crs)}"
    if frame.crs is not None and to_crs(frame.crs) != grid.crs:
        own = box_around(grid, frame.crs, margin=0.0)
        where += f", which is about {_rounded(own)} in {_short(frame.crs)}"
    return (
        f"{name}: the AOI misses the image: its bounds are {_rounded(tuple(frame.total_bounds))} in "
        f"{_short(frame.crs)}, those of the image {where}; check the CRS of both and that they belong "
        "together"
    )


def _rounded(bounds: Bounds) -> str:
    return "(" + ", ".join(f"{value:.8g}" for value in bounds) + ")"


def _short(crs: Any) -> str:
    return "pixels" if crs is None else to_crs(crs).to_string()


def _disjoint(polygons: Geometries, grid: Grid) -> Geometries:
    """(part,) polygons that cover the same ground of the raster without overlap."""
    # Reprojection bends what was valid; the union takes valid polygons only.
    valid = polygon_parts(np.atleast_1d(shapely.make_valid(polygons)))
    left, top, right, bottom = grid.whole.bounds_px
    west, north, east, south = shapely.bounds(valid).T
    out = (west < left) | (east > right) | (north < top) | (south > bottom)
    valid[out] = shapely.intersection(valid[out], shapely.box(left, top, right, bottom))
    parts = shapely.get_parts(shapely.disjoint_subset_union_all(polygon_parts(valid)))
    kept: Geometries = parts[shapely.area(parts) > 0]
    return kept


def _inset(windows: Sequence[Window]) -> Geometries:
    """(window,) boxes, so much smaller that a neighbour's edge does not meet them."""
    boxes = np.array([window.bounds_px for window in windows], float)
    left, top, right, bottom = boxes.T
    return np.atleast_1d(shapely.box(left + _TOUCH, top + _TOUCH, right - _TOUCH, bottom - _TOUCH))


def _try_points(polygon: Any, rng: np.random.Generator) -> tuple[float, float]:
    """A uniform point of a polygon: points of its box until one hits."""
    left, top, right, bottom = polygon.bounds
    while True:
        x, y = rng.uniform(left, right, _TRIES), rng.uniform(top, bottom, _TRIES)
        hits = np.flatnonzero(shapely.contains_xy(polygon, x, y))
        if len(hits):
            return float(x[hits[0]]), float(y[hits[0]])


def _below(value: float, length: int) -> float:
    """Kept on the raster: rounding may put a point on its far edge."""
    return float(np.clip(value, 0.0, np.nextafter(length, 0.0)))
