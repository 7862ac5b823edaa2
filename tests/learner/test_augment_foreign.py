"""Callables that a user brings, and transforms of torchvision v2 and kornia."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from geoseg.errors import ConfigError
from geoseg.learner import augment
from tests.learner.chips import assert_same, generator, random_batch


def negative(batch):
    return {**batch, "image": -batch["image"]}


def shifted(batch):
    return {**batch, "image": batch["image"] + torch.rand(1)}


def shifted_by(batch, generator):
    return {**batch, "image": batch["image"] + torch.rand(1, generator=generator)}


class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(2.0))

    def forward(self, batch):
        return {**batch, "image": (batch["image"] + self.step).detach()}


def test_a_callable_that_takes_a_generator_gets_it():
    batch = random_batch()
    got = augment.build(shifted_by)(batch, generator(4))
    assert torch.equal(got["image"], batch["image"] + torch.rand(1, generator=generator(4)))


@pytest.mark.parametrize(
    "what",
    [
        negative,
        lambda batch, generator: negative(batch),
        lambda batch, generator=None: negative(batch),
        lambda batch, strength=0.5: negative(batch) if strength == 0.5 else None,
        lambda batch, *, sign=-1: {**batch, "image": sign * batch["image"]},
    ],
)
def test_what_a_callable_takes_is_told_by_its_signature(what):
    batch = random_batch()
    assert torch.equal(augment.build(what)(batch, generator())["image"], -batch["image"])


def test_a_module_on_the_batch_is_a_callable_like_others():
    batch = random_batch()
    got = augment.build([Shift(), "d4"])(batch, generator())
    torch.testing.assert_close(got["image"].sum(), (batch["image"] + 2).sum())


@pytest.mark.parametrize(
    "what",
    [
        lambda: None,
        lambda batch, generator, more: batch,
        lambda batch, *, key: batch,
        lambda *batches: batches,
        nn.Sequential,
    ],
)
def test_a_callable_that_takes_something_else_is_refused(what):
    with pytest.raises(ConfigError, match=r"takes .*; an augmentation takes \(batch, generator\)"):
        augment.build(what)


def test_global_draws_of_a_callable_repeat_and_leave_the_global_state():
    batch, change = random_batch(), augment.build(shifted)
    torch.manual_seed(11)
    expected = torch.rand(2)
    torch.manual_seed(11)
    state = generator(1)
    first, later = change(batch, state), change(batch, state)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(12)
    assert_same(change(batch, generator(1)), first)
    assert not torch.equal(later["image"], first["image"])


def test_a_callable_may_write_into_what_it_gets():
    def overwrite(batch):
        batch["image"].zero_()
        batch["mask"].fill_(5)
        batch["new"] = 1
        return batch

    batch, copy = random_batch(), random_batch()
    got = augment.build(overwrite)(batch, generator())
    assert got["image"].sum() == 0
    assert got["new"] == 1
    assert_same(batch, copy)
    assert "new" not in batch


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b["image"], r"gives Tensor, expected a dictionary"),
        (lambda b: {"image": b["image"]}, r"loses \['mask', 'valid', 'row'\]"),
        (
            lambda b: {**b, "image": b["image"][..., :5]},
            r"makes torch.float32 \(4, 4, 9, 5\) of 'image', expected torch.float32 \(4, 4, 9, 7\)",
        ),
        (
            lambda b: {**b, "mask": b["mask"].float()},
            r"makes torch.float32 .* of 'mask', expected torch.uint8",
        ),
        (lambda b: {**b, "valid": 1}, r"makes int of 'valid'"),
    ],
)
def test_a_batch_of_another_form_is_refused(change, said):
    for form in (change, lambda batch, generator: change(batch)):
        with pytest.raises(ConfigError, match=rf"augmentation .*lambda.* {said}"):
            augment.build(form)(random_batch(), generator())


# torchvision


@pytest.fixture
def v2():
    return pytest.importorskip("torchvision.transforms.v2")


def test_torchvision_moves_image_mask_and_valid_together(v2):
    batch = random_batch(30, 5, 8, 6, valid=0.6)
    batch["image"] = torch.where(batch["valid"][:, None], batch["image"], 0)
    batch["image"][:, 0] = torch.where(batch["valid"], batch["mask"].float(), 0)
    got = augment.build(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]))(
        batch, generator()
    )
    seen = set()
    for chip in range(30):
        axes = ((), (1,), (2,), (1, 2))
        mirrored = [torch.flip(batch["image"][chip], axis) for axis in axes]
        which = [torch.equal(got["image"][chip], image) for image in mirrored].index(True)
        assert torch.equal(
            got["valid"][chip], torch.flip(batch["valid"][chip], [a - 1 for a in axes[which]])
        )
        seen.add(which)
    assert seen == {0, 1, 2, 3}
    assert torch.equal(got["image"][:, 0][got["valid"]], got["mask"][got["valid"]].float())
    assert all(type(got[key]) is torch.Tensor for key in ("image", "mask", "valid"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("fill", [0, 1, 255])
def test_what_torchvision_fills_is_not_valid_with_an_id_of_the_chip(v2, fill, dtype):
    batch = random_batch(5, 2, 20, 20, dtype=dtype, valid=1.1)
    batch["image"] += 1
    turn = v2.RandomRotation((45, 45), fill=fill)
    got = augment.build(turn)(batch, generator())
    outside = ~got["valid"]
    assert outside.float().mean() == pytest.approx(3 - 2 * math.sqrt(2), abs=0.03)
    assert (got["image"].movedim(1, -1)[outside] == 0).all()
    assert set(got["mask"].unique().tolist()) <= {3, 5, 8}


def test_torchvision_repeats_from_the_generator_and_draws_for_each_chip(v2):
    batch = random_batch(4, 3, 12, 12)
    batch["image"][:] = batch["image"][0]
    change = augment.build(
        augment.from_torchvision(v2.Compose([v2.RandomRotation(90), v2.GaussianNoise()]))
    )
    first = change(batch, generator(1))
    torch.manual_seed(5)
    assert_same(change(batch, generator(1)), first)
    assert not torch.equal(first["image"][0], first["image"][1])


def test_torchvision_chips_of_other_sizes_are_refused(v2):
    batch = random_batch(4, 3, 12, 12)
    with pytest.raises(
        ConfigError, match=r"RandomCrop makes torch.float32 \(4, 3, 8, 8\) of 'image'"
    ):
        augment.build(v2.RandomCrop(8))(batch, generator())
    with pytest.raises(ConfigError, match=r"makes chips of different sizes: \[\(3, "):
        augment.build(v2.RandomResize(8, 20))(batch, generator())


def test_torchvisions_old_transforms_are_refused_for_they_leave_masks_behind(v2):
    from torchvision import transforms

    with pytest.raises(
        ConfigError, match=r"RandomRotation .* take .* from torchvision.transforms.v2"
    ):
        augment.build(transforms.RandomRotation(90))


# kornia


@pytest.fixture
def kornia():
    return pytest.importorskip("kornia.augmentation")


@pytest.mark.parametrize("keys", [["input"], ["input", "mask"], ["input", "mask", "bbox"]])
def test_kornia_moves_image_mask_and_valid_together(kornia, keys):
    batch = random_batch(30, 5, 8, 6, valid=0.6)
    batch["image"] = torch.where(batch["valid"][:, None], batch["image"], 0)
    batch["image"][:, 0] = torch.where(batch["valid"], batch["mask"].float(), 0)
    flips = kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(p=0.5), kornia.RandomVerticalFlip(p=0.5), data_keys=keys
    )
    got = augment.build(flips)(batch, generator())
    assert not torch.equal(got["image"], batch["image"])
    for chip in range(30):
        mirrored = [torch.flip(batch["image"][chip], axis) for axis in ((), (1,), (2,), (1, 2))]
        assert any(torch.allclose(got["image"][chip], image) for image in mirrored)
    torch.testing.assert_close(got["image"][:, 0][got["valid"]], got["mask"][got["valid"]].float())
    assert got["valid"].sum() == batch["valid"].sum()
    assert (got["mask"].dtype, got["valid"].dtype) == (torch.uint8, torch.bool)


def test_what_kornia_fills_is_not_valid_with_an_id_of_the_chip(kornia):
    batch = random_batch(5, 2, 20, 20, valid=1.1)
    batch["image"] += 1
    got = augment.build(kornia.RandomRotation(degrees=(45.0, 45.0), p=1.0))(batch, generator())
    outside = ~got["valid"]
    assert outside.float().mean() == pytest.approx(3 - 2 * math.sqrt(2), abs=0.04)
    assert (got["image"].movedim(1, -1)[outside] == 0).all()
    assert set(got["mask"].unique().tolist()) <= {3, 5, 8}


def test_kornia_repeats_from_the_generator(kornia):
    batch = random_batch(4, 3, 12, 12)
    change = augment.build(
        [augment.from_kornia(kornia.RandomAffine(degrees=40.0, translate=(0.2, 0.2), p=0.7)), "d4"]
    )
    first = change(batch, generator(1))
    torch.manual_seed(5)
    assert_same(change(batch, generator(1)), first)
    assert not torch.equal(first["image"], change(batch, generator(2))["image"])


def test_kornia_needs_floats_and_the_size_of_the_batch(kornia):
    with pytest.raises(ConfigError, match=r"'of kornia' needs float images, got torch.uint8"):
        augment.build(kornia.RandomHorizontalFlip())(random_batch(dtype=torch.uint8), generator())
    with pytest.raises(
        ConfigError, match=r"RandomCrop makes torch.float32 \(4, 4, 5, 5\) of 'image'"
    ):
        augment.build(kornia.RandomCrop((5, 5)))(random_batch(), generator())
