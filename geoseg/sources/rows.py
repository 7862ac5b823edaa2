"""The ring of rows behind sequential reading: every row of a scene is read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np

from geoseg.errors import ConfigError
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.handles import decoding_threads
from geoseg.window import Edge, Window, starts


class RowRing:
    """The last `size` rows of a source at full width; going down reads only rows not yet there.

    State for one thread, made where it is used and never pickled.
    """

    def __init__(
        self, source: RasterSource, *, size: int, width: int, num_threads: int = 1
    ) -> None:
        """Nothing is read yet.

        Args:
            source: Where rows come from.
            size: Rows kept.
            width: Columns kept, counted from the first; more than the source has are not valid.
            num_threads: GDAL decodes the blocks of new rows in so many threads.

        Raises:
            ConfigError: `num_threads` is less than 1.
        """
        if num_threads < 1:
            raise ConfigError(f"num_threads is {num_threads}, expected at least 1")
        self.source = source
        self.size = size
        self.num_threads = num_threads
        self.row: int | None = None
        self._data = np.zeros((len(source.band_names), size, width), source.dtype)
        self._valid = np.zeros((size, width), bool)

    def at(self, row: int) -> Chip:
        """Rows `row` to `row + size`: a view that the next call overwrites."""
        kept = 0
        if self.row is not None and self.row <= row < self.row + self.size:
            kept = self.row + self.size - row
        if kept < self.size:
            moved = self.size - kept
            self.row = None  # until the rows are there: reading them may fail
            for plane in (
                *self._data,
                self._valid,
            ):  # one at a time: overlapping rows go through a copy
                plane[:kept] = plane[moved:]
            self._fill(row + kept, slice(kept, self.size))
        self.row = row
        return Chip(self._data, self._valid)

    def _fill(self, first: int, rows: slice) -> None:
        window = Window(first, 0, rows.stop - rows.start, self._valid.shape[1])
        # Around the read only: rows are handed out between, and what is read there is not ours.
        within = decoding_threads(self.num_threads) if self.num_threads > 1 else nullcontext()
        with within:
            chip = self.source.read(window)
        self._data[:, rows] = chip.data
        self._valid[rows] = chip.valid


def iter_rows(
    source: RasterSource, size: int, stride: int, edge: Edge, *, num_threads: int = 1
) -> Iterator[tuple[int, Chip]]:
    """Bands of `size` rows at every `stride` rows; see RasterSource.iter_rows."""
    ring = RowRing(source, size=size, width=source.grid.width, num_threads=num_threads)
    for row in starts(source.grid.height, size, stride, edge):
        yield row, ring.at(row)
