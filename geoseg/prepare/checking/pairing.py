"""Which image belongs to a mask, and whether the two lie on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from geoseg.errors import ConfigError, GeosegError
from geoseg.grid import Grid
from geoseg.prepare.aligning.kernel import name_of
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sampling.windowindex.columns import IMAGE
from geoseg.sampling.windowindex.paths import resolved
from geoseg.sampling.windowindex.rows import cells_of
from geoseg.sources.base import RasterSource, raster_source
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster
from geoseg.sources.warp import WarpedSource
from geoseg.spec import files_of


@dataclass(frozen=True, slots=True)
class Images:
    """Where the image of a row comes from."""

    one: RasterSource | None
    """The image of all rows."""
    paths: tuple[str | None, ...] | None
    """(row,) files, on the grids of their masks."""

    @property
    def there(self) -> bool:
        """Whether any row has an image."""
        return self.one is not None or self.paths is not None

    @property
    def files(self) -> tuple[str, ...]:
        """Each file once."""
        if self.one is not None:
            return files_of(self.one)
        return tuple(dict.fromkeys(path for path in self.paths or () if path is not None))

    def of(self, row: int) -> RasterSource | str | None:
        """The image of a row; None for an empty cell."""
        if self.one is not None:
            return self.one
        return None if self.paths is None else self.paths[row]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image on the grid of a mask."""

    image: RasterSource | None
    """Reads windows of the mask's grid; None where it cannot be brought there."""
    code: str | None = None
    """The finding that it makes."""
    detail: str = ""
    """What there is to say."""
    may_be_nan: bool = False
    """Whether NaN is declared as nodata."""


def images_of(
    index: WindowIndex, image: RasterSource | str | PathLike[str] | None, column: str
) -> Images:
    """The images of an index.

    Args:
        index: The windows.
        image: One source for all masks, or its uri; None: what the column says.
        column: Holds a file a row; relative paths are meant as those of the masks are.

    Raises:
        ConfigError: The column is not there, and has another name than usual.
    """
    if image is not None:
        given = image if isinstance(image, RasterSource) else str(image)
        return Images(raster_source(given), None)
    if column == IMAGE:
        return Images(None, index.image_paths)
    if column not in index.table:
        raise ConfigError(
            f"image_column is {column!r}, which is no column of the index; found "
            f"{', '.join(map(str, index.table.columns))}"
        )
    cells = cells_of(index.table[column])
    written = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    folder = None if index.uri is None else Path(index.uri).absolute().parent
    opened = resolved(written, folder=folder, base=None, where="index")
    paths = dict(zip(written, opened, strict=True))
    return Images(None, tuple(None if cell is None else paths[cell] for cell in cells))


def pair_up(image: RasterSource | str, mask: Grid) -> Pair:
    """An image on the grid of a mask, as it is or resampled, and what there is to say about the two.

    Args:
        image: One source for all masks, which may be on any grid; or a file, which should be on the mask's.
        mask: Its grid.

    Raises:
        GeosegError: The image cannot be read.
    """
    source = raster_source(image)
    own, free = source.grid, not isinstance(image, str)
    may_be_nan = _declares_nan(source)
    if _same(own, mask):
        return Pair(source, may_be_nan=may_be_nan)
    told = f"{name_of(source)} is {own.describe()}; the mask is {mask.describe()}"
    if (own.crs is None) != (mask.crs is None) and own.shape == mask.shape:
        return Pair(source, "image-unplaced", told, may_be_nan)
    offset = own.offset_of(mask)
    if offset is not None:
        told = f"{told}, which begins {offset[0]} rows and {offset[1]} columns from it"
    code: str | None = "grids-differ"
    if free and own.crs is not None and mask.crs is not None:
        code = None if offset is not None else "image-resampled"
    try:
        warped = WarpedSource(source=source, onto=mask)
        _ = warped.plan  # tells whether the one can be brought to the other
        return Pair(warped, code, told if code else "", may_be_nan)
    except (GeosegError, ValueError) as error:
        return Pair(None, "grids-differ", f"{told}; {error}", may_be_nan)


def _same(one: Grid, other: Grid) -> bool:
    return one.shape == other.shape and one.offset_of(other) == (0, 0)


def _declares_nan(source: RasterSource) -> bool:
    """Whether a file says that NaN is no data."""
    inner = getattr(source, "source", source)
    if not isinstance(inner, GeoTIFFSource):
        return False
    if inner.nodata is not None:
        return inner.nodata == "nan"
    declared = [value for uri in inner.uris[:1] for value in open_raster(uri).nodatavals]
    return any(value is not None and value != value for value in declared)  # noqa: PLR0124
