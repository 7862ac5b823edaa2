"""A training whose windows are read by workers goes on to the same bits: none is read before its epoch."""

from __future__ import annotations

import random
import time
from itertools import chain

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from geoseg.datasets import ImageFolderDataset, RandomWindowGeoDataset
from geoseg.learner import SegmentationData, SegmentationModule
from geoseg.learner.fitting.scheduled import ScheduledModule
from tests.learner.fitting.test_fit import Pairs
from tests.learner.fitting.trainings import (
    CLASSES,
    Plain,
    Stop,
    blobs,
    fitted,
    same,
    stopped_in,
    tiny,
    weights,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",
    "ignore:.*exists and is not empty.*",
    "ignore:.*many workers.*",
)
_READ_AHEAD = 0.5
"""Seconds in which workers have read what they may before a training begins."""


class Drawing(Pairs):
    """Other items in each epoch, told as any class would keep it, with random numbers of all kinds."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        item = super().__getitem__(index)
        noise = torch.rand(1).item() + np.random.rand() + random.random()  # noqa: NPY002
        image = item["image"].float() / 255 + 0.1 * noise + 0.05 * self.epoch
        return {**item, "image": image}


class Served:
    """An augmentation that changes nothing and keeps the places of windows, batch by batch."""

    def __init__(self):
        self.places = []

    def __call__(self, batch, generator):
        self.places.append(list(zip(batch["row"].tolist(), batch["col"].tolist(), strict=True)))
        return batch


@pytest.fixture
def patient(monkeypatch):
    """Trainings begin when workers that read too early have done so."""
    begin = ScheduledModule.on_train_start

    def wait(self):
        time.sleep(_READ_AHEAD)
        begin(self)

    monkeypatch.setattr(ScheduledModule, "on_train_start", wait)


def cut_and_resumed(training, folder, **given):
    """(straight, resumed) trainings; the second was cut short in its epoch 1."""
    straight = fitted(training, model=Plain, **given)
    with stopped_in(1), pytest.raises(Stop):
        fitted(training, folder, model=Plain, **given)
    return straight, fitted(training, model=Plain, resume=folder / "last.ckpt", **given)


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("order", ["uniform", "block"])
def test_windows_of_scenes_are_those_of_the_epoch_that_is_gone_on_with(tmp_path, order, workers):
    served = Served()
    training = tiny(epochs=3, length=24, order=order, workers=workers)
    straight, resumed = cut_and_resumed(training, tmp_path, augmentation=served)
    assert same(weights(straight), weights(resumed))
    assert straight.history == resumed.history
    steps = 24 // 4
    assert served.places[steps : 3 * steps] == served.places[-2 * steps :]
    windows = RandomWindowGeoDataset([blobs(0), blobs(1)], 16, 24, order=order)
    windows.set_epoch(1)
    expected = [(window.row, window.col) for _, window in map(windows.place, range(24))]
    assert sorted(chain(*served.places[-2 * steps : -steps])) == sorted(expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", [Pairs, Drawing])
def test_a_data_set_of_ones_own_goes_on_to_the_same_bits(tmp_path, kind, workers):
    training = tiny(epochs=3, workers=workers)
    straight, resumed = cut_and_resumed(training, tmp_path, train=kind(), valid=kind())
    assert same(weights(straight), weights(resumed))
    assert straight.history == resumed.history


@pytest.mark.slow
def test_a_data_set_of_ones_own_trains_to_the_same_bits_with_any_number_of_workers():
    none, one, two = (
        weights(fitted(tiny(epochs=2, workers=workers), model=Plain, train=Drawing(), valid=[]))
        for workers in (0, 1, 2)
    )
    assert same(none, one)
    assert same(none, two)


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_crops_of_a_folder_go_on_to_the_same_bits(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(3):
        scene = blobs(number, valid=True)
        np.save(tmp_path / f"images/{number}.npy", scene.image.data)
        np.save(tmp_path / f"masks/{number}.npy", scene.labels.source.data.squeeze())
    windows = ImageFolderDataset(tmp_path, classes=CLASSES, axes="chw", size=16, length=24)
    training = tiny(epochs=3, workers=1)
    straight, resumed = cut_and_resumed(training, tmp_path, train=windows, valid=[])
    assert same(weights(straight), weights(resumed))
    assert straight.history == resumed.history


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("kind", ["scenes", "own"])
def test_a_plain_trainer_goes_on_to_the_same_bits(tmp_path, kind, at_end):
    """Whether its checkpoint was kept at the end of an epoch or after a validation in it."""

    def trained(folder, *, path=None):
        train, valid = ([blobs(0)], [blobs(2)]) if kind == "scenes" else (Drawing(), Pairs())
        data = SegmentationData(train, valid, size=16, length=24, batch_size=4, workers=1)
        torch.manual_seed(1)
        module = SegmentationModule(CLASSES, 2, model_options={"width": 4, "depth": 2})
        kept = ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=at_end)
        trainer = pl.Trainer(
            max_epochs=3, accelerator="cpu", logger=False, callbacks=[kept],
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(module, data, ckpt_path=path)
        return module.state_dict(), trainer.callback_metrics

    straight, numbers = trained(tmp_path)
    resumed, others = trained(tmp_path, path=tmp_path / "epoch=0.ckpt")
    assert same(straight, resumed)
    assert numbers == others
