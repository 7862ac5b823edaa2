"""A whole image file, read once: pixels, CRS, transform and nodata."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.convert.tiff.checksums import check_deflated
from geoseg.convert.tiff.header import DamagedError
from geoseg.convert.tiff.plain import PlainTiff, open_plain
from geoseg.errors import GridError, SourceError
from geoseg.grid import to_crs
from geoseg.rasterpath import cure_of, georeference_optional, is_remote, to_gdal, why_not_opened
from geoseg.sources.files.wholepng import refuse_cut_png
from geoseg.sources.handles import GDAL_ERRORS

_ANY_BYTES = 1 << 26
_PER_BYTE = 2000
"""Decoded bytes that any file may promise, and that a larger one may for each of its bytes."""
_CURE = "is truncated or damaged, copy it again"
_KINDS = 1024
"""Kinds of TIFF that are remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """What a file holds, exactly as rasterio tells it."""

    data: NDArray[Any]
    """(band, height, width), native byte order; the numbers in the file, scale and offset not applied."""
    crs: str | None
    """As `Grid` writes it, e.g. "EPSG:32633"; None without one."""
    transform: Affine | None
    """From pixel corner to ground; None without one, also where only control points tell the place."""
    nodata: tuple[float | None, ...]
    """Of each band that was read."""
    driver: str = "GTiff"
    """The format, by GDAL's name of it."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What GDAL tells of all files of one kind."""

    crs: str | None
    nodata: tuple[float | None, ...]
    """Of all bands of the file."""


_UNKNOWN = _Told(None, ())
_told: dict[Hashable, _Told | None] = {}
"""{kind of TIFF: what GDAL told of the first one}; None where the quick reader told otherwise."""


def read_image(path: str, *, bands: Sequence[int] | None = None) -> Image:
    """All pixels of some bands of an image file, and where they lie.

    A TIFF that is plain (uncompressed or deflated) is read without GDAL. The first of each
    kind is read in both ways: only if pixels and transform are equal are others of that kind (same
    geo keys, nodata text, bands, dtype, compression, ...) read without GDAL, and their CRS and nodata are
    those of the first. All else is opened by rasterio, once. Of a file with several pages, the first is read.

    Args:
        path: A file, or anything that rasterio opens.
        bands: Numbers from 1, in the order wanted; None: all.

    Raises:
        SourceError: The file is missing, empty, truncated, damaged, no raster or a folder; it lacks a band;
            the bands differ in dtype; or its header promises far more than such a file can hold.
    """
    tiff = open_plain(path)
    if tiff is None or _told.get(tiff.kind, _UNKNOWN) is None:
        return _read_by_gdal(path, bands)[0]
    wanted = _wanted(path, bands, tiff.blocks.count)
    try:
        data = tiff.read(wanted)
    except DamagedError as error:
        raise SourceError(f"{path}: {_CURE}: {error}") from error
    if (told := _told.get(tiff.kind)) is not None:
        return Image(data, told.crs, tiff.transform, tuple(told.nodata[i - 1] for i in wanted))
    image, told = _read_by_gdal(path, bands)
    _judge(tiff, data, image, told)
    return image


def _judge(tiff: PlainTiff, data: NDArray[Any], image: Image, told: _Told) -> None:
    """Remember what GDAL tells of a kind of TIFF, and whether the quick reader gives the same."""
    same = data.dtype == image.data.dtype and data.shape == image.data.shape
    same = same and data.tobytes() == image.data.tobytes() and tiff.transform == image.transform
    if len(_told) >= _KINDS:
        _told.clear()
    _told[tiff.kind] = told if same else None


def _wanted(path: str, bands: Sequence[int] | None, count: int) -> tuple[int, ...]:
    """The numbers of the bands to read."""
    wanted = tuple(range(1, count + 1)) if bands is None else tuple(bands)
    missing = [band for band in wanted if not 1 <= band <= count]
    if missing or not wanted:
        got = f"has no band {missing[0]}" if missing else "no band is asked for"
        raise SourceError(f"{path}: {got}; expected numbers from 1 to {count}, or None for all")
    return wanted


def _read_by_gdal(path: str, bands: Sequence[int] | None) -> tuple[Image, _Told]:
    """The image, and what is told of all its bands."""
    if Path(path).is_dir():
        raise SourceError(f"{path}: is a folder, expected a raster file; name the file in it")
    source = to_gdal(path)
    # Corrupt JPEG data is only a warning otherwise, and the pixels are noise.
    jpeg = path.lower().endswith((".jpg", ".jpeg"))
    with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING="TRUE") if jpeg else nullcontext():
        try:
            with georeference_optional():
                dataset = rasterio.open(source)
        except GDAL_ERRORS as error:
            raise SourceError(why_not_opened(path, error)) from error
        with dataset:
            return _read_open(path, dataset, bands)


def _read_open(path: str, dataset: Any, bands: Sequence[int] | None) -> tuple[Image, _Told]:
    if not dataset.count:
        raise SourceError(f"{path}: holds no raster band; name one of its subdatasets")
    wanted = _wanted(path, bands, dataset.count)
    _check_dtypes(path, dataset, wanted)
    _check_promise(path, dataset, wanted)
    if dataset.driver == "PNG":
        refuse_cut_png(path)
    try:
        told = _Told(_crs_text(path, dataset.crs), tuple(dataset.nodatavals))
        data = dataset.read(wanted)
        check_deflated(path, dataset, wanted)
    except DamagedError as error:
        raise SourceError(f"{path}: {_CURE}: {error}") from error
    except GDAL_ERRORS as error:
        reason = error.__cause__ or error
        if is_remote(path):
            raise SourceError(f"{path}: cannot be read: {reason}; {cure_of(reason)}") from error
        raise SourceError(f"{path}: {_CURE} (GDAL says: {reason})") from error
    transform = dataset.transform
    placed = None if tuple(transform[:6]) == tuple(Affine.identity()[:6]) else transform
    nodata = tuple(told.nodata[i - 1] for i in wanted)
    return Image(data, told.crs, placed, nodata, dataset.driver), told


def _crs_text(path: str, crs: Any) -> str | None:
    if not crs:
        return None
    try:
        return str(to_crs(crs.to_string()).to_string())
    except GridError as error:
        raise SourceError(f"{path}: {error}; give the file another CRS, or none") from error


def _check_dtypes(path: str, dataset: Any, wanted: Sequence[int]) -> None:
    """Refuse bands that do not fit into one array as they are."""
    dtypes = {band: dataset.dtypes[band - 1] for band in wanted}
    if len(set(dtypes.values())) > 1:
        listed = ", ".join(f"{band}: {dtype}" for band, dtype in list(dtypes.items())[:4])
        raise SourceError(
            f"{path}: its bands differ in dtype ({listed}), expected one; read each by itself"
        )


def _check_promise(path: str, dataset: Any, wanted: Sequence[int]) -> None:
    """Refuse a header that promises far more pixels than the file can hold."""
    pixel = sum(np.dtype(dataset.dtypes[band - 1]).itemsize for band in wanted)
    promised = dataset.height * dataset.width * pixel
    if promised <= _ANY_BYTES or is_remote(path):
        return
    held = sum(Path(name).stat().st_size for name in dataset.files if Path(name).is_file())
    if held and promised > held * _PER_BYTE:
        raise SourceError(
            f"{path}: its header promises {dataset.height} x {dataset.width} pixels, {promised} bytes "
            f"in all, in a file of {held}; it is damaged, or nearly empty: copy or write it again"
        )
