"""What all image formats share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.volumes.zip.region import Region


@dataclass(frozen=True)
class Place:
    """Where the slices of an image lie, as its own file tells."""

    crs: CRS | None = None
    transform: Affine | None = None
    """Pixel corner to ground."""


@dataclass(frozen=True)
class Header:
    """What is known of an image without its voxels."""

    shape: tuple[int, int, int, int]
    """(channel, depth, height, width)."""
    dtype: np.dtype[Any]
    """In the byte order of this machine."""
    colours: bool = False
    """Whether the file says that its slices are the red, green and blue of one picture."""


class ImageFile(Protocol):
    """An image of a zip."""

    def header(self) -> Header:
        """What is known without its voxels; SourceError where it is damaged or of another kind."""

    def read(self, region: Region | None) -> NDArray[Any]:
        """A part that lies inside, or all (None): (channel, depth, height, width), C-contiguous."""

    def check(self) -> None:
        """SourceError unless all its bytes can be read."""

    def place(self) -> Place:
        """Where all its slices lie, as far as the file tells; SourceError where it is damaged."""


class ByteFile(Protocol):
    """Bytes in which an array lies."""

    @property
    def where(self) -> str:
        """What errors call it."""

    @property
    def size(self) -> int | None:
        """Bytes, unpacked; None where that is not known before they are read."""

    @property
    def packed(self) -> int:
        """Bytes in the file."""

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """The bytes from the first on."""

    def mapped(self) -> NDArray[np.uint8] | None:
        """The bytes, loaded as they are looked at; None where they are packed."""

    def check(self) -> None:
        """SourceError unless all bytes can be read."""
