"""NpySource: pixels of an array in a .npy file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, fill_around
from geoseg.sources.cache import remember
from geoseg.sources.transformed import TransformedSource
from geoseg.spec import Uri
from geoseg.window import Window

_PLANE, _STACK = 2, 3
"""Axes of one band, and of several."""


@dataclass(frozen=True)
class _Header:
    """What is read once of a file."""

    bands: tuple[int, ...]
    """Places of the bands that are read, from 0."""
    shape: tuple[int, int]
    dtype: np.dtype[Any]


class NpySource(TransformedSource):
    """Pixels of an array that `numpy.save` wrote; no georeference, so the grid is the identity.

    Only the pixels of a window are read (the file is memory-mapped), and no pickle is ever loaded. NaN
    and infinite pixels are not valid. True and False are read as 1 and 0.

    Raises (when read or checked, not when made):
        SourceError: The file is missing, is no .npy, holds other things than numbers, is cut short, or
            its axes are not told.
    """

    type: Literal["npy"] = "npy"
    uri: Uri
    """A local .npy file: (height, width), or three axes in the order that `axes` tells."""
    axes: Literal["chw", "hwc"] | None = None
    """Order of three axes: "chw" is (band, height, width), "hwc" (height, width, band). It is not guessed
    from the numbers; an array with two axes needs none."""
    bands: tuple[int, ...] | None = None
    """Numbers from 1; None: all."""
    nodata: int | float | None = None
    """The number that means "missing"."""

    @property
    def grid(self) -> Grid:
        """The identity."""
        height, width = self._header.shape
        return Grid(height=height, width=width)

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """Numbers from 1 as text."""
        return tuple(str(band + 1) for band in self._header.bands)

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The array's dtype in the byte order of this machine; uint8 for True and False."""
        return self._header.dtype

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window as the file holds them; see RasterSource."""
        header = self._header
        return fill_around(window, self.grid, len(header.bands), header.dtype, self._read_inside)

    @property
    def _header(self) -> _Header:
        return remember(
            ("npy header", self), self._read_header, files=(self.uri,), nbytes=lambda _: 200
        )

    def _read_header(self) -> _Header:
        planes = self._planes(_mapped(self.uri))
        count, height, width = planes.shape
        chosen = self.bands or tuple(range(1, count + 1))
        wrong = [band for band in chosen if not 1 <= band <= count]
        if wrong:
            raise SourceError(
                f"{self.uri}: has no band {wrong[0]}, it has {count}; expected numbers from 1"
            )
        dtype = np.dtype("uint8") if planes.dtype == bool else planes.dtype.newbyteorder("=")
        return _Header(tuple(band - 1 for band in chosen), (height, width), dtype)

    def _planes(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array as (band, height, width)."""
        if array.dtype.kind not in "buif":
            raise SourceError(
                f"{self.uri}: holds {array.dtype}, expected whole or floating numbers"
            )
        if array.ndim not in (_PLANE, _STACK) or not array.size:
            raise SourceError(
                f"{self.uri}: holds an array of shape {array.shape}, expected (height, width), or three "
                "axes with bands"
            )
        if array.ndim == _PLANE:
            return array[None]
        if self.axes is None:
            raise SourceError(
                f"{self.uri}: has three axes, {array.shape}: which is that of the bands? Pass axes='chw' "
                "for (band, height, width), or axes='hwc' for (height, width, band)"
            )
        return array if self.axes == "chw" else np.moveaxis(array, 2, 0)

    def _read_inside(self, window: Window) -> Chip:
        header = self._header
        part = self._planes(_mapped(self.uri))[(slice(None), *window.slices)]
        data = np.array(part[list(header.bands)], header.dtype, order="C")
        valid = np.ones(window.shape, bool)
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        if self.nodata is not None:
            valid &= (data != self.nodata).all(axis=0)
        return Chip(data, valid)


def _mapped(uri: str) -> NDArray[Any]:
    """The array of a file, read where it is looked at."""
    try:
        return np.lib.format.open_memmap(uri, mode="r")
    except OSError as error:
        raise SourceError(f"{uri}: cannot be opened: {error.strerror or error}") from error
    except (ValueError, SyntaxError) as error:
        raise SourceError(
            f"{uri}: is no .npy file of numbers, or is cut short: {error}; write it again with "
            "numpy.save"
        ) from error
