"""GeoTIFFLabelWriter: rows of labels to the open files of a GeoTIFFLabelStore."""

from __future__ import annotations

from typing import Literal

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Scores
from geoseg.labels.ids import check_ids
from geoseg.labels.manifest import PREDICTION_TAG
from geoseg.labels.quantities import (
    QUANTITIES,
    UNKNOWN,
    Quantity,
    check_scores,
    quantised,
    told_of,
)
from geoseg.labels.tiff import BESIDE_TAG, RUN_TAG
from geoseg.labels.tilerows import TileRows
from geoseg.window import Window

_PIXELS = 1 << 18
"""Pixels whose scores are worked on at once, so that memory stays small beside them."""


class GeoTIFFLabelWriter:
    """Writes ids, and what is told from scores, to open GeoTIFFs.

    Full-width windows from top to bottom are the fast way: they are gathered to whole rows of tiles,
    so that each tile is compressed once and equal ids give equal bytes. Other windows are written
    as they come.
    """

    def __init__(
        self,
        files: dict[Quantity | Literal["ids"], TileRows],
        grid: Grid,
        classes: ClassMap,
        uri: str,
    ) -> None:
        """Begin with nothing gathered; `GeoTIFFLabelStore.writer` makes and closes it."""
        self._ids = files["ids"]
        self._files = {quantity: files[quantity] for quantity in QUANTITIES if quantity in files}
        self._grid, self._classes, self._uri = grid, classes, uri
        self._told: str | None = None

    def write(self, window: Window, ids: Ids, scores: Scores | None = None) -> None:
        """Write the labels of a window; see LabelWriter.

        Args:
            window: It lies in the grid.
            ids: (height, width) uint8, classes or `ignore_id`.
            scores: (class, height, width) from 0 to 1, in the order of the classes; needed where the
                store keeps something of them, else not looked at. Where ids are ignored they count
                for nothing.

        Raises:
            GridError: The window reaches past the grid.
            LabelError: An array has another shape or dtype, ids are outside the class map, or scores
                are missing or no probabilities.
            StoreError: A file cannot be written.
        """
        if not self._grid.whole.contains(window):
            raise GridError(
                f"{self._uri}: {window} reaches past the grid of {self._grid.height} x "
                f"{self._grid.width} px; cut it, and its ids, to the grid"
            )
        if ids.shape != window.shape:
            raise LabelError(
                f"{self._uri}: ids of {window} have shape {ids.shape}, expected {window.shape}"
            )
        check_ids(ids, self._classes, f"{self._uri}: {window}")
        if self._files:
            self._write_quantities(window, ids, self._given(scores, window))
        self._ids.write(window, ids[None])

    def tell(self, text: str) -> None:
        """Keep a text in the map, as the tag GEOSEG_PREDICTION; see `geoseg.labels.manifest.tell`."""
        self._told = text

    def finish(self) -> None:
        """Write the rows that are gathered and what was told, and to all files that they belong together."""
        if self._told is not None:
            self._ids.tag({PREDICTION_TAG: self._told})
        total = 0
        for file in (self._ids, *self._files.values()):
            file.flush()
            total = (total * 31 + file.checksum) % (1 << 64)
        if self._files:
            self._ids.tag({BESIDE_TAG: ",".join(self._files)})
            for file in (self._ids, *self._files.values()):
                file.tag({RUN_TAG: f"{total:016x}"})

    def _given(self, scores: Scores | None, window: Window) -> Scores:
        """The scores, which must be there and fit."""
        what = f"{self._uri}: {window}"
        if scores is None:
            raise LabelError(
                f"{what}: this store keeps {', '.join(self._files)}, but no scores were given; give them "
                "to write(window, ids, scores), or keep class ids only"
            )
        expected = (len(self._classes), *window.shape)
        if scores.shape != expected:
            raise LabelError(f"{what}: scores have shape {scores.shape}, expected {expected}")
        return scores

    def _write_quantities(self, window: Window, ids: Ids, scores: Scores) -> None:
        rows = max(_PIXELS // window.width, 1)
        for y in range(0, window.height, rows):
            part = Window(window.row + y, window.col, len(ids[y : y + rows]), window.width)
            ignored = ids[y : y + rows] == self._classes.ignore_id
            here = scores[:, y : y + rows]
            if ignored.any():
                here = np.where(ignored, np.float32(0), here)
            check_scores(here, f"{self._uri}: {part}")
            for quantity, file in self._files.items():
                data = quantised(told_of(quantity, here))
                data[:, ignored] = UNKNOWN
                file.write(part, data)
