"""Rows that are gathered until they are whole rows of tiles."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.labels.tiff import TILE
from geoseg.sources.files.wholetiff import not_written
from geoseg.sources.handles import GDAL_ERRORS
from geoseg.window import Window


class TileRows:
    """Writes windows to an open GeoTIFF, each tile once where they come as whole rows in order.

    Full-width windows from top to bottom are gathered to whole rows of tiles, so that equal pixels give
    equal bytes, however many rows come at once. Other windows are written as they come. Memory: 512
    rows of bytes in all bands.
    """

    def __init__(self, dataset: Any, uri: str) -> None:
        """Begin with nothing gathered.

        Args:
            dataset: An open file of bytes with tiles of 512 pixels.
            uri: What errors call it.
        """
        self._dataset, self._uri = dataset, uri
        self._gathered = np.empty((dataset.count, TILE, dataset.width), np.uint8)
        self._first, self._count = 0, 0  # the rows that are gathered, never across a row of tiles
        self._sum = 0

    def write(self, window: Window, data: NDArray[np.uint8]) -> None:
        """Write the bytes (band, height, width) of a window that lies in the file.

        Raises:
            StoreError: The file cannot be written.
        """
        if window.width == self._dataset.width:
            self._gather(window.row, data)
        else:
            self.flush()
            self._put(window, data)

    def flush(self) -> None:
        """Write the rows that are gathered."""
        if self._count:
            window = Window(self._first, 0, self._count, self._dataset.width)
            self._put(window, self._gathered[:, : self._count])
        self._first, self._count = self._first + self._count, 0

    def tag(self, tags: dict[str, str]) -> None:
        """Add data set tags."""
        self._dataset.update_tags(**tags)

    @property
    def checksum(self) -> int:
        """CRC-32 of all that went to the file: of all rows where they came as whole rows in order."""
        return self._sum

    def _gather(self, row: int, data: NDArray[np.uint8]) -> None:
        if row != self._first + self._count:
            self.flush()
            self._first = row
        while data.shape[1]:
            room = TILE - (self._first + self._count) % TILE
            part, data = data[:, :room], data[:, room:]
            rows = part.shape[1]
            self._gathered[:, self._count : self._count + rows] = part
            self._count += rows
            if rows == room:
                self.flush()

    def _put(self, window: Window, data: NDArray[np.uint8]) -> None:
        for band in data:
            self._sum = zlib.crc32(np.ascontiguousarray(band).data, self._sum)
        try:
            self._dataset.write(data, window=window.to_rasterio())
        except GDAL_ERRORS as error:
            raise not_written(self._uri, error.__cause__ or error) from error
