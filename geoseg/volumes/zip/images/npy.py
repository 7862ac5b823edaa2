"""Images that numpy saved: .npy, and .npz with one array. Pickles are never loaded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip.archive import Member, zip_in
from geoseg.volumes.zip.images.base import ByteFile, Header, Place
from geoseg.volumes.zip.images.plain import PlainArray
from geoseg.volumes.zip.region import Region

_MAGIC = b"\x93NUMPY"
_LONGEST = 10_000
"""Bytes of a header; those of arrays without fields are far shorter."""
_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
_DESCR = re.compile(r"""["']descr["']\s*:\s*["']([^"']*)["']""")
_FORTRAN = re.compile(r"""["']fortran_order["']\s*:\s*(True|False)""")
_SHAPE = re.compile(r"""["']shape["']\s*:\s*\(([\d\s,]*)\)""")
_DIGITS = 18
"""Of a side: more do not fit 64 bits."""


@dataclass(frozen=True)
class NpyImage:
    """An array of a .npy file."""

    file: ByteFile
    """Its bytes."""
    image_axes: ImageAxes
    """Its axes, channels left out."""

    def header(self) -> Header:
        """What its header tells."""
        volume = self._array.volume(self.file.where)
        channel, depth, height, width = volume.shape
        return Header((channel, depth, height, width), self._array.dtype.newbyteorder("="))

    def read(self, region: Region | None) -> NDArray[Any]:
        """A part, or all."""
        return self._array.read(self.file, region)

    def place(self) -> Place:
        """Nothing: the format tells none."""
        return Place()

    def check(self) -> None:
        """SourceError unless header and bytes are sound."""
        self.header()
        self.file.check()

    @cached_property
    def _array(self) -> PlainArray:
        with self.file.open() as stream:
            array = _described(stream, self.image_axes, self.file.where)
        array.check(self.file)
        return array


def npz_image(member: Member, image_axes: ImageAxes) -> NpyImage:
    """The one array of a .npz file.

    Raises:
        SourceError: It holds none, or several.
    """
    inner = zip_in(member.read(), member.where)
    infos = inner.infolist()
    if len(infos) != 1:
        names = ", ".join(info.filename for info in infos[:9]) or "none"
        raise SourceError(
            f"{member.where}: holds {len(infos)} arrays ({names}), expected one; save the image alone"
        )
    where = f"{member.where}: {infos[0].filename}"
    return NpyImage(Member(where, holder=inner, info=infos[0], packed=member.packed), image_axes)


def _described(stream: IO[bytes], image_axes: ImageAxes, where: str) -> PlainArray:
    """What the header of a .npy file tells; SourceError for all but plain numbers."""
    magic = stream.read(len(_MAGIC) + 2)
    if len(magic) < len(_MAGIC) + 2 or not magic.startswith(_MAGIC):
        raise SourceError(f"{where}: is no .npy file: it does not begin as numpy.save begins one")
    long = magic[len(_MAGIC)] > 1  # of version 1.0 the length takes two bytes
    (length,) = struct.unpack("<I" if long else "<H", stream.read(4 if long else 2))
    if length > _LONGEST:
        raise SourceError(
            f"{where}: its header is {length} bytes long, expected at most {_LONGEST}"
        )
    text = stream.read(length).decode("latin-1")
    descr, fortran, shape = (pattern.search(text) for pattern in (_DESCR, _FORTRAN, _SHAPE))
    if not shape or not fortran or (descr is None and "descr" not in text):
        raise SourceError(f"{where}: its header cannot be read: {text[:80]!r}; save it again")
    return PlainArray(
        dtype=_number_type(descr.group(1) if descr else "a type with fields", where),
        shape=_sides(shape.group(1), where),
        order="F" if fortran.group(1) == "True" else "C",
        offset=len(magic) + (4 if long else 2) + length,
        image_axes=image_axes,
    )


def _number_type(descr: str, where: str) -> np.dtype[Any]:
    if "O" in descr:
        raise SourceError(
            f"{where}: holds Python objects, which are pickled and never loaded; save an array of numbers"
        )
    if not _TYPE.fullmatch(descr):
        raise SourceError(
            f"{where}: holds {descr!r}, expected whole or floating numbers of up to 64 bits, or bool"
        )
    return np.dtype(descr)


def _sides(text: str, where: str) -> tuple[int, ...]:
    tokens = [token.strip() for token in text.split(",") if token.strip()]
    if any(not token.isdigit() or len(token) > _DIGITS for token in tokens):
        raise SourceError(f"{where}: its header tells the shape ({text}), expected whole numbers")
    return tuple(int(token) for token in tokens)
