"""Features as arrays of geometries: repaired, reprojected, brought onto the pixels of a grid."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError, SourceError
from geoseg.grid import Bounds, Floats, Grid, apply, to_crs, transformer
from geoseg.sources.base import VectorSource

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Geometries = NDArray[np.object_]
_Bools = NDArray[np.bool_]

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7  # shapely's type ids
_LATTICE = 21
"""Points a side by which a grid is found in another CRS: its edges bend, and poles lie within."""
_AROUND = 0.1
"""How far around a grid features are looked at, as a part of its extent."""
_FAR = 10.0
"""Extents of a grid past it, beyond which a feature is cut before it is projected."""
_FAR_DEGREES = 30.0
"""The same in degrees, for grids so large that their extents say little."""
_CUT_DEGREES = 5.0
"""Degrees at most that a cut leaves around a grid; elsewhere it leaves the grid's extent."""
_PIECES = 512
"""Into how many edges a side as long as the grid is cut, to bend as its projection does."""


def name_of(source: VectorSource) -> str:
    """What an error calls a source: its file, or its kind."""
    return ", ".join(source.files) or type(source).__name__


def geometries_of(frame: GeoDataFrame) -> Geometries:
    """(feature,) shapely geometries of a frame, None where there is none; a copy."""
    return np.array(frame.geometry, dtype=object)


def repaired(frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
    """A copy in two dimensions without empty and with valid geometries only.

    What cannot be drawn (no geometry, an empty one, coordinates that are not finite) is left out; what
    is not valid is made valid, of polygons the polygon parts. Both are counted in one warning.

    Args:
        frame: Any features; their index is kept.
        name: What the warning calls them.
    """
    geometries = geometries_of(frame)
    deep = np.flatnonzero(shapely.has_z(geometries))
    geometries[deep] = shapely.force_2d(geometries[deep])
    present = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    present &= _finite(geometries)
    broken = np.flatnonzero(present & ~shapely.is_valid(geometries))
    polygonal = np.isin(shapely.get_type_id(geometries[broken]), (_POLYGON, _MULTIPOLYGON))
    geometries[broken] = shapely.make_valid(geometries[broken])
    geometries[broken[polygonal]] = polygon_parts(geometries[broken[polygonal]])
    present &= ~shapely.is_empty(geometries)
    lost = int((~present).sum())
    if lost or len(broken):
        warnings.warn(
            f"{name}: of {len(frame)} features {lost} have no usable geometry and are left out, "
            f"{len(broken)} are not valid and were repaired",
            stacklevel=2,
        )
    return with_geometries(frame[present], geometries[present], crs=frame.crs)


def reprojected(frame: GeoDataFrame, crs: Any, *, name: str) -> GeoDataFrame:
    """The features in another CRS; those that have no place in it are left out, with a warning.

    Args:
        frame: Features with a CRS.
        crs: The CRS wanted, in any form.
        name: What the warning calls them.
    """
    wanted = to_crs(crs)
    move = _projection(frame.crs, wanted)
    geometries = shapely.transform(geometries_of(frame), move, interleaved=False)
    placed = _finite(geometries)
    _warn_of_unplaced(int((~placed).sum()), crs=wanted, name=name)
    return with_geometries(frame[placed], geometries[placed], crs=wanted)


def meeting(frame: GeoDataFrame, bounds: Bounds) -> GeoDataFrame:
    """The features that meet (left, bottom, right, top), given in the frame's own CRS."""
    near = np.flatnonzero(_boxes_meet(geometries_of(frame), bounds))
    hits = shapely.intersects(geometries_of(frame)[near], shapely.box(*bounds))
    return frame.iloc[near[hits]]


def polygons_on(grid: Grid, source: VectorSource) -> GeoDataFrame:
    """The polygons on and around a grid, in its pixels.

    Coordinates are (column, row), pixel corners at whole numbers, never rounded; the frame has no CRS.
    Features far from the grid are left out, and so are those that are no polygons (with a warning).
    Columns, index and file order stay.

    Raises:
        GridError: One of the two has a CRS, the other has none.
        SourceError: The features cannot be read.
    """
    name = name_of(source)
    frame = source.read()
    _check_crs(frame.crs, grid, name)
    around = box_around(grid, frame.crs)
    frame = frame[_boxes_meet(geometries_of(frame), around)]
    frame = _polygons_only(frame, name)
    pixels = _pixels(geometries_of(frame), frame.crs, grid, around)
    placed = _finite(pixels)
    _warn_of_unplaced(int((~placed).sum()), crs=grid.crs, name=name)
    placed &= ~shapely.is_empty(pixels)
    return with_geometries(frame[placed], pixels[placed], crs=None)


def box_around(grid: Grid, crs: Any, *, margin: float = _AROUND) -> Bounds:
    """(left, bottom, right, top) in another CRS of a grid and a margin; everything if that is unknown."""
    along = np.linspace(-margin, 1 + margin, _LATTICE)
    cols, rows = np.meshgrid(along * grid.width, along * grid.height)
    x, y = apply(grid.transform, cols.ravel(), rows.ravel())
    if grid.crs is not None and (other := to_crs(crs)) != grid.crs:
        x, y = transformer(grid.crs.to_string(), other.to_string()).transform(x, y)
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return -np.inf, -np.inf, np.inf, np.inf
        x, y = x[known], y[known]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def polygon_parts(geometries: Geometries) -> Geometries:
    """Of each geometry the polygons, as a Polygon or MultiPolygon; an empty one where there are none."""
    kinds = shapely.get_type_id(geometries)
    parts = geometries.copy()
    for i in np.flatnonzero(~np.isin(kinds, (_POLYGON, _MULTIPOLYGON))):
        parts[i] = _polygons_in(geometries[i])
    return parts


def with_geometries(frame: GeoDataFrame, geometries: Geometries, *, crs: Any) -> GeoDataFrame:
    """A copy of a frame with other geometries, in the same order."""
    from geopandas import GeoSeries

    series = GeoSeries(geometries, index=frame.index)
    plain = frame.set_geometry(series)  # which would inherit the frame's CRS
    changed: GeoDataFrame = plain.set_crs(
        None if crs is None else crs.to_wkt(), allow_override=True
    )
    return changed


def _polygons_in(geometry: Any) -> Any:
    """The polygons of one geometry that may be a collection of collections."""
    parts = shapely.get_parts(geometry)
    while (shapely.get_type_id(parts) >= _MULTIPOLYGON).any():
        parts = shapely.get_parts(parts)
    polygons = parts[(shapely.get_type_id(parts) == _POLYGON) & ~shapely.is_empty(parts)]
    return polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)


def _polygons_only(frame: GeoDataFrame, name: str) -> GeoDataFrame:
    """Without points and lines, of collections the polygons; a warning counts what is left out."""
    given = geometries_of(frame)
    polygons = polygon_parts(given)
    kept = ~shapely.is_empty(polygons)
    if not kept.all():
        kinds = ", ".join(sorted({geometry.geom_type for geometry in given[~kept]}))
        warnings.warn(
            f"{name}: {int((~kept).sum())} of {len(kept)} features are no polygons ({kinds}) and are "
            "left out; buffer them first",
            stacklevel=2,
        )
    return with_geometries(frame[kept], polygons[kept], crs=frame.crs)


def _pixels(geometries: Geometries, crs: Any, grid: Grid, around: Bounds) -> Geometries:
    """Polygons in the pixels of a grid; of those that reach far past it, what lies around it.

    A projection folds or loses what is far from where it is defined, and with it the whole polygon.
    """
    project = _projection(crs, grid.crs)

    def to_pixels(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        with np.errstate(invalid="ignore"):  # what has no place is infinite
            col, row = apply(~grid.transform, *project(x, y))
        lost = ~(np.isfinite(col) & np.isfinite(row))
        # Not NaN, which differs from itself: a ring that begins with it would not be closed.
        return np.where(lost, np.inf, col), np.where(lost, np.inf, row)

    pixels: Geometries = shapely.transform(geometries, to_pixels, interleaved=False)
    if grid.crs is None or not np.isfinite(around).all() or to_crs(crs) == grid.crs:
        return pixels
    limit, margin = _reach(around, crs)
    far = ~_boxes_within(geometries, _grown(around, limit))
    far |= ~_finite(pixels)
    for box in (_grown(around, margin), around):  # the larger one may reach past the map's end, too
        if far.any():
            cut = _cut(geometries[far], box, step=_extent(around) / _PIECES)
            bent = shapely.transform(cut, to_pixels, interleaved=False)
            pixels[far] = _valid_polygons(bent)
            far &= ~_finite(pixels)
    return pixels


def _reach(around: Bounds, crs: Any) -> tuple[float, float]:
    """How far past a grid a feature may reach uncut, and how much around it a cut leaves."""
    extent = _extent(around)
    if to_crs(crs).is_geographic:
        return min(_FAR * extent, _FAR_DEGREES), min(extent, _CUT_DEGREES)
    return _FAR * extent, extent


def _cut(geometries: Geometries, box: Bounds, *, step: float) -> Geometries:
    """The polygons of what lies in a box, without edges longer than a step: straight where they were."""
    parts = polygon_parts(shapely.intersection(geometries, shapely.box(*box)))
    cut: Geometries = shapely.segmentize(parts, step)
    return cut


def _valid_polygons(geometries: Geometries) -> Geometries:
    """Valid polygons of what a projection bent; what has no place stays as it is."""
    valid = geometries.copy()
    bent = np.flatnonzero(_finite(valid) & ~shapely.is_valid(valid))
    valid[bent] = polygon_parts(shapely.make_valid(valid[bent]))
    return valid


def _extent(bounds: Bounds) -> float:
    return max(bounds[2] - bounds[0], bounds[3] - bounds[1])


def _grown(bounds: Bounds, margin: float) -> Bounds:
    left, bottom, right, top = bounds
    return left - margin, bottom - margin, right + margin, top + margin


def _boxes_within(geometries: Geometries, bounds: Bounds) -> _Bools:
    """(feature,) whether the box of each lies in (left, bottom, right, top)."""
    left, bottom, right, top = shapely.bounds(geometries).T
    within: _Bools = (
        (left >= bounds[0]) & (bottom >= bounds[1]) & (right <= bounds[2]) & (top <= bounds[3])
    )
    return within


def _projection(source: Any, target: Any) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """What brings all coordinates (x, y) from one CRS to another, in one call of PROJ."""
    if source is None or target is None or (own := to_crs(source)) == target:
        return lambda x, y: (x, y)
    transform: Callable[[Floats, Floats], tuple[Floats, Floats]]
    transform = transformer(own.to_string(), target.to_string()).transform
    return transform


def _finite(geometries: Geometries) -> _Bools:
    """(feature,) whether every coordinate is finite; True where there is none."""
    points, feature = shapely.get_coordinates(geometries, return_index=True)
    good = np.ones(len(geometries), bool)
    good[feature[~np.isfinite(points).all(axis=1)]] = False
    return good


def _boxes_meet(geometries: Geometries, bounds: Bounds) -> _Bools:
    """(feature,) whether the box of each meets (left, bottom, right, top)."""
    left, bottom, right, top = shapely.bounds(geometries).T
    meet: _Bools = (
        (left <= bounds[2]) & (right >= bounds[0]) & (bottom <= bounds[3]) & (top >= bounds[1])
    )
    return meet


def _check_crs(crs: Any, grid: Grid, name: str) -> None:
    if crs is not None and grid.crs is None:
        raise GridError(
            f"{name}: the features are in {to_crs(crs).to_string()}, but the image has no CRS; assign "
            'one to it, e.g. with "gdal_edit.py -a_srs EPSG:32619 IMAGE"'
        )
    if crs is None and grid.crs is not None:
        raise SourceError(
            f"{name}: the features have no CRS, but the image is in {grid.crs.to_string()}; assign one "
            'with "ogr2ogr -a_srs EPSG:4326 NEW OLD"'
        )


def _warn_of_unplaced(count: int, *, crs: Any, name: str) -> None:
    if count:
        warnings.warn(
            f"{name}: {count} features have no place in {crs.to_string()} and are left out; clip them "
            "to where that CRS is defined",
            stacklevel=3,
        )
