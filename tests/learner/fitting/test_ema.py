"""EMA: the mean is what its formula says, is validated, and is what remains."""

from __future__ import annotations

import pytest
import torch

from geoseg.learner.fitting.ema import EMA
from geoseg.learner.module import SegmentationModule
from tests.learner.fitting.trainings import CLASSES, blobs, fitted, same, tiny, weights


def test_the_mean_is_that_of_all_steps(tmp_path, monkeypatch):
    steps, validated = [], []
    end, step = EMA.on_train_batch_end, SegmentationModule.validation_step

    def noted(self, trainer, pl_module, *args):
        steps.append({k: v.clone() for k, v in pl_module.network.state_dict().items()})
        end(self, trainer, pl_module, *args)

    def looked(self, batch, batch_idx):
        validated.append({k: v.clone() for k, v in self.network.state_dict().items()})
        step(self, batch, batch_idx)

    monkeypatch.setattr(EMA, "on_train_batch_end", noted)
    monkeypatch.setattr(SegmentationModule, "validation_step", looked)
    start = weights(_untrained())
    run = fitted(tiny(ema=0.3, epochs=2), tmp_path)
    expected = {key: value.double() for key, value in start.items()}
    for number, found in enumerate(steps, start=1):
        decay = min(0.3, (1 + number) / (10 + number))
        for key, value in found.items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value.double()
            else:
                expected[key] = value.double()
    assert len(steps) == 6
    for key, value in weights(run).items():
        assert torch.allclose(value.double(), expected[key], atol=1e-6), key
    assert same(validated[-1], weights(run))
    assert not same(steps[-1], weights(run))
    again = SegmentationModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert same(again.network.state_dict(), weights(run))


def _untrained():
    from geoseg.learner.fitting.prepare import prepare

    class Holder:
        module = prepare(CLASSES, tiny(), [blobs(0), blobs(1)]).module

    return Holder


def test_gradients_that_are_added_up_are_one_step(monkeypatch):
    decays = []
    lerp = torch.Tensor.lerp_

    def noted(self, other, weight):
        decays.append(weight)
        return lerp(self, other, weight)

    monkeypatch.setattr(torch.Tensor, "lerp_", noted)
    fitted(tiny(ema=0.99, accumulate=3, epochs=2, optimizer="sgd"), valid=[])
    assert sorted(set(decays), reverse=True) == pytest.approx([1 - 2 / 11, 1 - 3 / 12])


def test_a_mean_may_begin_with_a_checkpoint_that_has_none(tmp_path):
    fitted(tiny(epochs=1, schedule="constant"), tmp_path)
    run = fitted(tiny(epochs=2, schedule="constant", ema=0.9), resume=tmp_path / "last.ckpt")
    plain = fitted(tiny(epochs=2, schedule="constant"), resume=tmp_path / "last.ckpt")
    assert len(run.history) == 2
    assert not same(weights(run), weights(plain))
