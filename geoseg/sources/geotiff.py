"""GeoTIFFSource: pixels of one raster file, or of several as one mosaic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator
from rasterio.enums import ColorInterp, MaskFlags

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterSource, fill_around
from geoseg.sources.cache import drop, remember, stamp
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.spec import Uri
from geoseg.window import Window

_STAMPED = 16
"""Files of a mosaic that are looked at for changes at every use; a stat of thousands takes too long."""


@dataclass(frozen=True)
class _File:
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
    stamp: tuple[int, int] | None
    """The state of the file when this was found."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """One file, or several on a common grid."""

    grid: Grid
    band_names: tuple[str, ...]
    dtype: np.dtype[Any]
    files: tuple[_File, ...]
    edges: NDArray[np.int64]
    """(4, file) first row, first column, one past the last row, one past the last column."""

    def meeting(self, window: Window) -> list[_File]:
        """The files that share pixels with a window, in their order."""
        top, left, bottom, right = self.edges
        meets = (top < window.row_stop) & (left < window.col_stop)
        meets &= (bottom > window.row) & (right > window.col)
        return [self.files[i] for i in np.flatnonzero(meets)]


def _nan_as_text(value: Any) -> Any:
    """NaN is not equal to itself; as text, a source with it is equal to its copy."""
    return "nan" if isinstance(value, float | np.floating) and np.isnan(value) else value


class GeoTIFFSource(RasterSource):
    """Any raster that GDAL opens: GeoTIFF, COG, PNG, JPEG2000, `/vsi...` paths, http and s3 URLs.

    Several files are one mosaic: same CRS, resolution, bands and dtype, whole-pixel offsets; where
    they overlap the first listed valid pixel wins. A pixel is valid where no band that is read holds
    nodata, NaN or infinity and no alpha band or mask hides it. A picture without georeference gets the
    identity as its grid.

    A local file that changes on disk is read anew. Of a mosaic, a change of the first 16 files is
    noticed at once, of the others when a window that meets them is read, or by `check`.

    Raises (when read or checked, not when made):
        SourceError: A file is missing, is no raster, is damaged, or lacks a band.
        GridError: The files of a mosaic do not fit; WarpedSource brings them together.
    """

    type: Literal["geotiff"] = "geotiff"
    uri: Uri | tuple[Uri, ...]
    """A file, or the files of a mosaic, first on top."""
    bands: tuple[int | str, ...] | None = None
    """Numbers from 1, or names; None: all but alpha. Bands without a name are called "1", "2", ...

    An alpha band that is asked for is data and hides nothing (near infrared that a writer called alpha);
    so is one with a name of its own, such as "nir".
    """
    nodata: Annotated[float | Literal["nan"] | None, BeforeValidator(_nan_as_text)] = None
    """The number that means "missing"; None: as the file says. Alpha and masks hide in any case."""

    @property
    def uris(self) -> tuple[str, ...]:
        """The files as a tuple."""
        return (self.uri,) if isinstance(self.uri, str) else self.uri

    @property
    def grid(self) -> Grid:
        """The file's grid; of a mosaic, that around all files on the first one's lattice."""
        return self._layout.grid

    @property
    def band_names(self) -> tuple[str, ...]:
        """The files' band descriptions, or the numbers as text."""
        return self._layout.band_names

    @property
    def dtype(self) -> np.dtype[Any]:
        """The file's dtype (the common one where bands differ)."""
        return self._layout.dtype

    def read(self, window: Window) -> Chip:
        """The pixels of a window; see RasterSource."""
        layout, files = self._meeting(window)
        if len(layout.files) == 1:
            file = layout.files[0]
            if layout.grid.whole.contains(window):
                return _read_file(file, window, layout.dtype)
            return fill_around(
                window,
                layout.grid,
                len(layout.band_names),
                layout.dtype,
                lambda part: _read_file(file, part, layout.dtype),
            )
        return _read_mosaic(layout, files, window)

    def check(self) -> None:
        """Open every file and read one of its pixels; see RasterSource."""
        layout, files = self._meeting(self.grid.whole)
        for file in files:
            _read_file(file, Window(0, 0, 1, 1), layout.dtype)

    @property
    def _layout(self) -> _Layout:
        return remember(
            ("geotiff layout", self),
            lambda: _lay_out(self),
            files=self.uris[:_STAMPED],
            nbytes=lambda layout: 1000 * len(layout.files),
        )

    def _meeting(self, window: Window) -> tuple[_Layout, list[_File]]:
        """The layout, and the files a window meets, none of them changed since it was made."""
        layout = self._layout
        if len(layout.files) == 1:
            return layout, list(layout.files)
        files = layout.meeting(window)
        many = len(layout.files) > _STAMPED
        if many and any(stamp(file.uri) != file.stamp for file in files):
            drop(("geotiff layout", self), files=self.uris[:_STAMPED])
            layout = self._layout
            files = layout.meeting(window)
        return layout, files


def _lay_out(source: GeoTIFFSource) -> _Layout:
    """Open every file and find its place; the first one sets lattice, bands and dtype."""
    if not source.uris:
        raise SourceError("a geotiff source with no file: `uri` is an empty list; name a file")
    parts = [_describe(uri, source) for uri in source.uris]
    grids = [grid for grid, *_ in parts]
    first_grid, first_file, first_names, first_dtype = parts[0]
    windows = []
    for grid, file, names, dtype in parts:
        offset = first_grid.offset_of(grid)
        if offset is None:
            raise GridError(
                f"{file.uri}: cannot join a mosaic: it is {grid.describe()}, but {first_file.uri} is "
                f"{first_grid.describe()}, and the offset must be whole pixels of one CRS; wrap it in "
                "WarpedSource(source=..., onto=...) or warp the files to one grid"
            )
        if (len(names), dtype) != (len(first_names), first_dtype):
            raise SourceError(
                f"{file.uri}: cannot join a mosaic: {len(names)} bands of {dtype}, but "
                f"{first_file.uri} has {len(first_names)} of {first_dtype}; choose bands=..., or "
                "convert the files"
            )
        if names != first_names and sorted(names) == sorted(first_names):
            raise SourceError(
                f"{file.uri}: cannot join a mosaic: its bands come as {', '.join(names)}, those of "
                f"{first_file.uri} as {', '.join(first_names)}; choose them by name with bands=..."
            )
        windows.append(Window(*offset, *grid.shape))
    around = _around(windows)
    files = tuple(
        replace(file, window=window.relative_to(around))
        for (_, file, _, _), window in zip(parts, windows, strict=True)
    )
    grid = grids[0] if len(grids) == 1 else first_grid.crop(around)
    edges = np.array([(w.row, w.col, w.row_stop, w.col_stop) for w in (f.window for f in files)])
    return _Layout(grid, first_names, first_dtype, files, np.ascontiguousarray(edges.T))


def _around(windows: list[Window]) -> Window:
    """The smallest window that holds all."""
    row, col = min(w.row for w in windows), min(w.col for w in windows)
    height = max(w.row_stop for w in windows) - row
    return Window(row, col, height, max(w.col_stop for w in windows) - col)


def _describe(
    uri: str, source: GeoTIFFSource
) -> tuple[Grid, _File, tuple[str, ...], np.dtype[Any]]:
    """Grid, file (its place still to be found), band names and dtype of one file."""
    state = stamp(uri)  # before it is opened: what changes after that is noticed
    dataset = open_raster(uri)
    try:
        grid, file, names, dtype = _describe_open(uri, dataset, source)
        return grid, replace(file, stamp=state), names, dtype
    except GDAL_ERRORS as error:
        raise SourceError(
            f"{uri}: its header cannot be read: {error}; the file is truncated or damaged, copy it again"
        ) from error


def _describe_open(
    uri: str, dataset: Any, source: GeoTIFFSource
) -> tuple[Grid, _File, tuple[str, ...], np.dtype[Any]]:
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
    bands = _choose_bands(uri, names, source.bands, alphas=_alphas(dataset))
    dtypes = [np.dtype(dataset.dtypes[band - 1]) for band in bands]
    given = None if source.nodata is None else float(source.nodata)
    file = _File(
        uri=uri,
        window=Window(0, 0, *dataset.shape),
        bands=bands,
        nodata=tuple(dataset.nodatavals[b - 1] if given is None else given for b in bands),
        masks=_bands_with_masks(dataset, bands, nodata_given=given is not None),
        alpha=_alpha_over(dataset, bands),
        mixed=len(set(dtypes)) > 1,
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


def _read_file(file: _File, window: Window, dtype: np.dtype[Any]) -> Chip:
    """Pixels of a window that lies in the file."""
    dataset = open_raster(file.uri)
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


def _read_mosaic(layout: _Layout, files: list[_File], window: Window) -> Chip:
    """The first listed valid pixel at each place; `files` are those that the window meets."""
    data = np.zeros((len(layout.band_names), *window.shape), layout.dtype)
    valid = np.zeros(window.shape, bool)
    for file in files:
        part = window.intersection(file.window)
        if part is None:
            continue
        target = part.relative_to(window).slices
        chip = _read_file(file, part.relative_to(file.window), layout.dtype)
        new = chip.valid & ~valid[target]
        if new.all():
            data[(slice(None), *target)] = chip.data
        else:
            np.copyto(data[(slice(None), *target)], chip.data, where=new)
        valid[target] |= new
        if valid.all():
            break
    return Chip(data, valid)
