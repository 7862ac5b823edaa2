"""Anywhere: windows at random places of scenes or their AOIs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.aoi import AOI
from geoseg.sampling.boxes import Boxes, Floats, Ints, key_of, whole
from geoseg.scene import Scene


class Anywhere:
    """Draws a scene by its weight, then a place in it.

    Without an AOI every place where a window fits is equally likely; with one, every point of the AOI
    is, and the window is laid around it anyhow, within the scene.
    """

    def __init__(self, scenes: Sequence[Scene], weights: Literal["area", "equal"]) -> None:
        """Measure the scenes; their pixels are not read.

        Args:
            scenes: Where to look.
            weights: Scenes are drawn by their area (their AOI's, where there is one), or all alike.
        """
        self.areas = [scene.area for scene in scenes]
        self.shapes = np.array([scene.grid.shape for scene in scenes])
        self._has_area = np.array([area is not None for area in self.areas])
        sizes = [
            height * width if area is None else area.area_px
            for area, (height, width) in zip(self.areas, self.shapes, strict=True)
        ]
        each = np.array(sizes if weights == "area" else [1.0] * len(sizes), dtype=float)
        self._chances = np.cumsum(each) / each.sum()

    def draw(self, numbers: Floats, sizes: Ints, indices: Ints, seed: tuple[int, ...]) -> Boxes:
        """Windows of some sizes.

        Args:
            numbers: (4, window) random numbers in [0, 1).
            sizes: (window, 2) height and width.
            indices: Numbers of the windows, which those around points of an AOI come from with `seed`.
            seed: See `indices`.
        """
        for_scene, _, *for_place = numbers
        scenes = np.searchsorted(self._chances[:-1], for_scene, side="right")
        lasts = np.maximum(self.shapes[scenes] - sizes, 0)
        least, most = np.zeros_like(lasts), lasts
        in_area = np.flatnonzero(self._has_area[scenes])
        if len(in_area):
            key = key_of(seed)
            areas = (self.areas[int(scenes[i])] for i in in_area)
            points = np.array(
                [
                    _point(area, key, int(indices[i]))
                    for area, i in zip(areas, in_area, strict=True)
                    if area is not None
                ]
            )
            most[in_area] = np.minimum(points, lasts[in_area])
            least[in_area] = np.clip(points - sizes[in_area] + 1, 0, lasts[in_area])
        corners = whole(np.stack(for_place, axis=1), least, most)
        return np.concatenate([scenes[:, None], corners, sizes], axis=1)


def _point(area: AOI, key: NDArray[Any], index: int) -> tuple[int, int]:
    """(row, col) of a pixel of an AOI, from random numbers of this window's own."""
    stream = np.random.Philox(key=key, counter=(index + 1) << 64)  # far from all other windows'
    row, col = area.sample(np.random.Generator(stream))
    return int(row), int(col)
