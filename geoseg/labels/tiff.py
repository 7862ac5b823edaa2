"""The files behind GeoTIFFLabelStore: made, filled up to COGs, and the class names beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import rasterio
import rasterio.shutil

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.quantities import LEVELS, UNKNOWN, Quantity
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import codec, not_written
from geoseg.sources.handles import GDAL_ERRORS, block_cache

CLASSES_TAG = "GEOSEG_CLASSES"
"""The dataset tag with the class map as JSON: ids, names, colours, `ignore_id`."""
QUANTITY_TAG = "GEOSEG_QUANTITY"
"""The dataset tag that says what a file beside a class map holds."""
BESIDE_TAG = "GEOSEG_BESIDE"
"""The dataset tag of a class map that names the quantities written with it, apart by commas."""
RUN_TAG = "GEOSEG_RUN"
"""The dataset tag that is the same in all files that were written together."""
TILE = 512
"""Pixels a side."""
COG_TRAILER = 4
"""Bytes that follow the last tile of a COG."""

_COPY_CACHE = 32 << 20
"""Bytes of decoded blocks while the COG is made, unless the rows are very wide."""


def create_ids(path: Path, grid: Grid, classes: ClassMap, uri: str) -> Any:
    """An open class map with everything but pixels; those that are never written become `ignore_id`."""
    dataset = _create(path, grid, 1, uri, nodata=classes.ignore_id, photometric="palette")
    dataset.update_tags(**{CLASSES_TAG: classes.model_dump_json(), "AREA_OR_POINT": "Area"})
    dataset.write_colormap(1, classes.color_table())
    return dataset


def create_quantity(
    path: Path, grid: Grid, classes: ClassMap, uri: str, *, quantity: Quantity
) -> Any:
    """An open file of quantised numbers; pixels that are never written are not known.

    Bands carry their names, and the scale that makes numbers from 0 to 1 of their bytes.
    """
    names = classes.names if quantity == "scores" else (quantity,)
    dataset = _create(path, grid, len(names), uri, nodata=UNKNOWN, photometric="minisblack")
    dataset.update_tags(
        **{
            CLASSES_TAG: classes.model_dump_json(),
            QUANTITY_TAG: quantity,
            "AREA_OR_POINT": "Area",
        }
    )
    dataset.descriptions = names
    dataset.scales = (1 / LEVELS,) * len(names)
    dataset.offsets = (0.0,) * len(names)
    return dataset


def _create(path: Path, grid: Grid, bands: int, uri: str, *, nodata: int, photometric: str) -> Any:
    compression, level = codec()
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": bands,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": compression,
        level: 1,
        "bigtiff": "IF_SAFER",
        "photometric": photometric,
        "interleave": "band",
    }
    try:
        with georeference_optional():
            return rasterio.open(path, "w", **profile)
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error


def copy_to_cog(source: Path, target: Path, uri: str, *, width: int, overviews: str) -> None:
    """The same pixels as a cloud-optimised GeoTIFF.

    Args:
        source: A tiled GeoTIFF.
        target: The file that is made.
        uri: What errors call it.
        width: Pixels in a row.
        overviews: How overviews are made: "mode", "average", or another way of GDAL.
    """
    compression, _ = codec()
    try:
        with block_cache(max(_COPY_CACHE, 4 * TILE * width)):
            rasterio.shutil.copy(
                source,
                target,
                driver="COG",
                blocksize=TILE,
                compress=compression,
                level=1,
                predictor="no",
                bigtiff="if_safer",
                overview_resampling=overviews,
            )
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error


def write_names(path: Path, classes: ClassMap, uri: str) -> None:
    """The class names as GDAL's category names, which no tag of a TIFF can hold.

    Raises:
        StoreError: The file cannot be written.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    names = dict(zip(classes.ids, classes.names, strict=True))
    for i in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(i, "")
    ET.indent(root)
    try:
        path.write_bytes(ET.tostring(root, encoding="utf-8") + b"\n")
    except OSError as error:
        raise not_written(uri, error.strerror) from error
