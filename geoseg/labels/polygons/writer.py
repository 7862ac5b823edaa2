"""VectorLabelWriter: rows of class ids in, polygons out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Scores
from geoseg.labels.ids import check_ids
from geoseg.labels.polygons.files import placed
from geoseg.labels.polygons.ground import pixel_area_m2
from geoseg.labels.polygons.opening import Opening
from geoseg.labels.polygons.rectangles import rectangles
from geoseg.labels.polygons.rings import Polygons
from geoseg.labels.polygons.seams import SeamUnion
from geoseg.labels.polygons.simplify import simplified
from geoseg.labels.polygons.spool import Spool
from geoseg.labels.polygons.trace import Regions, trace
from geoseg.warn import warn
from geoseg.window import Window

if TYPE_CHECKING:
    from geoseg.labels.vector import VectorLabelStore

_STRIP_PIXELS = 8 << 20
"""Pixels traced at once, within 64 and 512 rows."""


class VectorLabelWriter:
    """Makes polygons of whole rows, from top to bottom; rows that are left out are ignored.

    Memory: a strip of 512 rows (fewer where rows are long), and the pieces of the regions that reach its end.
    """

    def __init__(
        self, store: VectorLabelStore, grid: Grid, classes: ClassMap, *, ids: frozenset[int], spool: Spool
    ) -> None:  # fmt: skip
        """Begin above the first row; `VectorLabelStore.writer` makes and finishes it.

        Args:
            store: What is wanted.
            grid: Where the pixels lie.
            classes: What the ids mean.
            ids: Classes that become polygons.
            spool: Where finished regions go.
        """
        self._store, self._grid, self._classes, self._spool = store, grid, classes, spool
        self._wanted = bytes(i if i in ids else classes.ignore_id for i in range(256))
        self._strip_rows = min(max(_STRIP_PIXELS // grid.width, 64), 512)
        self._ids = np.empty((self._strip_rows, grid.width), np.uint8)
        self._scores = np.zeros(self._ids.shape, np.float32) if store.scores else None
        self._row, self._traced = 0, 0
        self._opening = Opening(
            max(store.denoise_px, 1), width=grid.width, ignore_id=classes.ignore_id
        )
        self._seams = SeamUnion(grid.width)
        self._kept: list[Regions] = []
        self._small = 0
        self.told: str | None = None
        """What the file is to keep beside the polygons; see `tell`."""

    def tell(self, text: str) -> None:
        """Keep a text in the file, as the tag GEOSEG_PREDICTION; see `geoseg.labels.manifest.tell`."""
        self.told = text

    def write(self, window: Window, ids: Ids, scores: Scores | None = None) -> None:
        """Take the next rows; see LabelWriter.

        Args:
            window: Whole rows of the grid, below those written before.
            ids: (height, width) uint8, classes or `ignore_id`.
            scores: (class, height, width), where the store keeps scores; otherwise they are not looked at.

        Raises:
            GridError: The window is no whole rows, or not below the last.
            LabelError: An array has another shape or dtype, ids are outside the class map, or scores that
                the store keeps are missing.
            StoreError: The disk is full.
        """
        self._check(window, ids, scores)
        self._skip_to(window.row)
        if not self._store.scores:
            scores = None
        for start in range(0, window.height, self._strip_rows):
            part = slice(start, start + self._strip_rows)
            self._gather(ids[part], None if scores is None else scores[:, part])

    def finish(self) -> None:
        """Make polygons of what is left; then tell what was left out."""
        self._skip_to(self._grid.height)
        if self._kept:
            regions = Regions.joined(self._kept)
            outlines = simplified(regions.polygons, self._grid, metres=self._store.simplify_m)
            self._append(regions, outlines)
        self._warn()

    def _check(self, window: Window, ids: Ids, scores: Scores | None) -> None:
        uri, grid = self._store.uri, self._grid
        whole = (window.col, window.width) == (0, grid.width)
        if not whole or window.row < self._row or window.row_stop > grid.height:
            raise GridError(
                f"{uri}: got {window}, expected whole rows of {grid.width} px that begin at row "
                f"{self._row} or below and end at {grid.height}: polygons are made from top to bottom; "
                "write a GeoTIFF first and make polygons of it"
            )
        if ids.shape != window.shape:
            raise LabelError(
                f"{uri}: ids of {window} have shape {ids.shape}, expected {window.shape}"
            )
        check_ids(ids, self._classes, f"{uri}: {window}")
        expected = (len(self._classes), *window.shape)
        if self._store.scores and (scores is None or scores.shape != expected):
            got = "no scores" if scores is None else f"scores of shape {scores.shape}"
            raise LabelError(
                f"{uri}: got {got} of {window}, expected {expected}; pass them, or scores=False to the "
                "store"
            )

    def _skip_to(self, row: int) -> None:
        """Rows that nobody wrote are ignored."""
        while self._row < row:
            rows = min(row - self._row, self._strip_rows)
            self._gather(np.full((rows, self._grid.width), self._classes.ignore_id, np.uint8), None)

    def _gather(self, ids: Ids, scores: Scores | None) -> None:
        """Add rows, a strip at most, and trace a strip when it is full."""
        done = 0
        while done < len(ids):
            filled = self._row % self._strip_rows
            rows = min(self._strip_rows - filled, len(ids) - done)
            given, strip = slice(done, done + rows), slice(filled, filled + rows)
            flat = ids[given].tobytes().translate(self._wanted)
            self._ids[strip] = np.frombuffer(flat, np.uint8).reshape(rows, -1)
            if self._scores is not None and scores is not None:
                self._take_scores(scores[:, given], self._ids[strip], self._scores[strip])
            self._row, done = self._row + rows, done + rows
            if filled + rows == self._strip_rows or self._row == self._grid.height:
                self._trace(filled + rows)

    def _take_scores(self, scores: Scores, ids: Ids, own: Scores) -> None:
        """Of each pixel the score of its own class; what ignored pixels keep is never looked at."""
        for channel, class_id in enumerate(self._classes.ids):
            np.copyto(own, scores[channel], where=ids == class_id)
        if not np.isfinite(own).all():
            raise LabelError(
                f"{self._store.uri}: scores are NaN or infinite where a class is, from row {self._row} on; "
                "look for NaN in the image, or ignore those pixels"
            )

    def _trace(self, rows: int) -> None:
        """Polygons of the rows that are gathered."""
        last = self._row == self._grid.height
        scores = None if self._scores is None else self._scores[:rows]
        ids = self._ids[:rows]
        if self._store.denoise_px > 1:
            ids, scores = self._opening.push(ids, scores, last=last)
        if not len(ids):
            return
        top, self._traced = self._traced, self._traced + len(ids)
        pieces = trace(ids, ignore_id=self._classes.ignore_id, top=top, scores=scores)
        for regions in self._seams.push(pieces, top=top, bottom=self._traced, last=last):
            large = self._large(regions)
            if self._store.simplify_m > 0:
                self._kept.append(large)
            else:
                self._append(large, large.polygons)

    def _large(self, regions: Regions) -> Regions:
        """Without what is smaller than wanted on the ground."""
        if self._store.min_area_m2 <= 0:
            return regions
        centres = shapely.get_coordinates(shapely.centroid(regions.polygons))
        areas = regions.pixels * pixel_area_m2(self._grid, *centres.T)
        large = areas >= self._store.min_area_m2
        self._small += int((~large).sum())
        return regions.take(large)

    def _append(self, regions: Regions, outlines: Polygons) -> None:
        """Hand over regions as they are drawn: by outlines, or as rectangles."""
        if not len(regions):
            return
        if self._store.rectangle_iou > 0:
            share = self._store.rectangle_iou
            chosen, drawn = rectangles(regions.polygons, self._grid, iou=share)
            outlines = outlines.copy()
            outlines[chosen] = drawn
        means = None if regions.scores is None else regions.scores / regions.pixels
        names = [self._classes.name_of(i) for i in regions.ids.tolist()]
        ground = placed(outlines, self._grid, self._store.uri)
        self._spool.append(ground, regions.ids, names, means)

    def _warn(self) -> None:
        told = []
        if self._opening.left_out:
            size = self._store.denoise_px
            told.append(f"{self._opening.left_out} pixels that no {size} x {size} square covers")
        if self._small:
            told.append(f"{self._small} regions below {self._store.min_area_m2:g} m2")
        if told:
            text = f"{self._store.uri}: left out as asked: {' and '.join(told)}"
            warn(text)
