"""The file behind GeoTIFFLabelStore: made, and filled up to a COG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.wholetiff import codec, not_written
from geoseg.sources.handles import GDAL_ERRORS, block_cache

CLASSES_TAG = "GEOSEG_CLASSES"
"""The dataset tag with the class map as JSON: ids, names, colours, `ignore_id`."""
TILE = 512
"""Pixels a side."""
COG_TRAILER = 4
"""Bytes that follow the last tile of a COG."""

_COPY_CACHE = 32 << 20
"""Bytes of decoded blocks while the COG is made, unless the rows are very wide."""


@contextmanager
def create(path: Path, grid: Grid, classes: ClassMap, uri: str) -> Iterator[Any]:
    """An open file with everything but pixels; those that are never written become `ignore_id`."""
    compression, level = codec()
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": classes.ignore_id,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": compression,
        level: 1,
        "bigtiff": "IF_SAFER",
        "photometric": "palette",
    }
    try:
        with georeference_optional():
            dataset = rasterio.open(path, "w", **profile)
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error
    with dataset:
        dataset.update_tags(**{CLASSES_TAG: classes.model_dump_json(), "AREA_OR_POINT": "Area"})
        dataset.write_colormap(1, classes.color_table())
        yield dataset


def copy_to_cog(source: Path, target: Path, grid: Grid, uri: str) -> None:
    """The same pixels as a cloud-optimised GeoTIFF."""
    compression, _ = codec()
    try:
        with block_cache(max(_COPY_CACHE, 4 * TILE * grid.width)):
            rasterio.shutil.copy(
                source,
                target,
                driver="COG",
                blocksize=TILE,
                compress=compression,
                level=1,
                predictor="no",
                bigtiff="if_safer",
                overview_resampling="mode",
            )
    except GDAL_ERRORS as error:
        raise not_written(uri, error) from error
