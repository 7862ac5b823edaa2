"""Web tiles: warped to the grid of a mask, and looked over."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geoseg.grid import Grid
from geoseg.sources import cache, mbtiles
from geoseg.sources.handles import close_all
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.tiles.database import close_tiles
from geoseg.sources.warp import WarpedSource
from geoseg.window import sliding
from tests.bench.conftest import textured
from tests.bench.race import race, report
from tests.sources.tilemaking import gdal_tiles, picture, write_tiles

pytestmark = pytest.mark.bench

ZOOM, COLUMN, ROW, TILES = 15, 9_000, 19_800, 24


@pytest.fixture(scope="module", params=["PNG", "JPEG"])
def pyramid(request, tmp_path_factory):
    """(driver, file) of 24 x 24 tiles at zoom 15, where a pixel is about 4 m on the ground."""
    side = TILES * 256
    noise = np.random.default_rng(0).integers(0, 8, (3, side, side), np.uint8)
    image = textured(3, side, side) + noise
    blobs = {}
    for y in range(TILES):
        for x in range(TILES):
            part = image[:, y * 256 : (y + 1) * 256, x * 256 : (x + 1) * 256]
            blobs[ZOOM, COLUMN + x, ROW + TILES - 1 - y] = picture(part, request.param)
    path = tmp_path_factory.mktemp("bench") / f"{request.param}.mbtiles"
    return request.param, write_tiles(path, blobs)


def mask_grid(source, pixels, resolution):
    """A square UTM grid in the middle of the tiles."""
    left, bottom, right, top = source.grid.bounds
    middle = (left + right) / 2, (bottom + top) / 2
    lon, _ = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True).transform(*middle)
    crs = f"EPSG:{32601 + math.floor((lon + 180) / 6)}"
    x, y = Transformer.from_crs("EPSG:3857", crs, always_xy=True).transform(*middle)
    half = pixels * resolution / 2
    box = (x - half, y - half, x + half, y + half)
    return Grid(crs=crs, height=1, width=1).covering(box, resolution)


@pytest.mark.parametrize("order", ["random", "row by row"])
def test_windows_of_a_5_m_utm_mask(benchmark, pyramid, order):
    driver, uri = pyramid
    grid = mask_grid(MBTilesSource(uri=uri), 8 * 512, 5.0)
    windows = list(sliding(grid, 512))
    if order == "random":
        windows = [windows[i] for i in np.random.default_rng(0).permutation(len(windows))]

    def per_window():
        for window in windows:
            place = grid.crop(window)
            with (
                rasterio.open(uri) as file,
                WarpedVRT(
                    file, crs=grid.crs, transform=place.transform, height=512, width=512,
                    resampling=Resampling.bilinear,
                ) as vrt,
            ):  # fmt: skip
                assert vrt.read()[3].all()

    def geoseg():
        close_all()
        close_tiles()
        cache.forget()
        mbtiles._decoded.clear()
        source = WarpedSource(source=MBTilesSource(uri=uri), onto=grid)
        for window in windows:
            assert source.read(window).valid.all()

    times = race({"open + WarpedVRT": per_window, "geoseg": geoseg})
    benchmark.pedantic(geoseg, rounds=1)
    ratio = times["open + WarpedVRT"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    count = len(windows)
    note = ", ".join(f"{name} {1e3 * seconds / count:.1f} ms" for name, seconds in times.items())
    report(f"{driver} tiles to a 5 m UTM mask, {count} windows of 512 px, {order}", ratio, 2, note)


def test_tables_of_1000_tiles_are_looked_over(benchmark, tmp_path):
    blob = picture(textured(3, 256, 256))
    blobs = {(14, 8_000 + i % 40, 9_000 + i // 40): blob for i in range(1_000)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs, bounds="1,2,3,4"))
    source = source.model_copy(update={"use_bounds": False})

    def look_over():
        close_tiles()
        cache.forget()
        assert source.preflight(decode="none").tiles == 1_000

    look_over()
    seconds = race({"tables": look_over}, rounds=9)["tables"]
    benchmark.pedantic(look_over, rounds=1)
    benchmark.extra_info["ratio"] = 0.010 / seconds
    report("tables of 1,000 tiles, against 10 ms", 0.010 / seconds, 1, f"{1e3 * seconds:.1f} ms")


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """17 x 17 tiles at zoom 18 (0.6 m) and the four zooms below, as GDAL averages them."""
    folder = tmp_path_factory.mktemp("bench")
    side = 17 * 256
    image = textured(3, side, side) + np.random.default_rng(0).integers(
        0, 8, (3, side, side), np.uint8
    )
    uri = gdal_tiles(folder, image, zoom=18, offset=(0, 0), TILE_FORMAT="JPEG")
    with rasterio.open(uri, "r+") as file:
        file.build_overviews([2, 4, 8, 16], Resampling.average)
    return uri


def test_a_10_m_mask_under_a_deep_pyramid(benchmark, deep):
    source = MBTilesSource(uri=deep)
    grid = mask_grid(source, 190, 10.0)
    read = {}

    def warp(overviews):
        close_tiles()
        cache.forget()
        mbtiles._decoded.clear()
        read[overviews] = WarpedSource(source=source, onto=grid, overviews=overviews).read(
            grid.whole
        )

    times = race({"full zoom": lambda: warp("none"), "geoseg": lambda: warp("auto")})
    benchmark.pedantic(lambda: warp("auto"), rounds=1)
    both = read["none"].valid & read["auto"].valid
    assert both.any()
    error = np.abs(read["none"].data[:, both].astype(int) - read["auto"].data[:, both])
    ratio = times["full zoom"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    note = f"mean difference {error.mean():.2f} grey levels, 99 % within {np.percentile(error, 99):.0f}"
    report("10 m mask under zoom 18, against the full zoom", ratio, 8, note)
