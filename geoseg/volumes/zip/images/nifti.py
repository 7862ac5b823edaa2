"""NIfTI images (versions 1 and 2): .nii and .nii.gz, in one file with their header.

The array's axes are those that nibabel shows, (i, j, k), read by `image_axes`; a further axis (time, or
the parts of a vector) holds channels. Values are scaled where the header tells how.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip.archive import Member, damage_told
from geoseg.volumes.zip.images.base import ByteFile, Header, Place
from geoseg.volumes.zip.images.plain import PlainArray
from geoseg.volumes.zip.region import Region


@dataclass(frozen=True)
class _Version:
    """Where a version of the format keeps what is used here, as `struct` reads it."""

    name: str
    size: int
    """Bytes of the header; it begins with this number."""
    magic: tuple[int, bytes]
    """(byte, what stands there) in a file that holds its own image."""
    dim: tuple[int, str]
    datatype: tuple[int, str]
    vox_offset: tuple[int, str]
    scaling: tuple[int, str]
    """The slope and, behind it, what is added."""

    def field(self, head: bytes, place: tuple[int, str], byte_order: str) -> tuple[Any, ...]:
        """The numbers of a field."""
        at, numbers = place
        return struct.unpack_from(byte_order + numbers, head, at)


# https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
_VERSIONS = (
    _Version(
        name="NIfTI-1",
        size=348,
        magic=(344, b"n+1\0"),
        dim=(40, "8h"),
        datatype=(70, "h"),
        vox_offset=(108, "f"),
        scaling=(112, "2f"),
    ),
    _Version(
        name="NIfTI-2",
        size=540,
        magic=(4, b"n+2\0\r\n\x1a\n"),
        dim=(16, "8q"),
        datatype=(12, "h"),
        vox_offset=(168, "q"),
        scaling=(176, "2d"),
    ),
)
_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_MOST_BYTES = max(version.size for version in _VERSIONS)
_GZIP = b"\x1f\x8b"
_MOST_AXES, _SPACE = 7, 3
_CHUNK = 2**20


@dataclass(frozen=True)
class _Unzipped:
    """The bytes of a gzipped member."""

    member: Member
    size: None = None

    @property
    def where(self) -> str:
        return self.member.where

    @property
    def packed(self) -> int:
        return self.member.packed

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with (
            self.member.open() as packed,
            damage_told(self.where),
            gzip.GzipFile(fileobj=packed) as stream,
        ):
            yield stream  # type: ignore[misc]

    def mapped(self) -> None:
        return None

    def check(self) -> None:
        self.member.check()


@dataclass(frozen=True)
class _Told:
    """What a header tells."""

    array: PlainArray
    slope: float
    inter: float

    @property
    def scaled(self) -> bool:
        """Whether values in the file are not those that are meant."""
        usable = np.isfinite(self.slope) and np.isfinite(self.inter) and self.slope != 0
        return bool(usable and (self.slope, self.inter) != (1, 0))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values that are meant: floating where they are scaled."""
        dtype = self.array.dtype.newbyteorder("=")
        return np.result_type(dtype, np.float32) if self.scaled else dtype


@dataclass(frozen=True)
class NiftiImage:
    """An image of a NIfTI file."""

    member: Member
    """The file, gzipped or not."""
    image_axes: ImageAxes
    """Its first three axes."""

    def header(self) -> Header:
        """What its header tells."""
        channel, depth, height, width = self._told.array.volume(self.member.where).shape
        return Header((channel, depth, height, width), self._told.dtype)

    def read(self, region: Region | None) -> NDArray[Any]:
        """A part, or all, scaled as the header says."""
        told = self._told
        data = told.array.read(self._file, region)
        if not told.scaled:
            return data
        scaled = data.astype(told.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled *= told.slope
            scaled += told.inter
        return scaled

    def place(self) -> Place:
        """Nothing: it tells of a body, not of the ground."""
        return Place()

    def check(self) -> None:
        """SourceError unless all of it can be read."""
        self.header()
        self._file.check()
        if self._file.size is None:
            array = self._told.array
            with self._file.open() as stream:
                held = sum(len(data) for data in iter(lambda: stream.read(_CHUNK), b""))
            if held < array.offset + array.nbytes:
                raise SourceError(
                    f"{self.member.where}: holds {held} bytes unzipped, its header promises "
                    f"{array.offset + array.nbytes}; it is damaged or cut short"
                )

    @cached_property
    def _file(self) -> ByteFile:
        with self.member.open() as stream:
            gzipped = stream.read(len(_GZIP)) == _GZIP
        return _Unzipped(self.member) if gzipped else self.member

    @cached_property
    def _told(self) -> _Told:
        with self._file.open() as stream:
            told = _described(stream.read(_MOST_BYTES), self.image_axes, self.member.where)
        told.array.check(self._file)
        return told


def _described(head: bytes, image_axes: ImageAxes, where: str) -> _Told:
    """What the first bytes of a file tell."""
    version, byte_order = _version(head, where)
    dim = version.field(head, version.dim, byte_order)
    (code,) = version.field(head, version.datatype, byte_order)
    (offset,) = version.field(head, version.vox_offset, byte_order)
    slope, inter = version.field(head, version.scaling, byte_order)
    at, magic = version.magic
    found = head[at : at + len(magic)]
    if found != magic:
        raise SourceError(
            f"{where}: is no {version.name} file that holds its own image (its magic is {found!r}); save "
            "it as one .nii file"
        )
    if code not in _TYPES:
        raise SourceError(
            f"{where}: holds values of NIfTI's type {code}, expected whole or floating numbers"
        )
    if not (version.size <= offset < 2**53 and offset == int(offset)):
        raise SourceError(f"{where}: its header says that the image begins at byte {offset}")
    array = PlainArray(
        dtype=np.dtype(byte_order + _TYPES[code]),
        shape=_sides(dim, where),
        order="F",
        offset=int(offset),
        image_axes=image_axes,
        channels="last",
    )
    return _Told(array, slope, inter)


def _version(head: bytes, where: str) -> tuple[_Version, str]:
    """(which one, its byte order), told by the size that a header begins with."""
    for version, order in product(_VERSIONS, "<>"):
        if head[:4] == struct.pack(f"{order}i", version.size) and len(head) >= version.size:
            return version, order
    raise SourceError(f"{where}: is no NIfTI file: it does not begin with the size of its header")


def _sides(dim: tuple[int, ...], where: str) -> tuple[int, ...]:
    """The array's shape: axes of one voxel after the third are left out."""
    count = dim[0]
    if not 1 < count <= _MOST_AXES or min(dim[1 : count + 1]) < 1:
        raise SourceError(f"{where}: its header tells the axes {dim}, expected 2 to 7 from 1 on")
    sides = dim[1 : count + 1]
    return sides[:_SPACE] + tuple(side for side in sides[_SPACE:] if side > 1)
