"""What tests of training work on: small scenes of blobs, a small network, and how a training is cut short."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.learner.learner import Learner
from geoseg.learner.training import Training
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource

CLASSES = ClassMap.model_validate([{"id": 3, "name": "dark"}, {"id": 1, "name": "bright"}])
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=49, width=67)
TINY = Training(
    size=16, length=12, batch_size=4, epochs=4, lr=1e-2, model_options={"width": 4, "depth": 2}
)


def blobs(seed=0, *, name=None, valid=True, labels=None, bands=2, share=0.5):
    """Bright and dark blobs in all bands, with noise; the left columns are not valid."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((7, 9)) < share
    bright = coarse.repeat(8, axis=0).repeat(8, axis=1)[:49, :67]
    data = np.where(bright, 150, 60) + rng.normal(0, 12, (bands, 49, 67))
    measured = np.full((49, 67), valid)
    measured[:, :3] = False
    ids = np.where(bright, 1, 3) if labels is None else np.full((49, 67), labels)
    return Scene(
        id=name or f"s{seed}",
        image=ArraySource(data=data.clip(1, 255).astype(np.uint8), valid=measured, grid=GRID),
        labels=RasterLabels(
            source=ArraySource(data=ids.astype(np.uint8), grid=GRID), classes=CLASSES
        ),
    )


class Plain(nn.Module):
    """Without batch normalisation, with an encoder."""

    def __init__(self, classes=2):
        super().__init__()
        self.encoder = nn.Conv2d(2, 4, 3, padding=1)
        self.head = nn.Conv2d(4, classes, 1)

    def forward(self, image):
        return self.head(self.encoder(image).relu())


class Dropping(nn.Module):
    """With dropout and batch statistics."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4)
        )
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, image):
        return self.head(self.encoder(image))


def seeded(kind):
    torch.manual_seed(3)
    return kind()


def tiny(**changes):
    return Training.model_validate({**TINY.model_dump(), **changes})


def weights(learner):
    return {key: value.clone() for key, value in learner.module.network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class Stop(BaseException):
    """Stands for whatever ends a training."""


@contextmanager
def stopped_in(epoch):
    """A training within ends in the middle of an epoch."""
    from geoseg.learner.fitting.seeds import SeedEachBatch

    start = SeedEachBatch.on_train_batch_start

    def cut(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == epoch and batch_idx == 1:
            raise Stop
        start(self, trainer, pl_module, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SeedEachBatch, "on_train_batch_start", cut)
        yield


def fitted(training, folder=None, *, model=None, resume=None, train=None, valid=None, **more):
    learner = Learner(CLASSES, training, model=None if model is None else seeded(model))
    return learner.fit(
        train or [blobs(0), blobs(1)],
        [blobs(2)] if valid is None else valid or None,
        folder=None if folder is None else str(folder),
        resume=None if resume is None else str(resume),
        **more,
    )


def rows_of(folder):
    text = (Path(folder) / "metrics.csv").read_text().splitlines()
    names = text[0].split(",")
    return [dict(zip(names, line.split(","), strict=True)) for line in text[1:]]
