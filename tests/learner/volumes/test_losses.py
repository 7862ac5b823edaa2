"""Losses of volumes, against torch and numpy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner import losses

SHAPE = (2, 3, 4, 5, 6)


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(SHAPE, generator=rng, requires_grad=True)
    target = (torch.rand(SHAPE, generator=rng) > 0.6).float()
    valid = torch.rand((2, 4, 5, 6), generator=rng) > 0.3
    return logits, target, valid


def numbers(logits, target, valid):
    """(class, voxel) probabilities and truth of the valid voxels."""
    keep = valid.numpy()
    p = 1 / (1 + np.exp(-logits.detach().numpy().astype(float)))
    return [np.stack([part[:, k][keep] for k in range(3)]) for part in (p, target.numpy())]


def test_bce_is_the_mean_over_classes_and_valid_voxels(batch):
    p, t = numbers(*batch)
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert losses.build_multilabel("bce")(*batch).item() == pytest.approx(expected, rel=1e-5)


def test_dice_is_of_all_valid_voxels_of_the_batch_together(batch):
    p, t = numbers(*batch)
    expected = np.mean(1 - (2 * (p * t).sum(1) + 3) / (p.sum(1) + t.sum(1) + 3))
    found = losses.build_multilabel("dice", smooth=3)(*batch)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_sum_has_factors(batch):
    one, other = (losses.build_multilabel(name)(*batch).item() for name in ("bce", "dice"))
    found = losses.build_multilabel("bce+0.5*dice")(*batch)
    assert found.item() == pytest.approx(one + 0.5 * other)


def test_what_is_not_valid_reaches_neither_loss_nor_gradient(batch):
    logits, target, valid = batch
    known = losses.build_multilabel("bce+dice")(logits, target, valid)
    with torch.no_grad():
        logits.masked_fill_(~valid[:, None], float("nan"))
    found = losses.build_multilabel("bce+dice")(
        logits, target.masked_fill(~valid[:, None], 7), valid
    )
    assert found.item() == known.item()
    found.backward()
    assert (logits.grad.movedim(1, -1)[~valid] == 0).all()


def test_no_valid_voxel_costs_nothing(batch):
    logits, target, valid = batch
    found = losses.build_multilabel("bce+dice")(logits, target, torch.zeros_like(valid))
    found.backward()
    assert found.item() == 0
    assert (logits.grad == 0).all()


def test_what_is_predicted_of_a_class_that_does_not_occur_costs_dice_something(batch):
    logits, target, valid = batch
    target = target.clone()
    target[:, 1] = 0
    p, t = numbers(logits, target, valid)
    expected = np.mean(1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1))
    found = losses.build_multilabel("dice")(logits, target, valid)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert (logits.grad[:, 1][valid] > 0).all()


def test_without_smooth_a_class_that_does_not_occur_is_left_out_of_dice(batch):
    logits, target, valid = batch
    target = target.clone()
    target[:, 1] = 0
    dice = losses.build_multilabel("dice", smooth=0)
    both = dice(logits[:, [0, 2]], target[:, [0, 2]], valid)
    torch.testing.assert_close(dice(logits, target, valid), both)


def test_exclusive_losses_take_volumes(batch):
    logits, _, valid = batch
    target = torch.randint(3, (2, 4, 5, 6), generator=torch.Generator().manual_seed(1))
    target[0, 0] = 255
    kept = torch.where(valid, target, 255)
    expected = functional.cross_entropy(logits, kept, ignore_index=255)
    torch.testing.assert_close(losses.build("cross_entropy")(logits, target, valid), expected)
    flat = losses.build("dice")(logits.flatten(3), target.flatten(2), valid.flatten(2))
    torch.testing.assert_close(losses.build("dice")(logits, target, valid), flat)


def test_other_shapes_are_refused(batch):
    logits, target, valid = batch
    with pytest.raises(ConfigError, match=r"target \(2, 4, 5, 6\).*expected twice"):
        losses.build_multilabel("bce")(logits, target[:, 0], valid)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cross_entropy", {}, 'for exclusive classes.*loss="bce\\+dice"'),
        ("bce", {"smooth": 1}, "no option 'smooth'"),
        ("dice", {"smooth": -1}, "smooth is -1"),
        ("bec", {}, "no loss 'bec'; known: bce, dice; did you mean 'bce'"),
    ],
)
def test_other_names_and_options_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        losses.build_multilabel(name, **options)


def test_bce_is_not_for_exclusive_classes():
    with pytest.raises(ConfigError, match=r'classes that may overlap.*"multilabel"'):
        losses.build("bce")
