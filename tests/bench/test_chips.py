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
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import block_cache, close_all
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window, sliding
from tests.bench.race import race, report

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


def ours(uri, size, stride):
    close_all()
    data = SlidingWindowGeoDataset([strip_scene(uri)], size, stride, normalize=False, labels=False)
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


def test_a_cropped_reference_is_a_plain_read(big_scene):
    source = GeoTIFFSource(uri=big_scene)
    crop = WarpedSource(source=source, onto=source.grid.crop(Window(700, 300, 900, 800)))
    assert isinstance(crop.grid, Grid)
    chip = crop.read(Window(10, 20, 30, 40))
    assert np.array_equal(chip.data, source.read(Window(710, 320, 30, 40)).data)
