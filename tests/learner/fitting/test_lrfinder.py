"""The range test for a learning rate."""

from __future__ import annotations

import re
from copy import deepcopy

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner.fitting import lrfinder
from geoseg.learner.fitting.prepare import prepare
from geoseg.learner.learner import Learner
from tests.learner.fitting.trainings import CLASSES, Dropping, Plain, blobs, same, seeded, tiny

RATES = np.geomspace(1e-4, 1e-2, 5)


@pytest.mark.slow
def test_the_rate_is_where_the_loss_falls_and_nothing_changes():
    network = seeded(Plain)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learner = Learner(CLASSES, tiny(length=16), model=network)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match="had not risen again"):
        found = learner.find_lr([blobs(0)], steps=60)
    assert torch.equal(torch.rand(1), expected)
    assert same(network.state_dict(), before)
    assert (learner.data, learner.histogram, learner.history) == (None, None, [])
    assert found.rates[0] == pytest.approx(1e-6)
    assert list(found.rates) == sorted(found.rates)
    assert len(found.rates) == len(found.losses) <= 60
    assert 1e-5 < found.lr < 1
    assert found.lr == pytest.approx(found.rates[found.losses.index(min(found.losses))] / 10)
    assert min(found.losses) < 0.8 * found.losses[0]
    with pytest.warns(UserWarning, match="had not risen again"):
        again = learner.find_lr([blobs(0)], steps=60)
    assert again == found


@pytest.mark.parametrize("wrong", [{"least": 0}, {"least": 1, "most": 0.1}, {"steps": 3}])
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected 0 < least < most"):
        Learner(CLASSES, tiny()).find_lr([blobs(0)], **wrong)


class Deaf(Plain):
    """Its loss never changes."""

    def forward(self, image):
        return super().forward(image) * 0


def test_a_loss_that_falls_at_no_rate_is_told():
    with pytest.raises(ConfigError, match="falls at no learning rate"):
        Learner(CLASSES, tiny(), model=Deaf()).find_lr([blobs(0)], steps=20)


def test_gradients_are_added_up_and_clipped_as_in_the_training(monkeypatch):
    norms, sizes = [], []
    clip = torch.nn.utils.clip_grad_norm_

    def seen(parameters, most):
        parameters = list(parameters)
        clip(parameters, most)
        norms.append(float(torch.stack([p.grad.norm() for p in parameters]).norm()))

    class Counting(Plain):
        def forward(self, image):
            sizes.append(len(image))
            return super().forward(image)

    monkeypatch.setattr(lrfinder, "clip_grad_norm_", seen)
    learner = Learner(CLASSES, tiny(accumulate=3, clip=1e-3), model=seeded(Counting))
    ready = prepare(CLASSES, learner.training, [blobs(0)], model=seeded(Counting))
    sizes.clear()
    steps = len(list(lrfinder._losses(ready.module, ready.data, RATES, learner.training)))
    assert steps == len(RATES) == len(norms)
    assert len(sizes) == 3 * len(RATES)
    assert max(norms) <= 1e-3 * (1 + 1e-4)


def test_three_small_batches_make_the_step_of_a_large_one():
    """No window is empty, so that the mean of the three mean losses is that of all."""
    found = []
    for batch_size, accumulate in ((4, 3), (12, 1)):
        options = tiny(batch_size=batch_size, accumulate=accumulate, augmentation="none")
        scene = blobs(0)
        whole = scene.image.model_copy(update={"valid": None})
        scene = scene.model_copy(update={"image": whole})
        ready = prepare(CLASSES, options, [scene], model=seeded(Plain))
        found.append(list(lrfinder._losses(ready.module, ready.data, RATES, options)))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize(("freeze_epochs", "frozen"), [(0, False), (2, False), ("all", True)])
def test_an_encoder_that_never_learns_is_still(monkeypatch, freeze_epochs, frozen):
    copies = []
    monkeypatch.setattr(
        lrfinder, "deepcopy", lambda module: copies.append(deepcopy(module)) or copies[-1]
    )
    options = tiny(freeze_epochs=freeze_epochs)
    ready = prepare(CLASSES, options, [blobs(0)], model=seeded(Dropping))
    list(lrfinder._losses(ready.module, ready.data, RATES, options))
    before, after = ready.module.network, copies[0].network
    assert same(before.encoder.state_dict(), after.encoder.state_dict()) == frozen
    assert not same(before.head.state_dict(), after.head.state_dict())


def test_a_network_without_an_encoder_cannot_freeze_it():
    options = tiny(freeze_epochs="all")
    ready = prepare(CLASSES, tiny(), [blobs(0)], model=torch.nn.Conv2d(2, 2, 1))
    with pytest.raises(ConfigError, match="has no encoder to freeze"):
        lrfinder.find_lr(ready.module, ready.data, training=options)


def curve(*, lowest, depth=0.5, rise=3.0, scatter=0.0):
    """101 rates from 1e-6 to 1: the loss is 1 at first, falls to 1 - depth at a step, and rises again."""
    rates = np.geomspace(1e-6, 1, 101)
    losses = np.interp(range(101), [0, 11, lowest, 101], [1, 1, 1 - depth, rise])
    return rates, losses + np.where(np.arange(101) < 11, scatter * (-1.0) ** np.arange(101), 0)


def test_a_clear_curve_raises_no_doubt():
    found, doubts = lrfinder.judged(*curve(lowest=60, scatter=0.02))
    assert found.lr == pytest.approx(10**-6 * 10 ** (60 * 6 / 100) / 10)
    assert doubts == []


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"lowest": 13}, "lies below all that were tried, from 1e-06 on; .* least=1e-08"),
        ({"lowest": 100.5, "rise": 0.5}, "had not risen again .* tried, 1, .* most=1e\\+01"),
        (
            {"lowest": 60, "depth": 0.3, "scatter": 0.1},
            "falls from .* little more than it scatters",
        ),
    ],
)
def test_what_is_doubtful_in_a_curve_is_told_with_the_cure(changes, doubt):
    _, doubts = lrfinder.judged(*curve(**changes))
    assert len(doubts) == 1
    assert re.search(doubt, doubts[0])


def test_a_range_that_ends_too_low_is_told():
    learner = Learner(CLASSES, tiny(length=16), model=seeded(Plain))
    with pytest.warns(UserWarning, match=r"had not risen again .* tried, 0\.05, .* most=0\.5"):
        found = learner.find_lr([blobs(0)], most=0.05)
    assert found.rates[-1] == pytest.approx(0.05)
