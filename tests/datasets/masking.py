"""Layers for tests of data sets over windows of masks: web tiles, and masks in UTM on them."""

from __future__ import annotations

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

from tests.sources.tilemaking import gdal_tiles

UTM = "EPSG:32635"


def tiles(folder, *, height=300, width=420, hole=None, name="a.mbtiles", seed=0):
    """(file, (4, height, width) RGBA uint8): noise, transparent in a hole (rows, columns)."""
    rgba = np.random.default_rng(seed).integers(1, 255, (4, height, width)).astype(np.uint8)
    rgba[3] = 255
    if hole is not None:
        rgba[:, hole[0], hole[1]] = 0
    return gdal_tiles(folder, rgba, name=name, TILE_FORMAT="PNG"), rgba


def corner_in_utm(uri):
    """(x, y) of the first pixel's corner of a raster in EPSG:3857, in UTM."""
    with rasterio.open(uri) as file:
        left, _, _, top = file.bounds
    return Transformer.from_crs("EPSG:3857", UTM, always_xy=True).transform(left, top)


def write_mask(path, ids, *, corner, step=1.0, nodata=None, crs=UTM):
    """A mask of (height, width) whose first corner is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = from_origin(*corner, step, step)
    shape = {"count": 1, "dtype": ids.dtype, "height": ids.shape[0], "width": ids.shape[1]}
    with rasterio.open(
        path, "w", driver="GTiff", crs=crs, transform=transform, nodata=nodata, **shape
    ) as file:
        file.write(ids, 1)
    return str(path)


def nearest(uri, mask):
    """(band, height, width) of the image at the centres of a mask's pixels, 0 outside; by pyproj and floor."""
    with rasterio.open(uri) as file, rasterio.open(mask) as ids:
        pixels, inverse, source = file.read(), ~file.transform, file.crs
        height, width = ids.shape
        rows, cols = np.mgrid[:height, :width] + 0.5
        t = ids.transform
        x, y = Transformer.from_crs(ids.crs, source, always_xy=True).transform(
            t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
        )
    col = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(int)
    row = np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(int)
    inside = (row >= 0) & (col >= 0) & (row < pixels.shape[1]) & (col < pixels.shape[2])
    found = pixels[:, np.where(inside, row, 0), np.where(inside, col, 0)]
    return np.where(inside, found, 0)


def padded(array, place, fill):
    """The pixels of (row, col, height, width) of an array, `fill` past its edges; by brute force."""
    row, col, height, width = place
    out = np.full((*array.shape[:-2], height, width), fill, array.dtype)
    for r in range(height):
        for c in range(width):
            y, x = row + r, col + c
            if 0 <= y < array.shape[-2] and 0 <= x < array.shape[-1]:
                out[..., r, c] = array[..., y, x]
    return out
