"""How large pixels are on the ground, anywhere on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid, apply, transformer

_GEOD = Geod(ellps="WGS84")


def check_metres(grid: Grid, uri: str) -> None:
    """See that the CRS of a grid tells metres.

    Args:
        grid: The pixels.
        uri: What the error calls the output.

    Raises:
        GridError: There is no CRS, or it tells no place on the Earth.
    """
    if grid.ground_resolution is None:
        raise GridError(
            f"{uri}: min_area_m2, simplify_m and rectangle_iou need metres on the ground, which "
            f"{grid.describe()} does not tell; assign the image a CRS on the Earth, or leave them at 0"
        )


def pixel_area_m2(grid: Grid, cols: Floats, rows: Floats) -> Floats:
    """(point,) the area in square metres of a pixel centred on each point; see `pixel_sides_m`."""
    areas: Floats = np.abs(np.linalg.det(pixel_sides_m(grid, cols, rows)))
    return areas


def pixel_sides_m(grid: Grid, cols: Floats, rows: Floats) -> Floats:
    """(point, 2, 2) metres east and north (first axis) to the next column and row (second axis).

    True in every CRS, EPSG:3857 and degrees included: the sides of a pixel centred on each point are
    taken to longitude and latitude and measured with the radii of curvature of the WGS84 ellipsoid.

    Args:
        grid: The pixels.
        cols: (point,) columns, pixel corners at whole numbers.
        rows: (point,) rows.

    Raises:
        GridError: A point has no place on the Earth.
    """
    if grid.crs is None:
        raise GridError(f"{grid.describe()}: metres on the ground need a CRS")
    to_degrees = transformer(grid.crs.to_string(), "EPSG:4326")
    half = np.array([[-0.5, 0.5, 0, 0], [0, 0, -0.5, 0.5]])
    x, y = apply(grid.transform, cols[:, None] + half[0], rows[:, None] + half[1])
    lon, lat = to_degrees.transform(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise GridError(
            f"pixels of {grid.describe()} have no longitude and latitude, so that metres on the ground "
            "are not known; cut the map to the area where its CRS is defined"
        )
    meridian, parallel = _radii(np.radians(lat.mean(axis=1)))
    east = np.radians((lon[:, 1::2] - lon[:, ::2] + 180) % 360 - 180) * parallel[:, None]
    north = np.radians(lat[:, 1::2] - lat[:, ::2]) * meridian[:, None]
    return np.stack([east, north], axis=1)


def _radii(latitude: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Metres of a radian along the meridian and along the parallel, at latitudes in radians."""
    curved = 1 - _GEOD.es * np.sin(latitude) ** 2
    meridian = _GEOD.a * (1 - _GEOD.es) / curved**1.5
    return meridian, _GEOD.a / np.sqrt(curved) * np.cos(latitude)
