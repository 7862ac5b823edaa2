"""Augmentation: how callables are recognised, and that image, mask and `valid` stay together."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from geoseg.datasets import MBTilesMaskWindowedDataset
from geoseg.errors import ConfigError


class Flip:
    """As transforms of albumentations are called."""

    def __init__(self):
        self.seen = None

    def __call__(self, *args, force_apply=False, **kwargs):
        assert not args
        self.seen = kwargs["image"], kwargs["mask"]
        return {"image": kwargs["image"][:, ::-1], "mask": kwargs["mask"][:, ::-1], "other": 1}


class ToTensor:
    """As `ToTensorV2`: the last step of many lists."""

    def __call__(self, *, image, mask):
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "mask": torch.from_numpy(np.ascontiguousarray(mask)),
        }


def normalized(image, mask):
    """Of bytes, as `Normalize` does it."""
    assert image.dtype == np.uint8
    return {"image": (image.astype(np.float32) / 255 - 0.5) / 0.25, "mask": mask}


def brighter(sample):
    return sample | {"image": sample["image"] * 2, "note": "brighter"}


@pytest.fixture
def layers(write_raster):
    """(image, mask, pixels, ids): the image lacks some pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 99, (3, 20, 30)).astype(np.uint8)
    pixels[:, 4:7, 2:9] = 0
    ids = rng.integers(0, 3, (20, 30)).astype(np.uint8)
    return write_raster("image.tif", pixels, nodata=0), write_raster("mask.tif", ids), pixels, ids


def item_of(layers, steps, **options):
    image, mask, *_ = layers
    options = {"patch_size": (20, 30), "n_classes": 3} | options
    return MBTilesMaskWindowedDataset(image, [mask], augmentation_list=steps, **options)[0]


def expected(layers, turn):
    """(image in [0, 1], mask, valid), each turned."""
    _, _, pixels, ids = layers
    valid = (pixels != 0).all(axis=0)
    mask = np.where(valid, ids, 255).astype(np.int64)
    return [torch.from_numpy(np.ascontiguousarray(turn(part))) for part in
            (pixels.astype(np.float32) / np.float32(255), mask, valid)]  # fmt: skip


def is_like(item, parts):
    found = item["image"], item["mask"], item["valid"]
    kinds = torch.float32, torch.int64, torch.bool
    return all(
        torch.equal(part, other) and part.dtype == kind
        for part, other, kind in zip(found, parts, kinds, strict=True)
    )


@pytest.mark.parametrize(
    "steps",
    [
        [Flip()],
        (Flip(), ToTensor()),
        Flip(),
        [lambda image, mask: Flip()(image=image, mask=mask)],
        [functools.partial(Flip())],
        [lambda sample: {k: v.flip(-1) if k in ("image", "mask", "valid") else v for k, v in sample.items()}],
        [Flip(), Flip(), lambda sample: sample, Flip()],
    ],
)  # fmt: skip
def test_image_mask_and_valid_are_flipped_together(layers, steps):
    item = item_of(layers, steps)
    assert is_like(item, expected(layers, lambda part: part[..., ::-1]))
    assert item["row_off"] == 0


def test_arrays_are_bytes_with_bands_last_and_a_narrow_mask(layers):
    flip = Flip()
    item_of(layers, [flip])
    image, mask = flip.seen
    _, _, pixels, ids = layers
    assert np.array_equal(image, pixels.transpose(1, 2, 0))
    assert image.dtype == mask.dtype == np.uint8
    there = (pixels != 0).all(axis=0)
    assert np.array_equal(mask[there], ids[there])
    assert not np.isin(mask[~there], [0, 1, 2, 255]).any()
    item_of(layers, [flip], ignore_index=-100, image_dtype="float32")
    assert flip.seen[0].dtype == np.float32
    assert flip.seen[1].dtype == np.int16


def test_what_a_step_makes_floats_is_not_scaled_again(layers):
    _, _, pixels, _ = layers
    item = item_of(layers, [normalized])
    valid = (pixels != 0).all(axis=0)
    made = np.where(valid, (pixels.astype(np.float32) / 255 - 0.5) / 0.25, 0)
    assert np.allclose(item["image"].numpy(), made, atol=1e-6)


def test_steps_of_both_kinds_follow_one_another(layers):
    item = item_of(layers, [Flip(), brighter, ToTensor()])
    image, mask, valid = expected(layers, lambda part: part[..., ::-1])
    assert is_like(item, [image * 2, mask, valid])
    assert item["note"] == "brighter"


def test_a_crop_gives_items_of_its_size(layers):
    item = item_of(layers, [lambda image, mask: {"image": image[3:9, :11], "mask": mask[3:9, :11]}])
    assert is_like(item, expected(layers, lambda part: part[..., 3:9, :11]))


def test_one_band_may_come_back_flat(layers):
    step = [lambda image, mask: {"image": image[..., 0], "mask": mask[..., None]}]
    item = item_of(layers, step, selected_bands=[2])
    image, mask, valid = expected(layers, lambda part: part)
    assert is_like(item, [image[1:2], mask, valid])


def test_transforms_of_torchvision_move_the_mask_too(layers):
    v2 = pytest.importorskip("torchvision.transforms.v2")
    item = item_of(layers, [v2.RandomHorizontalFlip(p=1)])
    assert is_like(item, expected(layers, lambda part: part[..., ::-1]))
    whole = item_of(layers, v2.Compose([v2.RandomVerticalFlip(p=1), v2.RandomHorizontalFlip(p=1)]))
    assert is_like(whole, expected(layers, lambda part: part[..., ::-1, ::-1]))
    both = torch.nn.Sequential(v2.RandomVerticalFlip(p=1), v2.RandomHorizontalFlip(p=1))
    assert is_like(item_of(layers, [both]), expected(layers, lambda part: part[..., ::-1, ::-1]))
    v1 = pytest.importorskip("torchvision.transforms")
    with pytest.raises(ConfigError, match="leave the mask behind"):
        item_of(layers, [v1.RandomHorizontalFlip(p=1)])


def test_augmentations_of_kornia_move_the_mask_too(layers):
    kornia = pytest.importorskip("kornia.augmentation")
    for step in (kornia.RandomHorizontalFlip(p=1.0), kornia.AugmentationSequential(kornia.RandomHorizontalFlip(p=1.0), data_keys=None)):  # fmt: skip
        assert is_like(item_of(layers, [step]), expected(layers, lambda part: part[..., ::-1]))


def test_hydra_nodes_and_lists_are_taken(layers):
    node = {"_target_": f"{Flip.__module__}.Flip"}
    item = item_of(layers, OmegaConf.create([node]))
    assert is_like(item, expected(layers, lambda part: part[..., ::-1]))
    assert is_like(item_of(layers, OmegaConf.create([])), expected(layers, lambda part: part))


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("flip", "holds 'flip', expected callables"),
        (lambda sample: None, "gave NoneType, expected the sample"),
        (lambda image, mask: image, "gave ndarray, expected a mapping"),
        (lambda image, mask: {"image": image[:5], "mask": mask}, r"image is \(5, 30\) and mask \(20, 30\)"),
        (lambda sample: sample | {"image": sample["image"][:, :5]}, r"move `valid` with the mask"),
    ],
)  # fmt: skip
def test_wrong_steps_are_told(layers, step, told):
    with pytest.raises(ConfigError, match=told):
        item_of(layers, [step])


def test_without_augmentation_there_is_no_transform_and_one_may_be_taken_away(layers):
    image, mask, *_ = layers
    options = {"mask_paths": [mask], "patch_size": (20, 30), "n_classes": 3}
    assert MBTilesMaskWindowedDataset(image, **options).transform is None
    data = MBTilesMaskWindowedDataset(image, **options, augmentation_list=[Flip()])
    assert data.transform is not None
    data.transform = None
    assert is_like(data[0], expected(layers, lambda part: part))
