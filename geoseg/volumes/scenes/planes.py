"""The slices of a scene: its dates, or the one image that it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine

from geoseg.errors import SceneError
from geoseg.grid import Grid
from geoseg.scene import Scene
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.stacks.together import onto
from geoseg.sources.timestack import TimeStackSource
from geoseg.sources.warp import WarpedSource
from geoseg.volumes.rle import Shape
from geoseg.window import Window

_BLOCK_VOXELS = 1 << 22
"""Pixels of a band that are read at once, in whole rows."""


@dataclass(frozen=True)
class Planes:
    """The slices of a scene on its grid."""

    sources: tuple[RasterSource | None, ...]
    """One a slice; None for a date without an image."""
    grid: Grid
    """That of every slice."""
    dtype: np.dtype[Any]
    """Of the pixels."""
    channels: tuple[str, ...]
    """Names of the bands of a slice."""
    times: tuple[str, ...] | None
    """Of the slices; None for a scene without."""

    @property
    def shape(self) -> Shape:
        """(depth, height, width)."""
        return (len(self.sources), *self.grid.shape)

    @property
    def transform(self) -> Affine | None:
        """Pixel corner to ground; None where nothing places the scene."""
        placed = self.grid.crs is not None or self.grid.transform != Affine.identity()
        return self.grid.transform if placed else None

    @property
    def told_channels(self) -> tuple[str, ...] | None:
        """The names of the bands; None where they are but their numbers."""
        numbers = tuple(str(number + 1) for number in range(len(self.channels)))
        return None if self.channels == numbers else self.channels

    def windows(self) -> Iterator[Window]:
        """Whole rows, top to bottom, that cover a slice."""
        height, width = self.grid.shape
        rows = max(_BLOCK_VOXELS // width, 1)
        for row in range(0, height, rows):
            yield Window(row, 0, min(rows, height - row), width)

    def read(self, plane: int, window: Window) -> Chip:
        """Pixels of a window of one slice: those that are not valid as the source has them."""
        source = self.sources[plane]
        if source is None:
            shape = (len(self.channels), *window.shape)
            return Chip(np.zeros(shape, self.dtype), np.zeros(window.shape, bool))
        return source.read(window)


def planes_of(scene: Scene) -> Planes:
    """The slices of a scene: one a date where its image is a TimeStackSource, else one.

    Raises:
        SceneError: The stack has transforms of its own, which are not done to single dates.
    """
    grid, image = scene.grid, scene.image
    if not isinstance(image, TimeStackSource):
        pixels = scene.pixels
        return Planes((pixels,), grid, pixels.dtype, pixels.band_names, None)
    if image.transforms:
        raise SceneError(
            f"scene {scene.id!r}: its timestack has transforms of its own, which are done to all dates as "
            "bands; give them to the source of each date"
        )
    target = image.sources[image.like]
    dates: list[RasterSource | None] = []
    for source in image.sources:
        if source is None or target is None:
            dates.append(None)
            continue
        dated = onto(source, target, image.resampling)
        aligned = dated.grid == grid
        dates.append(dated if aligned else WarpedSource(source=dated, onto=grid))
    return Planes(tuple(dates), grid, image.dtype, image.date_band_names, image.times)
