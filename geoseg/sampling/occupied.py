"""Where a sparse raster may hold pixels, as it tells without reading one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoseg.aoi import AOI
from geoseg.sampling.boxes import Boxes, Floats, Ints, chosen, whole
from geoseg.sources.base import RasterSource
from geoseg.window import Window

_MOST = 20_000
"""Rectangles of a scene that are looked at once."""


class Occupied:
    """Rectangles of scenes outside which no pixel is valid, and windows that meet one."""

    def __init__(
        self,
        pixels: Sequence[RasterSource],
        areas: Sequence[AOI | None],
        *,
        least: int,
        equal_scenes: bool,
    ) -> None:
        """Quarter each scene again and again; no pixel is read.

        Args:
            pixels: The scenes' images on their grids.
            areas: Their AOIs.
            least: Pixels a side of the smallest windows: smaller rectangles are of no use.
            equal_scenes: Scenes are chosen alike; else by the area of their rectangles.
        """
        parts = [
            [(number, *_numbers(part)) for part in _parts(image, area, least)]
            for number, (image, area) in enumerate(zip(pixels, areas, strict=True))
        ]
        self.parts = np.array([part for of_scene in parts for part in of_scene], np.int64)
        self.parts = self.parts.reshape(-1, 5)
        self._shapes = np.array([image.grid.shape for image in pixels])
        weights = self.parts[:, 3:].prod(axis=1).astype(float)
        if equal_scenes and len(weights):
            weights /= np.bincount(self.parts[:, 0], weights)[self.parts[:, 0]]
        self._sums = np.cumsum(weights)

    def draw(self, numbers: Floats, sizes: Ints) -> Boxes:
        """Windows that cover a rectangle, or lie in one; there must be one."""
        parts = self.parts[chosen(numbers[0], self._sums)]
        return around(parts, sizes, self._shapes[parts[:, 0]], numbers[2:])


def around(parts: Boxes, sizes: Ints, shapes: Ints, numbers: Floats) -> Boxes:
    """Windows that cover rectangles, or lie in those that are larger; within the scene if they fit.

    Args:
        parts: The rectangles, within their scenes.
        sizes: (window, 2) height and width of the windows.
        shapes: (window, 2) height and width of their scenes.
        numbers: (2, window) random numbers in [0, 1), for rows and columns.
    """
    begin, end = parts[:, 1:3], parts[:, 1:3] + parts[:, 3:]
    lasts = np.maximum(shapes - sizes, 0)
    least = np.clip(np.minimum(begin, end - sizes), 0, lasts)
    most = np.clip(np.maximum(begin, end - sizes), 0, lasts)
    corners = whole(numbers.T, least, most)
    return np.concatenate([parts[:, :1], corners, sizes], axis=1)


def _numbers(window: Window) -> tuple[int, int, int, int]:
    return window.row, window.col, window.height, window.width


def _parts(image: RasterSource, area: AOI | None, least: int) -> list[Window]:
    """Rectangles of about `least` pixels a side, larger ones where there are too many."""
    parts = _kept([image.grid.whole], image, area)
    while len(parts) * 4 <= _MOST and any(max(part.shape) > least for part in parts):
        parts = _kept(
            [quarter for part in parts for quarter in _quarters(part, least)], image, area
        )
    return parts


def _kept(parts: list[Window], image: RasterSource, area: AOI | None) -> list[Window]:
    parts = [part for part in parts if not image.surely_empty(part)]
    if area is None or not parts:
        return parts
    return [part for part, kept in zip(parts, area.keep(parts), strict=True) if kept]


def _quarters(part: Window, least: int) -> list[Window]:
    """A rectangle cut across each side that is longer than `least`."""
    rows, cols = (
        [(start, length)]
        if length <= least
        else [(start, length // 2), (start + length // 2, length - length // 2)]
        for start, length in ((part.row, part.height), (part.col, part.width))
    )
    return [Window(row, col, height, width) for row, height in rows for col, width in cols]
