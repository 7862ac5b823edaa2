"""Features as arrays of geometries: repaired, reprojected, chosen by their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.grid import Bounds, Floats, to_crs, transformer
from geoseg.sources.base import VectorSource
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Geometries = NDArray[np.object_]
_Bools = NDArray[np.bool_]

REPAIRS = "geoseg_repairs"
"""In `frame.attrs` of repaired features: how many were (left out, repaired)."""

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7  # shapely's type ids


def name_of(source: VectorSource) -> str:
    """What an error calls a source: its file, or its kind."""
    return ", ".join(source.files) or type(source).__name__


def geometries_of(frame: GeoDataFrame) -> Geometries:
    """(feature,) shapely geometries of a frame, None where there is none; a copy."""
    return np.array(frame.geometry, dtype=object)


def repaired(frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
    """A copy in two dimensions without empty and with valid geometries only.

    What cannot be drawn (no geometry, an empty one, coordinates that are not finite) is left out; what
    is not valid is made valid, of polygons the polygon parts. Both are counted in one warning, and in
    `attrs[REPAIRS]` with what was counted there before.

    Args:
        frame: Any features; their index is kept.
        name: What the warning calls them.
    """
    geometries = geometries_of(frame)
    deep = np.flatnonzero(shapely.has_z(geometries))
    geometries[deep] = shapely.force_2d(geometries[deep])
    present = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    present &= finite(geometries)
    broken = np.flatnonzero(present & ~shapely.is_valid(geometries))
    polygonal = np.isin(shapely.get_type_id(geometries[broken]), (_POLYGON, _MULTIPOLYGON))
    geometries[broken] = shapely.make_valid(geometries[broken])
    geometries[broken[polygonal]] = polygon_parts(geometries[broken[polygonal]])
    present &= ~shapely.is_empty(geometries)
    lost = int((~present).sum())
    if lost or len(broken):
        warn(
            f"{name}: of {len(frame)} features {lost} have no usable geometry and are left out, "
            f"{len(broken)} are not valid and were repaired"
        )
    whole = with_geometries(frame[present], geometries[present], crs=frame.crs)
    left_out, mended = frame.attrs.get(REPAIRS, (0, 0))
    whole.attrs[REPAIRS] = (left_out + lost, mended + len(broken))
    return whole


def reprojected(frame: GeoDataFrame, crs: Any, *, name: str) -> GeoDataFrame:
    """The features in another CRS; those that have no place in it are left out, with a warning.

    Args:
        frame: Features with a CRS.
        crs: The CRS wanted, in any form.
        name: What the warning calls them.
    """
    wanted = to_crs(crs)
    move = projection(frame.crs, wanted)
    geometries = shapely.transform(geometries_of(frame), move, interleaved=False)
    placed = finite(geometries)
    warn_of_unplaced(int((~placed).sum()), crs=wanted, name=name)
    return with_geometries(frame[placed], geometries[placed], crs=wanted)


def meeting(frame: GeoDataFrame, bounds: Bounds) -> GeoDataFrame:
    """The features that meet (left, bottom, right, top), given in the frame's own CRS."""
    near = np.flatnonzero(boxes_meet(geometries_of(frame), bounds))
    hits = shapely.intersects(geometries_of(frame)[near], shapely.box(*bounds))
    return frame.iloc[near[hits]]


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


def projection(source: Any, target: Any) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """What brings all coordinates (x, y) from one CRS to another, in one call of PROJ."""
    if source is None or target is None or (own := to_crs(source)) == target:
        return lambda x, y: (x, y)
    transform: Callable[[Floats, Floats], tuple[Floats, Floats]]
    transform = transformer(own.to_string(), target.to_string()).transform
    return transform


def finite(geometries: Geometries) -> _Bools:
    """(feature,) whether every coordinate is finite; True where there is none."""
    points, feature = shapely.get_coordinates(geometries, return_index=True)
    good = np.ones(len(geometries), bool)
    good[feature[~np.isfinite(points).all(axis=1)]] = False
    return good


def boxes_meet(geometries: Geometries, bounds: Bounds) -> _Bools:
    """(feature,) whether the box of each meets (left, bottom, right, top)."""
    left, bottom, right, top = shapely.bounds(geometries).T
    meet: _Bools = (
        (left <= bounds[2]) & (right >= bounds[0]) & (bottom <= bounds[3]) & (top >= bounds[1])
    )
    return meet


def warn_of_unplaced(count: int, *, crs: Any, name: str) -> None:
    """Count what has no place in a CRS, if anything."""
    if count:
        warn(
            f"{name}: {count} features have no place in {crs.to_string()} and are left out; clip them "
            "to where that CRS is defined"
        )
