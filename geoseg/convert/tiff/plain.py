"""PlainTiff: a whole file that the quick reader can read without GDAL."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from affine import Affine
from numpy.typing import NDArray

from geoseg.convert.tiff.blocks import Blocks
from geoseg.convert.tiff.header import NotPlainError
from geoseg.convert.tiff.page import page_of
from geoseg.convert.tiff.pixels import read_pixels
from geoseg.convert.tiff.sidecars import has_sidecar

_LARGEST = 16 << 20
"""Bytes; for larger files the time that GDAL takes to open one does not matter."""
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""A pipe must not be waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class PlainTiff:
    """A plain TIFF, its header understood, its pixels still to be decoded."""

    blocks: Blocks
    transform: Affine | None
    """From pixel corner to ground; None without georeference."""
    kind: Hashable
    """See `Page.kind`."""
    file: bytes
    """All of it."""

    def read(self, bands: Sequence[int]) -> NDArray[Any]:
        """Bands, numbered from 1, as (band, height, width).

        Raises:
            DamagedError: The pixels are damaged.
        """
        return read_pixels(self.file, self.blocks, bands=bands)


def open_plain(path: str) -> PlainTiff | None:
    """A local TIFF for the quick reader; None for whatever is better left to GDAL."""
    if "://" in path or path.startswith("/vsi"):
        return None
    try:
        if has_sidecar(path):
            return None
        file = _whole(path)
        page = page_of(file)
        return PlainTiff(page.blocks, page.transform_in(file), page.kind, file)
    except (OSError, ValueError, struct.error, OverflowError, MemoryError):
        return None


def _whole(path: str) -> bytes:
    """All bytes of a file of moderate size, in one call."""
    handle = os.open(path, _FLAGS)
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            raise NotPlainError("no file, or a large one")
        return os.read(handle, state.st_size + 1)
    finally:
        os.close(handle)
