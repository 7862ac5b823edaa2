"""GDAL's warper on pixels of any source, block by block as a WarpedVRT does it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rasterio.crs import CRS
from rasterio.dtypes import check_dtype
from rasterio.enums import Resampling

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.handles import GDAL_ERRORS
from geoseg.sources.warping.pixelmap import PixelMap, covering
from geoseg.window import Window, sliding

_BLOCK = (128, 512)
"""(height, width) of a WarpedVRT's blocks; GDAL's scale and rounding belong to a block."""
_REACH, _EXTRA = 16.0, 48.0
"""Source pixels read around a target pixel: in its sizes and on top. A WarpedVRT derives its scale from
how much source a block has; with less around it (8 and 16 were seen) values differ."""
_ANY_CRS = CRS.from_epsg(3857)
"""For grids without a CRS: with the same one on both sides GDAL projects nothing."""


def warp_gdal(
    source: RasterSource, pixels: PixelMap, target: Grid, window: Window, resampling: str
) -> Chip:
    """Warp all blocks that meet a window of the target raster and cut the window out.

    Args:
        source: Where the pixels come from.
        pixels: From the target grid to the source's; tells what to read.
        target: The whole target grid.
        window: Lies in the target raster.
        resampling: A name in rasterio.enums.Resampling.

    Raises:
        SourceError: The source cannot be read, GDAL has no such dtype, or it fails.
    """
    data = np.zeros((len(source.band_names), *window.shape), source.dtype)
    out = Chip(data, np.zeros(window.shape, bool))
    for block in _blocks_under(window, target):
        cols, rows, wide, high = pixels.boxes(block)
        reach = _REACH * wide + _EXTRA, _REACH * high + _EXTRA
        around = covering(source.grid, (cols, rows), reach)
        rectangle = around and around.intersection(source.grid.whole)
        common = block.intersection(window)
        if rectangle is None or common is None:
            continue
        chip = _reproject(source, rectangle, target.crop(block), resampling)
        into, of = common.relative_to(window).slices, common.relative_to(block).slices
        out.data[(slice(None), *into)] = chip.data[(slice(None), *of)]
        out.valid[into] = chip.valid[of]
    return out


def _blocks_under(window: Window, grid: Grid) -> Iterator[Window]:
    """The blocks of a target raster that meet a window, the last ones cut at the raster's edge."""
    height, width = _BLOCK
    row, col = window.row // height * height, window.col // width * width
    for block in sliding((window.row_stop - row, window.col_stop - col), _BLOCK, edge="pad"):
        part = Window(block.row + row, block.col + col, *block.shape).intersection(grid.whole)
        if part is not None:
            yield part


def _reproject(source: RasterSource, rectangle: Window, target: Grid, resampling: str) -> Chip:
    """GDAL's warper on a rectangle of the source; validity goes along as an alpha band."""
    from rasterio.warp import reproject

    chip = source.read(rectangle)
    if not check_dtype(chip.data.dtype):
        raise SourceError(
            f'GDAL has no pixels of {chip.data.dtype}; use method="exact" or another dtype'
        )
    count = len(chip.data) + 1
    dtype = chip.data.dtype
    # GDAL's own choice hangs on the dtype. The sum of a part of a pixel has a part of its alpha.
    opaque = min(np.iinfo(dtype).max, 255) if dtype.kind in "iu" else 1
    alpha = chip.valid[None].astype(dtype) * dtype.type(opaque)
    given = np.concatenate([chip.data, alpha])
    wanted = np.zeros((count, *target.shape), dtype)
    try:
        reproject(
            given,
            wanted,
            src_transform=source.grid.crop(rectangle).transform,
            src_crs=source.grid.crs or _ANY_CRS,
            dst_transform=target.transform,
            dst_crs=target.crs or _ANY_CRS,
            resampling=Resampling[resampling],
            src_alpha=count,
            dst_alpha=count,
            SRC_ALPHA_MAX=str(opaque),
            DST_ALPHA_MAX=str(opaque),
        )
    except GDAL_ERRORS as error:
        raise SourceError(
            f"GDAL cannot warp {source.grid.describe()} onto {target.describe()}: {error}"
        ) from error
    valid = wanted[-1] > 0
    return Chip(np.where(valid, wanted[:-1], wanted.dtype.type(0)), valid)
