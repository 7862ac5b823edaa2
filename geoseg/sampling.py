"""Which windows of which scenes are looked at: all of them in order, or random ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.aoi import AOI
from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.window import Edge, Size, Window, pair, sliding

_TRIES = 32
"""Times that a window is drawn at most, to find one that may hold a pixel."""

Boxes = NDArray[np.int64]
"""(window, 5): scene number, row, col, height, width."""


class SlidingWindows(Sequence[tuple[int, Window]]):
    """All windows of all scenes in order, as (scene number, window).

    Windows that do not meet a scene's AOI are left out; one that crosses its edge is kept.
    """

    def __init__(
        self, scenes: Sequence[Scene], size: Size, stride: Size | None = None, edge: Edge = "flush"
    ) -> None:
        """Lay the windows; a scene's AOI is read, its pixels are not.

        Args:
            scenes: Where to look.
            size: Pixels, one number or (height, width).
            stride: Pixels; None means `size`.
            edge: What happens at the last row and column, see `geoseg.window.starts`.
        """
        self.of_scene: list[Sequence[Window]] = []
        for scene in scenes:
            windows: Sequence[Window] = sliding(scene.grid, size, stride, edge)
            if (area := scene.area) is not None:
                kept = np.flatnonzero(area.keep(windows))
                windows = tuple(windows[int(i)] for i in kept)
            self.of_scene.append(windows)
        self._stops = list(accumulate(len(windows) for windows in self.of_scene))

    def __len__(self) -> int:
        return self._stops[-1] if self._stops else 0

    def __getitem__(self, index: int | slice) -> tuple[int, Window]:  # type: ignore[override]
        """(scene number, window); IndexError past the end."""
        if isinstance(index, slice):
            raise TypeError("windows are asked for one by one")
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        scene = bisect_right(self._stops, position)
        before = self._stops[scene - 1] if scene else 0
        return scene, self.of_scene[scene][position - before]


class RandomWindows:
    """Random windows: number i of an epoch is the same wherever and whenever it is asked for.

    Scenes are drawn by their area (their AOI's, where there is one). Without an AOI every place where
    a window fits is equally likely; with one, every point of the AOI is, and the window is laid
    around it anyhow, within the scene.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        size: Size,
        *,
        length: int,
        seed: int = 0,
        size_range: tuple[int, int] | None = None,
    ) -> None:
        """Measure the scenes; their pixels are not read.

        Args:
            scenes: Where to look.
            size: Pixels, one number or (height, width).
            length: Windows in an epoch.
            seed: Another seed, other windows.
            size_range: (least, most) height of a window in pixels, both included; its width keeps
                the shape of `size`. None: all windows have `size`.
        """
        if not scenes:
            raise ConfigError("random windows of no scene; pass at least one")
        if length < 1:
            raise ConfigError(f"length is {length}, expected at least 1 window")
        if size_range is not None and not 1 <= size_range[0] <= size_range[1]:
            raise ConfigError(f"size_range is {size_range}, expected (least, most) with 1 <= least")
        self.size = pair(size)
        self.size_range = size_range
        self.length = length
        self.seed = seed
        self._pixels = [scene.pixels for scene in scenes]
        self._areas = [scene.area for scene in scenes]
        self._has_area = np.array([area is not None for area in self._areas])
        self._shapes = np.array([scene.grid.shape for scene in scenes])
        weights = np.array(
            [
                height * width if area is None else area.area_px
                for area, (height, width) in zip(self._areas, self._shapes, strict=True)
            ],
            dtype=float,
        )
        self._chances = np.cumsum(weights) / weights.sum()

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, epoch: int = 0) -> tuple[int, Window]:
        """(scene number, window) number `index` of an epoch; IndexError past the end."""
        if not 0 <= index < self.length:
            raise IndexError(f"window {index} of {self.length}")
        scene, *window = self.draw_many(range(index, index + 1), epoch)[0].tolist()
        return scene, Window(*window)

    def draw_many(self, indices: range, epoch: int = 0) -> Boxes:
        """Windows of consecutive numbers at once, the same that `draw` gives one by one.

        One that is known to hold no pixel, as between the tiles of a sparse pyramid, is drawn again.
        """
        if not len(indices):
            return np.zeros((0, 5), np.int64)
        boxes = self._draw(indices, (self.seed, epoch))
        for again in range(1, _TRIES):
            empty = np.flatnonzero(
                [
                    self._pixels[scene].surely_empty(Window(*window))
                    for scene, *window in boxes.tolist()
                ]
            )
            if not len(empty):
                break
            boxes[empty] = self._draw(indices, (self.seed, epoch, again))[empty]
        return boxes

    def _draw(self, indices: range, seed: tuple[int, ...]) -> Boxes:
        """Windows anywhere in the scenes or their AOIs."""
        key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        # Of a counter's four numbers each window has its own, wherever one begins to count.
        stream = np.random.Generator(np.random.Philox(key=key, counter=indices.start))
        for_scene, for_size, *for_place = stream.random((len(indices), 4)).T
        scenes = np.searchsorted(self._chances[:-1], for_scene, side="right")
        sizes = self._sizes(for_size)
        lasts = np.maximum(self._shapes[scenes] - sizes, 0)
        least, most = np.zeros_like(lasts), lasts
        in_area = np.flatnonzero(self._has_area[scenes])
        if len(in_area):
            areas = (self._areas[int(scenes[i])] for i in in_area)
            points = np.array(
                [
                    _point(area, key, indices[i])
                    for area, i in zip(areas, in_area, strict=True)
                    if area is not None
                ]
            )
            most[in_area] = np.minimum(points, lasts[in_area])
            least[in_area] = np.clip(points - sizes[in_area] + 1, 0, lasts[in_area])
        corners = _whole(np.stack(for_place, axis=1), least, most)
        return np.concatenate([scenes[:, None], corners, sizes], axis=1)

    def _sizes(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """(window, 2) height and width, from numbers in [0, 1)."""
        if self.size_range is None:
            return np.tile(np.array(self.size), (len(numbers), 1))
        heights = _whole(numbers, *self.size_range)
        widths = np.maximum(np.rint(heights * self.size[1] / self.size[0]).astype(int), 1)
        return np.stack([heights, widths], axis=1)


def _point(area: AOI, key: NDArray[Any], index: int) -> tuple[int, int]:
    """(row, col) of a pixel of an AOI, from random numbers of this window's own."""
    stream = np.random.Philox(key=key, counter=(index + 1) << 64)  # far from all other windows'
    row, col = area.sample(np.random.Generator(stream))
    return int(row), int(col)


def _whole(numbers: NDArray[np.float64], least: Any, most: Any) -> NDArray[np.int64]:
    """Whole numbers from least to most, both included, from numbers in [0, 1)."""
    return least + np.floor(numbers * (most - least + 1)).astype(np.int64)  # type: ignore[no-any-return]
