"""The preparation of 10,000 windows: index, split, check. The goal is 20 s for each on two cores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio

from geoseg.prepare import check, split
from geoseg.sampling.windowindex import WindowIndex
from tests.bench.conftest import textured
from tests.bench.race import cpu_seconds, report

pytestmark = pytest.mark.bench

SIDE, SIZE, CELL = 8_500, 256, 0.3
MASKS = 9
"""9 x 1,156 windows."""
GOAL = 20


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """Images with masks of three classes whose borders lie on those of bright fields."""
    folder = tmp_path_factory.mktemp("prepare")
    rng = np.random.default_rng(0)
    image = textured(3, SIDE, SIDE) // 2
    pairs = []
    for number in range(MASKS):
        ids = rng.integers(1, 4, (85, 85), np.uint8).repeat(100, axis=0).repeat(100, axis=1)
        place = rasterio.transform.from_origin(5e5 + number * SIDE * CELL, 4e6, CELL, CELL)
        paths = []
        for name, data in (("image", image + 40 * ids), ("mask", ids[None])):
            paths.append(str(folder / f"{name}{number}.tif"))
            with rasterio.open(
                paths[-1], "w", driver="GTiff", height=SIDE, width=SIDE, count=len(data), dtype="uint8",
                crs="EPSG:32636", transform=place, tiled=True, compress="zstd", zstd_level=1,
            ) as file:  # fmt: skip
                file.write(data)
        pairs.append(paths)
    return folder, pairs


@pytest.fixture(scope="module")
def index(layers):
    folder, pairs = layers
    found = WindowIndex.build([mask for _, mask in pairs], patch_size=SIZE)
    images = dict(zip([mask for _, mask in pairs], [image for image, _ in pairs], strict=True))
    found = found.with_columns({"image_path": [images[path] for path in found.mask_paths]})
    return found.write(str(folder / "windows.parquet"))


def told(what, begin):
    seconds = cpu_seconds() - begin
    report(f"{what}, {GOAL} s over the CPU time", GOAL / seconds, 1, f"({seconds:.2f} s)")


def test_index(benchmark, layers):
    folder, pairs = layers

    def build():
        made = WindowIndex.build([mask for _, mask in pairs], patch_size=SIZE)
        return made.write(str(folder / "built.parquet"))

    begin = cpu_seconds()
    uri = benchmark.pedantic(build, rounds=1)
    told("index of 10,404 windows, built and written", begin)
    assert len(WindowIndex.read(uri)) == 10_404


def test_index_of_bounds(benchmark, layers):
    """150,000 rows of bounds; each mask is opened once."""
    folder, pairs = layers
    index = WindowIndex.build([mask for _, mask in pairs], patch_size=SIZE, stride=65)
    columns = ["mask_path", "minx", "miny", "maxx", "maxy"]
    rows = index.table[columns].sample(150_000, replace=len(index) < 150_000, random_state=0)
    uri = str(folder / "bounds.csv")
    pd.DataFrame(rows).to_csv(uri, index=False)
    begin = cpu_seconds()
    found = benchmark.pedantic(lambda: WindowIndex.read(uri), rounds=1)
    told("index read from 150,000 rows of bounds", begin)
    assert len(found) == 150_000


def test_split(benchmark, layers, index):
    folder, _ = layers
    begin = cpu_seconds()
    made = benchmark.pedantic(
        lambda: split(index, folder / "split.parquet", block_m=500, buffer_m=40), rounds=1
    )
    told("split of 10,404 windows with a buffer", begin)
    assert set(made.windows) == {"train", "val", "test", "dropped"}


def test_check(benchmark, index):
    begin = cpu_seconds()
    made = benchmark.pedantic(lambda: check(index), rounds=1)
    told("check of 10,404 windows, shift on a sample", begin)
    assert made.ok
