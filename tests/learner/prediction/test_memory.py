"""Peak memory of prediction and evaluation does not grow with the height of the scene."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterioWindow

_WORK = """
import sys
import torch
from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, Training
from geoseg.learner.models import build
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache

def megabytes(line):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(line)) / 1024

work, image, ids, small, warm, out = sys.argv[1:]
torch.set_num_threads(1)
classes = ClassMap.of("a", "b", "c", "d")
training = Training(size=256, batch_size=8, model="custom")
learner = Learner(classes, training, model=build("unet", 3, 4, width=4, depth=2))
learner.predict(Scene.of(small), GeoTIFFLabelStore(uri=out))  # now everything is loaded
with block_cache(64 << 20):  # and GDAL's cache as full as any scene makes it
    for _ in Scene.of(warm).image.iter_rows(512, 512):
        pass
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # the peak so far is forgotten
before = megabytes("VmRSS")
if work == "predict":
    learner.predict(Scene.of(image), GeoTIFFLabelStore(uri=out), stride=192)
else:
    learner.evaluate([Scene.of(image, RasterLabels(source=ids, classes=classes))])
print(before, megabytes("VmHWM"))
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


def memory_of(work, tmp_path, height, width):
    """(MB before the work, MB at its peak)."""
    image = write_noise(tmp_path / f"{height}.tif", height, width)
    ids = write_noise(tmp_path / f"{height}-ids.tif", height, width, bands=1, most=4)
    small = write_noise(tmp_path / "small.tif", 300, 400)
    warm = write_noise(tmp_path / "warm.tif", 6_000, 4_000)
    out = str(tmp_path / "map.tif")
    done = subprocess.run(
        [sys.executable, "-c", _WORK, work, image, ids, small, warm, out],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, peak = map(float, done.stdout.split())
    return before, peak


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize("work", ["predict", "evaluate"])
def test_a_scene_three_times_as_tall_needs_the_same_memory(tmp_path, work):
    before, low = memory_of(work, tmp_path, 4_000, 4_000)
    _, high = memory_of(work, tmp_path, 12_000, 4_000)
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

image, small, out, bound = sys.argv[1:]
torch.set_num_threads(1)
options = {"size": 256, "batch_size": 8, "store": GeoTIFFLabelStore(uri=out, cog=False)}
classes = ClassMap.of("a", "b", "c", "d")
predict(model, Scene.of(small), classes, **options)
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = megabytes("VmRSS")
predict(model, Scene.of(image), classes, max_memory=int(bound) or None, **options)
print(megabytes("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")
def test_a_bound_of_memory_holds_for_a_wide_scene(tmp_path):
    image = write_noise(tmp_path / "wide.tif", 700, 40_000)
    small = write_noise(tmp_path / "small.tif", 600, 700)
    grown = {}
    for bound in (0, 80_000_000):
        done = subprocess.run(
            [sys.executable, "-c", _WIDE, image, small, str(tmp_path / "map.tif"), str(bound)],
            capture_output=True, text=True, check=False,
            # What threads that wait keep of freed memory hangs on how busy the machine is.
            env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        grown[bound] = float(done.stdout)
    # Unbounded it takes 300 MB and more: the bound, and what is not bounded beside it.
    assert grown[0] > 300, grown
    assert grown[80_000_000] < 80 + 60, grown
