"""Writing aligned pixels to a tiled GeoTIFF, strip by strip, and reading back what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from tqdm import tqdm

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.tiff import CLASSES_TAG
from geoseg.prepare.aligning.carried import Carried
from geoseg.prepare.aligning.kernel import name_of
from geoseg.rasterpath import georeference_optional
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.files.wholetiff import codec
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window, sliding

Compression = Literal["auto", "zstd", "deflate", "lzw", "none"]

_TILE = 256
"""Pixels a side."""
_PART_BYTES = 16 << 20
"""Bytes of pixels that are read and written at once, unless a single tile has more."""
_FEW_BANDS = 4
"""With more bands than this each has tiles of its own, so that one is read without the others."""
_PREDICTORS = {"f": 3, "c": 1}
"""By kind of number; whole ones have 2."""
_LEVELS = {"zstd": "zstd_level", "deflate": "zlevel"}
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass
class Marks:
    """How pixels that are not valid were marked, and what that cost."""

    how: str
    """`nodata N`, `alpha`, `mask`, or `none` where all are valid and nothing was declared."""
    valid: int = 0
    """Valid pixels."""
    moved: int = 0
    """Values that were nodata's number and became the next one."""
    seen: list[Window] = field(default_factory=list)
    """What was written before a mask was needed."""


@contextmanager
def created(
    path: Path, source: WarpedSource, carried: Carried, *, categorical: bool, compress: Compression
) -> Iterator[Any]:
    """An open file on the grid of a source, with everything but pixels."""
    grid, dtype = source.grid, source.dtype
    bands = len(source.band_names)
    count = bands + carried.alpha
    colors = (*(carried.interpretation or _guessed(source)), *([ColorInterp.alpha] * carried.alpha))
    rgb = colors[:3] == _RGB and dtype in ("u1", "u2")
    method, *level = codec() if compress == "auto" else (compress, *_level(compress))
    profile = {
        "driver": "GTiff",
        "dtype": dtype.name,
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": carried.nodata,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "interleave": "band" if count > _FEW_BANDS else "pixel",
        "compress": method,
        **({level[0]: 1} if level else {}),
        **({} if method == "none" else {"predictor": _predictor(dtype, categorical=categorical)}),
        "bigtiff": "IF_SAFER",
        "photometric": "palette" if carried.colors else "rgb" if rgb else "minisblack",
        "alpha": "no",  # else the fourth of four byte bands is called so
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with georeference_optional():
            file = rasterio.open(path, "w", **profile)
        with file:
            _describe(file, source, carried, colors)
            yield file


def fill(
    file: Any, source: WarpedSource, carried: Carried, *, categorical: bool, told: str
) -> Marks:
    """Write all pixels in whole tiles from top to bottom, with progress on a terminal.

    Raises:
        ConfigError: A class has the number of nodata.
        SourceError: The pixels cannot be read.
    """
    nodata = carried.nodata
    marks = Marks(_how(carried))
    width = get_terminal_size().columns  # some terminals say that they have none
    rows = source.grid.height
    with tqdm(
        total=rows, desc=told, unit="row", disable=None, leave=False, ncols=width
    ) as progress:
        for window in _parts(source):
            chip = source.read(window)
            marks.valid += int(chip.valid.sum())
            if nodata is not None:
                data, moved = _numbered(source, chip, carried, categorical=categorical)
                marks.moved += moved
            else:
                data = np.where(chip.valid, chip.data, source.dtype.type(0))
            if carried.alpha:
                alpha = _alpha(source, carried, window, chip)
                data = np.concatenate([data, alpha[None]])
            file.write(data, window=window.to_rasterio())
            if nodata is None and not carried.alpha:
                _mask(file, window, chip.valid, marks)
            if window.col_stop == source.grid.width:
                progress.update(window.height)
    return marks


def add_overviews(path: Path, grid: Grid, *, categorical: bool) -> None:
    """Halve the raster until it fits into a tile: averages, or the most frequent class."""
    factors: list[int] = []
    while max(grid.shape) > _TILE << len(factors):
        factors.append(2 << len(factors))
    if factors:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            with georeference_optional():
                file = rasterio.open(path, "r+")
            with file:
                file.build_overviews(
                    factors, Resampling.mode if categorical else Resampling.average
                )


def read_back(path: Path) -> tuple[Grid, int]:
    """The grid of a file that was written, and how many of its pixels are valid in all bands."""
    with georeference_optional():
        file = rasterio.open(path)
    with file:
        grid = Grid.of_dataset(file)
        alpha = [i for i, c in enumerate(file.colorinterp, 1) if c == ColorInterp.alpha]
        valid = 0
        for window in sliding(grid, (_TILE, _TILE * 8), edge="pad"):
            part = window.intersection(grid.whole)
            if part is not None:
                # GDAL makes masks of alpha for two and four bands only.
                read = file.read if alpha else file.read_masks
                masks = read(alpha or None, window=part.to_rasterio())
                valid += int((masks > 0).all(axis=0).sum())
    return grid, valid


def _predictor(dtype: np.dtype[Any], *, categorical: bool) -> int:
    return 1 if categorical else _PREDICTORS.get(dtype.kind, 2)


def _level(compress: Compression) -> tuple[str, ...]:
    return (_LEVELS[compress],) if compress in _LEVELS else ()


def _guessed(source: RasterSource) -> tuple[ColorInterp, ...]:
    """Colours of bands that no file tells: those called red, green, blue in this order."""
    names = source.band_names
    if tuple(name.lower() for name in names[:3]) == ("red", "green", "blue"):
        return (*_RGB, *[ColorInterp.undefined] * (len(names) - 3))
    return (ColorInterp.gray, *[ColorInterp.undefined] * (len(names) - 1))


def _describe(
    file: Any, source: WarpedSource, carried: Carried, colors: tuple[ColorInterp, ...]
) -> None:
    """Names, colours, scales, units and class map."""
    if carried.colors:
        file.write_colormap(1, carried.colors)
    else:
        file.colorinterp = colors
    for band, name in enumerate(source.band_names, start=1):
        if name != str(band):
            file.set_band_description(band, name)
    extra = file.count - len(source.band_names)
    if any(scale != 1 for scale in carried.scales) or any(carried.offsets):
        file.scales = (*carried.scales, *[1.0] * extra)
        file.offsets = (*carried.offsets, *[0.0] * extra)
    if any(carried.units):
        file.units = (*carried.units, *[""] * extra)
    tags = {"AREA_OR_POINT": "Area"}
    if carried.classes:
        tags[CLASSES_TAG] = carried.classes
    file.update_tags(**tags)


def _how(carried: Carried) -> str:
    if carried.alpha:
        return "alpha"
    return "none" if carried.nodata is None else f"nodata {carried.nodata:g}"


def _parts(source: RasterSource) -> Iterator[Window]:
    """Windows of one row of tiles, as wide as memory allows."""
    pixel = source.dtype.itemsize * len(source.band_names)
    width = max(_PART_BYTES // (pixel * _TILE * _TILE), 1) * _TILE
    for window in sliding(source.grid, (_TILE, width), edge="pad"):
        part = window.intersection(source.grid.whole)
        if part is not None:
            yield part


def _numbered(
    source: WarpedSource, chip: Chip, carried: Carried, *, categorical: bool
) -> tuple[NDArray[Any], int]:
    """Pixels with nodata's number where they are not valid, and nowhere else."""
    nodata = carried.nodata
    number = None if nodata is None else nodata_in(source.dtype, nodata)
    if number is None:  # NaN, which no valid pixel is
        return np.where(chip.valid, chip.data, source.dtype.type(nodata)), 0
    data = np.where(chip.valid, chip.data, number)
    clash = chip.valid & (data == number)
    moved = int(clash.sum())
    if not moved:
        return data, 0
    if categorical:
        cure = f", or should it mean missing already, GeoTIFFSource(uri=..., nodata={number})"
        cure = "" if carried.tells_missing else cure
        raise ConfigError(
            f"{name_of(source.source)}: {moved} valid pixels or more hold {number}, which is to mean "
            f"missing; give nodata= a number that is no class{cure}"
        )
    return np.where(clash, _next_to(number, source.dtype), data), moved


def _next_to(number: Any, dtype: np.dtype[Any]) -> Any:
    """The nearest other number of a dtype: the next higher, or below the highest."""
    if dtype.kind == "f":
        return np.nextafter(dtype.type(number), dtype.type(np.inf))
    highest = dtype.kind in "iu" and number == np.iinfo(dtype).max
    return dtype.type(number - 1 if highest else number + 1)


def _alpha(source: WarpedSource, carried: Carried, window: Window, chip: Chip) -> NDArray[Any]:
    """(height, width) the alpha of the nearest pixel, never 0 where valid."""
    full = source.dtype.type(np.iinfo(source.dtype).max)
    none = source.dtype.type(0)
    if carried.alpha_source is None:
        alpha = np.full(window.shape, full)
    else:
        nearest = WarpedSource(source=carried.alpha_source, onto=source.grid, resampling="nearest")
        alpha = nearest.read(window).data[0]
        alpha[alpha == 0] = full
    found: NDArray[Any] = np.where(chip.valid, alpha, none)
    return found


def _mask(file: Any, window: Window, valid: NDArray[np.bool_], marks: Marks) -> None:
    """Write a mask from where it is needed, and then also for what lies before."""
    if marks.how == "none":
        if valid.all():
            marks.seen.append(window)
            return
        marks.how = "mask"
        for part in marks.seen:
            file.write_mask(np.ones(part.shape, bool), window=part.to_rasterio())
        marks.seen.clear()
    file.write_mask(valid, window=window.to_rasterio())
