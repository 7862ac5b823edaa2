"""Volumes as the bytes of `.npy` files, slab by slab.

Where the slices of a stored array come last, it is in Fortran order, where they come first in C order:
both ways whole slices lie one after the other, so that they are written as they come and read as few pages.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.volumes.masked import hidden
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.rle import Shape

_SLAB_BYTES = 1 << 24
"""Of voxels read at once."""
_3D, _4D = 3, 4
_WIDEST = 8
"""Bytes of a number: wider ones are not the same on every machine."""


@dataclass(frozen=True)
class Volume:
    """An image (channel, depth, height, width), or (depth, height, width), that is read by slabs."""

    image: Any
    """An array, or what is sliced like one."""
    where: str
    """Its name, for errors."""
    channels: int
    shape: Shape
    """(depth, height, width)"""
    dtype: np.dtype[Any]

    def slab(self, channel: int, first: int, last: int) -> NDArray[Any]:
        """(depth, height, width) of planes `first` up to, not including, `last` of one channel.

        Raises:
            ConfigError: What was read has another shape or dtype than the image promised, or is masked.
        """
        one = len(self.image.shape) == _3D
        part = self.image[first:last] if one else self.image[channel, first:last]
        refuse_masked_pixels(part, self.where)
        data = np.asarray(part)
        expected = (last - first, *self.shape[1:])
        if data.shape != expected or data.dtype != self.dtype:
            raise ConfigError(
                f"{self.where}: slices {first} to {last} came as {data.dtype} {data.shape}, expected "
                f"{self.dtype} {expected} as the image's own shape and dtype say"
            )
        return data


def volume_of(image: Any, *, where: str) -> Volume:
    """An image as a volume.

    Args:
        image: (channel, depth, height, width) or (depth, height, width): an array, or anything with
            `shape`, `dtype` and slices, such as a memory map.
        where: Its name, for errors.

    Raises:
        ConfigError: It has other axes, no voxels, or holds no real numbers, or is a masked array that hides some.
    """
    image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
    refuse_masked_pixels(image, where)
    shape = tuple(map(int, image.shape))
    if len(shape) not in (_3D, _4D) or not prod(shape):
        raise ConfigError(
            f"{where}: the image has the shape {shape}, expected (channel, depth, height, width) or "
            "(depth, height, width), each at least 1"
        )
    try:
        dtype = np.dtype(image.dtype)
    except TypeError as error:
        raise ConfigError(
            f"{where}: the image holds {image.dtype}, expected a dtype of numpy; convert it"
        ) from error
    if dtype.kind not in "biuf" or dtype.itemsize > _WIDEST:
        raise ConfigError(
            f"{where}: the image holds {dtype}, expected bool, integers or floats of at most 64 bits; "
            "convert it"
        )
    channels = shape[0] if len(shape) == _4D else 1
    return Volume(image, where, channels, (shape[-3], shape[-2], shape[-1]), dtype)


def refuse_masked_pixels(image: Any, where: str) -> None:
    """ConfigError for a masked array that hides voxels: the layout has no mark for them."""
    if count := hidden(image):
        raise ConfigError(
            f"{where}: the image is a masked array, {count} of its values are masked; give each "
            "a value: image.filled(value), and tell which are valid with valid=..."
        )


def stored_shape(volume: Volume, axes: ImageAxes) -> tuple[int, ...]:
    """Axes of the stored array, as `geoseg.volumes.axes.as_stored` has them."""
    depth, height, width = volume.shape
    channels = (volume.channels,) if volume.channels > 1 else ()
    return (height, width, depth, *channels) if axes == "HWD" else (*channels, depth, height, width)


def header_of(shape: tuple[int, ...], dtype: np.dtype[Any], *, fortran_order: bool) -> bytes:
    """The first bytes of a `.npy` file, a multiple of 64, the same for the same array."""
    head = io.BytesIO()
    told = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": fortran_order,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()


def contents(volume: Volume, axes: ImageAxes) -> Iterator[memoryview]:
    """The numbers of the stored array as bytes, in the order of the file."""
    depth, height, width = volume.shape
    planes = max(_SLAB_BYTES // (height * width * volume.dtype.itemsize), 1)
    for channel in range(volume.channels):
        for first in range(0, depth, planes):
            slab = volume.slab(channel, first, min(first + planes, depth))
            yield bytes_of(slab.transpose(0, 2, 1) if axes == "HWD" else slab)


def bytes_of(array: NDArray[Any]) -> memoryview:
    """The numbers of an array in C order, copied only where they lie otherwise."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
