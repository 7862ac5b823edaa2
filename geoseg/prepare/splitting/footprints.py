"""The ground that windows cover, in metres, region by region."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from geoseg.errors import ConfigError, GridError
from geoseg.grid import Grid, apply, transformer
from geoseg.prepare.splitting.apart import groups_apart
from geoseg.sampling.windowindex import WindowIndex

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_NEAR_M = 100_000.0
"""Windows whose regions lie further apart than this never meet, unless a buffer is wider."""
_EARTH_M = 6_371_008.8
_SLIVER = 1e-6
"""Share of a window's area that two windows may share by rounding alone."""
_LON_LAT, _ECEF = "EPSG:4979", "EPSG:4978"


@dataclass(frozen=True)
class Region:
    """Windows near one another, on a plane around their middle (azimuthal equidistant)."""

    rows: _Ints
    """Their numbers."""
    boxes: NDArray[np.object_]
    """(window,) polygons, in metres."""
    centres: _Floats
    """(window, 2) x and y, in metres."""
    stretch: float
    """How much longer a distance on the plane may be than on the ground, at most; 1 and a little."""
    frame: str | None
    """The plane's CRS; None: pixels of images without georeference."""

    @cached_property
    def tree(self) -> STRtree:
        """Finds boxes."""
        return STRtree(self.boxes)


def regions_of(index: WindowIndex, *, buffer_m: float = 0.0) -> list[Region]:
    """The windows of an index in regions that lie further apart than any buffer.

    Distances on a region's plane are those on the ground, or longer by `stretch` at most (a region of
    500 km across: 1.0003). Masks without a CRS are regions of their own, in pixels.

    Args:
        index: The windows.
        buffer_m: The widest distance that will be asked for.

    Raises:
        ConfigError: A buffer is asked for between masks that are nowhere on the Earth.
    """
    by_mask = defaultdict[str, list[int]](list)
    for row, path in enumerate(index.mask_paths):
        by_mask[path].append(row)
    corners = np.empty((len(index), 4, 2))
    nowhere = list[Region]()
    for path, found in by_mask.items():
        rows = np.array(found, np.int64)
        grid = index.grid_of(path)
        pixels = _corners_px(index, rows)
        if grid.crs is None:
            if buffer_m > 0:
                raise ConfigError(
                    f"{path}: has no CRS, so that a buffer of {buffer_m:g} m has no length there; pass buffer_m=0, "
                    "or give the mask its georeference"
                )
            nowhere.append(_flat(rows, pixels))
        else:
            corners[rows] = _lon_lat(grid, pixels, path)
    on_earth = np.ones(len(index), np.bool_)
    for region in nowhere:
        on_earth[region.rows] = False
    rows = np.flatnonzero(on_earth)
    groups = groups_apart(_places(corners[rows]), cell=max(_NEAR_M, 2 * buffer_m))
    return [*(_on_plane(rows[group], corners[rows[group]]) for group in groups), *nowhere]


def too_near(region: Region, of: _Ints, others: _Ints, buffer_m: float) -> NDArray[np.bool_]:
    """Which windows overlap one of some others, or lie nearer to one than the buffer.

    Args:
        region: Where.
        of: Places in the region of the windows in question.
        others: Places of those that they must keep away from.
        buffer_m: Metres of ground between the edges of two windows.
    """
    found = np.zeros(len(of), np.bool_)
    if not len(of) or not len(others):
        return found
    tree, boxes = STRtree(region.boxes[others]), region.boxes[of]
    if buffer_m > 0:
        reach = buffer_m * region.stretch
        (near, _), distance = tree.query_nearest(
            boxes, max_distance=reach, return_distance=True, all_matches=False
        )
        found[near[distance < reach * (1 - 1e-9)]] = True
        return found
    mine, theirs = tree.query(boxes, predicate="intersects")
    shared = shapely.area(shapely.intersection(boxes[mine], region.boxes[others][theirs]))
    found[mine[shared > _SLIVER * shapely.area(boxes[mine])]] = True
    return found


def _corners_px(index: WindowIndex, rows: _Ints) -> _Floats:
    """(window, corner, 2): column and row of the corners, clockwise from the top left."""
    top, left, height, width = index.boxes[rows].T.astype(np.float64)
    right, bottom = left + width, top + height
    return np.stack(
        [np.stack([left, right, right, left], 1), np.stack([top, top, bottom, bottom], 1)], axis=2
    )


def _lon_lat(grid: Grid, pixels: _Floats, path: str) -> _Floats:
    x, y = apply(grid.transform, pixels[..., 0], pixels[..., 1])
    lon, lat = transformer(str(grid.crs), "EPSG:4326").transform(x, y)
    found = np.stack([lon, lat], axis=-1)
    if not np.isfinite(found).all():
        raise GridError(
            f"{path}: windows lie where its CRS has no place on the Earth; check its transform"
        )
    return found


def _flat(rows: _Ints, pixels: _Floats) -> Region:
    return Region(
        rows=rows, boxes=_polygons(pixels), centres=pixels.mean(axis=1), stretch=1.0, frame=None
    )


def _on_plane(rows: _Ints, corners: _Floats) -> Region:
    middle = _places(corners).mean(axis=(0, 1))
    lon, lat, _ = transformer(_ECEF, _LON_LAT).transform(*middle)
    frame = f"+proj=aeqd +lat_0={lat:.9f} +lon_0={lon:.9f} +datum=WGS84 +units=m +type=crs"
    x, y = transformer("EPSG:4326", frame).transform(corners[..., 0], corners[..., 1])
    plane = np.stack([x, y], axis=-1)
    angle = float(np.hypot(x, y).max()) / _EARTH_M
    stretch = (
        angle / math.sin(angle) if 0 < angle < math.pi / 2 else 1.0 if angle == 0 else math.inf
    )
    if not math.isfinite(stretch):
        raise ConfigError(
            "the windows reach over more than half of the Earth without a gap; split the index by continents"
        )
    return Region(
        rows=rows, boxes=_polygons(plane), centres=plane.mean(axis=1), stretch=stretch, frame=frame
    )


def _polygons(corners: _Floats) -> NDArray[np.object_]:
    found: NDArray[np.object_] = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
    return found


def _places(corners: _Floats) -> _Floats:
    """(..., 3) metres from the middle of the Earth, where no meridian is a seam."""
    lon, lat = corners[..., 0], corners[..., 1]
    x, y, z = transformer(_LON_LAT, _ECEF).transform(lon, lat, np.zeros_like(lon))
    return np.stack([x, y, z], axis=-1)
