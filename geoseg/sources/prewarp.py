"""Writing a source to a file once, so that every later read is a plain one."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.dtypes import check_dtype
from rasterio.enums import Resampling

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.outputs import refuse_inputs, written_whole
from geoseg.rasterpath import georeference_optional
from geoseg.sources.base import RasterSource, raster_source
from geoseg.sources.files.wholetiff import check_whole, codec, not_written
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import GDAL_ERRORS, block_cache
from geoseg.sources.warp import WarpedSource
from geoseg.spec import files_of
from geoseg.warn import warn
from geoseg.window import Window, sliding

_TILE = 256
"""Pixels a side."""
_PART_BYTES = 32 << 20
"""Bytes of pixels that are read and written at once, unless a single tile has more."""
_CACHE_BYTES = 64 << 20
"""Bytes of decoded blocks, of the files read and of the one that is written."""
_FEW_BANDS = 4
"""With more bands than this each has tiles of its own, so that one is read without the others."""
_PREDICTORS = {"f": 3, "c": 1}
"""By kind of number; whole ones have 2."""
_GOLDEN = 0.618034
"""Of a circle: steps of it never come near where they have been for long."""
_SIDECARS = (".aux.xml", ".ovr", ".msk")


def materialize(
    source: RasterSource | str,
    uri: str,
    grid: Grid | RasterSource | str | None = None,
    *,
    resampling: str = "auto",
    overviews: bool = False,
) -> GeoTIFFSource:
    """Write a source to a tiled GeoTIFF, whole or not at all.

    Pixels, dtype, band names and validity (as a mask in the file, where a pixel is not valid) read back
    as they were; NaN is never valid. Transforms have been done. One band of uint8 or uint16 numbers of
    classes gets a colour table, which tells that it is such. Memory: one row of tiles, at most 32 MB.

    Args:
        source: What to write, or the uri of a raster.
        uri: A local path; missing folders are made.
        grid: Where the pixels are wanted, or a source (or its uri) whose grid it is; None: the source's own.
        resampling: The kernel for another grid, see WarpedSource; "nearest" or "mode" for labels.
        overviews: Whether to add overviews: averages, or the most frequent number of a class.

    Returns:
        The file as a source.

    Raises:
        ConfigError: The file is one that the source reads.
        SourceError: The source cannot be read, or GDAL has no such dtype.
        StoreError: The file cannot be written, or the disk is full.
    """
    source = raster_source(source)
    if grid is not None:
        onto = grid if isinstance(grid, Grid) else raster_source(grid)
        source = WarpedSource(source=source, onto=onto, resampling=resampling)
    refuse_inputs([uri], files_of(source))
    source.check()
    _check_dtype(source)
    # The cache is bounded from before the file is opened until it is closed.
    with written_whole(uri) as path, block_cache(_CACHE_BYTES):
        try:
            with _created(source, path) as file:
                _fill(file, source)
            if overviews:
                _add_overviews(path, source)
            _read_back(path)
        except GDAL_ERRORS as error:
            raise not_written(uri, error.__cause__ or error) from error
        check_whole(path, uri)
    for suffix in _SIDECARS:  # they told about the file that was replaced
        Path(uri + suffix).unlink(missing_ok=True)
    return GeoTIFFSource(uri=uri)


def _check_dtype(source: RasterSource) -> None:
    dtype = source.dtype
    if dtype.kind == "b" or not check_dtype(dtype):
        raise SourceError(
            f"{type(source).__name__}: GDAL has no pixels of {dtype}; cast them to another dtype first"
        )
    if source.categorical and not _has_palette(source):
        warn(
            f"{type(source).__name__}: {len(source.band_names)} bands of {dtype} hold numbers of classes, "
            "which a GeoTIFF can tell of one band of uint8 or uint16 only: name the kernel (nearest or "
            "mode) when the file is warped"
        )


def _has_palette(source: RasterSource) -> bool:
    """Whether the file gets a colour table, by which readers know numbers of classes."""
    return source.categorical and len(source.band_names) == 1 and source.dtype in ("u1", "u2")


@contextmanager
def _created(source: RasterSource, path: Path) -> Iterator[Any]:
    """An open file with everything but pixels."""
    compression, level = codec()
    grid, dtype, count = source.grid, source.dtype, len(source.band_names)
    colored = dtype == np.uint8 and count >= 3  # noqa: PLR2004
    profile = {
        "driver": "GTiff",
        "dtype": dtype.name,
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "interleave": "band" if count > _FEW_BANDS else "pixel",
        "compress": compression,
        level: 1,
        "predictor": 1 if source.categorical else _PREDICTORS.get(dtype.kind, 2),
        "bigtiff": "IF_SAFER",
        "photometric": "palette" if _has_palette(source) else "rgb" if colored else "minisblack",
        "alpha": "no",  # else the fourth of four byte bands is called so
    }
    with georeference_optional():
        file = rasterio.open(path, "w", **profile)
    with file:
        for band, name in enumerate(source.band_names, start=1):
            if name != str(band):
                file.set_band_description(band, name)
        if _has_palette(source):
            file.write_colormap(1, {number: _color(number) for number in range(256)})
        yield file


def _color(number: int) -> tuple[int, int, int, int]:
    """Black for 0, and colours that differ from number to number."""
    if number == 0:
        return 0, 0, 0, 255
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.7, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255), 255


def _fill(file: Any, source: RasterSource) -> None:
    """Write all pixels, in whole tiles from top to bottom, and the mask from where it is needed."""
    masked = False
    seen: list[Window] = []
    for window in _parts(source):
        chip = source.read(window)
        whole = bool(chip.valid.all())
        data = chip.data if whole else np.where(chip.valid, chip.data, source.dtype.type(0))
        file.write(data, window=window.to_rasterio())
        if not (masked or whole):
            masked = True
            for part in seen:
                file.write_mask(np.ones(part.shape, bool), window=part.to_rasterio())
        if masked:
            file.write_mask(chip.valid, window=window.to_rasterio())
        else:
            seen.append(window)


def _parts(source: RasterSource) -> Iterator[Window]:
    """Windows of one row of tiles, as wide as memory allows."""
    pixel = source.dtype.itemsize * len(source.band_names)
    width = max(_PART_BYTES // (pixel * _TILE * _TILE), 1) * _TILE
    for window in sliding(source.grid, (_TILE, width), edge="pad"):
        part = window.intersection(source.grid.whole)
        if part is not None:
            yield part


def _add_overviews(path: Path, source: RasterSource) -> None:
    """Halve the raster until it fits into a tile."""
    factors: list[int] = []
    longest = max(source.grid.shape)
    while longest > _TILE << len(factors):
        factors.append(2 << len(factors))
    if factors:
        kernel = Resampling.nearest if source.categorical else Resampling.average
        kernel = Resampling.mode if source.wholly_categorical else kernel
        with georeference_optional():
            file = rasterio.open(path, "r+")
        with file:
            file.build_overviews(factors, kernel)


def _read_back(path: Path) -> None:
    """Decode mask and overviews, of which GDAL does not tell where in the file they lie."""
    with _opened(path) as file:
        for _, window in file.block_windows(1):
            file.read_masks(1, window=window)
        count = len(file.overviews(1))
    for level in range(count):
        with _opened(path, OVERVIEW_LEVEL=str(level)) as file:
            for _, window in file.block_windows(1):
                file.read(window=window)
                file.read_masks(1, window=window)


def _opened(path: Path, **options: str) -> Any:
    with georeference_optional():
        return rasterio.open(path, **options)
