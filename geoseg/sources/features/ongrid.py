"""Features on the pixels of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError, SourceError
from geoseg.grid import Bounds, Floats, Grid, apply, to_crs, transformer
from geoseg.sources.base import VectorSource
from geoseg.sources.features.frames import (
    Geometries,
    boxes_meet,
    finite,
    geometries_of,
    name_of,
    polygon_parts,
    projection,
    warn_of_unplaced,
    with_geometries,
)
from geoseg.sources.transformedvector import VectorTransform, pixel_transforms
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_Bools = NDArray[np.bool_]

_POLYGON, _MULTIPOLYGON = 3, 6  # shapely's type ids
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


def polygons_on(grid: Grid, source: VectorSource) -> GeoDataFrame:
    """The polygons on and around a grid, in its pixels.

    Coordinates are (column, row), pixel corners at whole numbers, never rounded; the frame has no CRS.
    Features far from the grid are left out, and so are those that are no polygons (with a warning)
    after the source's transforms, those in pixels included. Columns, index and file order stay.

    Raises:
        GridError: One of the two has a CRS, the other has none.
        SourceError: The features cannot be read, or a transform cannot work.
    """
    return frame_on(grid, source.read(), pixel_transforms(source), name=name_of(source))


def frame_on(
    grid: Grid,
    frame: GeoDataFrame,
    transforms: tuple[VectorTransform, ...] = (),
    *,
    name: str,
    reach_px: float = 0.0,
) -> GeoDataFrame:
    """The same for features that were read already.

    Args:
        grid: The pixels.
        frame: The features, valid and with the CRS of a source.
        transforms: Those in pixels, which are done last.
        name: What errors and warnings call the features.
        reach_px: How far past the grid features matter.
    """
    _check_crs(frame.crs, grid, name)
    reach = reach_px + sum(transform.reach_px or 0.0 for transform in transforms)
    around = box_around(grid, frame.crs, margin=_AROUND + reach / min(grid.shape))
    frame = frame[boxes_meet(geometries_of(frame), around)]
    if not transforms:
        frame = _polygons_only(frame, name)
    pixels = _pixels(geometries_of(frame), frame.crs, grid, around)
    placed = finite(pixels)
    warn_of_unplaced(int((~placed).sum()), crs=grid.crs, name=name)
    placed &= ~shapely.is_empty(pixels)
    frame = with_geometries(frame[placed], pixels[placed], crs=None)
    return _changed(frame, transforms, name) if transforms else frame


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


def _polygons_only(frame: GeoDataFrame, name: str) -> GeoDataFrame:
    """Without points and lines, of collections the polygons; a warning counts what is left out."""
    given = geometries_of(frame)
    polygons = polygon_parts(given)
    kept = ~shapely.is_empty(polygons)
    if len(kept) and not kept.any():
        kinds = ", ".join(sorted({geometry.geom_type for geometry in given}))
        raise SourceError(
            f"{name}: none of the {len(kept)} features on the grid is a polygon ({kinds}); make them "
            "polygons with transforms=(Buffer(points_m=..., lines_m=...),)"
        )
    if not kept.all():
        kinds = ", ".join(sorted({geometry.geom_type for geometry in given[~kept]}))
        warn(
            f"{name}: {int((~kept).sum())} of {len(kept)} features are no polygons ({kinds}) and are "
            "left out; buffer them first, with transforms=(Buffer(...),)"
        )
    return with_geometries(frame[kept], polygons[kept], crs=frame.crs)


def _changed(
    frame: GeoDataFrame, transforms: tuple[VectorTransform, ...], name: str
) -> GeoDataFrame:
    """The polygons that transforms in pixels give."""
    for transform in transforms:
        frame = transform(frame, name=name)
    frame = _polygons_only(frame, name)
    return with_geometries(frame, _valid(geometries_of(frame)), crs=None)


def _pixels(geometries: Geometries, crs: Any, grid: Grid, around: Bounds) -> Geometries:
    """Geometries in the pixels of a grid; of those that reach far past it, what lies around it.

    A projection folds or loses what is far from where it is defined, and with it the whole polygon.
    """
    project = projection(crs, grid.crs)

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
    far |= ~finite(pixels)
    for box in (_grown(around, margin), around):  # the larger one may reach past the map's end, too
        if far.any():
            cut = _cut(geometries[far], box, step=_extent(around) / _PIECES)
            bent = shapely.transform(cut, to_pixels, interleaved=False)
            pixels[far] = _valid(bent)
            far &= ~finite(pixels)
    return pixels


def _reach(around: Bounds, crs: Any) -> tuple[float, float]:
    """How far past a grid a feature may reach uncut, and how much around it a cut leaves."""
    extent = _extent(around)
    if to_crs(crs).is_geographic:
        return min(_FAR * extent, _FAR_DEGREES), min(extent, _CUT_DEGREES)
    return _FAR * extent, extent


def _cut(geometries: Geometries, box: Bounds, *, step: float) -> Geometries:
    """What lies in a box, without edges longer than a step: straight where they were."""
    parts = shapely.intersection(geometries, shapely.box(*box))
    areas = _polygonal(geometries)
    parts[areas] = polygon_parts(parts[areas])  # not the points and lines that touch the box
    cut: Geometries = shapely.segmentize(parts, step)
    return cut


def _valid(geometries: Geometries) -> Geometries:
    """What a projection bent, valid again; what has no place stays as it is."""
    valid = geometries.copy()
    bent = np.flatnonzero(finite(valid) & ~shapely.is_valid(valid))
    areas = _polygonal(valid[bent])
    valid[bent] = shapely.make_valid(valid[bent])
    valid[bent[areas]] = polygon_parts(valid[bent[areas]])
    return valid


def _polygonal(geometries: Geometries) -> _Bools:
    """(feature,) whether each is made of polygons only."""
    return np.isin(shapely.get_type_id(geometries), (_POLYGON, _MULTIPOLYGON))


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
