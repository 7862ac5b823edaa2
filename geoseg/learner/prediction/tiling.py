"""How a very wide scene is taken apart, so that memory keeps to a bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geoseg.errors import ConfigError
from geoseg.labels.rows import BAND_ROWS
from geoseg.scene import Scene
from geoseg.window import Window


@dataclass(frozen=True, slots=True)
class Tiling:
    """Pieces of a scene that are predicted one by one and joined to whole rows."""

    rows: int
    """Rows in a piece, a number of bands."""
    cols: int
    """Columns in a piece."""

    def strips(self, rows: range, height: int) -> Iterator[range]:
        """The rows of the strips of a scene that hold some rows; they begin where they do for the whole."""
        for first in range(rows.start // self.rows * self.rows, rows.stop, self.rows):
            yield range(first, min(first + self.rows, height))

    def pieces(self, strip: range, width: int) -> Iterator[Window]:
        """The pieces of a strip of a scene of a width, from left to right."""
        for col in range(0, width, self.cols):
            yield Window(strip.start, col, len(strip), min(self.cols, width - col))


def tiling_for(
    scene: Scene, size: tuple[int, int], classes: int, *, scores: bool, max_memory: int | None
) -> Tiling | None:
    """The largest pieces with which a prediction keeps to a bound; None where none are needed.

    What is counted grows with the width: the ring of scores, decoded blocks of the image, finished
    rows. The model, its batches and the libraries come on top.

    Raises:
        ConfigError: Not even the smallest pieces keep to it.
    """
    if max_memory is None:
        return None
    width, image = scene.grid.width, scene.image
    pixel = len(image.band_names) * np.dtype(image.dtype).itemsize
    column = size[0] * (4 * classes + 1 + pixel) + 2 * BAND_ROWS * pixel
    # Finished rows exist twice: as they are gathered and as they are written.
    row = 2 * width * (1 + (4 * classes if scores else 0))
    if width * column + BAND_ROWS * row <= max_memory:
        return None
    least = -(-max(BAND_ROWS, size[1]) // BAND_ROWS) * BAND_ROWS
    needed = BAND_ROWS * row + least * column
    if max_memory < needed:
        raise ConfigError(
            f"scene {scene.id!r}: max_memory is {max_memory:,} bytes, but pieces of its {width:,} px wide "
            f"rows need at least {needed:,}; allow more, or use smaller windows"
        )
    # Half for the rows, since windows on seams between them are predicted twice; but columns first.
    for_rows = min(max_memory // 2, max_memory - least * column)
    rows = max(for_rows // row // BAND_ROWS, 1) * BAND_ROWS
    cols = (max_memory - rows * row) // column // BAND_ROWS * BAND_ROWS
    return Tiling(rows, cols)
