"""RandomWindows: number i of an epoch is the same wherever and whenever it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geoseg.errors import ConfigError
from geoseg.sampling.anywhere import Anywhere
from geoseg.sampling.boxes import Boxes, Ints, least_size, numbers_of, sizes_of
from geoseg.sampling.occupied import Occupied
from geoseg.sampling.ruled import RuledWindows
from geoseg.sampling.rules import Sampling
from geoseg.scene import Scene
from geoseg.window import Size, Window, pair

_TRIES = 32
"""Times that a window is drawn at most, to find one that may hold a pixel."""
_FOR_OCCUPIED = 1
"""Sets the random numbers of windows in what may hold a pixel apart from the others."""


class RandomWindows:
    """Random windows: number i of an epoch is the same wherever and whenever it is asked for.

    Scenes are drawn by their area (their AOI's, where there is one). Without an AOI every place where
    a window fits is equally likely; with one, every point of the AOI is, and the window is laid
    around it anyhow, within the scene. A Sampling says what else a window has to be.

    All windows of an epoch, e.g. to draw them on a map:

    ```python
    boxes = windows.draw_many(range(len(windows)), epoch=0)
    in_first_scene = boxes[boxes[:, 0] == 0, 1:]  # row, col, height, width
    ```
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        size: Size,
        *,
        length: int,
        seed: int = 0,
        size_range: tuple[int, int] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        """Measure the scenes; pixels are read only if `sampling` has to know them.

        Args:
            scenes: Where to look.
            size: Pixels, one number or (height, width).
            length: Windows in an epoch.
            seed: Another seed, other windows.
            size_range: (least, most) height of a window in pixels, both included; its width keeps
                the shape of `size`. None: that of `sampling`; without either all windows have `size`.
            sampling: What windows have to hold; None: anything.

        Raises:
            ConfigError: A number is wrong, or no window keeps the rules; the text says what the best hold.
            SceneError: A scene has no labels, and the rules ask for them.
        """
        if not scenes:
            raise ConfigError("random windows of no scene; pass at least one")
        if length < 1:
            raise ConfigError(f"length is {length}, expected at least 1 window")
        if size_range is not None and not 1 <= size_range[0] <= size_range[1]:
            raise ConfigError(f"size_range is {size_range}, expected (least, most) with 1 <= least")
        sampling = sampling or Sampling()
        self.size = pair(size)
        self.size_range = size_range or sampling.size_range
        self.length = length
        self.seed = seed
        self.sampling = sampling
        self._pixels = [scene.pixels for scene in scenes]
        self._anywhere = Anywhere(scenes, sampling.scene_weights)
        self._occupied: Occupied | None = None
        self._ruled: RuledWindows | None = None
        if sampling.looks_at_pixels:
            self._ruled = RuledWindows(
                scenes,
                sampling,
                self._anywhere,
                size=self.size,
                size_range=self.size_range,
                length=length,
                seed=seed,
            )

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        """Without what is found again."""
        return self.__dict__ | {"_occupied": None}

    def draw(self, index: int, epoch: int = 0) -> tuple[int, Window]:
        """(scene number, window) number `index` of an epoch; IndexError past the end."""
        if not 0 <= index < self.length:
            raise IndexError(f"window {index} of {self.length}")
        scene, *window = self.draw_many(range(index, index + 1), epoch)[0].tolist()
        return scene, Window(*window)

    def draw_many(self, indices: range, epoch: int = 0) -> Boxes:
        """Windows of consecutive numbers at once, the same that `draw` gives one by one.

        One that is known to hold no pixel, as between the tiles of a sparse pyramid, is drawn again.

        Returns:
            (window, 5): scene number, row, col, height, width.

        Raises:
            ConfigError: No window of a size that is drawn keeps the rules.
        """
        if not len(indices):
            return np.zeros((0, 5), np.int64)
        if self._ruled is not None:
            return self._ruled.draw_many(indices, epoch)
        boxes = self._draw(indices, (self.seed, epoch))
        empty = self._empty(boxes, np.arange(len(boxes)))
        for again in range(1, _TRIES):
            if not len(empty):
                return boxes
            boxes[empty] = self._draw(indices, (self.seed, epoch, again), empty)
            empty = self._empty(boxes, empty)
        return self._fill(boxes, empty, indices, epoch)

    def _draw(self, indices: range, seed: tuple[int, ...], which: Ints | None = None) -> Boxes:
        """Windows anywhere in the scenes or their AOIs, or some of them."""
        numbers, names = numbers_of(indices, seed), np.array(indices)
        if which is not None:
            numbers, names = numbers[:, which], names[which]
        sizes = sizes_of(numbers[1], self.size, self.size_range)
        return self._anywhere.draw(numbers, sizes, names, seed)

    def _empty(self, boxes: Boxes, which: Ints) -> Ints:
        """Those of some windows that are known to hold no pixel."""
        told = [
            self._pixels[scene].surely_empty(Window(*window))
            for scene, *window in boxes[which].tolist()
        ]
        found: Ints = which[np.array(told, bool)]
        return found

    def _fill(self, boxes: Boxes, empty: Ints, indices: range, epoch: int) -> Boxes:
        """Draw windows that are still empty from what may hold a pixel, if anything may."""
        if not len(empty):
            return boxes
        if self._occupied is None:
            self._occupied = Occupied(
                self._pixels,
                self._anywhere.areas,
                least=min(least_size(self.size, self.size_range)),
                equal_scenes=self.sampling.scene_weights == "equal",
            )
        for again in range(1, _TRIES):
            if not len(empty) or not len(self._occupied.parts):
                break
            seed = (self.seed, epoch, again, _FOR_OCCUPIED)
            numbers = numbers_of(indices, seed)[:, empty]
            sizes = sizes_of(numbers[1], self.size, self.size_range)
            boxes[empty] = self._occupied.draw(numbers, sizes)
            empty = self._empty(boxes, empty)
        return boxes
