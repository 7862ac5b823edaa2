"""The overviews of a raster file that hold the same pixels: not every file's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags

from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.rasterfile import RasterFile
from geoseg.sources.files.remote import apart
from geoseg.sources.handles import GDAL_ERRORS, open_raster


def factors_of(file: RasterFile) -> tuple[int, ...]:
    """So many times as large are the pixels of each overview, the finest first.

    None of them where they would show what the file hides: they were made without its mask, which then
    has no overviews of its own, or with another nodata than the one asked for.
    """
    return apart(file.uri, lambda: _factors(file))


def _factors(file: RasterFile) -> tuple[int, ...]:
    dataset = open_raster(file.uri)
    factors = tuple(dataset.overviews(file.bands[0]))
    if not factors or not _nodata_is_the_files(file, dataset):
        return ()
    coarse = open_raster(file.uri, overview=0)
    flags = [dataset.mask_flag_enums[band - 1] for band in file.bands]
    if flags != [coarse.mask_flag_enums[band - 1] for band in file.bands]:
        return ()
    masked = any(set(found) == {MaskFlags.per_dataset} for found in flags)
    return () if masked and not _mask_has_overviews(dataset, len(factors)) else factors


def _nodata_is_the_files(file: RasterFile, dataset: Any) -> bool:
    """Whether a nodata that was asked for is what the overviews were made with."""
    theirs = [dataset.nodatavals[band - 1] for band in file.bands]
    return all(
        asked is None or asked == own or (own is not None and np.isnan([asked, own]).all())
        for asked, own in zip(file.nodata, theirs, strict=True)
    )


def _mask_has_overviews(dataset: Any, count: int) -> bool:
    """Whether the mask has as many overviews as the bands; GDAL takes a missing one as all valid."""
    if dataset.driver != "GTiff" or not dataset.files:
        return False
    name, *beside = dataset.files
    try:
        with georeference_optional():
            if name + ".msk" in beside:
                with rasterio.open(name + ".msk") as mask:
                    return len(mask.overviews(1)) == count
            # Bands, mask and their overviews are a directory each.
            rasterio.open(f"GTIFF_DIR:{2 * (count + 1)}:{name}").close()
    except GDAL_ERRORS:
        return False
    return True
