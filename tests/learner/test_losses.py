"""Losses against torch on the kept pixels alone, and against plain numpy."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner import losses

NAMES = ["cross_entropy", "dice", "cross_entropy+dice"]


@pytest.fixture
def batch():
    """Logits of 4 classes of which the last never occurs, with ignored and not valid pixels."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((3, 4, 5, 7), generator=generator, requires_grad=True)
    target = torch.randint(3, (3, 5, 7), generator=generator)
    target[0, :2] = 255
    valid = torch.rand((3, 5, 7), generator=generator) > 0.3
    return logits, target, valid


def kept_pixels(logits, target, valid, ignore_index=255):
    kept = valid & (target != ignore_index)
    return logits.movedim(1, -1)[kept], target[kept]


def plain_dice(logits, target, valid, smooth):
    scores, truth = (t.detach().numpy() for t in kept_pixels(logits, target, valid))
    scores = scores.astype("float64")
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    missed = []
    for c in np.unique(truth):
        t = truth == c
        both, either = p[t, c].sum(), p[:, c].sum() + t.sum()
        missed.append(1 - (2 * both + smooth) / (either + smooth))
    return float(np.mean(missed))


def test_cross_entropy_is_that_of_torch_on_the_kept_pixels(batch):
    loss = losses.build("cross_entropy")(*batch)
    torch.testing.assert_close(loss, functional.cross_entropy(*kept_pixels(*batch)))


def test_cross_entropy_has_the_gradient_of_torch_on_the_kept_pixels(batch):
    logits = batch[0]
    (got,) = torch.autograd.grad(losses.build("cross_entropy")(*batch), logits)
    (want,) = torch.autograd.grad(functional.cross_entropy(*kept_pixels(*batch)), logits)
    torch.testing.assert_close(got, want)


def test_class_weights_mean_what_they_mean_in_torch(batch):
    weights = [0.5, 2.0, 0.0, 1.0]
    loss = losses.build("cross_entropy", weights=weights)(*batch)
    want = functional.cross_entropy(*kept_pixels(*batch), weight=torch.tensor(weights))
    torch.testing.assert_close(loss, want)


@pytest.mark.parametrize("smooth", [0.0, 1.0, 10.0])
def test_dice_is_pooled_over_the_batch_and_over_classes_that_occur(batch, smooth):
    loss = losses.build("dice", smooth=smooth)(*batch)
    assert loss.item() == pytest.approx(plain_dice(*batch, smooth=smooth), rel=1e-5)


def test_a_perfect_prediction_has_no_dice_loss(batch):
    _, target, valid = batch
    logits = functional.one_hot(target.clamp(max=3), 4).movedim(-1, 1) * 100.0
    assert losses.build("dice")(logits, target, valid).item() == pytest.approx(0, abs=1e-6)


def test_a_sum_is_the_sum_and_gives_each_loss_its_options(batch):
    weights = (1.0, 2.0, 3.0, 4.0)
    both = losses.build("cross_entropy + dice", weights=weights, smooth=5.0)(*batch)
    apart = losses.build("cross_entropy", weights=weights)(*batch)
    apart = apart + losses.build("dice", smooth=5.0)(*batch)
    torch.testing.assert_close(both, apart)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_that_are_not_kept_change_nothing(batch, name):
    logits, target, valid = batch
    loss = losses.build(name)
    kept = valid & (target != 255)
    spoilt = torch.where(kept[:, None], logits, 1000.0)
    hidden = torch.where(valid, target, 1)
    torch.testing.assert_close(loss(spoilt, hidden, valid), loss(logits, target, valid))
    (gradient,) = torch.autograd.grad(loss(logits, target, valid), logits)
    assert not gradient.movedim(1, -1)[~kept].any()
    assert gradient.movedim(1, -1)[kept].any()


@pytest.mark.parametrize("name", NAMES)
def test_another_ignore_index_is_one_of_the_options(batch, name):
    logits, target, valid = batch
    loss = losses.build(name, ignore_index=2)
    expected = losses.build(name)(logits, torch.where(target == 2, 255, target), valid)
    target = torch.where(target == 255, 2, target)
    torch.testing.assert_close(loss(logits, target, valid), expected)


@pytest.mark.parametrize("options", [{}, {"weights": [0.0] * 4}, {"smooth": 0.0}])
@pytest.mark.parametrize("reason", ["ignored", "not valid"])
def test_nothing_kept_gives_zero_with_a_zero_gradient(batch, options, reason):
    logits, target, valid = batch
    if reason == "ignored":
        target = torch.full_like(target, 255)
    else:
        valid = torch.zeros_like(valid)
    loss = losses.build("cross_entropy+dice", **options)(logits, target, valid)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(logits))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision_is_computed_in_float32(batch, name, dtype, autocast):
    logits, target, valid = batch
    half = (logits.detach() * 5).to(dtype)
    with torch.autocast("cpu", dtype, enabled=autocast):
        loss = losses.build(name)(half, target, valid)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, losses.build(name)(half.float(), target, valid))


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_can_be_sent_to_another_process(batch, name):
    loss = losses.build(name)
    assert torch.equal(pickle.loads(pickle.dumps(loss))(*batch), loss(*batch))


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match="no loss 'dise'; known: cross_entropy, dice; did you mean"
    ):
        losses.build("cross_entropy+dise")


def test_an_option_that_no_loss_of_the_sum_knows_is_refused():
    with pytest.raises(ConfigError, match=r"has no option 'weights'.*ignore_index, smooth"):
        losses.build("dice", weights=[1, 2])


def test_a_number_of_weights_that_is_not_that_of_the_classes_is_refused(batch):
    with pytest.raises(ConfigError, match="2 class weights for 4 classes"):
        losses.build("cross_entropy", weights=[1, 2])(*batch)


@pytest.mark.parametrize(
    ("name", "options"), [("cross_entropy", {"weights": [1, -1]}), ("dice", {"smooth": -1})]
)
def test_negative_numbers_are_refused(name, options):
    with pytest.raises(ConfigError, match="must not be negative"):
        losses.build(name, **options)
