"""A model judged on the patches of a store, against scikit-learn over its items."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score
from torch import nn

from geoseg import Learner, LMDBDataset, Training
from geoseg.datasets import SlidingWindowGeoDataset
from geoseg.errors import ConfigError
from geoseg.learner.training import Prediction
from geoseg.sources.store.environments import close_stores
from tests.datasets.lmdbstores import bigearthnet

OPTIONS = {"join": ("s1", "s2", "map"), "labels": "Data", "mapping": "bigearthnet-19"}
SMALL = Training(size=(12, 20), epochs=1, batch_size=2, length=4)


@pytest.fixture
def store(tmp_path):
    yield bigearthnet(tmp_path / "store", pairs=5, split="test")
    close_stores()


def network(channels, classes):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Conv2d(channels, classes, 3, padding=1)


def mean_iou(data, logits):
    """Of the classes that occur, by scikit-learn, over the pixels of all items."""
    truth, found = [], []
    with torch.no_grad():
        for item in data:
            known = item["mask"] != data.ignore_id
            truth.append(item["mask"][known])
            found.append(logits(item["image"][None])[0].argmax(0)[known])
    return jaccard_score(torch.cat(truth), torch.cat(found), average="macro")


def test_scores_over_the_scenes_of_a_data_set_are_those_over_its_items(store):
    data = LMDBDataset(store, **OPTIONS)
    model = network(len(data.band_names), len(data.classes)).eval()
    learner = Learner(data.classes, SMALL, model=model)
    found = learner.evaluate(data.scenes(), prediction=Prediction(batch_size=1))
    assert [*found.scenes] == data.keys
    assert found.mean_iou == pytest.approx(mean_iou(data, model), abs=1e-12)
    labels = learner.predict(data.scenes()[2]).to_array()
    with torch.no_grad():
        np.testing.assert_array_equal(labels, model(data[2]["image"][None])[0].argmax(0))


def test_a_model_that_was_fitted_on_a_data_set_knows_its_scenes(store):
    data = LMDBDataset(store, normalize=False, bands=["s2/B04", "B01", "B8A"], **OPTIONS)
    model = network(3, len(data.classes))
    learner = Learner(data.classes, SMALL, model=model).fit(data)
    known = learner.data
    assert (known.band_names, known.dtype) == (("B04", "B01", "B8A"), "uint16")
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (known.statistics.mean, known.statistics.std)
    )
    network_of = learner.module.network.eval()
    expected = mean_iou(data, lambda image: network_of((image.float() - mean) / std))
    assert learner.evaluate(data.scenes()).mean_iou == pytest.approx(expected, abs=1e-3)


def test_what_is_no_scene_is_told_where_scenes_come_from(store):
    data = LMDBDataset(store, **OPTIONS)
    learner = Learner(data.classes, SMALL, model=network(len(data.band_names), len(data.classes)))
    text = r"expected scenes, got a LMDBDataset; pass its scenes: dataset\.scenes\(\) of an LMDBDataset"
    with pytest.raises(ConfigError, match=text):
        learner.evaluate(data)
    for given in (data, data[0]):
        with pytest.raises(
            ConfigError, match=r"expected a Scene, got .*: dataset\.scenes\(\)\[0\]"
        ):
            learner.predict(given)
    with pytest.raises(ConfigError, match=r"expected a Scene, got dict"):
        learner.evaluate([data[0]])
    windows = SlidingWindowGeoDataset([data.scenes()[0]], size=8)
    with pytest.raises(
        ConfigError, match=r"got a SlidingWindowGeoDataset; .* dataset\.scenes of a data set"
    ):
        learner.evaluate(windows)
