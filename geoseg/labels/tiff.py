"""The file behind GeoTIFFLabelStore: made, filled up to a COG, looked over before it gets its name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.sources.handles import GDAL_ERRORS, block_cache

CLASSES_TAG = "GEOSEG_CLASSES"
"""The dataset tag with the class map as JSON: ids, names, colours, `ignore_id`."""
TILE = 512
"""Pixels a side."""
COG_TRAILER = 4
"""Bytes that follow the last tile of a COG."""

_COPY_CACHE = 32 << 20
"""Bytes of decoded blocks while the COG is made, unless the rows are very wide."""


_NO_TILE: tuple[type[Exception], ...] = (*GDAL_ERRORS, TypeError)
"""What asking for the place of a tile raises where there is none."""


@contextmanager
def create(path: Path, grid: Grid, classes: ClassMap, uri: str) -> Iterator[Any]:
    """An open file with everything but pixels; those that are never written become `ignore_id`."""
    compression, level = codec()
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": classes.ignore_id,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": compression,
        level: 1,
        "bigtiff": "IF_SAFER",
        "photometric": "palette",
    }
    try:
        with warnings.catch_warnings():
            # A raster without georeference, such as a PNG, is a good one.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path, "w", **profile)
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error
    with dataset:
        dataset.update_tags(**{CLASSES_TAG: classes.model_dump_json(), "AREA_OR_POINT": "Area"})
        dataset.write_colormap(1, classes.color_table())
        yield dataset


def copy_to_cog(source: Path, target: Path, grid: Grid, uri: str) -> None:
    """The same pixels as a cloud-optimised GeoTIFF."""
    compression, _ = codec()
    try:
        with block_cache(max(_COPY_CACHE, 4 * TILE * grid.width)):
            rasterio.shutil.copy(
                source,
                target,
                driver="COG",
                blocksize=TILE,
                compress=compression,
                level=1,
                predictor="no",
                bigtiff="if_safer",
                overview_resampling="mode",
            )
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error


def check_whole(path: Path, grid: Grid, uri: str, *, trailer: int = 0) -> None:
    """See that every tile lies in the file: GDAL tells nobody when the disk fills up at the end.

    Raises:
        StoreError: The file ends too early.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                end = max(_tile_ends(dataset, grid))
    except _NO_TILE as error:  # no header; no place given for a tile
        raise not_written(uri, error) from error
    size = path.stat().st_size
    if end + trailer > size:
        raise not_written(uri, f"it ends after {size} bytes, expected {end + trailer}")


def _tile_ends(dataset: Any, grid: Grid) -> Iterator[int]:
    """The byte after each tile."""
    for y in range(-(-grid.height // TILE)):
        for x in range(-(-grid.width // TILE)):
            start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1)
            yield int(start) + int(dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1))


@lru_cache
def codec() -> tuple[str, str]:
    """(compression, creation option of its level): ZSTD where this GDAL has it, else deflate."""
    try:
        with MemoryFile() as memory, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            memory.open(
                driver="GTiff", width=1, height=1, count=1, dtype="uint8", compress="zstd"
            ).close()
    except GDAL_ERRORS:
        return "deflate", "zlevel"
    return "zstd", "zstd_level"


def not_written(uri: str, why: object) -> StoreError:
    """The error of a file that did not become whole."""
    return StoreError(
        f"{uri}: cannot be written whole: {why}; what had this name before is as it was. Is the disk "
        "full?"
    )
