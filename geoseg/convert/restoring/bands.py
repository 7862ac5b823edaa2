"""The bands of a patch, as a GeoTIFF can hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.grid import compose
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.store.bands import natural_order
from geoseg.sources.store.patch import Patch

_INSTEAD = {"bool": "uint8", "float16": "float32"}
"""What GeoTIFF has no pixels for, and what holds their values exactly."""
_PLANE, _PLANES = 2, 3
"""Axes of one band, and of several."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """One band of a file."""

    name: str
    pixels: NDArray[Any]
    """(height, width)."""
    nodata: float | None
    """As the dtype holds it; None: nothing is declared."""

    def fits(self, other: Band) -> bool:
        """Whether both go into one file, which has one size, dtype and nodata."""
        same = self.pixels.shape == other.pixels.shape and self.pixels.dtype == other.pixels.dtype
        return same and str(self.nodata) == str(other.nodata)  # NaN too


def bands_of(arrays: Mapping[str, NDArray[Any]], row: Patch | None) -> tuple[Band, ...]:
    """The bands of a patch's arrays in the manifest's order; arrays that are no planes are left out.

    The channels of an array x of (channel, height, width) are x_1, x_2, ...
    """
    names: Sequence[str] = natural_order(arrays)
    marks: dict[str, float | None] = {}
    if row is not None and row.bands is not None:
        names = row.bands
        marks = dict(zip(names, row.nodata or [None] * len(names), strict=True))
    return tuple(
        Band(label, plane, _declared(plane.dtype, marks.get(name)))
        for name in names
        for label, plane in _planes(name, arrays[name])
    )


def left_out(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """The names of arrays that are no planes of pixels."""
    return tuple(name for name in natural_order(arrays) if not _is_pixels(arrays[name]))


def changed(bands: Sequence[Band], arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether some dtype is another in the file."""
    return any(a.dtype.name in _INSTEAD for a in arrays.values() if _is_pixels(a)) and bool(bands)


def transform_for(
    bands: Sequence[Band], all_bands: Sequence[Band], row: Patch | None
) -> Affine | None:
    """The transform of bands of one size, given that of the largest; None: nothing is known."""
    if row is None or row.transform is None:
        return None
    height = max(band.pixels.shape[0] for band in all_bands)
    width = max(band.pixels.shape[1] for band in all_bands)
    rows, cols = bands[0].pixels.shape
    if (rows, cols) == (height, width):
        return row.transform
    return compose(row.transform, Affine.scale(width / cols, height / rows))


def _is_pixels(array: NDArray[Any]) -> bool:
    return array.ndim in (_PLANE, _PLANES) and array.size > 0


def _planes(name: str, array: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    if not _is_pixels(array):
        return []
    plain = array.astype(_INSTEAD.get(array.dtype.name, array.dtype), copy=False)
    if array.ndim == _PLANE or len(array) == 1:
        return [(name, plain.reshape(array.shape[-2:]))]
    return [(f"{name}_{i}", plane) for i, plane in enumerate(plain, start=1)]


def _declared(dtype: np.dtype[Any], number: float | None) -> float | None:
    """The number as a file of this dtype can declare it; None where it marks no pixel."""
    if number is None:
        return None
    if np.isnan(number):
        return number if dtype.kind == "f" else None
    marked = nodata_in(dtype, number)
    return None if marked is None or dtype.kind == "c" else marked.item()
