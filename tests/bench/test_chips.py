"""Image chips: sliding and random windows from a compressed GeoTIFF."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window as RasterioWindow
from torch.utils.data import DataLoader

from geoseg.datasets import RandomWindowGeoDataset, SlidingWindowGeoDataset, collate
from geoseg.grid import Grid
from geoseg.scene import Scene
from geoseg.sources.files.tiffreader import forget_tiles
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import block_cache, close_all
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window, sliding
from tests.bench.race import race, report, wall_seconds

pytestmark = pytest.mark.bench

ROWS, WIDTH = 2_048, 10_000
STRIP = Window(0, 0, ROWS, WIDTH)


def strip_scene(uri):
    """The first 2,048 rows of the scene, as a scene."""
    image = GeoTIFFSource(uri=uri)
    return Scene(id="strip", image=image, reference=image.grid.crop(STRIP))


def one_read(uri):
    close_all()
    with rasterio.open(uri) as file:
        file.read(window=STRIP.to_rasterio())


def ours(uri, size, stride, num_threads=1):
    close_all()
    data = SlidingWindowGeoDataset(
        [strip_scene(uri)], size, stride, normalize=False, labels=False, num_threads=num_threads
    )
    with block_cache(64 << 20):
        total = sum(len(batch["row"]) for batch in DataLoader(data, 16, collate_fn=collate))
    assert total == len(sliding((ROWS, WIDTH), size, stride))


def boundless_loop(uri, size, stride, limit):
    """The first windows only, read as a naive loop does."""
    with rasterio.open(uri) as file:
        for i, window in enumerate(sliding((ROWS, WIDTH), size, stride)):
            if i == limit:
                break
            data = file.read(window=window.to_rasterio(), boundless=True, fill_value=0)
            torch.from_numpy(data)


@pytest.mark.parametrize(("size", "stride", "goal"), [(256, 128, 0.85), (512, 512, 0.85)])
def test_sliding_chips(benchmark, big_scene, size, stride, goal):
    times = race(
        {
            "one read": lambda: one_read(big_scene),
            "geoseg": lambda: ours(big_scene, size, stride),
        }
    )
    benchmark.pedantic(lambda: ours(big_scene, size, stride), rounds=1)
    ratio = times["one read"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    report(f"sliding {size}/{stride}, against one read of the same rows", ratio, goal)


def test_sliding_chips_with_two_threads(benchmark, big_scene):
    torch.set_num_threads(1)
    one, two = [], []
    for _ in range(5):
        one.append(wall_seconds(lambda: ours(big_scene, 256, 128)))
        two.append(wall_seconds(lambda: ours(big_scene, 256, 128, num_threads=2)))
    benchmark.pedantic(lambda: ours(big_scene, 256, 128, num_threads=2), rounds=1)
    ratio = min(one) / min(two)  # of wall time, which other programs can only make longer
    benchmark.extra_info["ratio"] = ratio
    report("sliding 256/128 with 2 threads, wall time against 1 thread", ratio, 1.4)


def test_sliding_chips_against_a_boundless_loop(benchmark, big_scene):
    count = len(sliding((ROWS, WIDTH), 256, 128))
    limit = 100
    times = race(
        {
            "loop": lambda: boundless_loop(big_scene, 256, 128, limit),
            "geoseg": lambda: ours(big_scene, 256, 128),
        }
    )
    benchmark.pedantic(lambda: ours(big_scene, 256, 128), rounds=1)
    ratio = times["loop"] * count / limit / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    report("sliding 256/128, against a boundless loop", ratio, 15)


def test_random_chips(benchmark, big_scene):
    length = 1_280
    rng = np.random.default_rng(0)
    places = [(int(y), int(x)) for y, x in rng.integers(0, WIDTH - 256, (length, 2))]

    def loop():
        with rasterio.open(big_scene) as file:
            for row, col in places:
                window = RasterioWindow(col, row, 256, 256)
                torch.from_numpy(file.read(window=window, boundless=True, fill_value=0))

    def random_windows():
        close_all()
        scene = Scene(id="big", image=GeoTIFFSource(uri=big_scene))
        data = RandomWindowGeoDataset([scene], 256, length, normalize=False, labels=False)
        for _ in DataLoader(data, 16, collate_fn=collate):
            pass

    with block_cache(1 << 30):
        times = race({"loop": loop, "geoseg": random_windows})
        benchmark.pedantic(random_windows, rounds=1)
    ratio = times["loop"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    report("random 256 chips, batch of 16, against a boundless loop", ratio, 5)


def test_random_chips_of_a_scene_larger_than_the_cache(benchmark, big_scene):
    length, some = 3_200, 320
    rng = np.random.default_rng(0)
    places = [(int(y), int(x)) for y, x in rng.integers(0, WIDTH - 256, (some, 2))]

    def loop():
        with rasterio.open(big_scene) as file:
            for row, col in places:
                torch.from_numpy(file.read(window=RasterioWindow(col, row, 256, 256)))

    def in_block_order():
        close_all()
        scene = Scene(id="big", image=GeoTIFFSource(uri=big_scene))
        data = RandomWindowGeoDataset([scene], 256, length, normalize=False, labels=False)
        assert data.order == "block"
        for _ in DataLoader(data, 16, collate_fn=collate):
            pass

    with block_cache(64 << 20):
        times = race({"loop": loop, "geoseg": in_block_order}, rounds=2)
        benchmark.pedantic(in_block_order, rounds=1)
    ratio = times["loop"] * length / some / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    report("random 256 chips in block order, cache of 64 MB, against plain random reads", ratio, 4)


def jpeg_of(uri, path):
    """The first rows of a scene as a tiled JPEG."""
    with rasterio.open(uri) as file:
        profile = file.profile | {"height": ROWS, "compress": "jpeg", "photometric": "ycbcr"}
        profile.pop("predictor", None)
        with rasterio.open(path, "w", **(profile | {"interleave": "pixel"})) as written:
            written.write(file.read(window=STRIP.to_rasterio()))
    return str(path)


def test_sliding_chips_of_a_jpeg_by_tifffile(benchmark, big_scene, tmp_path):
    uri = jpeg_of(big_scene, tmp_path / "jpeg.tif")

    def rows(reader):
        close_all()
        forget_tiles()
        with block_cache(64 << 20):
            for _ in GeoTIFFSource(uri=uri, reader=reader).iter_rows(256, 128):
                pass

    times = race({"gdal": lambda: rows("gdal"), "tifffile": lambda: rows("tifffile")}, rounds=5)
    benchmark.pedantic(lambda: rows("tifffile"), rounds=1)
    ratio = times["gdal"] / times["tifffile"]
    benchmark.extra_info["ratio"] = ratio
    report("rows of a JPEG by tifffile, against GDAL", ratio, 1.3)


def test_a_cropped_reference_is_a_plain_read(big_scene):
    source = GeoTIFFSource(uri=big_scene)
    crop = WarpedSource(source=source, onto=source.grid.crop(Window(700, 300, 900, 800)))
    assert isinstance(crop.grid, Grid)
    chip = crop.read(Window(10, 20, 30, 40))
    assert np.array_equal(chip.data, source.read(Window(710, 320, 30, 40)).data)
