"""What tests of resumed and shared predictions work on: a tall scene, a model, and where it is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from torch import nn

from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner, Training
from geoseg.scene import Scene

CLASSES = ClassMap.of("a", "b", "c")
TRAINING = Training(size=64, batch_size=5, model="custom")


def write_scene(folder, *, height=1300, seed=0, blob=8) -> str:
    """An image of many small blobs, with a gap of rows that are not valid."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 255, (2, -(-height // blob), -(-90 // blob)), np.uint8)
    data = coarse.repeat(blob, axis=1).repeat(blob, axis=2)[:, :height, :90]
    data[:, 200:330, 10:] = 0
    uri = str(Path(folder) / "image.tif")
    profile = {"count": 2, "height": height, "width": 90, "dtype": "uint8", "nodata": 0}
    with rasterio.open(
        uri, "w", driver="GTiff", crs="EPSG:32619", transform=Affine(1, 0, 5e5, 0, -1, 4e6), **profile
    ) as file:  # fmt: skip
        file.write(data)
    return uri


def learner(seed=0, batch_size=5):
    torch.manual_seed(seed)
    training = TRAINING.model_copy(update={"batch_size": batch_size})
    return Learner(CLASSES, training, model=nn.Conv2d(2, 3, 3, padding=1))


def run(image, out, *, scores=False, **options):
    """Predict as all these tests do."""
    store = GeoTIFFLabelStore(uri=str(out), scores=scores, confidence=scores)
    chosen = {"stride": 48, **options}
    return learner(chosen.pop("seed", 0), chosen.pop("batch_size", 5)).predict(
        Scene.of(str(image)), store, **chosen
    )


class Stop(BaseException):
    """Stands for whatever ends a run."""


def stop_after(monkeypatch, calls):
    """The model works so many times and then the run ends; returns the count of its calls."""
    from geoseg.learner.module import SegmentationModule

    forward, done = SegmentationModule.forward, []

    def counted(self, *args):
        done.append(len(done))
        if calls is not None and len(done) > calls:
            raise Stop
        return forward(self, *args)

    monkeypatch.setattr(SegmentationModule, "forward", counted)
    return done


def contents(folder, stem):
    """The bytes of the files of one map, by what follows its name."""
    return {
        path.name.removeprefix(stem): path.read_bytes()
        for path in sorted(Path(folder).glob(f"{stem}.*"))
    }


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())
