"""One tile: the bytes of a PNG, JPEG or WebP picture, decoded by GDAL or found to be bad."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from geoseg.sources.handles import GDAL_ERRORS

_DRIVERS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
_SIDECAR = b"<PAMDataset><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>"
"""Lies beside each tile, so that rasterio does not warn of a picture without georeference: to hold a
warning back costs more, and touches filters that belong to the whole process."""
_OPTIONS = {
    # Corrupt JPEG data is only a warning otherwise, and the pixels are noise.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",
    # GDAL's short cut for whole pictures takes a PNG that lacks rows for a whole one, with black there.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # Whatever the caller has set, the sidecar is to be seen.
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    "GDAL_PAM_ENABLED": "YES",
}
_PNG_HEAD = 8
_ALPHA_OF_PALETTE = 3


@dataclass(frozen=True, eq=False)
class TileImage:
    """Pixels of one tile."""

    data: NDArray[np.uint8]
    """(3, size, size) red, green, blue."""
    valid: NDArray[np.bool_] | None
    """(size, size), True where alpha is not 0; None: everywhere."""

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.data.nbytes + (0 if self.valid is None else self.valid.nbytes)


class BadTileError(ValueError):
    """A tile cannot be decoded; the text says why."""


def format_of(blob: Any) -> str:
    """png, jpg or webp by the first bytes; "vector", "empty" or "unknown" for what is no picture."""
    if not isinstance(blob, bytes) or not blob:
        return "empty"
    if blob.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if blob.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if blob.startswith(b"RIFF") and blob[8:12] == b"WEBP":
        return "webp"
    # gzip and zlib, or the first layer of a bare protocol buffer
    if blob.startswith((b"\x1f\x8b", b"\x78\x9c", b"\x78\xda", b"\x1a")):
        return "vector"
    return "unknown"


def size_of(blob: bytes) -> tuple[int, int] | None:
    """(height, width) by the head of the picture alone; None where that is damaged."""
    kind = format_of(blob)
    if kind == "png" and blob[12:16] == b"IHDR":
        return _number(blob[20:24], "big"), _number(blob[16:20], "big")
    if kind == "webp":
        return _size_of_webp(blob)
    return _size_of_jpeg(blob) if kind == "jpg" else None


def decode(blob: Any, *, size: int) -> TileImage:
    """The pixels of a tile, equal to what GDAL's own MBTiles driver makes of it.

    Grey and palette pictures become red, green and blue.

    Args:
        blob: The bytes of the picture.
        size: Pixels on a side that it must have.

    Raises:
        BadTileError: It is no PNG, JPEG or WebP, is damaged, or of another size or depth.
    """
    kind = format_of(blob)
    if kind == "empty":
        raise BadTileError("it is empty (0 bytes)")
    if kind not in _DRIVERS:
        raise BadTileError(f"it is no PNG, JPEG or WebP, it begins with {blob[:8]!r}")
    if kind == "png":
        _refuse_cut_png(blob)
    try:
        bands, palette, alpha_last = _read(blob, _DRIVERS[kind], size)
    except GDAL_ERRORS as error:
        cause = str(error.__cause__ or error).partition(" (this error")[0]
        raise BadTileError(f"the {kind} of {len(blob)} bytes is damaged: {cause}") from error
    return _colors(bands, palette, alpha_last=alpha_last)


def _read(
    blob: bytes, driver: str, size: int
) -> tuple[NDArray[np.uint8], dict[int, Any] | None, bool]:
    """(band, size, size) as stored, the palette if any, and whether the last band is alpha."""
    folder = f"geoseg-tile-{os.getpid()}-{threading.get_ident()}"
    with (
        rasterio.Env(**_OPTIONS),
        MemoryFile(_SIDECAR, dirname=folder, filename="tile.aux.xml"),
        MemoryFile(blob, dirname=folder, filename="tile") as memory,
        rasterio.open(memory.name, driver=driver) as picture,
    ):
        if picture.shape != (size, size):
            height, width = picture.shape
            raise BadTileError(f"it is {width} x {height} px, the others are {size} x {size}")
        if picture.dtypes[0] != "uint8":
            raise BadTileError(f"its pixels are {picture.dtypes[0]}, expected uint8")
        kinds = picture.colorinterp
        palette = picture.colormap(1) if kinds[0] == ColorInterp.palette else None
        return picture.read(), palette, kinds[-1] == ColorInterp.alpha


def _colors(
    bands: NDArray[np.uint8], palette: dict[int, Any] | None, *, alpha_last: bool
) -> TileImage:
    alpha = bands[-1] if alpha_last else None
    if palette is not None:
        table = np.zeros((256, 4), np.uint8)
        table[list(palette)] = list(palette.values())
        bands = np.ascontiguousarray(np.moveaxis(table[bands[0]], -1, 0))
        alpha = bands[_ALPHA_OF_PALETTE]
    count = len(bands) - (alpha is not None)
    if count not in (1, 3):
        raise BadTileError(f"it has {count} bands of colour, expected 1 or 3")
    data = bands[:3] if count == 3 else np.repeat(bands[:1], 3, axis=0)  # noqa: PLR2004
    valid = None if alpha is None or alpha.all() else alpha > 0
    return TileImage(data.copy() if data.base is not None else data, valid)


def _refuse_cut_png(blob: bytes) -> None:
    """GDAL reads half a PNG as one that is black from there on, without a word."""
    place = _PNG_HEAD
    while place + 12 <= len(blob):
        length, kind = _number(blob[place : place + 4], "big"), blob[place + 4 : place + 8]
        place += 12 + length
        if kind == b"IEND":
            break
    else:
        kind = b""
    if kind != b"IEND" or place > len(blob):
        raise BadTileError(f"the png is damaged: it breaks off after {len(blob)} bytes")


def _size_of_jpeg(blob: bytes) -> tuple[int, int] | None:
    """From its frame header, after the segments before that."""
    place = 2
    while place + 9 <= len(blob) and blob[place] == 0xFF:  # noqa: PLR2004
        marker = blob[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004
            return _number(blob[place + 5 : place + 7], "big"), _number(
                blob[place + 7 : place + 9], "big"
            )
        place += 2 + _number(blob[place + 2 : place + 4], "big")
    return None


def _size_of_webp(blob: bytes) -> tuple[int, int] | None:
    """From the first chunk, which is of one of three kinds."""
    kind = blob[12:16]
    if kind == b"VP8X":
        return _number(blob[27:30], "little") + 1, _number(blob[24:27], "little") + 1
    if kind == b"VP8L":
        bits = _number(blob[21:25], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(blob[28:30], "little") & 0x3FFF, _number(blob[26:28], "little") & 0x3FFF
    return None


def _number(part: bytes, order: Any) -> int:
    return int.from_bytes(part, order)
