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


# `valid`, which a callable need not know of


def flipped(batch, *keys):
    return {**batch, **{key: batch[key].flip(-1) for key in keys}}


def hidden_batch(*, dtype=torch.uint8, image=torch.float32):
    """A batch whose images are 0 where not valid, as in training."""
    batch = random_batch(4, 3, 7, 9, dtype=image)
    zero = torch.zeros((), dtype=image)
    batch["image"] = torch.where(batch["valid"][:, None], batch["image"], zero)
    return {**batch, "mask": batch["mask"].to(dtype)}


def assert_meant(got, expected):
    """The same image and valid, the same ids where valid, and ids of the batch elsewhere."""
    assert torch.equal(got["valid"], expected["valid"])
    assert torch.equal(got["image"], expected["image"])
    assert torch.equal(got["mask"][got["valid"]], expected["mask"][got["valid"]])
    assert set(got["mask"].unique().tolist()) <= {3, 5, 8}
    assert got["mask"].dtype == expected["mask"].dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.int8], ids=str)
@pytest.mark.parametrize("keys", [("image", "mask"), ("image", "mask", "valid")], ids="+".join)
def test_a_flip_moves_valid_whether_the_callable_does_or_not(keys, dtype):
    batch = hidden_batch(dtype=dtype)
    expected = flipped(batch, "image", "mask", "valid")
    for form in (lambda b: flipped(b, *keys), lambda b, generator: flipped(b, *keys)):
        assert_meant(augment.build(form)(batch, generator()), expected)


def test_valid_follows_chips_that_a_callable_moves_one_by_one():
    def some(batch):
        for key in ("image", "mask"):
            batch[key][1:3] = batch[key][1:3].flip(-2)
        return batch

    batch = hidden_batch()
    expected = {key: batch[key].clone() for key in ("image", "mask", "valid")}
    for pixels in expected.values():
        pixels[1:3] = pixels[1:3].flip(-2)
    assert_meant(augment.build(some)(batch, generator()), expected)
    mixed = augment.build(
        lambda b: {**b, "image": b["image"].roll(1, 0), "mask": b["mask"].roll(1, 0)}
    )
    rolled = {key: batch[key].roll(1, 0) for key in expected}
    assert_meant(mixed(batch, generator()), rolled)


def test_a_change_of_the_image_alone_leaves_mask_and_valid_to_the_byte():
    batch = hidden_batch()
    assert_same(augment.build(negative)(batch, generator()), negative(batch))


def test_what_a_callable_hides_in_valid_stays_hidden():
    def cutout(batch):
        batch["valid"][:, 2:5, 3:6] = False
        return batch

    batch = hidden_batch()
    valid = batch["valid"].clone()
    valid[:, 2:5, 3:6] = False
    assert not torch.equal(valid, batch["valid"])
    assert_same(augment.build(cutout)(batch, generator()), {**batch, "valid": valid})


def test_a_valid_that_contradicts_the_mask_is_refused():
    def crossed(batch):
        return {**flipped(batch, "image", "mask"), "valid": batch["valid"].flip(-2)}

    batch = hidden_batch()
    wrong = int((batch["valid"].flip(-2) & ~batch["valid"].flip(-1)).sum())
    with pytest.raises(ConfigError, match=rf"crossed: .* {wrong} of 252 pixels are valid by it"):
        augment.build(crossed)(batch, generator())


@pytest.mark.parametrize("image", [torch.float32, torch.uint16], ids=str)
def test_new_ids_at_the_old_places_leave_valid_as_it_was(image):
    def renamed(batch):
        return {**batch, "mask": batch["mask"].masked_fill(batch["mask"] != 5, 8)}

    batch = hidden_batch(image=image)
    got = augment.build(renamed)(batch, generator())
    assert torch.equal(got["valid"], batch["valid"])
    assert torch.equal(got["mask"] == 5, (batch["mask"] == 5) & batch["valid"])


def test_new_ids_that_may_lie_elsewhere_are_refused():
    def moved(batch):
        batch = flipped(batch, "image")
        return {**batch, "mask": torch.full_like(batch["mask"], 8)}

    with pytest.raises(
        ConfigError, match=r"moved: its mask does not tell .* give `valid` moved with"
    ):
        augment.build(moved)(hidden_batch(), generator())


def test_the_id_of_what_is_not_valid_is_one_that_no_pixel_has():
    batch = random_batch(1, 2, 15, 17, valid=0.7)
    batch["mask"] = torch.arange(255, dtype=torch.uint8).reshape(1, 15, 17)
    change = augment.build(lambda b: flipped(b, "image", "mask"))
    with pytest.raises(ConfigError, match=r"all ids from 0 to 254 in its mask, expected one left"):
        change(batch, generator())
    batch["mask"][batch["mask"] == 100] = 101
    got = change(batch, generator())
    assert torch.equal(got["valid"], batch["valid"].flip(-1))
    assert torch.equal(got["mask"][got["valid"]], batch["mask"].flip(-1)[got["valid"]])


def test_a_callable_that_drops_valid_is_refused():
    def dropping(batch):
        return {key: batch[key] for key in ("image", "mask", "row")}

    with pytest.raises(ConfigError, match=r"dropping loses \['valid'\]; give back all keys"):
        augment.build(dropping)(hidden_batch(), generator())


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
