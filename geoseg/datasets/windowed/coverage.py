"""Whether there is any imagery under masks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from geoseg.datasets.windowed.imagery import Image
from geoseg.errors import GridError, SceneError, SourceError
from geoseg.grid import Grid
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping.pixelmap import PixelMap
from geoseg.sources.warping.plan import common_lattice, meet
from geoseg.window import Window, sliding

_LOOKED_AT = 64
"""Masks whose pixels are looked at, evenly spread; of the others the places only."""
_BLOCK = 512
_POINTS = 3
"""Places on each side of a mask that are tried before all of it is read."""


def check_imagery(image: Image, masks: Sequence[tuple[str, Image]]) -> None:
    """See that masks lie on an image, and of some that there are valid pixels under them.

    Args:
        image: As it comes.
        masks: (mask, the image on its grid) of each.

    Raises:
        GridError: An image or a mask has no CRS.
        SceneError: There is none under a mask; the text counts those that are known.
    """
    for _, warped in masks[:1]:
        if isinstance(warped.source, WarpedSource):
            _ = warped.source.plan  # tells of a kernel that does not fit the image
    numbers = np.linspace(0, len(masks) - 1, min(_LOOKED_AT, len(masks))).round().astype(int)
    looked_at = set(numbers.tolist())
    lacking = [
        (mask, warped.source.grid)
        for number, (mask, warped) in enumerate(masks)
        if not _touches(image, warped) or (number in looked_at and not _any_valid(warped))
    ]
    if lacking:
        mask, grid = lacking[0]
        raise SceneError(
            f"{image.name} ({_told(image.source.grid)}) has no valid pixel under {len(lacking)} of "
            f"{len(masks)} masks, the first is {mask} ({_told(grid)}); check their CRSs, or leave these "
            "masks out"
        )


def _touches(image: Image, warped: Image) -> bool:
    """Whether a mask may lie on the image, by their grids."""
    source, target = image.source.grid, warped.source.grid
    if (source.crs is None) != (target.crs is None) and isinstance(warped.source, WarpedSource):
        _ = warped.source.plan  # tells which of the two has none
    offset = common_lattice(source, target)
    if offset is not None:
        return Window(*offset, *target.shape).intersection(source.whole) is not None
    with suppress(GridError):
        if source.window(target.bounds, target.crs).intersection(source.whole) is not None:
            return True
    return meet(PixelMap.between(target, source), source, target)


def _any_valid(image: Image) -> bool:
    """Whether any pixel is valid: a few places first, then all; True where it cannot be read."""
    grid = image.source.grid
    if image.source.surely_empty(grid.whole):
        return False
    try:
        if any(image.source.read(place).valid.any() for place in _places(grid)):
            return True
        return any(
            image.source.read(window).valid.any()
            for window in sliding(grid, _BLOCK, edge="pad")
            if not image.source.surely_empty(window)
        )
    except SourceError:
        return True  # reading its windows will tell


def _places(grid: Grid) -> list[Window]:
    """Single pixels, the middle first."""
    rows, cols = (
        ((np.arange(_POINTS) + 0.5) / _POINTS * side).astype(int).tolist() for side in grid.shape
    )
    places = [Window(row, col, 1, 1) for row in rows for col in cols]
    middle = grid.height // 2, grid.width // 2
    return sorted(places, key=lambda w: abs(w.row - middle[0]) + abs(w.col - middle[1]))


def _told(grid: Grid) -> str:
    left, bottom, right, top = grid.bounds
    crs = "no CRS" if grid.crs is None else grid.crs.to_string()
    return f"{crs}, {left:.8g}..{right:.8g}, {bottom:.8g}..{top:.8g}"
