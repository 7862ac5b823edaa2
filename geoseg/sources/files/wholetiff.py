"""What all GeoTIFFs that are written have in common: their codec, and the look over them at the end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import MemoryFile

from geoseg.errors import StoreError
from geoseg.rasterpath import georeference_optional
from geoseg.sources.handles import GDAL_ERRORS

_NO_TILE: tuple[type[Exception], ...] = (*GDAL_ERRORS, TypeError)
"""What asking for the place of a tile raises where there is none."""


@lru_cache
def codec() -> tuple[str, str]:
    """(compression, creation option of its level): ZSTD where this GDAL has it, else deflate."""
    try:
        with MemoryFile() as memory, georeference_optional():
            memory.open(
                driver="GTiff", width=1, height=1, count=1, dtype="uint8", compress="zstd"
            ).close()
    except GDAL_ERRORS:
        return "deflate", "zlevel"
    return "zstd", "zstd_level"


def check_whole(path: Path, uri: str, *, trailer: int = 0) -> None:
    """See that every tile lies in the file: GDAL tells nobody when the disk fills up at the end.

    Args:
        path: The file as it was written.
        uri: The name that it will have.
        trailer: Bytes that follow the last tile.

    Raises:
        StoreError: The file ends too early.
    """
    try:
        with georeference_optional():
            dataset = rasterio.open(path)
        with dataset:
            end = max(_tile_ends(dataset))
    except _NO_TILE as error:  # no header; no place given for a tile
        raise not_written(uri, error) from error
    size = path.stat().st_size
    if end + trailer > size:
        raise not_written(uri, f"it ends after {size} bytes, expected {end + trailer}")


def not_written(uri: str, why: object) -> StoreError:
    """The error of a file that did not become whole."""
    return StoreError(
        f"{uri}: cannot be written whole: {why}; what had this name before is as it was. Is the disk "
        "full?"
    )


def _tile_ends(dataset: Any) -> Iterator[int]:
    """The byte after each tile of the full resolution."""
    apart = dataset.interleaving is not None and dataset.interleaving.value == "BAND"
    high, wide = dataset.block_shapes[0]
    for band in dataset.indexes if apart else (1,):
        for y in range(-(-dataset.height // high)):
            for x in range(-(-dataset.width // wide)):
                start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=band)
                size = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=band)
                yield int(start) + int(size)
