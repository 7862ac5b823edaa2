"""Features in metres: each measured in a projection around its own place on the Earth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.grid import Floats
from geoseg.sources.features.frames import Geometries, finite
from geoseg.warn import warn

_CELL = 2.0
"""Degrees of latitude a side of the cells whose features share a projection."""
_SHARED_M = 50_000.0
"""Metres from its middle that a feature may reach and still share one."""
_FAR_M = 500_000.0
"""Metres from its middle beyond which a feature is measured worse than by 0.1 %."""
_POLE = 90.0 + 1e-9
"""Degrees of latitude, with what rounding may add."""
_STEP_M = 1_000.0
"""Metres after which an edge gets a vertex, to bend as a projection does."""
_PIECES = 10_000
"""Vertices a side of a feature at most, however large it claims to be."""
_FOLDED = 1_000.0
"""Times its change by which a feature may become wider; more is a map's edge that it was torn at."""
_SLACK = 1e-3
"""Part of its area by which a polygon that grew may seem smaller, from edges that bend."""
_LEAST = 0.9
"""Part of its area on the Earth that a polygon has at least where it is whole: a projection that is
right along its middle's rays makes everything else larger."""

Change = Callable[[Geometries, NDArray[np.intp]], Geometries]
"""(feature,) geometries in metres and their numbers, to the geometries that they become."""
_Move = Callable[[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class _Earth:
    """A CRS with what leads to places on its own ellipsoid: no change of datum is ever made."""

    crs: Any
    geod: Any
    """The ellipsoid."""
    to_base: Any
    """From the CRS to its geographic one; angles in degrees, x first."""
    turn: float | None
    """A full turn in units of the CRS where these are angles."""
    metre: float
    """A metre in units of the CRS."""

    @classmethod
    def of(cls, crs: Any, *, name: str) -> _Earth:
        from pyproj import CRS, Transformer

        own = CRS.from_user_input(crs)
        base = own.geodetic_crs
        if base is None or not (own.is_geographic or own.is_projected):
            raise SourceError(
                f"{name}: the CRS {own.name!r} is not on the Earth, so nothing can be measured in "
                "metres; reproject the file, or give pixels"
            )
        geod: Any = base.get_geod()
        to_base = Transformer.from_crs(own, base, always_xy=True)
        factor = own.axis_info[0].unit_conversion_factor  # to radians or metres
        if own.is_geographic:
            return cls(own, geod, to_base, 2 * np.pi / factor, 1 / (factor * geod.a))
        return cls(own, geod, to_base, None, 1 / factor)

    @property
    def degree(self) -> float:
        """A degree in units of the geographic CRS, which may have grads."""
        factor: float = self.crs.geodetic_crs.axis_info[0].unit_conversion_factor
        return float(np.radians(1.0)) / factor

    def degrees(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude (from the CRS's own prime meridian) and latitude; not finite off the Earth."""
        lon, lat = self.to_base.transform(x, y)
        lon, lat = lon / self.degree, lat / self.degree
        return lon, np.where(np.abs(lat) > _POLE, np.inf, lat)

    def from_degrees(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """The way back."""
        found: tuple[Floats, Floats] = self.to_base.transform(
            lon * self.degree, lat * self.degree, direction="INVERSE"
        )
        return found

    def around(self, lon: float, lat: float) -> tuple[_Move, _Move]:
        """From the CRS to metres east and north of a place, azimuthal equidistant; and back."""
        from pyproj import Transformer

        # A pipeline of its own is made a hundred times faster than a CRS, which looks for datums.
        there = Transformer.from_pipeline(
            "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
            f"+step +proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +a={self.geod.a!r} +b={self.geod.b!r}"
        )

        def to_metres(x: Floats, y: Floats) -> tuple[Floats, Floats]:
            moved: tuple[Floats, Floats] = there.transform(*self.degrees(x, y))
            return moved

        def from_metres(x: Floats, y: Floats) -> tuple[Floats, Floats]:
            return self.from_degrees(*there.transform(x, y, direction="INVERSE"))

        return to_metres, from_metres


def in_metres(
    geometries: Geometries, crs: Any, change: Change, *, extra_m: Floats, name: str
) -> Geometries:
    """Change geometries in metres of a local projection, and bring them back.

    Projections are azimuthal equidistant on the CRS's own ellipsoid, around cells of 2 degrees for what
    reaches 50 km from its middle at most, and around its middle for what is larger. Lengths are right to
    0.02 % for the former, and to 0.1 % up to 500 km from the middle; what reaches farther is counted in a
    warning. Edges stay as straight as they are in their own CRS.

    Args:
        geometries: (feature,) in a CRS on the Earth.
        crs: That CRS.
        change: What is done, for some of the features at a time.
        extra_m: (feature,) metres by which each becomes larger at most; below 0 by how many smaller.
        name: What errors call the features.

    Returns:
        (feature,) in the same CRS; None for what has no place or was torn at the edge of the map or at
        a pole, such as what became larger and is smaller now (a warning counts all). Longitudes go on past 180 degrees rather than begin anew.

    Raises:
        SourceError: The CRS is not on the Earth.
    """
    earth = _Earth.of(crs, name=name)
    changed: Geometries = np.full(len(geometries), None, object)
    place = _Places.of(geometries, earth)
    reach = place.reach_m + np.abs(extra_m)
    _warn_of_far(int((np.isfinite(reach) & (reach > _FAR_M)).sum()), name)
    for members, lon, lat in place.groups():
        to_metres, from_metres = earth.around(lon, lat)
        bendable = _bendable(geometries[members], _STEP_M * earth.metre)
        local = _moved(bendable, to_metres)
        placed = finite(local)
        far = np.flatnonzero(placed & (place.reach_m[members] > _FAR_M))
        placed[far] = _is_whole(local[far], bendable[far], earth)
        some = members[placed]
        back = _moved(change(local[placed], some), from_metres)
        changed[some] = _unwrapped(back, place.x[some], earth.turn)
    smaller = shapely.area(changed) < (1 - _SLACK) * shapely.area(geometries)
    changed[smaller & (extra_m > 0)] = None
    return _whole_only(changed, geometries, earth, np.abs(extra_m), name)


def moved_by(
    geometries: Geometries, crs: Any, *, east_m: float, north_m: float, name: str
) -> Geometries:
    """Every vertex moved along the geodesic of its own place; see `in_metres` for the rest.

    Raises:
        SourceError: The CRS is not on the Earth.
    """
    earth = _Earth.of(crs, name=name)
    azimuth, distance = np.degrees(np.arctan2(east_m, north_m)), np.hypot(east_m, north_m)

    def move(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lon, lat = earth.degrees(x, y)
        size = np.ones_like(lon)
        lon, lat, _ = earth.geod.fwd(lon, lat, azimuth * size, distance * size)
        return earth.from_degrees(np.asarray(lon), np.asarray(lat))

    left, _, right, _ = shapely.bounds(geometries).T
    moved = _unwrapped(_moved(geometries, move), (left + right) / 2, earth.turn)
    return _whole_only(moved, geometries, earth, np.full(len(moved), distance), name)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where features lie."""

    x: Floats
    """(feature,) their middle in the CRS."""
    lon: Floats
    lat: Floats
    reach_m: Floats
    """(feature,) metres from the middle to the corners of their box."""

    @classmethod
    def of(cls, geometries: Geometries, earth: _Earth) -> _Places:
        left, bottom, right, top = shapely.bounds(geometries).T
        x, y = (left + right) / 2, (bottom + top) / 2
        lon, lat = earth.degrees(x, y)
        known = np.isfinite(lon) & np.isfinite(lat)
        reach = np.zeros(len(x))
        for corner_x, corner_y in ((left, bottom), (right, bottom), (left, top), (right, top)):
            to_lon, to_lat = earth.degrees(corner_x, corner_y)
            ends = known & np.isfinite(to_lon) & np.isfinite(to_lat)
            metres = np.full(len(x), np.inf)
            metres[ends] = earth.geod.inv(lon[ends], lat[ends], to_lon[ends], to_lat[ends])[2]
            reach = np.maximum(reach, metres)
        reach[~known] = np.nan
        return cls(x, lon, lat, reach)

    def groups(self) -> Iterator[tuple[NDArray[np.intp], float, float]]:
        """(features, longitude, latitude of the middle of their projection)."""
        near = self.reach_m <= _SHARED_M
        for i in np.flatnonzero(~near & ~np.isnan(self.reach_m)):
            yield np.array([i]), float(self.lon[i]), float(self.lat[i])
        members = np.flatnonzero(near)
        row = np.minimum(np.floor(self.lat[members] / _CELL), 90 / _CELL - 1)  # the pole, too
        # As many cells around the Earth as keep them no wider than high.
        widest = np.minimum(np.abs(row), np.abs(row + 1)) * _CELL
        count = np.maximum(np.ceil(360 / _CELL * np.cos(np.radians(widest))), 1)
        col = np.floor(self.lon[members] % 360 / 360 * count)
        cells, cell_of = np.unique(np.stack([row, col, count]), axis=1, return_inverse=True)
        order = members[np.argsort(cell_of.ravel(), kind="stable")]
        start = 0
        for (r, c, n), size in zip(cells.T, np.bincount(cell_of.ravel()), strict=True):
            some = order[start : start + size]
            yield some, float((c + 0.5) * 360 / n), float((r + 0.5) * _CELL)
            start += size


def _moved(geometries: Geometries, move: _Move) -> Geometries:
    def kept_closed(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        x, y = move(x, y)
        lost = ~(np.isfinite(x) & np.isfinite(y))
        # Not NaN, which differs from itself: a ring that begins with it would not be closed.
        return np.where(lost, np.inf, x), np.where(lost, np.inf, y)

    moved: Geometries = shapely.transform(geometries, kept_closed, interleaved=False)
    return moved


def _bendable(geometries: Geometries, step: float) -> Geometries:
    """With vertices on the edges of what is larger than a step, some 10,000 a side at most."""
    left, bottom, right, top = shapely.bounds(geometries).T
    side = np.maximum(right - left, top - bottom)
    long = np.flatnonzero(side > step)
    bendable = geometries.copy()
    steps = np.maximum(step, side[long] / _PIECES)
    bendable[long] = shapely.segmentize(geometries[long], steps)
    return bendable


def _is_whole(local: Geometries, before: Geometries, earth: _Earth) -> NDArray[np.bool_]:
    """Whether large polygons in degrees are as large in metres, not folded where the projection ends."""
    if earth.turn is None:
        return np.ones(len(local), bool)
    radius = earth.geod.a

    def equal_area(x: Floats, y: Floats) -> tuple[Floats, Floats]:  # Lambert's cylindrical one
        lon, lat = earth.degrees(x, y)
        return radius * np.radians(lon), radius * np.sin(np.radians(lat))

    whole: NDArray[np.bool_] = shapely.area(local) >= _LEAST * shapely.area(
        shapely.transform(before, equal_area, interleaved=False)
    )
    return whole


def _unwrapped(geometries: Geometries, middle: Floats, turn: float | None) -> Geometries:
    """Longitudes within half a turn of those where each feature was."""
    if turn is None:
        return geometries
    points, feature = shapely.get_coordinates(geometries, return_index=True)
    away = points[:, 0] - middle[feature]
    placed = np.isfinite(away)
    points[placed, 0] -= turn * np.round(away[placed] / turn)
    unwrapped: Geometries = shapely.set_coordinates(geometries.copy(), points)
    return unwrapped


def _whole_only(
    changed: Geometries, before: Geometries, earth: _Earth, extra_m: Floats, name: str
) -> Geometries:
    """None in place of what is not finite or much wider than it can be."""
    left, _, right, _ = shapely.bounds(changed).T
    old_left, _, old_right, _ = shapely.bounds(before).T
    with np.errstate(invalid="ignore"):
        grown = (right - left) - (old_right - old_left)
    most = np.full(len(changed), (earth.turn or 0.0) / 2)
    if earth.turn is None:
        most = _FOLDED * (extra_m + 1) * earth.metre
    gone = shapely.is_missing(changed)
    torn = ~gone & ~shapely.is_empty(changed) & ~(grown <= most)
    lost = int((gone | torn).sum())
    if lost:
        warn(
            f"{name}: {lost} features have no place in metres or would be torn at the edge of "
            f"{earth.crs.name!r} and are left out; reproject the file to a CRS that holds them whole"
        )
    whole = changed.copy()
    whole[torn] = None
    return whole


def _warn_of_far(count: int, name: str) -> None:
    if count:
        warn(
            f"{name}: {count} features reach more than {_FAR_M / 1000:g} km from their middle, where "
            "metres are off by more than 0.1 %; cut them into pieces"
        )
