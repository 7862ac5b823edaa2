"""MBTiles for tests: written tile by tile with SQLite, or as GDAL writes them."""

from __future__ import annotations

import math
import sqlite3
import warnings
from contextlib import closing

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

HALF = 20037508.342789244
TABLES = """
CREATE TABLE metadata (name text, value text);
CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
CREATE UNIQUE INDEX place ON tiles (zoom_level, tile_column, tile_row);
"""
VIEW = """
CREATE TABLE metadata (name text, value text);
CREATE TABLE map (zoom_level integer, tile_column integer, tile_row integer, tile_id text);
CREATE TABLE images (tile_id text, tile_data blob);
CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data FROM map
  JOIN images ON images.tile_id = map.tile_id;
"""


def picture(array, driver="PNG", *, colormap=None, **options):
    """The bytes of a picture of (band, height, width)."""
    count, height, width = array.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        shape = {"count": count, "height": height, "width": width, "dtype": array.dtype}
        with memory.open(driver="GTiff", **shape) as file:
            file.write(array)
            if colormap is not None:
                file.write_colormap(1, colormap)
        with memory.open() as file, MemoryFile() as out:
            rasterio.shutil.copy(file, out.name, driver=driver, **options)
            return bytes(out.getbuffer())


def textured(size, seed, bands=3):
    """(band, size, size) uint8 that no two tiles share."""
    noise = np.random.default_rng(seed).integers(0, 40, (bands, size, size))
    slope = np.linspace(0, 200, size).astype(int)
    return (noise + slope + seed * 7 % 16).astype(np.uint8)


def png(size=256, seed=0, bands=3):
    return picture(textured(size, seed, bands))


def degrees(zoom, first_column, first_row, last_column, last_row):
    """(left, bottom, right, top) of tiles; rows counted from the bottom."""
    n = 2**zoom
    south, north = (
        math.degrees(math.atan(math.sinh(math.pi * (2 * row / n - 1))))
        for row in (first_row, last_row + 1)
    )
    return first_column / n * 360 - 180, south, (last_column + 1) / n * 360 - 180, north


def write_tiles(path, blobs, *, view=False, **metadata):
    """A file of {(zoom, column, row): bytes} with these metadata; `bounds` may be numbers."""
    with closing(sqlite3.connect(path)) as file:
        file.executescript(VIEW if view else TABLES)
        for name, value in metadata.items():
            text = value if isinstance(value, str) else ",".join(repr(v) for v in value)
            file.execute("INSERT INTO metadata VALUES (?, ?)", (name, text))
        for number, ((zoom, column, row), blob) in enumerate(blobs.items()):
            if view:
                file.execute("INSERT INTO map VALUES (?, ?, ?, ?)", (zoom, column, row, number))
                file.execute("INSERT INTO images VALUES (?, ?)", (number, blob))
            else:
                file.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (zoom, column, row, blob))
        file.commit()
    return str(path)


def change(path, sql, values=()):
    """One change to a file that is there."""
    with closing(sqlite3.connect(path)) as file:
        file.execute(sql, values)
        file.commit()


def gdal_tiles(folder, array, *, name="gdal.mbtiles", zoom=17, offset=(300.0, 420.0), **options):
    """A file that GDAL writes from (band, height, width) in EPSG:3857, at this zoom's resolution.

    `offset` is where its top left corner lies, in pixels from that of a tile.
    """
    resolution = 2 * HALF / (256 * 2**zoom)
    row, col = offset
    column, down = (number << zoom >> 17 for number in (76_000, 50_000))
    left = (column * 256 + col) * resolution - HALF
    top = HALF - (down * 256 + row) * resolution
    count, height, width = array.shape
    source, uri = str(folder / f"{name}.tif"), str(folder / name)
    place = {"crs": "EPSG:3857", "transform": from_origin(left, top, resolution, resolution)}
    shape = {"count": count, "height": height, "width": width, "dtype": array.dtype}
    with rasterio.open(source, "w", driver="GTiff", **place, **shape) as file:
        if count in (2, 4):
            file.colorinterp = (*file.colorinterp[:-1], rasterio.enums.ColorInterp.alpha)
        file.write(array)
    rasterio.shutil.copy(source, uri, driver="MBTiles", **options)
    return uri
