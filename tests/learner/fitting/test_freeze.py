"""FreezeEncoder: what is still, and for how long."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from geoseg.errors import ConfigError
from geoseg.learner.fitting.freeze import FreezeEncoder
from geoseg.learner.fitting.precheck import check_options
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
    still = weights(fitted(tiny(freeze_epochs="all", epochs=2), model=Dropping))
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


@pytest.mark.parametrize("freeze_epochs", [4, 9])
def test_an_encoder_that_would_never_learn_is_told_before_the_first_epoch(freeze_epochs):
    told = f'freeze_epochs is {freeze_epochs}, but epochs is 4.*never learn.*use fewer, or "all"'
    options = tiny(freeze_epochs=freeze_epochs, epochs=4)
    learner = Learner(CLASSES, options, model=seeded(Dropping))
    with pytest.raises(ConfigError, match=told):
        learner.fit([blobs(0)])
    with pytest.raises(ConfigError, match=told):
        learner.find_lr([blobs(0)])


@pytest.mark.parametrize(
    ("max_epochs", "epochs", "refused"),
    [(2, 2, True), (2, 3, True), (2, 1, False), (2, "all", False), (-1, 9, False), (2, 0, False)],
)
def test_a_plain_trainer_is_told_the_same(max_epochs, epochs, refused):
    module = SegmentationModule(CLASSES, 2, model=Dropping())
    trainer = pl.Trainer(
        max_epochs=max_epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False,
    )  # fmt: skip
    if refused:
        with pytest.raises(ConfigError, match="would never learn"):
            FreezeEncoder(epochs).setup(trainer, module, "fit")
    else:
        FreezeEncoder(epochs).setup(trainer, module, "fit")


@pytest.mark.parametrize("freeze_epochs", [2, "all"])
def test_a_frozen_encoder_of_random_numbers_is_told_once(tmp_path, freeze_epochs):
    def check(resume=None, **options):
        options = tiny(freeze_epochs=freeze_epochs, **options)
        check_options(options, folder=None, resume=resume, measure=False)

    with pytest.warns(UserWarning, match="encoder of 'unet' begins with random.*`weights`") as told:
        check()
    assert len(told) == 1
    # Warnings are errors here: none of these has a random encoder.
    check(weights=str(tmp_path / "encoder.pth"))
    check(model="custom", model_options={})


def test_a_network_that_goes_on_from_a_checkpoint_is_not_random(tmp_path):
    fitted(tiny(freeze_epochs=2, epochs=3), tmp_path, model=Dropping)
    options = tiny(freeze_epochs=2, epochs=3)
    check_options(options, folder=None, resume=str(tmp_path / "last.ckpt"), measure=False)
