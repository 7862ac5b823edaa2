"""Some blocks of scenes that are too large to be looked at whole, evenly spread over their AOIs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.cache import remember
from geoseg.sources.handles import block_cache
from geoseg.spec import files_of
from geoseg.window import Window, sliding

_ROWS = 256
_LEAST = 4
"""Blocks of a scene that are looked at, or more; they get lower where there would be fewer."""
_MOST_COLUMNS = 64 * _ROWS
_MOST_BYTES = 64 << 20
"""Of a block."""
_MOST_CACHE = 512 << 20
"""Of blocks that GDAL keeps decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """Blocks of a scene that stand for all those that meet its AOI."""

    scene: Scene
    """Where they lie."""
    windows: tuple[Window, ...]
    """What is looked at, from top to bottom; none lies outside the scene."""
    pixels: int
    """Of all blocks that meet the AOI."""
    read: int
    """Of those that are looked at."""

    @classmethod
    def of(cls, scene: Scene, share: float, *, seed: int = 0) -> Thinned:
        """Choose blocks, each with the same chance.

        Args:
            scene: With or without an AOI.
            share: Of the pixels that shall be looked at, about, above 0; 1: all that meet the AOI.
            seed: Another number begins at another block.
        """
        rows = min(_ROWS, scene.grid.height)
        blocks = _blocks(scene, rows)
        if share < 1 and len(blocks) * share < _LEAST:
            blocks = _blocks(scene, max(int(rows * len(blocks) * share / _LEAST), 1))
        count = min(math.ceil(len(blocks) * share), len(blocks))
        first = np.random.default_rng(seed).random()
        chosen = tuple(blocks[int((n + first) * len(blocks) / count)] for n in range(count))
        return cls(scene, chosen, _pixels(blocks), _pixels(chosen))

    @property
    def whole(self) -> bool:
        """Whether all blocks that meet the AOI are looked at."""
        return self.read == self.pixels

    def __iter__(self) -> Iterator[Window]:
        """The windows, while GDAL keeps what the next ones need too."""
        image = self.scene.image
        row = (len(image.band_names) * image.dtype.itemsize + 1) * self.scene.grid.width
        # Two rows of blocks of 512 rows are all that reading from top to bottom needs.
        with block_cache(min(max(4 * row * _ROWS, _MOST_BYTES), _MOST_CACHE)):
            yield from self.windows


def share_of(scenes: Sequence[Scene], enough: int) -> float:
    """The share of the pixels near the AOIs that so many are; 1 where there are not more."""
    total = sum(_pixels(_blocks(scene, min(_ROWS, scene.grid.height))) for scene in scenes)
    return min(enough / total, 1.0)


def check_ids(scene: Scene) -> None:
    """Read all of a label raster near the AOI, without the image: where a scene is thinned out.

    Labels on another grid than the scene's, for which this would take long, are left out, and so is
    ground apart from the AOI: reading a window there tells what is wrong with it.

    Raises:
        LabelError: It holds values that are no class.
        SourceError: It cannot be read.
    """
    labels, grid = scene.labels, scene.grid
    if not isinstance(labels, RasterLabels) or labels.grid != grid:
        return

    def read() -> bool:
        for window in Thinned.of(scene, 1.0):
            labels.read(grid, window)
        return True

    key = ("label ids", labels, scene.aoi, grid)
    files = files_of(labels) if scene.aoi is None else (*files_of(labels), *files_of(scene.aoi))
    remember(key, read, files=files, nbytes=lambda _: 0)


def _blocks(scene: Scene, rows: int) -> list[Window]:
    """Windows of so many rows that cover the AOI, those at the far edges cut off there."""
    grid, image = scene.grid, scene.image
    column = (len(image.band_names) * image.dtype.itemsize + 1) * _ROWS
    most = max(min(_MOST_BYTES // column // _ROWS * _ROWS, _MOST_COLUMNS), _ROWS)
    size = (rows, min(most, grid.width))
    found = [window.intersection(grid.whole) for window in sliding(grid, size, edge="pad")]
    windows = [window for window in found if window is not None]
    if (area := scene.area) is None:
        return windows
    kept = [windows[number] for number in np.flatnonzero(area.keep(windows))]
    return kept or windows


def _pixels(windows: Sequence[Window]) -> int:
    return sum(window.height * window.width for window in windows)
