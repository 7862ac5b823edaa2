"""Masks burned part by part, and counted on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.grid import Floats, Grid
from geoseg.prepare.vectormasks.areas import PixelAreas
from geoseg.prepare.vectormasks.encoding import Encoding
from geoseg.prepare.vectormasks.files import blocks, mask_file
from geoseg.prepare.vectormasks.painter import Painter
from geoseg.prepare.vectormasks.regions import Region
from geoseg.prepare.vectormasks.report import MaskFile
from geoseg.window import Window

_Bools = NDArray[np.bool_]


@dataclass
class Counts:
    """What is counted while a mask is burned."""

    pixels: NDArray[np.int64]
    """(class,) as written."""
    square_metres: Floats
    """(class,) of the features, before the ring is taken out."""
    burnt: int = 0
    ring: int = 0


class Burner:
    """Burns masks of one layer."""

    square_metres: Floats
    """(class,) burned by all masks so far; the classes are those of the painter."""

    def __init__(
        self, painter: Painter, grid: Grid, encoding: Encoding, classes: ClassMap | None
    ) -> None:
        """Begin with nothing burned.

        Args:
            painter: What the pixels hold.
            grid: Of the reference.
            encoding: Of the masks.
            classes: Their names and colours.
        """
        self.painter, self.grid, self.classes = painter, grid, classes
        self.square_metres = np.zeros(len(painter.known))
        self._encoding, self._areas = encoding, PixelAreas(grid)

    def burn(self, region: Region, path: Path, uri: str) -> MaskFile:
        """Burn one mask.

        Args:
            region: Its place.
            path: Where it is written.
            uri: The name that it will have.

        Raises:
            StoreError: It cannot be written whole.
        """
        known = self.painter.known
        counts = Counts(np.zeros(len(known), np.int64), np.zeros(len(known)))
        grid = self.grid.crop(region.window)
        with mask_file(path, uri, grid, self._encoding, self.classes) as file:
            for block in blocks(region.window):
                ids = self._block(region, block, counts)
                file.write(ids, 1, window=block.to_rasterio())
        self.square_metres += counts.square_metres
        return MaskFile(
            path=uri,
            frame_id=region.frame_id,
            grid=grid,
            window=region.window,
            burnt_pixels=counts.burnt,
            ring_pixels=counts.ring,
            class_counts={
                int(one): int(count)
                for one, count in zip(known, counts.pixels, strict=True)
                if count
            },
        )

    def _block(self, region: Region, block: Window, counts: Counts) -> NDArray[Any]:
        """The ids of a part of a mask, counted."""
        first = region.window
        window = Window(first.row + block.row, first.col + block.col, block.height, block.width)
        painted, outside = self.painter.paint(window), region.outside(window)
        size = len(counts.pixels)
        burnt = painted.burnt if outside is None else painted.burnt & ~outside
        if burnt.any():
            counts.burnt += int(np.count_nonzero(burnt))
            features = np.where(burnt, painted.classes, np.int32(-1))
            counts.square_metres += self._areas.summed(features, window, count=size)
        ignored = outside
        if painted.ring is not None:
            ring = painted.ring if outside is None else painted.ring & ~outside
            counts.ring += int(np.count_nonzero(ring))
            ignored = ring if outside is None else outside | ring
        classes = painted.classes
        if ignored is not None:
            classes = np.where(ignored, np.int32(-1), classes)
        counts.pixels += np.bincount(classes.ravel() + 1, minlength=size + 1)[1:]
        return self.painter.ids(classes)
