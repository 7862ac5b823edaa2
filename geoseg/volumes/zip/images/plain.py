"""An array of numbers that lies in a file one after the other, in C or Fortran order."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.volumes.axes import as_volume
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip.archive import check_promise
from geoseg.volumes.zip.images.base import ByteFile
from geoseg.volumes.zip.region import Region

_CHUNK = 2**20
_LARGEST = 2**62
"""Bytes of an array: places in it still fit 64 bits."""


@dataclass(frozen=True)
class PlainArray:
    """Where an array lies, and what its axes are."""

    dtype: np.dtype[Any]
    """As in the file, byte order included."""
    shape: tuple[int, ...]
    """Of the stored array."""
    order: Literal["C", "F"]
    """Whether its last or its first axis is the fastest."""
    offset: int
    """Bytes before its first number."""
    image_axes: ImageAxes
    """Its axes, channels left out."""
    channels: str = ""
    """Where its channels stand; see `as_volume`."""

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return prod(self.shape) * self.dtype.itemsize

    def check(self, file: ByteFile) -> None:
        """SourceError where the axes are no volume's, or the file cannot hold so many numbers."""
        if min(self.shape, default=1) < 1 or self.nbytes > _LARGEST:
            raise SourceError(
                f"{file.where}: its header tells an array of shape {self.shape}, expected sides from 1 that "
                "fit in memory"
            )
        end = self.offset + self.nbytes
        if file.size is None:
            check_promise(file.where, size=end, packed=file.packed)
        elif end > file.size:
            raise SourceError(
                f"{file.where}: its header promises {self.nbytes} bytes, {self.shape} of {self.dtype}, but "
                f"it holds {file.size - self.offset}; it is damaged or cut short"
            )
        self.volume(file.where)

    def volume(self, where: str) -> NDArray[Any]:
        """The volume as shape and strides (bytes) only: looking at its values is not allowed."""
        strides, step = [], self.dtype.itemsize
        fast_first = self.shape if self.order == "F" else self.shape[::-1]
        for side in fast_first:
            strides.append(step)
            step *= side
        ordered = strides if self.order == "F" else strides[::-1]
        bare = np.lib.stride_tricks.as_strided(np.empty(1, np.uint8), self.shape, ordered)
        return as_volume(bare, self.image_axes, channels=self.channels, where=where)

    def read(self, file: ByteFile, region: Region | None) -> NDArray[Any]:
        """The volume, or a part of it: (channel, depth, height, width), C-contiguous, native byte order.

        Where the file is not packed only the pages of the part are read; else all bytes up to its end.
        """
        whole = self.volume(file.where)
        part = whole
        if region is not None:
            part = whole[(slice(None), *(slice(*span) for span in region))]
        first = _address(part) - _address(whole)
        count = sum(
            (side - 1) * stride for side, stride in zip(part.shape, part.strides, strict=True)
        )
        start = self.offset + first
        stop = start + count + self.dtype.itemsize
        mapped = file.mapped()
        data = self._streamed(file, start, stop) if mapped is None else mapped[start:stop]
        stored: NDArray[Any] = np.ndarray(part.shape, self.dtype, data, 0, part.strides)
        native = self.dtype.newbyteorder("=")
        if mapped is None:
            return np.asarray(stored, native, order="C")
        return np.array(stored, native, order="C")

    def _streamed(self, file: ByteFile, start: int, stop: int) -> NDArray[np.uint8]:
        """Bytes of a packed file."""
        out = np.empty(stop - start, np.uint8)
        with file.open() as stream:
            got = _skip(stream, start) == start and _fill(stream, out) == len(out)
            if got and stop == self.offset + self.nbytes:
                stream.read(1)  # at the end the checksum is looked at
        if not got:
            raise SourceError(
                f"{file.where}: holds fewer bytes than its header promises; it is damaged or cut short"
            )
        return out


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _skip(stream: IO[bytes], count: int) -> int:
    """Pass over bytes; how many there were."""
    left = count
    while left and (data := stream.read(min(left, _CHUNK))):
        left -= len(data)
    return count - left


def _fill(stream: IO[bytes], out: NDArray[np.uint8]) -> int:
    """Read into an array; how many bytes there were."""
    done = 0
    while done < len(out) and (data := stream.read(min(len(out) - done, _CHUNK))):
        out[done : done + len(data)] = np.frombuffer(data, np.uint8)
        done += len(data)
    return done
