"""The block of ground that each window belongs to; a block is never divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.prepare.given import as_vectors
from geoseg.prepare.splitting.footprints import Region
from geoseg.sampling.windowindex import WindowIndex
from geoseg.warn import warn

_Ints = NDArray[np.int64]

SOURCE = "source_mask_path"
"""The column of the masks that patches were cut from."""


def blocks_of(
    index: WindowIndex,
    regions: Sequence[Region],
    *,
    block_m: float | None,
    polygons: Any = None,
) -> _Ints:
    """(window,) the number of each window's block: by polygons, by squares of ground, or by mask.

    Args:
        index: The windows.
        regions: The ground that they cover.
        block_m: Metres of the side of a square; None: a block is a whole mask, or what was cut from one.
        polygons: Blocks of any shape instead, in any CRS: a window belongs to the one over its centre.

    Raises:
        ConfigError: Both are given, the squares have no size, masks lie nowhere on the Earth, or a
            window's centre lies in no polygon or in several.
    """
    if polygons is not None:
        if block_m is not None:
            raise ConfigError("both block_m and blocks are given; pass one of the two")
        return _by_polygon(regions, polygons, len(index))
    if block_m is None:
        return _by_scene(index)
    if not block_m > 0:
        raise ConfigError(f"block_m is {block_m:g}, expected metres above 0")
    return _by_square(regions, block_m, len(index))


def _by_scene(index: WindowIndex) -> _Ints:
    """Whole masks; patches that were cut from one belong together."""
    known = SOURCE in index.table.columns
    names = index.table[SOURCE].astype(str) if known else index.mask_paths
    kinds, block = np.unique(np.array(names, str), return_inverse=True)
    if len(kinds) == len(index) > 1 and not known:
        warn(
            f"each of the {len(index)} windows is a mask, and so a block, of its own: neighbours may come into "
            "different parts; pass block_m (metres) where they lie side by side"
        )
    return block.reshape(-1).astype(np.int64)


def _by_square(regions: Sequence[Region], block_m: float, windows: int) -> _Ints:
    """Squares counted from the lower left corner of each region's centres."""
    keys = np.empty((windows, 3), np.int64)
    for number, region in enumerate(regions):
        _needs_ground(region, "block_m")
        # A hair is added, so that windows on a line between squares do not fall to both sides by rounding.
        steps = (region.centres - region.centres.min(axis=0)) / block_m + 1e-6
        keys[region.rows, 0] = number
        keys[region.rows, 1:] = np.floor(steps)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _by_polygon(regions: Sequence[Region], polygons: Any, windows: int) -> _Ints:
    source = as_vectors(polygons)
    found = np.full(windows, -1, np.int64)
    for region in regions:
        _needs_ground(region, "blocks")
        shapes = source.read(crs=region.frame).geometry.to_numpy()
        window, shape = shapely.STRtree(shapes).query(
            shapely.points(region.centres), predicate="intersects"
        )
        several = np.flatnonzero(np.bincount(window, minlength=len(region.rows)) > 1)
        if len(several):
            raise ConfigError(
                f"the centres of {len(several)} windows lie in several of the polygons of blocks, row "
                f"{region.rows[several[0]]} first; polygons of blocks must not overlap"
            )
        found[region.rows[window]] = shape
    outside = np.flatnonzero(found < 0)
    if len(outside):
        raise ConfigError(
            f"the centres of {len(outside)} of {windows} windows lie in none of the polygons of blocks, row "
            f"{outside[0]} first; add polygons there, or leave these windows out of the index"
        )
    return found


def _needs_ground(region: Region, name: str) -> None:
    if region.frame is None:
        raise ConfigError(
            f"row {region.rows[0]}: its mask has no CRS, so that {name} has no place there; leave it out to "
            "take whole masks as blocks"
        )
