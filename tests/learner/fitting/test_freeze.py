"""FreezeEncoder: what is still, and for how long."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.errors import ConfigError
from geoseg.learner.learner import Learner
from geoseg.learner.module import SegmentationModule
from tests.learner.fitting.trainings import CLASSES, Dropping, blobs, fitted, seeded, tiny, weights


def test_an_encoder_with_its_batch_statistics_stays_until_its_epoch(monkeypatch):
    before = Learner(CLASSES, tiny(), model=seeded(Dropping)).module.network.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    modes, step = [], SegmentationModule.training_step

    def noted(self, batch, batch_idx):
        modes.append((self.current_epoch, self.network.encoder[1].training, self.network.training))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationModule, "training_step", noted)
    still = weights(fitted(tiny(freeze_epochs=2, epochs=2), model=Dropping))
    for key, value in still.items():
        assert torch.equal(value, before[key]) == key.startswith("encoder"), key
    assert set(modes) == {(0, False, True), (1, False, True)}
    modes.clear()
    run = fitted(tiny(freeze_epochs=2, epochs=3), model=Dropping)
    assert set(modes) == {(0, False, True), (1, False, True), (2, True, True)}
    moved = [key for key, value in weights(run).items() if not torch.equal(value, before[key])]
    assert {"encoder.0.weight", "encoder.1.running_mean", "head.weight"} <= set(moved)
    assert all(parameter.requires_grad for parameter in run.module.parameters())


class PartlyStill(Dropping):
    """Its user has frozen the first convolution for good."""

    def __init__(self):
        super().__init__()
        self.encoder[0].requires_grad_(False)


def test_what_was_still_before_is_not_set_going():
    before = seeded(PartlyStill).encoder[0].weight.clone()
    run = fitted(tiny(freeze_epochs=1, epochs=2), model=PartlyStill)
    assert torch.equal(weights(run)["encoder.0.weight"], before)
    assert not run.module.network.encoder[0].weight.requires_grad


def test_a_network_without_an_encoder_is_told_before_the_first_epoch():
    with pytest.raises(ConfigError, match="no encoder to freeze"):
        Learner(CLASSES, tiny(freeze_epochs=1), model=nn.Conv2d(2, 2, 1)).fit([blobs(0)])
