"""Original files as rasterio alone reads them: the judge of what a faster reader has stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.convert.encoding import check_mask
from geoseg.convert.tiff.checksums import check_deflated
from geoseg.convert.tiff.header import DamagedError
from geoseg.errors import SourceError
from geoseg.rasterpath import georeference_optional, why_not_opened
from geoseg.sources.handles import GDAL_ERRORS


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """Bands of a file."""

    path: str
    planes: tuple[NDArray[Any], ...]
    """Each (height, width), in the order asked for."""
    crs: Any
    """As rasterio has it; None without."""
    transform: Affine
    nodata: tuple[float | None, ...]
    """Of each of the bands."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.planes[0].shape
        return height, width

    @property
    def is_placed(self) -> bool:
        """Whether it tells where it lies; a CRS without a transform does not."""
        return not self.transform.is_identity


def read_original(path: str, bands: Sequence[int], *, is_mask: bool = False) -> Original:
    """Bands of a file, which is opened once.

    Args:
        path: The file.
        bands: Counted from 1.
        is_mask: Whether it may have one band only.

    Raises:
        SourceError: The file is missing or damaged, has no such band, or is a mask of several.
    """
    try:
        with georeference_optional():
            file = rasterio.open(path)
    except GDAL_ERRORS as error:
        raise SourceError(why_not_opened(path, error)) from error
    with file:
        if lacking := sorted({*bands} - {*file.indexes}):
            raise SourceError(
                f"{path}: has {file.count} bands, expected band {lacking[0]} too; copy the file again"
            )
        if is_mask:
            check_mask(path, file.count)
        try:
            planes = _planes(file, bands)
            check_deflated(path, file, bands)
        except DamagedError as error:
            raise SourceError(f"{path}: cannot be read: {error}; copy it again") from error
        except GDAL_ERRORS as error:
            raise SourceError(
                f"{path}: cannot be read: {error.__cause__ or error}; it is truncated or damaged, copy it again"
            ) from error
        nodata = tuple(file.nodatavals[band - 1] for band in bands)
        return Original(path, planes, file.crs or None, file.transform, nodata)


def _planes(file: Any, bands: Sequence[int]) -> tuple[NDArray[Any], ...]:
    """One read where all have one dtype, as blocks may hold the pixels of all bands."""
    if len({file.dtypes[band - 1] for band in bands}) == 1:
        return tuple(file.read(list(bands)))
    return tuple(file.read(band) for band in bands)
