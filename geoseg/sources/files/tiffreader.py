"""Pixels of a local TIFF through tifffile and imagecodecs: faster than GDAL where tiles are JPEG.

The file is opened for each read, which costs less than a hundredth of decoding one tile: no handle is
left to be shared by processes or threads. What its header tells and decoded tiles are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.sources.cache import Cache, remember, stamp
from geoseg.sources.handles import decoding_thread_count
from geoseg.window import Window

TIFF_CACHE_BYTES = 1 << 28
"""Decoded tiles that a process keeps: two rows of tiles of a wide scene."""
_JPEG = (6, 7, 33007, 34892)
"""Numbers of JPEG among the codecs of TIFF."""
_AS_THEY_ARE = ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE")
"""Meanings of the numbers under which GDAL gives them unchanged too."""

_APART = 2
"""The planar configuration of bands that have tiles of their own."""

_tiles = Cache(limit_bytes=TIFF_CACHE_BYTES)


@dataclass(frozen=True, eq=False)
class _Tiff:
    """What is known of a file without reading a pixel. A strip counts as a tile of full width."""

    shape: tuple[int, int]
    """(height, width) of the raster."""
    bands: int
    dtype: np.dtype[Any]
    tile: tuple[int, int]
    """(height, width) of a tile."""
    apart: bool
    """Whether each band has tiles of its own."""
    places: NDArray[np.int64]
    """(tile, 2): where its bytes begin in the file, and how many they are; 0 for one left out."""
    fill: float
    """What stands in a tile that was left out."""
    decode: Callable[[bytes, int], NDArray[Any]]
    """(height, width, band) of a tile from its bytes and number; it may be cut at the raster's edge."""

    @property
    def counts(self) -> tuple[int, int]:
        """(rows of tiles, tiles in a row) of one band, or of all where they are together."""
        rows, columns = (-(-n // m) for n, m in zip(self.shape, self.tile, strict=True))
        return rows, columns

    def rows_of_tiles(self, window: Window) -> Iterator[list[tuple[int, Window]]]:
        """The tiles that meet a window: (number among those of the first band, place), by rows."""
        height, width = self.tile
        for row in range(window.row // height, -(-window.row_stop // height)):
            yield [
                (row * self.counts[1] + column, Window(row * height, column * width, height, width))
                for column in range(window.col // width, -(-window.col_stop // width))
            ]

    def number(self, first: int, band: int) -> tuple[int, int]:
        """(tile, plane in it) of a band, counted from 0, from the tile's number in the first band."""
        rows, columns = self.counts
        return (first + band * rows * columns, 0) if self.apart else (first, band)


def read_tiff(uri: str, bands: Sequence[int], window: Window) -> NDArray[Any]:
    """(band, height, width) of a window that lies in the raster, at full resolution.

    Lossless codecs give the same bytes as GDAL; JPEG differs, because another decoder rounds and
    spreads colours otherwise. Tiles are decoded in as many threads as `decoding_threads` says.

    Args:
        uri: A local file.
        bands: Numbers from 1.
        window: What is read.

    Raises:
        SourceError: The file is not local, no TIFF, damaged, or of a kind that is not supported; or
            tifffile is not installed.
    """
    state = stamp(uri)
    tiff = _describe(uri)
    data = np.empty((len(bands), *window.shape), tiff.dtype)
    threads = decoding_thread_count()
    pool = ThreadPoolExecutor(threads) if threads > 1 else nullcontext()
    with Path(uri).open("rb") as file, pool as workers:
        reading = Lock()

        def tile(number: int) -> NDArray[Any]:
            return _tiles.remember(
                ("tile", uri, state, number),
                lambda: _decode(uri, tiff, number, file, reading),
                nbytes=lambda planes: planes.nbytes,
            )

        for row in tiff.rows_of_tiles(window):
            numbers = sorted(
                {tiff.number(first, band - 1)[0] for first, _ in row for band in bands}
            )
            decoded = map(tile, numbers) if workers is None else workers.map(tile, numbers)
            of = dict(zip(numbers, decoded, strict=True))
            for first, place in row:
                part = place.intersection(window)
                if part is None:
                    continue
                source, target = part.relative_to(place).slices, part.relative_to(window).slices
                for plane, band in zip(data, bands, strict=True):
                    number, i = tiff.number(first, band - 1)
                    plane[target] = of[number][i][source]
    return data


def forget_tiles() -> None:
    """Drop the decoded tiles that this process keeps."""
    _tiles.clear()


def _decode(uri: str, tiff: _Tiff, number: int, file: BinaryIO, reading: Lock) -> NDArray[Any]:
    """(band, height, width) of a tile."""
    begin, count = (int(n) for n in tiff.places[number])
    if not count:
        bands = 1 if tiff.apart else tiff.bands
        return np.full((bands, *tiff.tile), tiff.fill, tiff.dtype)
    with reading:
        file.seek(begin)
        encoded = file.read(count)
    try:
        if len(encoded) < count:
            raise ValueError(f"{count - len(encoded)} bytes are missing")
        pixels = tiff.decode(encoded, number)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise SourceError(
            f"{uri}: tile {number} cannot be decoded: {error}; the file is truncated or damaged, copy "
            "it again"
        ) from error
    planes = np.empty((pixels.shape[-1], *pixels.shape[:-1]), tiff.dtype)
    for i, plane in enumerate(planes):  # six times as fast as moving the axis at once
        plane[...] = pixels[..., i]
    return planes


def _describe(uri: str) -> _Tiff:
    """What the header of a file tells, kept until the file changes."""
    return remember(
        ("tiff header", uri),
        lambda: _read_header(uri),
        files=(uri,),
        nbytes=lambda tiff: tiff.places.nbytes,
    )


def _read_header(uri: str) -> _Tiff:
    if stamp(uri) is None:
        raise SourceError(
            f'{uri}: reader="tifffile" reads local files only; leave `reader` out, or download it'
        )
    try:
        import imagecodecs  # noqa: F401 - tifffile does little without it
        import tifffile
    except ImportError as error:
        raise SourceError(
            f'{uri}: reader="tifffile" needs tifffile and imagecodecs, which are not installed; '
            'pip install "geoseg[tifffile]"'
        ) from error
    try:
        with tifffile.TiffFile(uri) as file:
            return _of_page(uri, file.pages.first)
    except (tifffile.TiffFileError, LookupError, ValueError) as error:
        raise SourceError(
            f'{uri}: tifffile cannot read it: {error}; reader="tifffile" reads TIFF only, leave '
            "`reader` out for all else that GDAL opens"
        ) from error


def _of_page(uri: str, page: Any) -> _Tiff:
    jpeg = int(page.compression) in _JPEG
    meaning = page.photometric.name if page.photometric is not None else "none"
    supported = meaning in _AS_THEY_ARE or (jpeg and meaning == "YCBCR")
    if not supported or page.dtype is None or page.imagedepth > 1:
        raise SourceError(
            f"{uri}: is a TIFF of {page.bitspersample}-bit {meaning} samples, which "
            'reader="tifffile" does not read as GDAL does; leave `reader` out'
        )
    tables, decode = page.jpegtables, page.decode
    return _Tiff(
        shape=(page.imagelength, page.imagewidth),
        bands=page.samplesperpixel,
        dtype=np.dtype(page.dtype).newbyteorder("="),
        tile=(page.tilelength, page.tilewidth)
        if page.is_tiled
        else (min(page.rowsperstrip, page.imagelength), page.imagewidth),
        apart=page.planarconfig == _APART and page.samplesperpixel > 1,
        places=np.array([page.dataoffsets, page.databytecounts], np.int64).T,
        fill=page.nodata,
        decode=lambda encoded, number: decode(encoded, number, jpegtables=tables)[0][0],
    )
