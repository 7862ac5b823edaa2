"""Windows of masks with the pixels of web tiles: the data set against opening everything for each window."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geoseg.datasets import MBTilesMaskWindowedDataset
from geoseg.sources import cache, mbtiles
from geoseg.sources.handles import close_all
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.tiles.database import close_tiles
from tests.bench.conftest import textured
from tests.bench.race import cpu_seconds, race, report
from tests.bench.test_mbtiles import mask_grid
from tests.sources.tilemaking import picture, write_tiles

pytestmark = pytest.mark.bench

ZOOM, COLUMN, ROW, TILES, SIDE = 15, 9_000, 19_800, 24, 512


@pytest.fixture(scope="module", params=["PNG", "JPEG"])
def layers(request, tmp_path_factory):
    """(driver, tiles, mask): 24 x 24 tiles of 4 m, and a mask of 5 m in UTM on them."""
    side = TILES * 256
    noise = np.random.default_rng(0).integers(0, 8, (3, side, side), np.uint8)
    image = textured(3, side, side) + noise
    blobs = {
        (ZOOM, COLUMN + x, ROW + TILES - 1 - y): picture(
            image[:, y * 256 : (y + 1) * 256, x * 256 : (x + 1) * 256], request.param
        )
        for y in range(TILES)
        for x in range(TILES)
    }
    folder = tmp_path_factory.mktemp("bench")
    uri = write_tiles(folder / f"{request.param}.mbtiles", blobs)
    grid = mask_grid(MBTilesSource(uri=uri), 8 * SIDE, 5.0)
    mask = str(folder / f"{request.param}.tif")
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "tiled": True,
               "compress": "deflate", "crs": grid.crs, "transform": grid.transform,
               "height": grid.height, "width": grid.width}  # fmt: skip
    with rasterio.open(mask, "w", **profile) as file:
        ids = np.random.default_rng(1).integers(0, 2, (grid.height // 64, grid.width // 64))
        file.write(np.kron(ids, np.ones((64, 64))).astype(np.uint8), 1)
    return request.param, uri, mask


def opened_for_each(uri, mask, place):
    """An item as it is made where nothing is kept."""
    window = Window(place["col_off"], place["row_off"], place["width"], place["height"])
    with rasterio.open(mask) as file, rasterio.open(uri) as tiles:
        ids = file.read(1, window=window)
        transform = file.window_transform(window)
        with WarpedVRT(tiles, crs=file.crs, transform=transform, height=SIDE, width=SIDE,
                       resampling=Resampling.bilinear) as vrt:  # fmt: skip
            image = vrt.read()
    return torch.from_numpy(image[:3].astype(np.float32) / 255), torch.from_numpy(ids > 0).long()


@pytest.mark.parametrize("order", ["random", "row by row"])
def test_items_of_512_px(benchmark, layers, order):
    driver, uri, mask = layers
    data = MBTilesMaskWindowedDataset(uri, [mask], patch_size=SIDE)
    numbers = np.arange(len(data))
    if order == "random":
        numbers = np.random.default_rng(0).permutation(numbers)

    def per_item():
        for number in numbers:
            opened_for_each(uri, mask, data.windows[number])

    def geoseg():
        close_all()
        close_tiles()
        cache.forget()
        mbtiles._decoded.clear()
        for number in numbers:
            assert data[number]["valid"].all()

    times = race({"open + WarpedVRT": per_item, "geoseg": geoseg})
    benchmark.pedantic(geoseg, rounds=1)
    ratio = times["open + WarpedVRT"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    note = ", ".join(f"{name} {1e3 * s / len(data):.1f} ms" for name, s in times.items())
    report(f"{len(data)} items of {SIDE} px, {driver} tiles, {order}", ratio, 2, note)


def test_10000_windows_are_laid(benchmark, layers, tmp_path):
    _, uri, mask = layers
    cache_file = tmp_path / "windows.parquet"

    def lay():
        cache_file.unlink(missing_ok=True)
        data = MBTilesMaskWindowedDataset(
            uri, [mask], patch_size=256, stride=38, window_index_cache=cache_file
        )
        assert len(data) > 10_000

    begin = cpu_seconds()
    with pytest.warns(UserWarning, match="in no window"):
        benchmark.pedantic(lay, rounds=1)
    seconds = cpu_seconds() - begin
    report("10,000 windows laid and written, against 20 s", 20 / seconds, 1, f"{seconds:.1f} s")
