"""A GeoTIFF of some bands of one size and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.io import MemoryFile

from geoseg.convert.restoring.bands import Band
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import not_written
from geoseg.sources.handles import GDAL_ERRORS

_TILE = 256
"""Pixels a side."""
_UNTILED = 512
"""Pixels a side up to which a file is in strips: it is read whole anyway."""
_PREDICTORS = {"f": 3, "c": 1}
"""By kind of number; whole ones have 2."""
_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, OSError)
_COLORS = ("red", "green", "blue")


def write_file(
    path: Path,
    bands: Sequence[Band],
    *,
    name: str,
    crs: str | None,
    transform: Affine | None,
    tags: Mapping[str, str],
) -> int:
    """Write bands into a file; its size in bytes.

    Args:
        path: The file.
        bands: Of one size, dtype and nodata; each is described by its name.
        name: The path that the file will have, for errors.
        crs: As text.
        transform: Of these bands.
        tags: Of the file.

    Raises:
        StoreError: It cannot be written.
    """
    # Made in memory: a disk that is full is then told of by Python.
    try:
        with MemoryFile() as memory:
            with georeference_optional():
                file = memory.open(**_profile(bands, crs, transform))
            with file:
                file.write(np.stack([band.pixels for band in bands]))
                file.descriptions = tuple(band.name for band in bands)
                file.update_tags(**tags)
            content = memory.read()
        path.write_bytes(content)
    except _ERRORS as error:
        raise not_written(name, error.__cause__ or error) from error
    return len(content)


def _profile(bands: Sequence[Band], crs: str | None, transform: Affine | None) -> dict[str, Any]:
    pixels = bands[0].pixels
    height, width = pixels.shape
    colors = pixels.dtype == np.uint8 and tuple(b.name.lower() for b in bands) == _COLORS
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": pixels.dtype.name,
        "count": len(bands),
        "height": height,
        "width": width,
        "nodata": bands[0].nodata,
        "compress": "deflate",
        "predictor": _PREDICTORS.get(pixels.dtype.kind, 2),
        "interleave": "band",
        # Else GDAL takes the fourth band of bytes for alpha.
        "photometric": "rgb" if colors else "minisblack",
        "bigtiff": "if_safer",
    }
    if crs is not None:
        profile["crs"] = crs
    if transform is not None and not transform.is_identity:
        profile["transform"] = transform
    if min(height, width) > _UNTILED:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    return profile
