"""What is wrong is told before the first epoch, in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from geoseg.errors import ConfigError, GeosegError, LabelError, SceneError
from geoseg.labels.sources import RasterLabels
from geoseg.learner.fitting import counting, fit
from geoseg.learner.fitting.counting import count_labels
from geoseg.learner.learner import Learner
from geoseg.sources.array import ArraySource
from tests.learner.fitting.trainings import CLASSES, GRID, Plain, blobs, tiny


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the training has begun")

    monkeypatch.setattr(fit.pl.Trainer, "fit", refuse)


def with_ids(ids):
    source = ArraySource(data=np.broadcast_to(np.uint8(ids), (49, 67)).copy(), grid=GRID)
    return blobs(0).model_copy(update={"labels": RasterLabels(source=source, classes=CLASSES)})


class Masks(Dataset):
    def __init__(self, ids, *, valid=True, length=3):
        self.ids, self.valid, self.length = ids, valid, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return {
            "image": torch.rand(2, 16, 16),
            "mask": torch.full((16, 16), self.ids),
            "valid": torch.full((16, 16), self.valid),
        }


@pytest.mark.parametrize(
    ("train", "options", "error", "text"),
    [
        ([with_ids(9)], {}, LabelError, r"9"),
        ([with_ids(255)], {}, SceneError, r"no pixel of the training scenes \(s0\) has a label"),
        ([blobs(1), blobs(0, valid=False)], {}, SceneError, "'s0': no pixel of the image is valid"),
        ([blobs(0), blobs(1, bands=3)], {}, GeosegError, "bands"),
        (Masks(7), {}, LabelError, r"item 0 of the data set: its mask holds the ids \[7\]"),
        (Masks(-1), {}, LabelError, r"item 0 .* ids \[-1\], .* not labelled as 255"),
        (Masks(-100, valid=False), {}, LabelError, r"item 0 .* ids \[-100\]"),
        (Masks(300), {}, LabelError, r"item 0 .* ids \[300\], .* ids go up to 255"),
        (Masks(3.0), {}, LabelError, r"item 0 .* torch\.float32, expected class ids"),
        (Masks(3, valid=7), {}, ConfigError, "item 0 .* other numbers than 0 and 1"),
        ([blobs(0)], {"devices": 99}, ConfigError, r"training \(12\) than devices \(99\)"),
        (Masks(255), {}, LabelError, "none of the 3 items"),
        (Masks(3, valid=False), {}, LabelError, "none of the 3 items"),
        (Masks(3, length=0), {}, ConfigError, "empty"),
        ([blobs(0)], {"class_weights": (1, 2, 3)}, ConfigError, "3 class weights for 2 classes"),
        ([blobs(0)], {"select": "best"}, ConfigError, "there is none; pass `valid`"),
        ([blobs(0)], {"patience": 2}, ConfigError, "patience"),
        ([blobs(0)], {"schedule": "plateau"}, ConfigError, "plateau"),
    ],
)
def test_what_cannot_be_trained_on_is_told_before_the_first_epoch(train, options, error, text):
    with pytest.raises(error, match=text) as caught:
        Learner(CLASSES, tiny(**options)).fit(train)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (nn.Conv2d(3, 2, 1), r"Conv2d fails on an image \(1, 2, 16, 16\).* of 2 bands"),
        (nn.Conv2d(2, 5, 1), r"expected a tensor \(1, 2, 16, 16\)"),
        (nn.Conv2d(2, 2, 3), r"expected a tensor \(1, 2, 16, 16\)"),
    ],
)
def test_a_network_that_does_not_fit_the_scenes_is_told(network, text):
    with pytest.raises(ConfigError, match=text):
        Learner(CLASSES, tiny(), model=network).fit([blobs(0)])


def test_items_to_validate_on_are_looked_at_too():
    with pytest.raises(LabelError, match=r"item 0 of the data set: its mask holds the ids \[-1\]"):
        Learner(CLASSES, tiny()).fit([blobs(0)], Masks(-1))


def test_fewer_windows_to_validate_on_than_devices_are_told():
    with pytest.raises(ConfigError, match=r"validation \(1\) than devices \(2\)"):
        Learner(CLASSES, tiny(devices=2, size=(49, 67))).fit([blobs(0)], [blobs(1)])


def test_a_checkpoint_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match=r"no\.ckpt: there is no such checkpoint"):
        Learner(CLASSES, tiny()).fit([blobs(0)], resume="no.ckpt")


def test_the_look_at_a_network_changes_nothing_of_it():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    with pytest.raises(AssertionError, match="begun"):
        Learner(CLASSES, tiny(), model=network).fit([blobs(0)])
    assert network.training
    assert network[0].num_batches_tracked == 0


def test_large_scenes_are_thinned_out_unless_exact_counts_are_asked_for(monkeypatch):
    scenes = [blobs(0, share=0.3), blobs(1, share=0.3)]
    exact = count_labels(scenes, CLASSES, exact=True)
    expected = [
        [int((scene.labels.source.data[..., 3:] == i).sum()) for i in (3, 1)] for scene in scenes
    ]
    assert exact.counts.tolist() == expected
    assert exact.valid.tolist() == [64 * 49] * 2
    monkeypatch.setattr(counting, "_ENOUGH", 3000)
    assert np.array_equal(count_labels(scenes, CLASSES, exact=True).counts, exact.counts)
    thinned = count_labels(scenes, CLASSES)
    assert not np.array_equal(thinned.counts, exact.counts)
    assert (thinned.counts.sum(axis=1) <= 67 * 49).all()
    assert np.allclose(thinned.counts, exact.counts, rtol=0.35)
    assert np.allclose(thinned.valid, exact.valid, atol=1)
    with pytest.raises(LabelError, match="no class: 9"):
        count_labels([with_ids(9)] * 2, CLASSES)


def test_the_modules_own_rule_of_weights_needs_labels_to_look_at():
    from geoseg.learner.module import SegmentationModule

    module = SegmentationModule(CLASSES, 2, model=Plain(), class_weights="inverse")
    assert module.loss.class_weights is None
    with pytest.raises(ConfigError, match="one number a class"):
        module.on_train_start()
    module.weigh(np.array([[10, 30]]))
    assert module.loss.class_weights == (1.5, 0.5)
    assert module.hparams["class_weights"] == [1.5, 0.5]
    with pytest.raises(ConfigError, match="did you mean 'inverse'"):
        SegmentationModule(CLASSES, 2, model=Plain(), class_weights="invers")
