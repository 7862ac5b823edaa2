"""Training: going on after an interruption, steps of several batches, early ends and chosen weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from geoseg.learner.learner import Learner
from geoseg.learner.module import SegmentationModule
from tests.learner.fitting.trainings import (
    CLASSES,
    Dropping,
    Plain,
    Stop,
    blobs,
    fitted,
    rows_of,
    same,
    stopped_in,
    tiny,
    weights,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"),
    [
        (None, {"ema": 0.9, "select": "best", "schedule": "onecycle"}),
        (None, {"schedule": "plateau", "optimizer": "sgd", "accumulate": 2, "clip": 0.5}),
        (Dropping, {"schedule": "cosine", "ema": 0.9, "freeze_epochs": 1}),
        (Dropping, {"schedule": "constant", "freeze_epochs": 3, "augmentation": "d4+light"}),
    ],
)
def test_a_training_that_was_cut_short_goes_on_to_the_same_bits(tmp_path, model, options):
    training = tiny(**options, patience=50)
    straight = fitted(training, tmp_path / "straight", model=model)
    with stopped_in(2), pytest.raises(Stop):
        fitted(training, tmp_path / "part", model=model)
    resumed = fitted(
        training, tmp_path / "part", model=model, resume=tmp_path / "part" / "last.ckpt"
    )
    assert same(weights(straight), weights(resumed))
    assert straight.history == resumed.history
    assert [row["epoch"] for row in resumed.history] == [0, 1, 2, 3]
    assert rows_of(tmp_path / "straight") == rows_of(tmp_path / "part")
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (
            torch.load(tmp_path / folder / name, weights_only=True)
            for folder in ("straight", "part")
        )
        assert same(one["state_dict"], other["state_dict"])
        assert (
            one["optimizer_states"][0]["param_groups"]
            == other["optimizer_states"][0]["param_groups"]
        )


class Pairs(Dataset):
    """Items of one's own, more of them than a batch."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        bright = rng.random((16, 16)) < 0.5
        image = np.stack([np.where(bright, 200, 30)] * 2).astype(np.uint8)
        return {
            "image": torch.from_numpy(image),
            "mask": torch.from_numpy(np.where(bright, 1, 3)),
            "valid": torch.ones(16, 16, dtype=torch.bool),
        }


def test_a_training_on_a_data_set_goes_on_to_the_same_bits(tmp_path):
    straight = fitted(tiny(), train=Pairs(), valid=Pairs())
    with stopped_in(1), pytest.raises(Stop):
        fitted(tiny(), tmp_path, train=Pairs(), valid=Pairs())
    resumed = fitted(tiny(), train=Pairs(), valid=Pairs(), resume=tmp_path / "last.ckpt")
    assert same(weights(straight), weights(resumed))


def test_gradients_of_two_batches_together_are_those_of_one_twice_as_large():
    scenes = [_everywhere_valid(seed) for seed in (0, 1)]
    options = {"augmentation": "none", "schedule": "constant", "optimizer": "sgd", "length": 16}
    small = fitted(tiny(**options, batch_size=4, accumulate=2), model=Plain, train=scenes)
    large = fitted(tiny(**options, batch_size=8), model=Plain, train=scenes)
    one, other = weights(small), weights(large)
    for key, value in one.items():
        assert torch.allclose(value, other[key], atol=1e-5), key
    apart = fitted(tiny(**options, batch_size=4), model=Plain, train=scenes)
    assert any(not torch.allclose(v, other[k], atol=1e-4) for k, v in weights(apart).items())


def _everywhere_valid(seed):
    scene = blobs(seed)
    image = scene.image.model_copy(update={"valid": np.ones((49, 67), bool)})
    return scene.model_copy(update={"image": image})


def test_a_step_is_never_longer_than_the_clipped_gradient():
    options = {"schedule": "constant", "optimizer": "sgd", "epochs": 1, "length": 4, "lr": 1.0}
    free, held = (
        fitted(tiny(**options, clip=clip, weight_decay=0), model=Plain, valid=[])
        for clip in (None, 1e-3)
    )
    start = Learner(CLASSES, tiny(), model=_fresh()).module.network.state_dict()
    lengths = [
        math.sqrt(sum(float((v - start[k]).square().sum()) for k, v in weights(run).items()))
        for run in (free, held)
    ]
    assert lengths[1] == pytest.approx(1e-3, rel=1e-3)
    assert lengths[0] > 2e-3


def _fresh():
    torch.manual_seed(3)
    return Plain()


def _scores(monkeypatch, *scores):
    """The validation finds these mean IoUs, one an epoch."""
    from geoseg.labels import metrics

    values = iter(scores)
    monkeypatch.setattr(metrics, "mean", lambda _: next(values))


def test_training_ends_where_the_validation_does_not_get_better(tmp_path, monkeypatch):
    _scores(monkeypatch, 0.2, 0.5, 0.4, 0.5, 0.9, 0.9)
    run = fitted(tiny(patience=2, epochs=6, schedule="constant"), tmp_path)
    assert [row["valid_mean_iou"] for row in run.history] == pytest.approx([0.2, 0.5, 0.4, 0.5])
    with monkeypatch.context() as patched:
        _scores(patched)
        again = fitted(
            tiny(patience=2, epochs=6, schedule="constant"), resume=tmp_path / "last.ckpt"
        )
    assert len(again.history) == 4


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_chosen(tmp_path, monkeypatch):
    after = []
    _scores(monkeypatch, 0.2, 0.7, 0.6, 0.7)
    from geoseg.learner.fitting.history import History

    end = History.on_train_epoch_end

    def noted(self, trainer, pl_module):
        after.append({k: v.clone() for k, v in pl_module.network.state_dict().items()})
        end(self, trainer, pl_module)

    monkeypatch.setattr(History, "on_train_epoch_end", noted)
    best = fitted(tiny(select="best"), tmp_path)
    assert same(weights(best), after[1])
    saved = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert saved["epoch"] == 1
    assert all(torch.equal(saved["state_dict"][f"network.{k}"], v) for k, v in after[1].items())
    after.clear()
    _scores(monkeypatch, 0.2, 0.7, 0.6, 0.7)
    last = fitted(tiny(), tmp_path)
    assert same(weights(last), after[3])
    assert same(after[3], weights(last))
    assert not same(after[1], after[3])


@pytest.mark.slow
def test_a_plateau_divides_the_rate_by_ten(monkeypatch):
    _scores(monkeypatch, 0.5, 0.4, 0.5, 0.3, 0.2, 0.2)
    run = fitted(tiny(schedule="plateau", epochs=6))
    assert [row["lr"] for row in run.history] == pytest.approx([0.01] * 4 + [0.001] * 2)


def test_a_new_training_leaves_no_older_best_epoch_beside_it(tmp_path):
    fitted(tiny(epochs=1), tmp_path)
    assert (tmp_path / "best.ckpt").is_file()
    fitted(tiny(epochs=1), tmp_path, valid=[])
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "metrics.csv"}


def test_the_iou_of_each_class_stands_beside_their_mean(tmp_path):
    run = fitted(tiny(epochs=1), tmp_path)
    row = run.history[0]
    both = [row["valid_iou_dark"], row["valid_iou_bright"]]
    assert row["valid_mean_iou"] == pytest.approx(sum(both) / 2, abs=1e-6)
    assert set(rows_of(tmp_path)[0]) == set(row)


def test_an_augmentation_of_ones_own_is_used_and_not_kept():
    seen = []

    def augmentation(batch):
        seen.append(len(batch["image"]))
        return batch

    run = fitted(tiny(epochs=1), augmentation=augmentation)
    assert seen == [4, 4, 4]
    assert "augmentation" not in run.module.hparams


def test_a_training_says_nothing_and_leaves_the_callers_randomness(capfd):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    fitted(tiny(epochs=1))
    assert torch.equal(torch.rand(2), expected)
    assert capfd.readouterr() == ("", "")


def test_class_weights_follow_the_labels_and_stay_with_the_model(tmp_path):
    scenes = [blobs(0, share=0.2), blobs(1, share=0.3)]
    run = fitted(tiny(class_weights="inverse", epochs=1), tmp_path, train=scenes)
    found = [s.labels.source.data[..., 3:] for s in scenes]  # the left columns are not valid
    counts = np.array([sum(int((ids == i).sum()) for ids in found) for i in (3, 1)])
    assert run.histogram == {"dark": counts[0], "bright": counts[1]}
    expected = (1 / counts) / (1 / counts).mean()
    assert run.module.class_weights == pytest.approx(expected)
    assert run.module.loss.class_weights == pytest.approx(expected)
    again = SegmentationModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert again.class_weights == pytest.approx(expected)


def test_numbers_of_class_weights_are_taken_as_they_are_and_of_a_data_set_items_are_counted():
    assert fitted(tiny(class_weights=(2, 0.5), epochs=1)).module.class_weights == (2.0, 0.5)
    run = fitted(tiny(class_weights="sqrt", epochs=1), train=Pairs(), valid=[])
    masks = np.stack([Pairs()[i]["mask"] for i in range(10)])
    assert run.histogram == {"dark": int((masks == 3).sum()), "bright": int((masks == 1).sum())}
    assert sum(run.module.class_weights) == pytest.approx(2)


@pytest.mark.slow
def test_half_precision_trains_too(tmp_path):
    run = fitted(tiny(precision="bf16-mixed", epochs=6, clip=1.0))
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
    assert all(value.dtype != torch.bfloat16 for value in weights(run).values())


@pytest.mark.slow
def test_a_list_of_augmentations_reaches_the_module_and_its_checkpoint(tmp_path):
    steps = [{"type": "rotate", "p": 1.0}, "light"]
    fitted(tiny(epochs=1, augmentation=steps), tmp_path)
    again = SegmentationModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert [step["type"] for step in again.hparams["augmentation"]] == ["rotate", "light"]
    plain = fitted(tiny(epochs=1))
    turned = fitted(tiny(epochs=1, augmentation=steps))
    assert not same(weights(plain), weights(turned))


def test_options_of_sampling_and_loss_reach_the_windows_and_the_module(monkeypatch):
    from geoseg.datasets import random

    scenes = [blobs(0, share=0.05)]
    rules = {"class_balance": {"bright": 1.0}, "size_range": (12, 20)}
    training = tiny(epochs=1, sampling=rules, loss="focal", loss_options={"gamma": 1.5})
    seen = []
    read = random.RandomWindowGeoDataset._read_mask

    def noted(self, number, window, valid):
        seen.append((window.shape, (read(self, number, window, valid) == 1).any()))
        return read(self, number, window, valid)

    monkeypatch.setattr(random.RandomWindowGeoDataset, "_read_mask", noted)
    run = fitted(training, train=scenes, valid=[])
    assert run.module.loss.gamma == 1.5
    assert all(12 <= height <= 20 for (height, _), _ in seen)
    assert len({shape for shape, _ in seen}) > 1
    assert all(found for _, found in seen)
