"""A raster written as a PNG of 8 or 16 bit, and where it lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import not_written
from geoseg.sources.handles import GDAL_ERRORS

SIDECAR = ".aux.xml"
"""What is added to a file's name for that of its georeference."""
_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, OSError)
_COUNTS = (1, 3)
"""Bands that a picture has without alpha."""


def check_png(dtype: np.dtype[Any], bands: int, what: str) -> None:
    """See that pixels go into a PNG as they are.

    Raises:
        ConfigError: They do not.
    """
    if dtype not in ("u1", "u2") or bands not in _COUNTS:
        raise ConfigError(
            f"{what}: {bands} bands of {dtype} do not go into a PNG, which takes 1 or 3 of uint8 or uint16; "
            "choose bands, cast them, or give output='geotiff'"
        )


def write_png(
    path: Path,
    data: NDArray[Any],
    *,
    grid: Grid | None = None,
    alpha: NDArray[np.bool_] | None = None,
    nodata: float | None = None,
) -> None:
    """Write a picture.

    Args:
        path: The file.
        data: (1 or 3, height, width) of uint8 or uint16.
        grid: Where it lies, which is written into `NAME.png.aux.xml` as GDAL has it; None: nowhere.
        alpha: (height, width), False where there is nothing to see; None: no band for that.
        nodata: The number that means "missing".

    Raises:
        StoreError: It cannot be written.
    """
    if alpha is not None:
        full = np.where(alpha, np.iinfo(data.dtype).max, 0).astype(data.dtype)
        data = np.concatenate([data, full[None]])
    count, height, width = data.shape
    profile = {"count": count, "height": height, "width": width, "dtype": data.dtype.name}
    try:
        with MemoryFile(ext=".png") as memory:
            with (
                georeference_optional(),
                memory.open(driver="PNG", nodata=nodata, **profile) as file,
            ):
                file.write(data)
            content = memory.read()
        path.write_bytes(content)
        if grid is not None and grid.crs is not None:
            path.with_name(path.name + SIDECAR).write_bytes(_place(grid))
    except _ERRORS as error:
        raise not_written(str(path), error.__cause__ or error) from error


def _place(grid: Grid) -> bytes:
    """The XML of a georeference."""
    root = ET.Element("PAMDataset")
    crs = ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping=_axes(grid))
    crs.text = grid.crs.to_wkt() if grid.crs is not None else ""
    a, b, c, d, e, f = grid.transform[:6]
    ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, (c, a, b, f, d, e)))
    xml: bytes = ET.tostring(root, encoding="utf-8")
    return xml + b"\n"


def _axes(grid: Grid) -> str:
    """How x and y go with the axes of the CRS: degrees have latitude first."""
    return "2,1" if grid.crs is not None and grid.crs.is_geographic else "1,2"
