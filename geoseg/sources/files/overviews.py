"""The overviews of a raster file that hold the same pixels: not every file's do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags

from geoseg.rasterpath import georeference_optional
from geoseg.sources.files.rasterfile import RasterFile
from geoseg.sources.files.remote import apart
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.window import Window

_AT_ONCE = 1 << 20
"""Pixels that are looked at together."""

_log = logging.getLogger("geoseg")


def factors_of(file: RasterFile) -> tuple[int, ...]:
    """So many times as large are the pixels of each overview, the finest first.

    None of them where they would show or hide other pixels than the file; the log "geoseg" tells why:

    - they were made without its mask, which then has no overviews of its own, or with another nodata than
      the one asked for;
    - NaN or infinity that the file does not declare as nodata has spread from a pixel to all of its
      overviews. The coarsest is looked through for that.

    Where bands have a nodata each, an overview is the mean of each band where that band is measured; of
    bands with other holes that is more than the pixels where all are.
    """
    return apart(file.uri, lambda: _factors(file))


def _factors(file: RasterFile) -> tuple[int, ...]:
    dataset = open_raster(file.uri)
    factors = tuple(dataset.overviews(file.bands[0]))
    if not factors:
        return ()
    why = _why_other_pixels(file, dataset, len(factors))
    if why is None:
        return factors
    _log.info("%s: its overviews are not read: %s", file.uri, why)
    return ()


def _why_other_pixels(file: RasterFile, dataset: Any, count: int) -> str | None:
    """What makes overviews show or hide other pixels than the file; None where nothing does."""
    if not _nodata_is_the_files(file, dataset):
        return "they were not made with the nodata asked for"
    coarse = open_raster(file.uri, overview=0)
    flags = [dataset.mask_flag_enums[band - 1] for band in file.bands]
    if flags != [coarse.mask_flag_enums[band - 1] for band in file.bands]:
        return "they were made without its mask"
    masked = any(set(found) == {MaskFlags.per_dataset} for found in flags)
    if masked and not _mask_has_overviews(dataset, count):
        return "its mask has none"
    if not _is_finite(file, count - 1):
        return "NaN or infinity has spread in them; declare it as nodata and make them anew"
    return None


def _nodata_is_the_files(file: RasterFile, dataset: Any) -> bool:
    """Whether a nodata that was asked for is what the overviews were made with."""
    theirs = [dataset.nodatavals[band - 1] for band in file.bands]
    return all(
        asked is None or asked == own or (own is not None and np.isnan([asked, own]).all())
        for asked, own in zip(file.nodata, theirs, strict=True)
    )


def _is_finite(file: RasterFile, overview: int) -> bool:
    """Whether an overview holds finite numbers wherever the file's own masks say that it is valid."""
    coarse = open_raster(file.uri, overview=overview)
    floating = [b for b in file.bands if np.dtype(_name(coarse, b)).kind in "fc"]
    for band in floating:
        for part in _strips(coarse):
            lost = ~np.isfinite(coarse.read(band, window=part))
            if lost.any() and (coarse.read_masks(band, window=part)[lost] > 0).any():
                return False
    return True


def _name(dataset: Any, band: int) -> str:
    """A band's dtype; numpy has no complex whole numbers."""
    name: str = dataset.dtypes[band - 1]
    return "complex64" if name == "complex_int16" else name


def _strips(dataset: Any) -> Iterator[Any]:
    """All of a raster in windows of whole rows."""
    height, width = dataset.shape
    step = max(_AT_ONCE // width, 1)
    for row in range(0, height, step):
        yield Window(row, 0, min(step, height - row), width).to_rasterio()


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
