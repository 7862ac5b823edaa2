"""A raster written as a GeoTIFF, part by part, with a mask in the file where pixels are missing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoseg.grid import Grid
from geoseg.labels.tiff import CLASSES_TAG
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import check_whole, codec, not_written
from geoseg.sources.handles import GDAL_ERRORS
from geoseg.window import Window

_TILE = 256
"""Pixels a side."""
_UNTILED = 512
"""Pixels a side up to which a file is one strip: it is read whole anyway."""
_IN_MEMORY = 16 << 20
"""Bytes of pixels up to which a file is made in memory and then written."""
_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, OSError)
_FEW_BANDS = 4
"""With more bands than this each has tiles of its own, so that one is read without the others."""
_PREDICTORS = {"f": 3, "c": 1}
"""By kind of number; whole ones have 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What a file holds beside pixels."""

    grid: Grid
    dtype: np.dtype[Any]
    names: tuple[str, ...]
    """Of the bands."""
    labels: bool
    """Whether the one band holds ids."""
    nodata: float | None = None
    """The number that is declared."""
    colors: Mapping[int, tuple[int, ...]] | None = None
    """The colour table of ids."""
    classes: str | None = None
    """Their class map, as JSON."""


class GeoTIFFWriter:
    """An open file; use it in a `with`."""

    def __init__(self, path: Path, layers: Layers) -> None:
        """Nothing is made before the `with` begins.

        Args:
            path: The file; one that is there is replaced.
            layers: What it holds beside pixels.
        """
        self._path, self._layers = path, layers
        self._stack = ExitStack()
        self._file: Any = None
        self._memory: MemoryFile | None = None
        """Holds a small file until it is whole: a disk that is full is then told of by Python."""
        self._whole: list[Window] | None = []
        """Parts without a missing pixel, as long as no part has any."""

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        profile = _profile(self._layers)
        try:
            self._stack.enter_context(rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True))
            self._file = self._stack.enter_context(self._opened(profile))
            _describe(self._file, self._layers)
        except GDAL_ERRORS as error:
            self._stack.close()
            raise not_written(str(self._path), error.__cause__ or error) from error
        return self

    def add(self, row: int, data: NDArray[Any], present: NDArray[np.bool_]) -> None:
        """Write some whole rows.

        Args:
            row: The first.
            data: (band, height, width).
            present: (height, width), where the pixels mean something.

        Raises:
            StoreError: They cannot be written.
        """
        window = Window(row, 0, *present.shape)
        try:
            self._file.write(data, window=window.to_rasterio())
            if self._layers.nodata is None:
                self._mark(window, present)
        except GDAL_ERRORS as error:
            raise not_written(str(self._path), error.__cause__ or error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._memory or nullcontext():
            try:
                self._stack.close()
                if self._memory is not None and error is None:
                    self._path.write_bytes(self._memory.read())
            except _ERRORS as failed:
                raise not_written(str(self._path), failed.__cause__ or failed) from failed
        if self._memory is None and error is None:
            check_whole(self._path, str(self._path))

    def _opened(self, profile: dict[str, Any]) -> Any:
        layers = self._layers
        pixels = layers.grid.height * layers.grid.width * len(layers.names)
        with georeference_optional():
            if pixels * layers.dtype.itemsize > _IN_MEMORY:
                return rasterio.open(self._path, "w", **profile)
            self._memory = MemoryFile(ext=".tif")
            return self._memory.open(**profile)

    def _mark(self, window: Window, present: NDArray[np.bool_]) -> None:
        """Write a mask from where it is needed, and then also for what lies before."""
        if self._whole is not None:
            if present.all():
                self._whole.append(window)
                return
            for part in self._whole:
                self._file.write_mask(np.ones(part.shape, bool), window=part.to_rasterio())
            self._whole = None
        self._file.write_mask(present, window=window.to_rasterio())


def _profile(layers: Layers) -> dict[str, Any]:
    grid, count, dtype = layers.grid, len(layers.names), layers.dtype
    compression, level = codec()
    small = max(grid.shape) <= _UNTILED
    blocks = {"blockysize": grid.height} if small else {"blockxsize": _TILE, "blockysize": _TILE}
    colored = dtype == np.uint8 and count >= 3  # noqa: PLR2004
    return {
        "driver": "GTiff",
        "dtype": dtype.name,
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": layers.nodata,
        "tiled": not small,
        **blocks,
        "interleave": "band" if count > _FEW_BANDS else "pixel",
        "compress": compression,
        level: 1,
        "predictor": 1 if layers.labels else _PREDICTORS.get(dtype.kind, 2),
        "bigtiff": "IF_SAFER",
        "photometric": "palette" if layers.colors else "rgb" if colored else "minisblack",
        "alpha": "no",  # else the fourth of four byte bands is called so
    }


def _describe(file: Any, layers: Layers) -> None:
    """Colours and names."""
    if layers.colors:
        file.write_colormap(1, dict(layers.colors))
    for band, name in enumerate(layers.names, start=1):
        if name != str(band):
            file.set_band_description(band, name)
    if layers.classes:
        file.update_tags(**{CLASSES_TAG: layers.classes})
