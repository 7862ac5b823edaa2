"""Polygons in longitude and latitude as RFC 7946 wants them, and back; across the antimeridian too.

In between longitudes go on past 180 degrees, so that what is connected stays connected: all of them lie
within half a turn of the grid's middle.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.enums import TransformDirection

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid, apply, to_crs, transformer
from geoseg.labels.polygons.rings import Polygons, moved

LONLAT = "EPSG:4326"
"""The CRS of GeoJSON, longitude first."""

_BEND = 64
"""Pixels after which an edge gets a vertex before it is projected: straight edges bend."""
_LONGEST = 90
"""Degrees after which an edge gets a vertex: GDAL takes one around the Earth for one across the
antimeridian."""
_TURN, _POLE = 360, 90
_CLOSE = 1e-7
"""Degrees that are nothing in a file of 7 decimals."""
_SURROUNDED = 16
"""Points around a pole."""


def check_lonlat(grid: Grid, uri: str) -> None:
    """See that polygons on a grid have outlines in longitude and latitude.

    Args:
        grid: The pixels; it has a CRS.
        uri: What the error calls the output.

    Raises:
        GridError: A pole lies in the grid, or the grid reaches past one or around the Earth more than once.
    """
    to_degrees = _to_degrees(grid)
    if any(_holds_pole(grid, to_degrees, latitude) for latitude in (-_POLE, _POLE)):
        raise GridError(
            f"{uri}: a pole lies in {grid.describe()}, and what is around it has no outline in longitude and "
            "latitude, which GeoJSON needs; write .gpkg"
        )
    cols, rows = np.array([0, 0, 1, 1]) * grid.width, np.array([0, 1, 0, 1]) * grid.height
    lon, lat = to_degrees.transform(*apply(grid.transform, cols, rows))
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    if len(lon) and (np.ptp(lon) > _TURN + _CLOSE or np.abs(lat).max() > _POLE + _CLOSE):
        raise GridError(
            f"{uri}: {grid.describe()} reaches past a pole or around the Earth more than once, which GeoJSON "
            "cannot tell; write .gpkg"
        )


def to_lonlat(polygons: Polygons, grid: Grid, uri: str) -> Polygons:
    """Polygons from pixels to degrees; those across the antimeridian become multi-part there.

    Args:
        polygons: In pixels.
        grid: The pixels.
        uri: What the error calls the output.

    Returns:
        (polygon,) as many Polygons or MultiPolygons, with longitudes from -180 to 180.

    Raises:
        GridError: The grid reaches past the Earth.
    """
    made = _in_degrees(polygons, grid, bend=_BEND)
    if not np.isfinite(shapely.get_coordinates(made)).all():
        raise GridError(
            f"{uri}: parts of {grid.describe()} have no longitude and latitude, which GeoJSON needs; "
            "write .gpkg"
        )
    # Cut between their own pixels, not between bends: there an edge would be beside its pixels.
    across = _crossing(made, 0)
    made[across] = _in_degrees(polygons[across], grid, bend=1)
    made = _around(made, 0)
    west, _, east, _ = shapely.bounds(made).T
    wide = east - west > _LONGEST
    made[wide] = shapely.segmentize(made[wide], _LONGEST)
    return made


def from_lonlat(polygons: Polygons, grid: Grid) -> Polygons:
    """Polygons of a GeoJSON file in pixels of the grid they were made on, but for rounding.

    Seven decimals of a degree are a centimetre: so far corners may be off.

    Args:
        polygons: (polygon,) in degrees, multi-part or not.
        grid: The pixels.
    """
    # A map all around the Earth has a part on both its ends, which the file may have as one.
    near, to_degrees = _around(polygons, _middle(grid)), _to_degrees(grid)
    back = shapely.transform(
        near,
        lambda x, y: to_degrees.transform(x, y, direction=TransformDirection.INVERSE),
        interleaved=False,
    )
    return moved(back, ~grid.transform)


def _in_degrees(polygons: Polygons, grid: Grid, *, bend: int) -> Polygons:
    """With longitudes within half a turn of the grid's middle, whatever side of the antimeridian."""
    if grid.crs == to_crs(LONLAT):
        return moved(polygons, grid.transform)
    to_degrees, middle = _to_degrees(grid), _middle(grid)

    def project(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lon, lat = to_degrees.transform(x, y)
        with np.errstate(invalid="ignore"):  # what is not finite is told later
            near = lon - _TURN * np.rint((lon - middle) / _TURN)
        # A map of the whole Earth has both ends.
        far = np.isfinite(lon) & (np.abs(lon - middle) > _TURN / 2 + _CLOSE)
        return np.where(far, near, lon), lat

    bent = moved(shapely.segmentize(polygons, bend), grid.transform)
    made: Polygons = shapely.transform(bent, project, interleaved=False)
    return made


def _crossing(polygons: Polygons, middle: float) -> NDArray[np.bool_]:
    """(polygon,) whether each has longitudes on both sides of the one that is opposite to a middle."""
    first, last = _turns(polygons, middle)
    return first < last


def _turns(polygons: Polygons, middle: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(polygon,) the turns around a middle that each begins and ends in; 0 is that of the middle."""
    west, _, east, _ = shapely.bounds(polygons).T
    first = np.floor((west - middle + _CLOSE) / _TURN + 0.5)
    last = np.ceil((east - middle - _CLOSE) / _TURN - 0.5)
    return first.astype(np.int64), np.maximum(first, last).astype(np.int64)


def _around(polygons: Polygons, middle: float) -> Polygons:
    """With longitudes within half a turn of a middle; what reaches past that is cut there."""
    parts, owners = shapely.get_parts(polygons, return_index=True)
    first, last = _turns(parts, middle)
    across = first < last
    pieces = [_shifted(parts[~across], -first[~across])]
    found = [owners[~across]]
    for i in np.flatnonzero(across):
        for turn in range(first[i], last[i] + 1):
            west = middle + _TURN * (turn - 0.5)
            within = shapely.box(west, -_TURN, west + _TURN, _TURN)
            inside = shapely.get_parts(shapely.intersection(parts[i], within))
            areal = inside[shapely.get_type_id(inside) == shapely.GeometryType.POLYGON]
            pieces.append(_shifted(areal, np.full(len(areal), -turn)))
            found.append(np.full(len(areal), owners[i]))
    return _joined(np.concatenate(pieces), np.concatenate(found), len(polygons))


def _joined(parts: Polygons, owners: NDArray[np.int64], count: int) -> Polygons:
    """(polygon,) Polygons, MultiPolygons where several parts have one owner."""
    order = np.argsort(owners, kind="stable")
    parts, owners = parts[order], owners[order]
    several = np.bincount(owners, minlength=count) > 1
    made: Polygons = np.empty(count, object)
    made[owners] = parts
    multi = several[owners]
    shapely.multipolygons(parts[multi], indices=owners[multi], out=made)
    return made


def _shifted(polygons: Polygons, turns: NDArray[np.int64]) -> Polygons:
    """Some turns to the east, each its own."""
    made = polygons.copy()
    moving = np.flatnonzero(turns)
    coords, owners = shapely.get_coordinates(made[moving], return_index=True)
    coords[:, 0] += _TURN * turns[moving][owners]
    made[moving] = shapely.set_coordinates(made[moving], coords)
    return made


def _middle(grid: Grid) -> float:
    """The longitude of the grid's middle; 0 where that is no place on the Earth."""
    middle = np.array([grid.width / 2]), np.array([grid.height / 2])
    lon, _ = _to_degrees(grid).transform(*apply(grid.transform, *middle))
    return float(lon[0]) if np.isfinite(lon[0]) else 0.0


def _to_degrees(grid: Grid) -> Transformer:
    """From the grid's CRS; longitudes go on past 180 degrees where the projection does."""
    return transformer(to_crs(grid.crs).to_string(), LONLAT, over=True)


def _holds_pole(grid: Grid, to_degrees: Transformer, latitude: float) -> bool:
    """Whether a pole lies in the grid, on its edge or within, as a point that has all longitudes around it."""
    x, y = to_degrees.transform(
        np.zeros(1), np.full(1, latitude), direction=TransformDirection.INVERSE
    )
    if not (np.isfinite(x) & np.isfinite(y)).all():  # such as in Mercator's projection
        return False
    col, row = apply(~grid.transform, x, y)
    if not (-_CLOSE <= col[0] <= grid.width + _CLOSE and -_CLOSE <= row[0] <= grid.height + _CLOSE):
        return False
    angle = np.linspace(0, 2 * np.pi, _SURROUNDED + 1)
    around = apply(grid.transform, col + np.cos(angle), row + np.sin(angle))
    lon, _ = to_degrees.transform(*around)
    if not np.isfinite(lon).all():  # at the edge of a map of the Earth
        return False
    steps = (np.diff(lon) + _TURN / 2) % _TURN - _TURN / 2
    return bool(abs(steps.sum()) > _TURN / 2)
