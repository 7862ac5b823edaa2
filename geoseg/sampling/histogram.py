"""ClassHistogram: how many pixels of each class lie in each cell of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.sampling.histogramfile import kept, state_of_scene
from geoseg.scene import Scene
from geoseg.sources.cache import remember
from geoseg.sources.handles import block_cache
from geoseg.window import Size, Window, pair, sliding

MOST_SIDE = 64
"""Pixels a side of the largest cell: the pixels of one still fit a count of 16 bits."""
_PARTS = 8
"""A window's side is at least so many cells, where there are not too many of them."""
_MOST_CELLS = 4_000_000
_ROWS = 256
_MOST_COLUMNS = 64 * _ROWS
_MOST_BYTES = 64 << 20
"""Of a block."""
_MOST_CACHE = 512 << 20
"""Of blocks that GDAL keeps decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassHistogram:
    """Pixels of each class, ignored ones and not valid ones in each cell of a scene's grid.

    No pixel is thinned out: the counts are exact, and so are their sums. Reading takes as long as one
    pass over the scene's image, labels and AOI.
    """

    counts: NDArray[np.uint16]
    """(row of cells, column of cells, kind of pixel): the classes in their order, then pixels inside the
    AOI that are not labelled, then valid ones outside it, then those that are not valid."""
    side: int
    """Pixels a side of a cell; those at the last row and column may be smaller."""
    shape: tuple[int, int]
    """(height, width) of the scene."""
    names: tuple[str, ...]
    """Of the classes."""

    @classmethod
    def of(cls, scene: Scene, *, side: int = MOST_SIDE, cache: str | None = None) -> ClassHistogram:
        """The histogram of a scene; made anew when one of its local files changes.

        Each block of the files is decoded once, and memory is that of a block beside the counts. The
        result stays in memory (see `geoseg.sources.cache`), and in a folder if one is named.

        Args:
            scene: One without labels has no pixel of a class.
            side: Pixels a side of a cell: 1, 2, 4, ... 64.
            cache: A folder for files whose name is a digest of image, labels, AOI and grid, of `side`, and
                of modification time and size of all local files behind them and of those beside that tell
                of their pixels; remote files count by their uri only. None: nothing is kept there.

        Raises:
            ConfigError: `side` is another number, or the scene holds an array and has no name in a folder.
            GeosegError: The scene cannot be read, or its labels hold ids that are no class.
            StoreError: The folder cannot be written.
        """
        if side not in (1, 2, 4, 8, 16, 32, MOST_SIDE):
            raise ConfigError(f"side is {side}, expected a power of 2 from 1 to {MOST_SIDE} pixels")
        state = state_of_scene(scene)
        parts = (scene.image, scene.labels, scene.aoi, scene.reference)
        make = partial(_counted, scene, side)
        counts = remember(
            ("class histogram", *parts, side, state),
            make if cache is None else lambda: kept(cache, scene, side, state, make),
            nbytes=lambda made: made.nbytes,
        )
        return cls(counts, side, scene.grid.shape, _names(scene))

    @property
    def totals(self) -> NDArray[np.int64]:
        """(kind of pixel,) pixels of the whole scene."""
        found: NDArray[np.int64] = self.counts.sum(axis=(0, 1), dtype=np.int64)
        return found

    def class_counts(self) -> dict[str, int]:
        """Class name to its pixels in the whole scene."""
        return dict(zip(self.names, self.totals.tolist(), strict=False))


def class_counts(
    scenes: Sequence[Scene], *, size: Size | None = None, cache: str | None = None
) -> dict[str, int]:
    """Class name to its pixels in all scenes: valid, inside their AOIs and not ignored.

    Args:
        scenes: With labels of one class map.
        size: That of the (smallest) windows which are drawn from these scenes too: both then come of
            one reading. None: none are.
        cache: See `ClassHistogram.of`.

    Raises:
        ConfigError: There is no scene.
        SceneError: A scene has no labels, or other classes than the first.
        GeosegError: A scene cannot be read.
    """
    for scene in scenes:
        if scene.labels is None:
            raise SceneError(f"scene {scene.id!r} has no labels of which classes could be counted")
    histograms = histograms_of(scenes, size=size, cache=cache)
    totals = [histogram.totals[: len(histogram.names)] for histogram in histograms]
    return dict(zip(histograms[0].names, np.sum(totals, axis=0).tolist(), strict=True))


def histograms_of(
    scenes: Sequence[Scene], *, size: Size | None, cache: str | None
) -> list[ClassHistogram]:
    """The histograms of scenes with one class map, with cells that suit windows of a size.

    Raises:
        ConfigError: There is no scene.
        SceneError: A scene has other classes than the first.
        GeosegError: A scene cannot be read.
    """
    if not scenes:
        raise ConfigError("expected a list of at least one scene, as in [scene]")
    for scene in scenes:
        if _names(scene) != _names(scenes[0]):
            raise SceneError(
                f"scene {scene.id!r} has the classes {list(_names(scene))}, but scene "
                f"{scenes[0].id!r} has {list(_names(scenes[0]))}; use one class map"
            )
    side = MOST_SIDE if size is None else cell_side(size, sum(_pixels(scene) for scene in scenes))
    return [ClassHistogram.of(scene, side=side, cache=cache) for scene in scenes]


def cell_side(size: Size, pixels: int) -> int:
    """Pixels a side of cells for windows of a size in scenes of so many pixels together.

    >>> cell_side(256, 10**8), cell_side(256, 10**10), cell_side((37, 53), 1000)
    (32, 64, 4)
    """
    least = min(pair(size))
    side = 1
    while 2 * side * _PARTS <= least and side < MOST_SIDE:
        side *= 2
    while pixels > _MOST_CELLS * side**2 and 4 * side <= least and side < MOST_SIDE:
        side *= 2
    return side


def _pixels(scene: Scene) -> int:
    height, width = scene.grid.shape
    return height * width


def _names(scene: Scene) -> tuple[str, ...]:
    return () if scene.labels is None else scene.labels.class_map.names


def _counted(scene: Scene, side: int) -> NDArray[np.uint16]:
    """(row, column, kind) counts of the cells of a scene, read from top to bottom."""
    kinds = len(_names(scene)) + 3
    height, width = scene.grid.shape
    counts = np.zeros((-(-height // side), -(-width // side), kinds), np.uint16)
    for window in _blocks(scene):
        found = pixel_kinds(scene, window)
        for first in range(0, window.height, MOST_SIDE):  # an index takes 8 bytes a pixel
            part = _by_cell(found[first : first + MOST_SIDE], side, kinds)
            row, col = (window.row + first) // side, window.col // side
            counts[row : row + part.shape[0], col : col + part.shape[1]] = part
    return counts


def _blocks(scene: Scene) -> Iterator[Window]:
    """Windows that cover a scene, of which none cuts a cell."""
    grid, image = scene.grid, scene.image
    column = (len(image.band_names) * image.dtype.itemsize + 1) * _ROWS
    most = max(min(_MOST_BYTES // column // _ROWS * _ROWS, _MOST_COLUMNS), _ROWS)
    # Two rows of blocks of 512 rows are all that reading from top to bottom needs.
    with block_cache(min(max(4 * column * grid.width, _MOST_BYTES), _MOST_CACHE)):
        for window in sliding(grid, (_ROWS, most), edge="pad"):
            inside = window.intersection(grid.whole)
            if inside is not None:
                yield inside


def pixel_kinds(scene: Scene, window: Window) -> NDArray[np.int16]:
    """(height, width) what kind of pixel each is, as `counts` numbers them."""
    kinds = _classes(scene, window)
    unlabelled = len(_names(scene))
    if (area := scene.area) is not None:
        kinds[~area.mask(window)] = unlabelled + 1
    kinds[~scene.pixels.read(window).valid] = unlabelled + 2
    return kinds


def _classes(scene: Scene, window: Window) -> NDArray[np.int16]:
    """(height, width) the place of each pixel's class in the class map; one more where not labelled."""
    if scene.labels is None:
        return np.zeros(window.shape, np.int16)
    classes = scene.labels.class_map
    table = np.full(256, -1, np.int16)
    table[list(classes.ids)] = np.arange(len(classes))
    table[classes.ignore_id] = len(classes)
    ids = scene.labels.read(scene.grid, window)
    found: NDArray[np.int16] = table[ids]
    if (found < 0).any():
        raise LabelError(
            f"scene {scene.id!r}: the labels in {window} hold ids that are no class: "
            f"{np.unique(ids[found < 0]).tolist()}; the classes have the ids {list(classes.ids)}"
        )
    return found


def _by_cell(kinds: NDArray[np.int16], side: int, count: int) -> NDArray[np.int64]:
    """(row, column, kind) how often each kind occurs in each cell of (height, width)."""
    rows, cols = (-(-length // side) for length in kinds.shape)
    first: Any = np.arange(kinds.shape[0])[:, None] // side * (cols * count)
    index = first + np.arange(kinds.shape[1]) // side * count + kinds
    return np.bincount(index.ravel(), minlength=rows * cols * count).reshape(rows, cols, count)
