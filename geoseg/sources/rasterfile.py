"""One raster file: what its header tells, and the pixels of a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip
from geoseg.sources.cache import stamp
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.window import Window


@dataclass(frozen=True)
class RasterFile:
    """What is known of one file without reading a pixel."""

    uri: str
    window: Window
    """Its place on the mosaic's grid."""
    bands: tuple[int, ...]
    """The bands to read, 1-based."""
    nodata: tuple[float | None, ...]
    """The number that means "missing", for each of them."""
    masks: tuple[int, ...]
    """The bands whose mask is read too: one of them where the mask is for all bands."""
    alpha: int | None
    """The band that hides pixels of the others where it is 0."""
    mixed: bool
    """Whether the bands differ in dtype, so that rasterio reads them one by one only."""
    overview: int | None
    """Which overview is read, from 0 (the finest); None: the full resolution."""
    palette: bool
    """Whether the one band holds numbers of colours or classes."""
    stamp: tuple[int, int] | None
    """The state of the file when this was found."""


def describe_file(
    uri: str,
    *,
    bands: tuple[int | str, ...] | None = None,
    nodata: float | None = None,
    overview: int | None = None,
) -> tuple[Grid, RasterFile, tuple[str, ...], np.dtype[Any]]:
    """Grid, file (its place still to be found), band names and dtype of one file.

    Args:
        uri: The file.
        bands: Numbers from 1, or names; None: all but alpha.
        nodata: The number that means "missing"; None: as the file says.
        overview: Which overview, from 0 (the finest); None: the full resolution.

    Raises:
        SourceError: The file is missing, is no raster, is damaged, or lacks a band or the overview.
    """
    state = stamp(uri)  # before it is opened: what changes after that is noticed
    dataset = open_raster(uri, overview=overview)
    try:
        grid, file, names, dtype = _describe_open(uri, dataset, wanted=bands, given=nodata)
        file = replace(file, overview=overview)
        return grid, replace(file, stamp=state), names, dtype
    except GDAL_ERRORS as error:
        raise SourceError(
            f"{uri}: its header cannot be read: {error}; the file is truncated or damaged, copy it again"
        ) from error


def _describe_open(
    uri: str, dataset: Any, *, wanted: tuple[int | str, ...] | None, given: float | None
) -> tuple[Grid, RasterFile, tuple[str, ...], np.dtype[Any]]:
    if dataset.gcps[0] and dataset.transform.is_identity:
        raise SourceError(
            f"{uri}: is georeferenced by ground control points only, expected a transform; warp it "
            "first: gdalwarp IN OUT"
        )
    if not dataset.count:
        raise SourceError(
            f"{uri}: holds no raster band; name one of its subdatasets (see gdalinfo)"
        )
    names = tuple(text or str(i) for i, text in enumerate(dataset.descriptions, start=1))
    bands = _choose_bands(uri, names, wanted, alphas=_alphas(dataset))
    dtypes = [np.dtype(dataset.dtypes[band - 1]) for band in bands]
    file = RasterFile(
        uri=uri,
        window=Window(0, 0, *dataset.shape),
        bands=bands,
        nodata=tuple(dataset.nodatavals[b - 1] if given is None else given for b in bands),
        masks=_bands_with_masks(dataset, bands, nodata_given=given is not None),
        alpha=_alpha_over(dataset, bands),
        mixed=len(set(dtypes)) > 1,
        overview=None,
        palette=len(bands) == 1 and dataset.colorinterp[bands[0] - 1] == ColorInterp.palette,
        stamp=None,
    )
    names = tuple(names[band - 1] for band in bands)
    return Grid.of_dataset(dataset), file, names, np.result_type(*dtypes)


def _choose_bands(
    uri: str,
    names: tuple[str, ...],
    wanted: tuple[int | str, ...] | None,
    *,
    alphas: list[int],
) -> tuple[int, ...]:
    """1-based numbers of the bands to read."""
    if wanted is None:
        bands = tuple(i for i in range(1, len(names) + 1) if i not in alphas)
        return bands or (1,)
    chosen = []
    for band in wanted:
        number = names.index(band) + 1 if band in names else band
        if not isinstance(number, int) or not 1 <= number <= len(names):
            raise SourceError(
                f"{uri}: has no band {band!r}, expected a number from 1 to {len(names)} or one of: "
                f"{', '.join(names)}"
            )
        chosen.append(number)
    if not chosen:
        raise SourceError(f"{uri}: `bands` is empty; name at least one, or leave it out for all")
    return tuple(chosen)


def _alphas(dataset: Any) -> list[int]:
    """The bands that are alpha. A band with a name of its own is not, whatever its colour says.

    Writers call the fourth of four byte bands alpha unless told otherwise, near infrared included.
    """
    named_so = (None, "", "alpha", "mask")
    tagged = zip(dataset.colorinterp, dataset.descriptions, strict=True)
    return [
        i
        for i, (color, text) in enumerate(tagged, start=1)
        if color == ColorInterp.alpha and (text and text.lower()) in named_so
    ]


def _alpha_over(dataset: Any, bands: tuple[int, ...]) -> int | None:
    """The alpha band that hides pixels of other bands; one that is asked for is data itself."""
    alphas = _alphas(dataset)
    return alphas[0] if alphas and alphas[0] not in bands else None


def _bands_with_masks(
    dataset: Any, bands: tuple[int, ...], *, nodata_given: bool
) -> tuple[int, ...]:
    """Of the bands to read, those whose mask tells more than nodata and alpha do."""
    found = []
    for band in bands:
        flags = set(dataset.mask_flag_enums[band - 1])
        by_number = flags == {MaskFlags.nodata} or (nodata_given and MaskFlags.nodata in flags)
        if by_number or flags & {MaskFlags.all_valid, MaskFlags.alpha}:
            continue
        if MaskFlags.per_dataset in flags:
            return (band,)
        found.append(band)
    return tuple(found)


def read_file(file: RasterFile, window: Window, dtype: np.dtype[Any]) -> Chip:
    """Pixels of a window that lies in the file."""
    dataset = open_raster(file.uri, overview=file.overview)
    part = window.to_rasterio()
    try:
        planes = (
            [dataset.read(band, window=part) for band in file.bands]
            if file.mixed
            else dataset.read(file.bands, window=part)
        )
        valid = np.ones(window.shape, bool)
        if file.alpha is not None:
            valid &= dataset.read(file.alpha, window=part) > 0
        if file.masks:
            valid &= (dataset.read_masks(file.masks, window=part) > 0).all(axis=0)
    except GDAL_ERRORS as error:
        cause = error.__cause__ or error
        raise SourceError(
            f"{file.uri}: cannot read rows {window.row}..{window.row_stop}, columns "
            f"{window.col}..{window.col_stop}: {cause}; the file is truncated or damaged, copy it again"
        ) from error
    for plane, missing in zip(planes, file.nodata, strict=True):
        _hide_missing(valid, plane, missing)
    return Chip(np.asarray(planes, dtype), valid)


def _hide_missing(valid: NDArray[np.bool_], band: NDArray[Any], missing: float | None) -> None:
    """Clear what is no measurement in a band."""
    if np.issubdtype(band.dtype, np.inexact):
        valid &= np.isfinite(band)
    if missing is not None and _can_hold(band.dtype, missing):
        valid &= band != band.dtype.type(missing)


def _can_hold(dtype: np.dtype[Any], number: float) -> bool:
    """Whether a band of this dtype can hold the number: -9999 in a byte raster marks nothing."""
    if not np.isfinite(number):
        return False  # NaN and infinity are never valid anyway
    if np.issubdtype(dtype, np.inexact):
        return abs(number) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return float(number).is_integer() and limits.min <= number <= limits.max
