"""Whether the deflated blocks of a TIFF that GDAL reads are whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from itertools import product
from pathlib import Path
from typing import Any

from rasterio.enums import Compression, Interleaving

from geoseg.convert.tiff.header import DamagedError
from geoseg.sources.handles import GDAL_ERRORS

_STEP = 1 << 20
"""Bytes that are inflated at once, to be thrown away."""
_NO_BLOCK: tuple[type[Exception], ...] = (*GDAL_ERRORS, TypeError)
"""What asking for the place of a block raises where there is none, as in a sparse file."""


def check_deflated(path: str, dataset: Any, bands: Sequence[int]) -> None:
    """Inflate every block of some bands once more, if they are deflated, and look at the checksums.

    GDAL with libdeflate gives noise for a damaged block, another at each reading, without an error.

    Args:
        path: The file; nothing is done unless it is a local one.
        dataset: The same, open in rasterio.
        bands: Numbers from 1.

    Raises:
        DamagedError: A block is cut short, or damaged.
    """
    deflated = dataset.driver == "GTiff" and dataset.compression == Compression.deflate
    if not deflated or not Path(path).is_file():
        return
    each = bands if dataset.interleaving == Interleaving.band else bands[:1]
    with Path(path).open("rb") as file:
        for band in each:
            for offset, size in _blocks(dataset, band):
                _check(file, offset, size, f"a deflated block of band {band} is damaged")


def _blocks(dataset: Any, band: int) -> Iterator[tuple[int, int]]:
    """(offset, size) of each block of a band that is in the file, in bytes."""
    height, width = dataset.block_shapes[band - 1]
    rows, cols = -(-dataset.height // height), -(-dataset.width // width)
    for row, col in product(range(rows), range(cols)):
        try:
            place = [
                dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band)
                for what in ("OFFSET", "SIZE")
            ]
        except _NO_BLOCK:
            continue
        if all(place):
            yield int(place[0]), int(place[1])


def _check(file: BufferedIOBase, offset: int, size: int, text: str) -> None:
    """See that the stream of a block comes to its end, with the right checksum."""
    file.seek(offset)
    decoder, block = zlib.decompressobj(), file.read(size)
    try:
        while block and not decoder.eof:
            made = decoder.decompress(block, _STEP)
            block = decoder.unconsumed_tail
            if not made and not block:
                break
    except zlib.error as error:
        raise DamagedError(f"{text} ({str(error).rpartition(': ')[2]})") from error
    if not decoder.eof:
        raise DamagedError(f"{text} (it has no end)")
