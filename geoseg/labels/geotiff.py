"""GeoTIFFLabelStore: class ids in a tiled GeoTIFF that explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, LabelStore, Scores
from geoseg.labels.ids import check_ids, pad_ids
from geoseg.labels.tiff import (
    CLASSES_TAG,
    COG_TRAILER,
    TILE,
    copy_to_cog,
    create,
)
from geoseg.outputs import written_whole
from geoseg.sources.files.wholetiff import check_whole, not_written
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.spec import Uri
from geoseg.window import Window


class GeoTIFFLabelStore(LabelStore):
    """Class ids as a GeoTIFF: one uint8 band, `ignore_id` as nodata, colours and class names.

    The file has tiles of 512 pixels and is compressed without loss (ZSTD, or deflate where this GDAL
    has no ZSTD). It keeps ids only: scores that a writer is given are not stored. It appears under
    its name when it is whole; until then a file that was there stays as it is.
    """

    type: Literal["geotiff"] = "geotiff"
    uri: Uri
    """A local path; missing folders are made."""
    cog: bool = True
    """Whether to make it a cloud-optimised GeoTIFF, with overviews by the most frequent id."""

    @contextmanager
    def writer(self, grid: Grid, classes: ClassMap) -> Iterator[GeoTIFFLabelWriter]:
        """A context in which ids are written; see GeoTIFFLabelWriter and LabelStore.

        What is never written is `ignore_id`. Memory: 512 rows, whatever the height.

        Raises:
            StoreError: The folder cannot be written, or the disk is full.
        """
        with written_whole(self.uri) as path:
            tiles = path.with_name(f"tiles-{path.name}") if self.cog else path
            with create(tiles, grid, classes, self.uri) as dataset:
                writer = GeoTIFFLabelWriter(dataset, grid, classes, self.uri)
                yield writer
                writer.flush()
            check_whole(tiles, self.uri)
            if self.cog:
                copy_to_cog(tiles, path, grid, self.uri)
                check_whole(path, self.uri, trailer=COG_TRAILER)
        for suffix in (".aux.xml", ".ovr", ".msk"):  # they told about the file that was replaced
            Path(self.uri + suffix).unlink(missing_ok=True)

    def read(self) -> GeoTIFFLabels:
        """The labels that were written.

        Raises:
            StoreError: There is no such file, or it names no classes.
        """
        return GeoTIFFLabels(self.uri)


class GeoTIFFLabelWriter:
    """Writes ids to an open GeoTIFF.

    Full-width windows from top to bottom are the fast way: they are gathered to whole rows of tiles,
    so that each tile is compressed once and equal ids give equal bytes. Other windows are written
    as they come.
    """

    def __init__(self, dataset: Any, grid: Grid, classes: ClassMap, uri: str) -> None:
        """Begin with nothing gathered; `GeoTIFFLabelStore.writer` makes and closes it."""
        self._dataset, self._grid, self._classes, self._uri = dataset, grid, classes, uri
        self._gathered = np.empty((TILE, grid.width), np.uint8)
        self._first, self._count = 0, 0  # the rows that are gathered, never across a row of tiles

    def write(self, window: Window, ids: Ids, scores: Scores | None = None) -> None:  # noqa: ARG002
        """Write the ids of a window; see LabelWriter. Scores are not stored.

        Args:
            window: It lies in the grid.
            ids: (height, width) uint8, classes or `ignore_id`.
            scores: Taken for the sake of other stores.

        Raises:
            GridError: The window reaches past the grid.
            LabelError: The array has another shape or dtype, or ids are outside the class map.
            StoreError: The file cannot be written.
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
        if window.width == self._grid.width:
            self._gather(window.row, ids)
        else:
            self.flush()
            self._put(window, ids)

    def flush(self) -> None:
        """Write the rows that are gathered."""
        if self._count:
            window = Window(self._first, 0, self._count, self._grid.width)
            self._put(window, self._gathered[: self._count])
        self._first, self._count = self._first + self._count, 0

    def _gather(self, row: int, ids: Ids) -> None:
        if row != self._first + self._count:
            self.flush()
            self._first = row
        while len(ids):
            room = TILE - (self._first + self._count) % TILE
            part, ids = ids[:room], ids[room:]
            self._gathered[self._count : self._count + len(part)] = part
            self._count += len(part)
            if len(part) == room:
                self.flush()

    def _put(self, window: Window, ids: Ids) -> None:
        try:
            self._dataset.write(ids, 1, window=window.to_rasterio())
        except GDAL_ERRORS as error:
            raise not_written(self._uri, error.__cause__ or error) from error


class GeoTIFFLabels(Labels):
    """Class ids in a file that GeoTIFFLabelStore wrote."""

    def __init__(self, uri: str) -> None:
        """Read the grid and the class map; pixels are read when they are asked for.

        Raises:
            StoreError: There is no such file, or it names no classes.
        """
        try:
            dataset = open_raster(uri)
        except SourceError as error:
            raise StoreError(str(error)) from error
        self.uri = uri
        self.grid = Grid.of_dataset(dataset)
        self.classes = _classes_of(dataset, uri)

    def read(self, window: Window) -> Ids:
        """The ids of a window; see Labels.

        Raises:
            StoreError: The file is damaged, or was replaced by one of another size.
        """
        return pad_ids(
            window, self.grid, ignore_id=self.classes.ignore_id, inside=self._read_inside
        )

    def _read_inside(self, window: Window) -> Ids:
        try:
            dataset = open_raster(self.uri)
            if dataset.shape != self.grid.shape:
                raise StoreError(
                    f"{self.uri}: was replaced since it was opened: it has {dataset.height} x "
                    f"{dataset.width} px, expected {self.grid.height} x {self.grid.width}; read the "
                    "labels from the store again"
                )
            ids: Ids = dataset.read(1, window=window.to_rasterio())
        except SourceError as error:
            raise StoreError(str(error)) from error
        except GDAL_ERRORS as error:
            raise StoreError(
                f"{self.uri}: cannot read {window}: {error.__cause__ or error}; the file is truncated "
                "or damaged, write it again"
            ) from error
        return ids


def _classes_of(dataset: Any, uri: str) -> ClassMap:
    text = dataset.tags().get(CLASSES_TAG)
    if text is None or dataset.dtypes != ("uint8",):
        raise StoreError(
            f"{uri}: is no label file of geoseg: it has {dataset.count} band(s) of "
            f"{dataset.dtypes[0]} and {'a' if text else 'no'} tag {CLASSES_TAG}; for any other raster "
            "of ids take RasterLabels(source=..., classes=...)"
        )
    try:
        return ClassMap.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{uri}: the tag {CLASSES_TAG} holds no class map: {error}; take RasterLabels(source=..., "
            "classes=...)"
        ) from error
