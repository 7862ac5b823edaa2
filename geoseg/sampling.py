"""Which windows of which scenes are looked at: all of them in order, or random ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.window import Edge, Size, Window, pair, sliding


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
        self._areas = [scene.area for scene in scenes]
        self._shapes = [scene.grid.shape for scene in scenes]
        weights = np.array(
            [
                height * width if area is None else area.area_px
                for area, (height, width) in zip(self._areas, self._shapes, strict=True)
            ],
            dtype=float,
        )
        self._chances = weights / weights.sum()

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, epoch: int = 0) -> tuple[int, Window]:
        """(scene number, window) number `index` of an epoch; IndexError past the end."""
        if not 0 <= index < self.length:
            raise IndexError(f"window {index} of {self.length}")
        rng = np.random.default_rng((self.seed, epoch, index))
        scene = int(rng.choice(len(self._chances), p=self._chances))
        size = self._draw_size(rng)
        area = self._areas[scene]
        rows, cols = self._shapes[scene]
        if area is None:
            row = int(rng.integers(0, max(rows - size[0], 0) + 1))
            col = int(rng.integers(0, max(cols - size[1], 0) + 1))
        else:
            point_row, point_col = area.sample(rng)
            row = _around(rng, int(point_row), size[0], rows)
            col = _around(rng, int(point_col), size[1], cols)
        return scene, Window(row, col, *size)

    def _draw_size(self, rng: np.random.Generator) -> tuple[int, int]:
        if self.size_range is None:
            return self.size
        height = int(rng.integers(self.size_range[0], self.size_range[1] + 1))
        return height, max(round(height * self.size[1] / self.size[0]), 1)


def _around(rng: np.random.Generator, point: int, size: int, length: int) -> int:
    """A random first pixel of a span that holds `point` and, where it can, stays in the side."""
    last = max(length - size, 0)
    return int(rng.integers(min(max(point - size + 1, 0), last), min(point, last) + 1))
