"""Predict and write a 10,000 x 10,000 scene with a model that costs nothing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window as RasterioWindow

from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.predict import predict
from geoseg.scene import Scene
from geoseg.window import sliding
from tests.bench.race import race, report

pytestmark = pytest.mark.bench

CLASSES = ClassMap.of("a", "b", "c", "d")


def free_model(image, valid=None):
    """Four "probabilities" that are views of the image: float, but hardly any work."""
    scaled = image[:, :3].float().mul_(1 / 765)
    rest = 1 - scaled.sum(dim=1, keepdim=True)
    return torch.cat([scaled, rest], dim=1)


def whole_array(uri, out, height):
    """What a straightforward script does: the same windows, one float32 array for all scores."""
    with rasterio.open(uri) as file:
        scores = torch.zeros(4, height, file.width)
        hits = torch.zeros(height, file.width)
        windows = sliding((height, file.width), 256, 128)
        for start in range(0, len(windows), 16):
            batch = windows[start : start + 16]
            chips = [torch.from_numpy(file.read(window=w.to_rasterio())) for w in batch]
            for window, part in zip(batch, free_model(torch.stack(chips)), strict=True):
                scores[(slice(None), *window.slices)] += part
                hits[window.slices] += 1
        ids = torch.argmax(scores / hits, dim=0).to(torch.uint8).numpy()
        profile = file.profile | {"count": 1, "height": height, "predictor": 1}
    with rasterio.open(out, "w", **profile) as written:
        written.write(ids, 1, window=RasterioWindow(0, 0, ids.shape[1], height))
    return ids


def ours(uri, out, *, blend="mean", cog=False):
    store = GeoTIFFLabelStore(uri=out, cog=cog)
    return predict(
        free_model, Scene.of(uri), CLASSES, store=store, size=256, stride=128, blend=blend,
        batch_size=16,
    )  # fmt: skip


def test_predict_and_write(benchmark, big_scene, tmp_path):
    torch.set_num_threads(1)
    ref, out, default = (str(tmp_path / f"{name}.tif") for name in ("ref", "out", "default"))
    expected = whole_array(big_scene, ref, 10_000)
    found = ours(big_scene, out).to_array()
    assert (expected != found).mean() < 1e-4  # sums in another order: ties only
    times = race(
        {
            "whole array": lambda: whole_array(big_scene, ref, 10_000),
            "mean, plain": lambda: ours(big_scene, out),
            "hann, COG": lambda: ours(big_scene, default, blend="hann", cog=True),
        },
        rounds=1,
    )
    benchmark.pedantic(lambda: ours(big_scene, out), rounds=1)
    ratio = times["whole array"] / times["mean, plain"]
    benchmark.extra_info["ratio"] = ratio
    report("predict + write, against a whole-array accumulator", ratio, 3)
    report("the same with the defaults", times["whole array"] / times["hann, COG"], 1)


_PEAK = """
import sys
import torch
from geoseg.grid import Grid
from geoseg.scene import Scene
from geoseg.window import Window
from tests.bench.memory import forget_peak, now_mb, peak_mb
from tests.bench.test_predict import CLASSES, GeoTIFFLabelStore, predict, free_model

torch.set_num_threads(1)
scene = Scene.of(sys.argv[1])
crop = scene.grid.crop(Window(0, 0, int(sys.argv[3]), scene.grid.width))
scene = scene.model_copy(update={"reference": crop})
forget_peak()
start = now_mb()
predict(free_model, scene, CLASSES, store=GeoTIFFLabelStore(uri=sys.argv[2], cog=False),
        size=256, stride=128, blend="mean", batch_size=16)
print(peak_mb() - start)
"""


def test_peak_memory(big_scene, tmp_path):
    peaks = {}
    for height in (3_000, 10_000):
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, big_scene, str(tmp_path / "map.tif"), str(height)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[height] = float(done.stdout)
    report(
        "predict + write, 350 MB over the peak above start", 350 / peaks[10_000], 1,
        f"({peaks[10_000]:.0f} MB; {peaks[3_000]:.0f} MB at 3,000 rows)",
    )  # fmt: skip
    report("peak of 3,000 rows over that of 10,000", peaks[3_000] / peaks[10_000], 0.9)
    assert peaks[10_000] <= 350
    assert peaks[3_000] / peaks[10_000] >= 0.9


def test_evaluate(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    uris = []
    for name in ("truth", "prediction"):
        uri = str(tmp_path / f"{name}.tif")
        ids = rng.integers(0, 5, (1250, 1250), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        grid = _grid_of(ids.shape)
        classes = ClassMap.of("a", "b", "c", "d", "e")
        with GeoTIFFLabelStore(uri=uri, cog=False).writer(grid, classes) as writer:
            writer.write(grid.whole, ids)
        uris.append(uri)
    from geoseg.labels.evaluate import evaluate

    truth, prediction = (GeoTIFFLabelStore(uri=uri).read() for uri in uris)

    def read_both():
        for uri in uris:
            with rasterio.open(uri) as file:
                for row in range(0, 10_000, 512):
                    file.read(1, window=RasterioWindow(0, row, 10_000, min(512, 10_000 - row)))

    times = race({"read": read_both, "geoseg": lambda: evaluate(truth, prediction)})
    benchmark.pedantic(lambda: evaluate(truth, prediction), rounds=1)
    ratio = times["read"] / times["geoseg"]
    benchmark.extra_info["ratio"] = ratio
    report("evaluate a 10,000 x 10,000 pair, against reading both files", ratio, 0.3)


def _grid_of(shape):
    from geoseg.grid import Grid

    return Grid(
        crs="EPSG:32619", transform=[1, 0, 4e5, 0, -1, 5e6], height=shape[0], width=shape[1]
    )
