"""Augmentations against numpy's turns and mirrors, and against the formula of light."""

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner import augment
from tests.learner.chips import random_batch


def make_batch(count=40, height=5, width=5, channels=2):
    """Every pixel of a chip has its own number, in the image and in the mask alike."""
    numbers = torch.arange(count * height * width).reshape(count, height, width)
    return {
        "image": torch.stack([numbers * (c + 1) for c in range(channels)], dim=1).float(),
        "mask": numbers,
        "valid": numbers % 3 != 0,
        "scene": ["a"] * count,
        "row": torch.arange(count),
    }


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def turns_and_mirrors(chip):
    turned = [np.rot90(chip, k) for k in range(4)]
    return [move for t in turned for move in (t, np.fliplr(t)) if move.shape == chip.shape]


@pytest.mark.parametrize(("height", "width", "moves"), [(5, 5, 8), (3, 7, 4), (6, 2, 4)])
def test_d4_is_every_turn_and_mirror_that_keeps_the_shape_and_nothing_else(height, width, moves):
    batch = make_batch(60, height, width)
    seen = set()
    for before, after in zip(
        batch["mask"].numpy(), augment.build("d4")(batch, generator())["mask"].numpy(), strict=True
    ):
        candidates = [move.tolist() for move in turns_and_mirrors(before)]
        assert len(candidates) == moves
        seen.add(candidates.index(after.tolist()))
    assert seen == set(range(moves))


@pytest.mark.parametrize("size", [(5, 5), (3, 7)])
def test_image_mask_and_valid_move_together_and_the_rest_stays(size):
    batch = make_batch(20, *size)
    moved = augment.build("d4")(batch, generator())
    assert not torch.equal(moved["mask"], batch["mask"])
    assert torch.equal(moved["image"][:, 0], moved["mask"].float())
    assert torch.equal(moved["image"][:, 1], moved["mask"].float() * 2)
    assert torch.equal(moved["valid"], moved["mask"] % 3 != 0)
    assert moved["scene"] is batch["scene"]
    assert torch.equal(moved["row"], torch.arange(20))


@pytest.mark.parametrize("name", ["none", "d4", "d4+light"])
def test_equal_seeds_give_equal_batches(name):
    first = augment.build(name)(make_batch(), generator(7))
    second = augment.build(name)(make_batch(), generator(7))
    assert all(torch.equal(first[key], second[key]) for key in ("image", "mask", "valid"))


@pytest.mark.parametrize("name", ["d4", "d4+light"])
def test_other_seeds_and_later_draws_give_other_batches(name):
    state = generator(7)
    batches = [augment.build(name)(make_batch(), state) for _ in range(2)]
    batches.append(augment.build(name)(make_batch(), generator(8)))
    assert not torch.equal(batches[0]["image"], batches[1]["image"])
    assert not torch.equal(batches[0]["image"], batches[2]["image"])


@pytest.mark.parametrize("name", ["none", "d4", "d4+light"])
def test_the_batch_handed_in_is_left_as_it_is(name):
    batch, copy = make_batch(), make_batch()
    augment.build(name)(batch, generator())
    assert all(torch.equal(batch[key], copy[key]) for key in ("image", "mask", "valid"))


def test_none_changes_nothing():
    batch = make_batch()
    assert augment.build("none")(batch, generator()) == batch


def test_the_global_state_of_torch_plays_no_part():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    augment.build("d4+light")(make_batch(), generator())
    assert torch.equal(torch.rand(3), expected)


def test_light_is_one_linear_change_of_a_chip_measured_by_its_own_spread():
    batch = make_batch(30, 4, 6)
    batch["image"] = torch.rand(30, 2, 4, 6, generator=generator(1))
    lit = augment.light(batch, generator())["image"].numpy()
    found = []
    for before, after, valid in zip(
        batch["image"].numpy(), lit, batch["valid"].numpy(), strict=True
    ):
        x, y = before[:, valid].astype("float64"), after[:, valid]
        mean, std = x.mean(axis=1), x.std(axis=1)
        per_channel = [
            ((y[c].max() - y[c].min()) / np.ptp(x[c]), (y[c].mean() - mean[c]) / std[c])
            for c in range(2)
        ]
        np.testing.assert_allclose(per_channel[0], per_channel[1], atol=1e-4)
        contrast, brightness = per_channel[0]
        expected = mean + contrast * (x.T - mean) + brightness * std
        np.testing.assert_allclose(y.T, expected, atol=1e-4)
        np.testing.assert_array_equal(after[:, ~valid], before[:, ~valid])
        found.append(per_channel[0])
    low, high = np.min(found, axis=0), np.max(found, axis=0)
    assert (low >= [0.799, -0.201]).all()
    assert (high <= [1.201, 0.201]).all()
    assert (high - low > 0.2).all()


def test_light_does_the_same_in_other_units():
    batch = make_batch()
    other = {**batch, "image": batch["image"] / 1000 - 3}
    lit = augment.light(batch, generator())["image"] / 1000 - 3
    torch.testing.assert_close(augment.light(other, generator())["image"], lit)


def test_light_leaves_a_chip_without_valid_pixels_alone():
    batch = make_batch()
    batch["valid"] = torch.zeros_like(batch["valid"])
    batch["image"][0, 0, 0, 0] = torch.nan
    lit = augment.light(batch, generator())["image"]
    torch.testing.assert_close(lit, batch["image"], equal_nan=True, rtol=0, atol=0)


def test_values_that_are_not_valid_do_not_leak_into_the_others():
    batch = make_batch()
    spoilt = {**batch, "image": batch["image"].masked_fill(~batch["valid"][:, None], torch.nan)}
    lit = augment.light(batch, generator())["image"].masked_fill(~batch["valid"][:, None], 0)
    got = augment.light(spoilt, generator())["image"].masked_fill(~batch["valid"][:, None], 0)
    assert torch.equal(got, lit)


def test_d4_takes_integers_and_light_refuses_them():
    batch = make_batch()
    batch["image"] = batch["image"].to(torch.uint8)
    assert augment.build("d4")(batch, generator())["image"].dtype == torch.uint8
    for change in (augment.build("d4+light"), augment.light):
        with pytest.raises(ConfigError, match=r"'light' needs float images, got torch.uint8"):
            change(batch, generator())


@pytest.mark.parametrize("dtype", [torch.uint16, torch.int64, torch.float64], ids=str)
def test_d4_keeps_any_dtype(dtype):
    batch = random_batch(20, 13, 4, 4, dtype=dtype)
    moved = augment.build("d4")(batch, generator())
    for before, after in zip(batch["image"].numpy(), moved["image"].numpy(), strict=True):
        moves = [np.rot90(before, k, axes=(1, 2)) for k in range(4)]
        moves += [np.flip(move, axis=2) for move in moves]
        assert sum(np.array_equal(move, after) for move in moves) == 1
    assert moved["image"].dtype == dtype
