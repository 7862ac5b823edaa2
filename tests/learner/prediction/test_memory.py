"""Peak memory of prediction and evaluation does not grow with the height of the scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterioWindow

from tests.support.peak import steady

_WORK = """
import os, sys
import torch
from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, Training
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache

def megabytes(line):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(line)) / 1024

small, warm, out, *scenes = sys.argv[1:]
torch.set_num_threads(1)
classes = ClassMap.of("a", "b", "c", "d")
training = Training(size=256, batch_size=8, model="custom")
learner = Learner(classes, training, model=torch.nn.Conv2d(3, 4, 1))
learner.predict(Scene.of(small), GeoTIFFLabelStore(uri=out))  # now everything is loaded
with block_cache(64 << 20):  # and GDAL's cache as full as any scene makes it
    for _ in Scene.of(warm).image.iter_rows(512, 512):
        pass
for work in ("predict", "evaluate"):
    for image, ids in zip(scenes[::2], scenes[1::2]):
        if number := os.fork():  # each begins with the same memory
            if os.waitpid(number, 0)[1]:
                sys.exit(1)
            continue
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")  # the peak so far is forgotten
        before = megabytes("VmRSS")
        if work == "predict":
            learner.predict(Scene.of(image), GeoTIFFLabelStore(uri=out), stride=192)
        else:
            learner.evaluate([Scene.of(image, RasterLabels(source=ids, classes=classes))])
        print(work, before, megabytes("VmHWM"), flush=True)
        os._exit(0)
"""


def write_noise(path, height, width, *, bands=3, most=255):
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": bands, "dtype": "uint8",
        "crs": "EPSG:32619", "transform": Affine(1, 0, 5e5, 0, -1, 4e6), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    coarse = np.random.default_rng(0).integers(0, most, (bands, 125, -(-width // 8)), np.uint8)
    strip = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :, :width]
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height, 1000):
            rows = min(1000, height - row)
            file.write(strip[:, :rows], window=RasterioWindow(0, row, width, rows))
    return str(path)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """{work: [(MB before it, MB at its peak) for a low and for a tall scene]}."""
    folder = tmp_path_factory.mktemp("memory")
    files = [
        write_noise(folder / "small.tif", 300, 400),
        write_noise(folder / "warm.tif", 6_000, 4_000),
        str(folder / "map.tif"),
    ]
    for height in (4_000, 12_000):
        files.append(write_noise(folder / f"{height}.tif", height, 4_000))
        files.append(write_noise(folder / f"{height}-ids.tif", height, 4_000, bands=1, most=4))
    done = subprocess.run(
        [sys.executable, "-c", _WORK, *files],
        capture_output=True,
        text=True,
        check=False,
        env=steady(),
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for work, *numbers in map(str.split, done.stdout.splitlines()):
        found.setdefault(work, []).append(tuple(map(float, numbers)))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize("work", ["predict", "evaluate"])
def test_a_scene_three_times_as_tall_needs_the_same_memory(memory, work):
    (before, low), (_, high) = memory[work]
    assert high < low * 1.15
    # The base is large: what comes on top of it must not hide a map or an image of 8,000 more rows.
    assert high - low < 25, (before, low, high)


_WIDE = """
import sys
import torch
from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.predict import predict
from geoseg.scene import Scene

def megabytes(line):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(line)) / 1024

def model(image, valid):
    level = image.float() / 1024
    return torch.cat([level, 1 - level.sum(dim=1, keepdim=True)], dim=1)

image, small, out, *bounds = sys.argv[1:]
torch.set_num_threads(1)
options = {"size": 256, "batch_size": 8, "store": GeoTIFFLabelStore(uri=out, cog=False)}
classes = ClassMap.of("a", "b", "c", "d")
predict(model, Scene.of(small), classes, **options)
before = megabytes("VmRSS")
for bound in bounds:
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    predict(model, Scene.of(image), classes, max_memory=int(bound) or None, **options)
    print(megabytes("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")
def test_a_bound_of_memory_holds_for_a_wide_scene(tmp_path):
    image = write_noise(tmp_path / "wide.tif", 700, 40_000)
    small = write_noise(tmp_path / "small.tif", 600, 700)
    done = subprocess.run(
        [sys.executable, "-c", _WIDE, image, small, str(tmp_path / "map.tif"), "80000000", "0"],
        capture_output=True, text=True, check=False,
        env=steady(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bounded, unbounded = map(float, done.stdout.split())
    # Unbounded it takes 300 MB and more: the bound, and what is not bounded beside it.
    assert unbounded > 300, (bounded, unbounded)
    assert bounded < 80 + 60, (bounded, unbounded)
