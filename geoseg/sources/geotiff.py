"""GeoTIFFSource: pixels of one raster file, or of several as one mosaic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, fill_around
from geoseg.sources.cache import drop, remember, stamp
from geoseg.sources.files.behind import behind_raster
from geoseg.sources.files.overviews import factors_of
from geoseg.sources.files.rasterfile import RasterFile, describe_file, read_file
from geoseg.sources.files.tiffreader import TIFF_CACHE_BYTES
from geoseg.sources.handles import block_cache_limit
from geoseg.sources.transformed import TransformedSource
from geoseg.spec import Uri
from geoseg.window import Window

_LEAST_FACTOR = 2.0
"""No overview is nearer to the full resolution than this."""
_STAMPED = 16
"""Files of a mosaic that are looked at for changes at every use; a stat of thousands takes too long."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """One file, or several on a common grid."""

    grid: Grid
    band_names: tuple[str, ...]
    dtype: np.dtype[Any]
    files: tuple[RasterFile, ...]
    edges: NDArray[np.int64]
    """(4, file) first row, first column, one past the last row, one past the last column."""

    def meeting(self, window: Window) -> list[RasterFile]:
        """The files that share pixels with a window, in their order."""
        top, left, bottom, right = self.edges
        meets = (top < window.row_stop) & (left < window.col_stop)
        meets &= (bottom > window.row) & (right > window.col)
        return [self.files[i] for i in np.flatnonzero(meets)]


def _nan_as_text(value: Any) -> Any:
    """NaN is not equal to itself; as text, a source with it is equal to its copy."""
    return "nan" if isinstance(value, float | np.floating) and np.isnan(value) else value


class GeoTIFFSource(TransformedSource):
    """Any raster that GDAL opens: GeoTIFF, COG, PNG, JPEG2000, `/vsi...` paths, http and s3 URLs.

    Pixels are the numbers in the file: scale and offset tags are not applied, indices of a palette not
    coloured. A TIFF of several pages is read from its first, with a warning that names the others.

    Several files are one mosaic: same CRS, resolution, bands and dtype, whole-pixel offsets; where
    they overlap the first listed valid pixel wins. A pixel is valid where no band that is read holds
    nodata, NaN or infinity and no alpha band or mask hides it. A picture without georeference gets the
    identity as its grid.

    A local file that changes on disk is read anew. Of a mosaic, a change of the first 16 files is
    noticed at once, of the others when a window that meets them is read, or by `check`. Changes of files
    beside it (`.msk`, `.aux.xml`, `.ovr`, world files) or named by a VRT are noticed by new processes only.

    `zip://a.zip!b.tif` and `/vsizip/a.zip/b.tif` are a file in an archive. Of what is remote, `https://`,
    `s3://`, `gs://`, `az://` or `/vsicurl/...`, only the blocks that a window meets are fetched. Changes
    in an archive or on a server are not noticed. GDAL's environment holds: AWS_ACCESS_KEY_ID,
    AWS_NO_SIGN_REQUEST, AWS_S3_ENDPOINT, ...; GDAL_HTTP_MAX_RETRY=5 asks a busy server again,
    GDAL_HTTP_TIMEOUT=30 gives up after so many seconds.

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
    so is one with a name of its own, such as "nir". `geoseg info` tells which bands are alpha.
    """
    nodata: Annotated[int | float | Literal["nan"] | None, BeforeValidator(_nan_as_text)] = None
    """The number that means "missing"; None: as the file says. Alpha and masks hide in any case."""
    overview: Annotated[int, Field(ge=0)] | None = None
    """Read this overview, from 0 (the finest), in place of the full resolution."""
    reader: Literal["gdal", "tifffile"] = "gdal"
    """Who decodes the pixels. "tifffile" (extra `tifffile`) is for local TIFFs and COGs with JPEG tiles, at
    full resolution: 1.7 times as fast as GDAL there, and **not equal to it to the bit**. The decoders
    differ, by 0.2 grey levels on average and 32 at most on a Landsat picture, so train and predict with
    one reader. Lossless files come out equal. What it cannot read is an error, never left to GDAL."""

    @property
    def uris(self) -> tuple[str, ...]:
        """The files as a tuple."""
        return (self.uri,) if isinstance(self.uri, str) else self.uri

    @property
    def grid(self) -> Grid:
        """The file's grid; of a mosaic, that around all files on the first one's lattice."""
        return self._layout.grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """The files' band descriptions, or the numbers as text."""
        return self._layout.band_names

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The file's dtype (the common one where bands differ)."""
        return self._layout.dtype

    @property
    def own_categorical(self) -> bool:
        """Whether the one band that is read holds numbers of a colour table."""
        return self._layout.files[0].palette

    def coarser(self, most: float) -> GeoTIFFSource:
        """The coarsest overview whose pixels are at most `most` times as large; see RasterSource.

        A source that names an overview gives itself, as does one read by tifffile, and one with
        transforms that do not keep means; so does a mosaic whose files have different overviews, or do
        not begin and end at pixels of them, and a file whose overviews would show or hide other pixels
        (see `files.overviews.factors_of`).
        """
        chosen = self.overview is not None or self.reader == "tifffile"
        if chosen or not self.keeps_means or most < _LEAST_FACTOR:
            return self
        factors = self._overviews
        fitting = [i for i, factor in enumerate(factors) if 1 < factor <= most]
        if not fitting:
            return self
        best = max(fitting, key=lambda i: factors[i])
        return self.model_copy(update={"overview": best})

    @property
    def cache_bytes(self) -> float:
        """GDAL's block cache as it is set now, or the one of tifffile's tiles."""
        return block_cache_limit() if self.reader == "gdal" else TIFF_CACHE_BYTES

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window as the files hold them; see RasterSource."""
        layout, files = self._meeting(window)
        if len(layout.files) == 1:
            file = layout.files[0]
            if layout.grid.whole.contains(window):
                return read_file(file, window, layout.dtype)
            return fill_around(
                window,
                layout.grid,
                len(layout.band_names),
                layout.dtype,
                lambda part: read_file(file, part, layout.dtype),
            )
        return _read_mosaic(layout, files, window)

    def check(self) -> None:
        """Open every file and read its first and last pixel; see RasterSource.

        A file that was cut short lacks its last pixel, or its first where the writer put that last.
        """
        layout, files = self._meeting(self.grid.whole)
        for file in files:
            height, width = file.window.shape
            for row, col in ((0, 0), (height - 1, width - 1)):
                read_file(file, Window(row, col, 1, 1), layout.dtype)
        super().check()

    def uris_within(self) -> tuple[str, ...]:
        """The files beside these (`.ovr`, `.msk`, ...), those that a VRT names, and archives; see `files_of`.

        Those of files on servers are not asked for.
        """
        return tuple(dict.fromkeys(name for uri in self.uris for name in behind_raster(uri)))

    @property
    def _overviews(self) -> tuple[int, ...]:
        """So many times as large are the pixels of each overview; 0 where the files do not agree on it."""
        return remember(
            ("geotiff overviews", self),
            lambda: _overviews_of(self._layout),
            files=self.uris[:_STAMPED],
            nbytes=lambda _: 100,
        )

    @property
    def _layout(self) -> _Layout:
        return remember(
            ("geotiff layout", self),
            lambda: _lay_out(self),
            files=self.uris[:_STAMPED],
            nbytes=lambda layout: 1000 * len(layout.files),
        )

    def _meeting(self, window: Window) -> tuple[_Layout, list[RasterFile]]:
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


def _overviews_of(layout: _Layout) -> tuple[int, ...]:
    """The factors of the overviews that all files have, 0 for those that their places do not fit."""
    found = [factors_of(file) for file in layout.files]
    if len(found) == 1:
        return found[0]
    if len(set(found)) > 1:
        return ()
    edges = layout.edges
    return tuple(factor if not (edges % factor).any() else 0 for factor in found[0])


def _lay_out(source: GeoTIFFSource) -> _Layout:
    """Open every file and find its place; the first one sets lattice, bands and dtype."""
    if not source.uris:
        raise SourceError("a geotiff source with no file: `uri` is an empty list; name a file")
    parts = [
        describe_file(
            uri,
            bands=source.bands,
            nodata=float("nan") if source.nodata == "nan" else source.nodata,
            overview=source.overview,
        )
        for uri in source.uris
    ]
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
        replace(file, window=window.relative_to(around), reader=source.reader)
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


def _read_mosaic(layout: _Layout, files: list[RasterFile], window: Window) -> Chip:
    """The first listed valid pixel at each place; `files` are those that the window meets."""
    data = np.zeros((len(layout.band_names), *window.shape), layout.dtype)
    valid = np.zeros(window.shape, bool)
    for file in files:
        part = window.intersection(file.window)
        if part is None:
            continue
        target = part.relative_to(window).slices
        chip = read_file(file, part.relative_to(file.window), layout.dtype)
        new = chip.valid & ~valid[target]
        if new.all():
            data[(slice(None), *target)] = chip.data
        else:
            np.copyto(data[(slice(None), *target)], chip.data, where=new)
        valid[target] |= new
        if valid.all():
            break
    return Chip(data, valid)
