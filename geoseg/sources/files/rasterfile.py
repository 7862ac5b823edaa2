"""One raster file: what its header tells, and the pixels of a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.rasterpath import check_placed, cure_of, is_remote
from geoseg.shortlist import some
from geoseg.sources.base import Chip
from geoseg.sources.cache import stamp
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.files.remote import apart
from geoseg.sources.files.tiffreader import read_tiff
from geoseg.sources.files.wholepng import refuse_cut_png
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.warn import warn
from geoseg.window import Window

_LISTED = 4
"""Parts of a file that an error names."""


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
    reader: Literal["gdal", "tifffile"] = "gdal"
    """Who decodes the pixels; the header and masks are GDAL's in any case."""


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

    def describe() -> tuple[Grid, RasterFile, tuple[str, ...], np.dtype[Any]]:
        dataset = open_raster(uri)
        try:
            described = _describe_open(uri, dataset, wanted=bands, given=nodata)
            if overview is None:
                return described
            # An overview has no names of bands: all but its grid is that of the full resolution.
            _, file, names, dtype = described
            grid = Grid.of_dataset(open_raster(uri, overview=overview))
            return grid, replace(file, window=grid.whole), names, dtype
        except GDAL_ERRORS as error:
            cure = _cure(uri, dataset, error)
            raise SourceError(f"{uri}: its header cannot be read: {error}; {cure}") from error

    grid, file, names, dtype = apart(uri, describe)
    return grid, replace(file, overview=overview, stamp=state), names, dtype


def _describe_open(
    uri: str, dataset: Any, *, wanted: tuple[int | str, ...] | None, given: float | None
) -> tuple[Grid, RasterFile, tuple[str, ...], np.dtype[Any]]:
    _check_parts(uri, dataset)
    if dataset.driver == "PNG":
        refuse_cut_png(uri)
    check_placed(uri, dataset)
    names = tuple(text or str(i) for i, text in enumerate(dataset.descriptions, start=1))
    bands = _choose_bands(uri, dataset.descriptions, wanted, alphas=alphas_of(dataset))
    dtypes = [_dtype_of(dataset, band) for band in bands]
    file = RasterFile(
        uri=uri,
        window=Window(0, 0, *dataset.shape),
        bands=bands,
        nodata=tuple(_nodata_of(dataset, b) if given is None else given for b in bands),
        masks=_bands_with_masks(dataset, bands, nodata_given=given is not None),
        alpha=_alpha_over(dataset, bands),
        mixed=len(set(dtypes)) > 1,
        overview=None,
        palette=len(bands) == 1 and dataset.colorinterp[bands[0] - 1] == ColorInterp.palette,
        stamp=None,
    )
    names = tuple(names[band - 1] for band in bands)
    return Grid.of_dataset(dataset), file, names, np.result_type(*dtypes)


def _check_parts(uri: str, dataset: Any) -> None:
    """Say which rasters there are in a file that holds several."""
    parts = dataset.subdatasets
    listed = some(parts, _LISTED)
    if not dataset.count:
        cure = f"name one of its subdatasets: {listed}" if parts else "expected a raster file"
        raise SourceError(f"{uri}: holds no raster band; {cure}")
    if dataset.driver == "GTiff" and len(parts) > 1:
        warn(f"{uri}: holds {len(parts)} pages, of which the first is read; name one of: {listed}")


def _choose_bands(
    uri: str,
    texts: tuple[str | None, ...],
    wanted: tuple[int | str, ...] | None,
    *,
    alphas: list[int],
) -> tuple[int, ...]:
    """1-based numbers of the bands to read, from the bands' descriptions."""
    if wanted is None:
        bands = tuple(i for i in range(1, len(texts) + 1) if i not in alphas)
        return bands or (1,)
    if not wanted:
        raise SourceError(f"{uri}: `bands` is empty; name at least one, or leave it out for all")
    return tuple(_find_band(uri, texts, band) for band in wanted)


def _find_band(uri: str, texts: tuple[str | None, ...], wanted: int | str) -> int:
    names = [text or str(i) for i, text in enumerate(texts, start=1)]
    found = [i for i, text in enumerate(texts, start=1) if text and text == wanted]
    if len(found) > 1:
        numbers = ", ".join(map(str, found))
        raise SourceError(
            f"{uri}: has {len(found)} bands called {wanted!r}; choose by number: {numbers}"
        )
    number = found[0] if found else names.index(wanted) + 1 if wanted in names else wanted
    if not isinstance(number, int) or not 1 <= number <= len(names):
        raise SourceError(
            f"{uri}: has no band {wanted!r}, expected a number from 1 to {len(names)} or one of: "
            f"{', '.join(names)}"
        )
    return number


def _dtype_of(dataset: Any, band: int) -> np.dtype[Any]:
    """The dtype that a band is read in; numpy has no complex whole numbers."""
    name = dataset.dtypes[band - 1]
    return np.dtype("complex64" if name == "complex_int16" else name)


def _is_wide(dataset: Any, band: int) -> bool:
    """Whether a band holds whole numbers that a float cannot tell apart."""
    return dataset.dtypes[band - 1] in ("int64", "uint64")


def _nodata_of(dataset: Any, band: int) -> float | None:
    """A band's own nodata; rasterio gives it as a float, so that GDAL's mask is read where it is wide."""
    nodata: float | None = None if _is_wide(dataset, band) else dataset.nodatavals[band - 1]
    return nodata


def alphas_of(dataset: Any) -> list[int]:
    """The bands of an open file that are alpha. A band with a name of its own is not, whatever its colour says.

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
    alphas = alphas_of(dataset)
    return alphas[0] if alphas and alphas[0] not in bands else None


def _bands_with_masks(
    dataset: Any, bands: tuple[int, ...], *, nodata_given: bool
) -> tuple[int, ...]:
    """Of the bands to read, those whose mask tells more than nodata and alpha do."""
    found = []
    for band in bands:
        flags = set(dataset.mask_flag_enums[band - 1])
        by_number = MaskFlags.nodata in flags and (
            nodata_given or (flags == {MaskFlags.nodata} and not _is_wide(dataset, band))
        )
        if by_number or flags & {MaskFlags.all_valid, MaskFlags.alpha}:
            continue
        if MaskFlags.per_dataset in flags:
            return (band,)
        found.append(band)
    return tuple(found)


def read_file(file: RasterFile, window: Window, dtype: np.dtype[Any]) -> Chip:
    """Pixels of a window that lies in the file."""
    planes, valid = apart(file.uri, lambda: _read_open(file, window))
    for plane, missing in zip(planes, file.nodata, strict=True):
        _hide_missing(valid, plane, missing)
    return Chip(np.asarray(planes, dtype), valid)


def _read_open(file: RasterFile, window: Window) -> tuple[Any, NDArray[np.bool_]]:
    """The bands, and what no alpha and no mask hides."""
    dataset = open_raster(file.uri, overview=file.overview)
    part = window.to_rasterio()
    try:
        planes = _read_bands(file, dataset, file.bands, window)
        valid = np.ones(window.shape, bool)
        if file.alpha is not None:
            valid &= _read_bands(file, dataset, (file.alpha,), window)[0] > 0
        if file.masks:
            valid &= (dataset.read_masks(file.masks, window=part) > 0).all(axis=0)
    except GDAL_ERRORS as error:
        cause = error.__cause__ or error
        raise SourceError(
            f"{file.uri}: cannot read rows {window.row}..{window.row_stop}, columns "
            f"{window.col}..{window.col_stop}: {cause}; {_cure(file.uri, dataset, cause)}"
        ) from error
    return planes, valid


def _read_bands(file: RasterFile, dataset: Any, bands: tuple[int, ...], window: Window) -> Any:
    """The pixels of some bands, by whom the file is to be read."""
    if file.reader == "tifffile":
        if file.overview is not None:
            raise SourceError(
                f'{file.uri}: reader="tifffile" reads the full resolution only, not overview '
                f"{file.overview}; leave out one of the two"
            )
        return read_tiff(file.uri, bands, window)
    part = window.to_rasterio()
    if file.mixed:
        return [dataset.read(band, window=part) for band in bands]
    return dataset.read(bands, window=part)


def _cure(uri: str, dataset: Any, error: BaseException) -> str:
    """What to do about a file that opens but cannot be read."""
    if dataset.driver == "VRT":
        return "a file that this VRT names is missing or damaged; mend the paths in it"
    if is_remote(uri):
        return cure_of(error) or (
            "the server did not send it, or the file there is damaged; try again, with "
            "GDAL_HTTP_MAX_RETRY=5 in the environment to ask a busy server more than once"
        )
    return "the file is truncated or damaged, copy it again"


def _hide_missing(valid: NDArray[np.bool_], band: NDArray[Any], missing: float | None) -> None:
    """Clear what is no measurement in a band."""
    if np.issubdtype(band.dtype, np.inexact):
        valid &= np.isfinite(band)
    marked = None if missing is None else nodata_in(band.dtype, missing)
    if marked is not None:
        valid &= band != marked
