"""What is cut out: windows of an image and a mask on one grid, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.prepare.tiling.ids import IdRule
from geoseg.sources.base import RasterSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

_PART_BYTES = 16 << 20
"""Bytes of pixels that are read and written at once, unless a row of tiles has more."""
_ROWS = 256
"""A part has a multiple of so many rows, which are those of a tile."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some whole rows of a window."""

    row: int
    """The first, counted from the window's first."""
    image: NDArray[Any]
    """(band, height, width), 0 where not valid."""
    valid: NDArray[np.bool_]
    """(height, width), where the image is."""
    ids: NDArray[Any]
    """(height, width), as they are written."""
    present: NDArray[np.bool_]
    """(height, width), where the mask says anything, be it to ignore a pixel."""
    known: NDArray[np.bool_]
    """(height, width), where it names a class."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and a mask on the mask's grid."""

    path: str
    """The mask's file."""
    mask: RasterSource
    image: RasterSource
    rule: IdRule
    """How ids are written."""

    @property
    def grid(self) -> Grid:
        """The mask's."""
        return self.mask.grid

    def spans(self, window: Window) -> list[Window]:
        """Full-width parts of a window, from top to bottom, of which each fits into memory."""
        pixel = (
            self.image.dtype.itemsize * len(self.image.band_names) + 2 * self.rule.dtype.itemsize
        )
        rows = max(_PART_BYTES // (pixel * window.width * _ROWS), 1) * _ROWS
        return [
            Window(row, window.col, min(rows, window.row_stop - row), window.width)
            for row in range(window.row, window.row_stop, rows)
        ]

    def read(self, window: Window) -> Iterator[Part]:
        """The pixels of a window, which may reach past the mask.

        Raises:
            SourceError: They cannot be read; the text names the mask and the window.
            LabelError: The mask holds what is no class.
        """
        for span in self.spans(window):
            try:
                seen, labels = self.image.read(span), self.mask.read(span)
            except SourceError as error:
                raise SourceError(f"{self.path}: {window}: {error}") from error
            ids, known = self.rule.apply(labels.data[0], labels.valid)
            data = seen.data
            if not seen.valid.all():
                data = np.where(seen.valid, data, data.dtype.type(0))
            yield Part(span.row - window.row, data, seen.valid, ids, labels.valid, known)


def on_grid(image: RasterSource, grid: Grid, *, resampling: str) -> RasterSource:
    """An image on the grid of a mask, warped when it is read; as it is where it lies on it already."""
    if image.grid == grid:
        return image
    return WarpedSource(source=image, onto=grid, resampling=resampling)
