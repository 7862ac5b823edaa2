"""SlidingWindows: all windows of all scenes, in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from geoseg.scene import Scene
from geoseg.window import Edge, Size, Window, sliding


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
