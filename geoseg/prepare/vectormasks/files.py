"""The files of masks: tiled GeoTIFFs, with names and colours where there are classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.tiff import CLASSES_TAG
from geoseg.prepare.vectormasks.encoding import Encoding
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import check_whole, codec, not_written
from geoseg.sources.handles import GDAL_ERRORS
from geoseg.window import Window

TILE = 256
"""Pixels a side."""
_ROWS, _COLS = 4 * TILE, 16 * TILE
"""Pixels that are burned at once: whole tiles, so that each is compressed once."""
_COLORED = ("uint8", "uint16")
"""The dtypes that a GeoTIFF has colour tables for."""


def blocks(window: Window) -> Iterator[Window]:
    """The parts of a mask that are burned at once, counted from the mask's first pixel."""
    for top in range(0, window.height, _ROWS):
        for left in range(0, window.width, _COLS):
            height, width = min(_ROWS, window.height - top), min(_COLS, window.width - left)
            yield Window(top, left, height, width)


@contextmanager
def mask_file(
    path: Path, uri: str, grid: Grid, encoding: Encoding, classes: ClassMap | None
) -> Iterator[Any]:
    """An open mask to write to, whole at the end.

    Args:
        path: Where it is written.
        uri: The name that it will have, for errors.
        grid: Its pixels.
        encoding: Its numbers; ignored ones are its nodata.
        classes: Names and colours.

    Raises:
        StoreError: It cannot be written whole.
    """
    compression, level = codec()
    try:
        with (
            georeference_optional(),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                dtype=encoding.dtype.name,
                count=1,
                height=grid.height,
                width=grid.width,
                crs=grid.crs,
                transform=grid.transform,
                nodata=encoding.ignore_id,
                tiled=True,
                blockxsize=TILE,
                blockysize=TILE,
                compress=compression,
                bigtiff="IF_SAFER",
                **{level: 1},
            ) as file,
        ):
            file.update_tags(AREA_OR_POINT="Area")
            if classes is not None:
                file.update_tags(**{CLASSES_TAG: classes.model_dump_json()})
                if encoding.dtype.name in _COLORED:
                    file.write_colormap(1, classes.color_table())
            yield file
    except GDAL_ERRORS as error:
        raise not_written(uri, error.__cause__ or error) from error
    check_whole(path, uri)
