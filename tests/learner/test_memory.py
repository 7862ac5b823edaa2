"""Peak memory of prediction does not grow with the height of the scene."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterioWindow

_PREDICT = """
import resource, sys
import torch
from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner, Training
from geoseg.learner.models import build
from geoseg.scene import Scene

torch.set_num_threads(1)
classes = ClassMap.of("a", "b", "c", "d")
training = Training(size=256, batch_size=8, model="custom")
learner = Learner(classes, training, model=build("unet", 3, 4, width=4, depth=2))
store = GeoTIFFLabelStore(uri=sys.argv[2])
learner.predict(Scene.of(sys.argv[1]), store, stride=192)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_noise(path, height, width):
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32619", "transform": Affine(1, 0, 5e5, 0, -1, 4e6), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    coarse = np.random.default_rng(0).integers(0, 255, (3, 125, -(-width // 8)), np.uint8)
    strip = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :, :width]
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height, 1000):
            file.write(strip, window=RasterioWindow(0, row, width, 1000))


def peak_mb(tmp_path, height, width):
    image, out = tmp_path / f"{height}.tif", tmp_path / f"{height}-map.tif"
    write_noise(image, height, width)
    done = subprocess.run(
        [sys.executable, "-c", _PREDICT, str(image), str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with rasterio.open(out) as written:
        assert written.shape == (height, width)
    return float(done.stdout)


@pytest.mark.slow
def test_a_scene_three_times_as_tall_needs_the_same_memory(tmp_path):
    low, high = peak_mb(tmp_path, 4_000, 4_000), peak_mb(tmp_path, 12_000, 4_000)
    assert high < low * 1.15, (low, high)
