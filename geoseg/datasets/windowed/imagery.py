"""The images of a data set: which bands, in which dtype, and scaled how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.windowed.options import absolute, plain, whole_of, word_of
from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.placed import place_texts
from geoseg.sources.base import Chip, RasterSource, raster_source
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.warp import WarpedSource
from geoseg.spec import uris_of
from geoseg.window import Window

IMAGE_DTYPES = ("uint8", "uint16", "float32", "native")
_ALPHA = 4
"""The number that alpha has among the bands of web tiles."""


@dataclass(frozen=True)
class ImageRule:
    """How all images of a data set are read."""

    bands: tuple[int, ...] | None
    """Numbers from 1; None: all but alpha."""
    dtype: np.dtype[Any] | None
    """What pixels are cast to; None: as they come."""

    @classmethod
    def of(cls, selected_bands: Sequence[int] | None, image_dtype: str) -> Self:
        """The rule of what users give.

        Raises:
            ConfigError: Bands are no numbers from 1, or the dtype is not known.
        """
        name = word_of(image_dtype, IMAGE_DTYPES, name="image_dtype")
        dtype = None if name == "native" else np.dtype(name)
        if selected_bands is None:
            return cls(None, dtype)
        given: Any = selected_bands
        several = isinstance(given, Iterable) and not isinstance(given, str)
        bands = list(given) if several else []
        if not bands:
            raise ConfigError(
                f"selected_bands is {selected_bands!r}, expected numbers of bands from 1, as in [1, 2, 3]"
            )
        name = "a band of selected_bands"
        return cls(tuple(whole_of(band, name=name, least=1) for band in bands), dtype)

    def open(self, given: Any) -> Image:
        """An image of a path, of a source, or of the fields of one; its header is read.

        Raises:
            ConfigError: A band is not there.
            GeosegError: It cannot be opened.
        """
        if isinstance(given, str | PathLike):
            given = absolute(fspath(given))
        if isinstance(given, Mapping):
            given = place_texts(plain(given), str(Path.cwd()))
        source = raster_source(given)
        picked: tuple[int, ...] | None = None
        _ = source.grid  # tells of a file that is not there
        count = len(source.band_names)
        if self.bands is not None and _chooses(source):
            source = source.model_copy(update={"bands": self.bands})
            count = len(source.band_names)
        elif self.bands is not None:
            picked = tuple(_place(band, source, count) for band in self.bands)
            count = len(picked)
        if source.dtype.kind not in "uif":
            raise SourceError(
                f"{name_of(source)}: pixels are {source.dtype}, expected real numbers"
            )
        return Image(source, picked, self.dtype, count)

    def to_unit(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Pixels as float32: bytes and words of the dtype asked for in [0, 1], all else as it is."""
        if image.dtype.kind == "u" and self.dtype is not None and self.dtype.kind == "u":
            scaled: NDArray[np.float32] = np.divide(
                image, np.iinfo(image.dtype).max, dtype=np.float32
            )
            return scaled
        return np.array(image, np.float32)


@dataclass(frozen=True)
class Image:
    """One image."""

    source: RasterSource
    """Where the pixels come from."""
    picked: tuple[int, ...] | None
    """Places of the bands wanted among those of the source; None: all."""
    dtype: np.dtype[Any] | None
    """What pixels are cast to; None: as they come."""
    bands: int
    """How many bands `read` gives."""

    @property
    def name(self) -> str:
        """The file, for an error."""
        return name_of(self.source)

    def onto(self, grid: Grid, resampling: str) -> Image:
        """The same image brought onto a grid as it is read."""
        return replace(
            self, source=WarpedSource(source=self.source, onto=grid, resampling=resampling)
        )

    def read(self, window: Window) -> Chip:
        """Pixels of a window in the dtype wanted, 0 where they are not valid; `data` may be kept.

        Raises:
            SourceError: They cannot be read, or a valid one is out of the dtype's range.
        """
        chip = self.source.read(window)
        data = chip.data if self.picked is None else chip.data[list(self.picked)]
        if not chip.valid.all():
            data = np.where(chip.valid, data, data.dtype.type(0))
        return Chip(self._cast(data, chip.valid), chip.valid)

    def _cast(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
        if self.dtype is None or data.dtype == self.dtype:
            return data
        if self.dtype.kind == "f" or np.can_cast(data.dtype, self.dtype):
            return data.astype(self.dtype)
        whole = np.rint(data) if data.dtype.kind == "f" else data
        limits = np.iinfo(self.dtype)
        bad = ~((whole >= limits.min) & (whole <= limits.max)).all(axis=0)
        if bad.any():
            values = data[:, bad]
            raise SourceError(
                f"{self.name}: pixels are {data.dtype} and {int(bad.sum())} of {int(valid.sum())} do not fit "
                f'image_dtype="{self.dtype}" ({limits.min}..{limits.max}), they go from {values.min()} to '
                f'{values.max()}; use image_dtype="uint16", "float32" or "native", or scale the source'
            )
        return whole.astype(self.dtype)


def name_of(source: RasterSource) -> str:
    """What an error calls a source: its file, or its kind."""
    files = uris_of(source)
    return files[0] if files else type(source).__name__


def _chooses(source: RasterSource) -> TypeGuard[GeoTIFFSource]:
    """Whether a source reads no other bands than it is told to, and is told nothing yet."""
    return isinstance(source, GeoTIFFSource) and not source.transforms and source.bands is None


def _place(band: int, source: RasterSource, count: int) -> int:
    if band <= count:
        return band - 1
    alpha = isinstance(source, MBTilesSource) and band == _ALPHA
    why = "; alpha is no image, it is told by `valid`" if alpha else ""
    raise ConfigError(
        f"{name_of(source)}: has no band {band}, expected numbers from 1 to {count} in selected_bands{why}"
    )
