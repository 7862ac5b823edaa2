"""Callables on the sample: `valid` follows the mask where they know nothing of it, for every data set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from geoseg.datasets import (
    CSVWindowedSegmentationDataset,
    MBTilesMaskWindowedDataset,
    RasterPatchDataset,
)
from geoseg.errors import ConfigError

SIZE = 14


@pytest.fixture
def layers(tmp_path, write_raster):
    """(pixels, ids) of 11 x 13: image and mask in two folders; the image lacks a corner that is not square."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 99, (3, 11, 13)).astype(np.uint8)
    pixels[:, 1:4, 2:9] = 0
    ids = rng.integers(0, 3, (11, 13)).astype(np.uint8)
    for name, array, options in (("images", pixels, {"nodata": 0}), ("masks", ids, {})):
        (tmp_path / name).mkdir()
        write_raster(f"{name}/a.tif", array, **options)
    return pixels, ids


def masked(folder, **options):
    return MBTilesMaskWindowedDataset(folder / "images/a.tif", mask_dir=folder / "masks", patch_size=SIZE, **options)  # fmt: skip


def patches(folder, **options):
    return RasterPatchDataset(folder / "images", folder / "masks", patch_size=SIZE, **options)


def rows(folder, **options):
    row = {"image": "images/a.tif", "mask": "masks/a.tif", "row_off": 0, "col_off": 0}
    return CSVWindowedSegmentationDataset(pd.DataFrame([row | {"patch_size": SIZE}]), root_dir=folder, **options)  # fmt: skip


KINDS = [masked, patches, rows]


def full(layers):
    """(image in [0, 1], mask, valid) of the window, which reaches past both edges."""
    pixels, ids = layers
    room = ((0, SIZE - 11), (0, SIZE - 13))
    pixels, ids = np.pad(pixels, ((0, 0), *room)), np.pad(ids, room)
    valid = (pixels != 0).all(axis=0)
    return pixels.astype(np.float32) / np.float32(255), np.where(valid, ids, 255).astype(np.int64), valid  # fmt: skip


def check(item, parts, *, scaled=lambda image: image):
    image, mask, valid = (np.ascontiguousarray(part) for part in parts)
    assert np.array_equal(item["valid"].numpy(), valid)
    assert np.array_equal(item["mask"].numpy(), mask)
    assert np.array_equal(item["image"].numpy(), np.where(valid, scaled(image), np.float32(0)))
    kinds = [item[key].dtype for key in ("image", "mask", "valid")]
    assert kinds == [torch.float32, torch.int64, torch.bool]


def item_of(kind, folder, step, **options):
    return kind(folder, augmentation_list=[step], n_classes=3, edge="pad", **options)[0]


def flip_two(sample):
    return sample | {key: sample[key].flip(-1) for key in ("image", "mask")}


def flip_three(sample):
    return sample | {key: sample[key].flip(-1) for key in ("image", "mask", "valid")}


def flip_arrays_and_drop(sample):
    return {key: sample[key].numpy()[..., ::-1] for key in ("image", "mask")}


def flip_in_place(sample):
    for key in ("image", "mask"):
        sample[key].copy_(sample[key].flip(-1))
    return sample


def turn_two(sample):
    return {key: torch.rot90(sample[key], 1, (-2, -1)) for key in ("image", "mask")}


def normalized(sample):
    return sample | {"image": (sample["image"] - 0.5) * 4}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [flip_two, flip_three, flip_arrays_and_drop, flip_in_place])
def test_valid_is_flipped_with_the_mask_whatever_the_callable_does_with_it(
    tmp_path, layers, kind, step
):
    check(item_of(kind, tmp_path, step), [part[..., ::-1] for part in full(layers)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_turn_of_image_and_mask_turns_valid(tmp_path, layers, kind):
    turned = [np.rot90(part, 1, (-2, -1)) for part in full(layers)]
    check(item_of(kind, tmp_path, turn_two), turned)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_the_image_alone_leaves_mask_and_valid(tmp_path, layers, kind):
    item = item_of(kind, tmp_path, normalized)
    check(item, full(layers), scaled=lambda image: (image - np.float32(0.5)) * np.float32(4))


def test_the_ignored_id_may_be_any(tmp_path, layers):
    image, mask, valid = (part[..., ::-1] for part in full(layers))
    for ignored in (-100, 254, 300):
        item = item_of(masked, tmp_path, flip_two, ignore_index=ignored)
        check(item, [image, np.where(valid, mask, ignored), valid])


def test_a_crop_of_image_and_mask_crops_valid(tmp_path, layers):
    def crop(sample):
        return sample | {key: sample[key][..., 2:9, 1:12] for key in ("image", "mask")}

    check(item_of(masked, tmp_path, crop), [part[..., 2:9, 1:12] for part in full(layers)])

    def small(sample):
        return sample | {key: sample[key][..., 5:9, 1:12] for key in ("image", "mask")}

    check(item_of(masked, tmp_path, small), [part[..., 5:9, 1:12] for part in full(layers)])


def test_a_window_that_is_all_valid_may_be_cropped_too(tmp_path, layers):
    def crop(sample):
        return sample | {key: sample[key][..., :2, :] for key in ("image", "mask")}

    options = {"n_classes": 3, "patch_size": 4, "stride": 4, "augmentation_list": [crop]}
    data = RasterPatchDataset(tmp_path / "images", tmp_path / "masks", edge="flush", **options)
    item = data[len(data) - 1]
    assert item["valid"].all()
    assert item["valid"].shape == (2, 4)


def test_a_zoom_to_where_all_is_valid_gives_all_valid(tmp_path, layers):
    def zoom(sample):
        parts = {key: sample[key][..., 4:11, 0:7] for key in ("image", "mask")}
        return sample | {k: v.repeat_interleave(2, -1).repeat_interleave(2, -2) for k, v in parts.items()}  # fmt: skip

    parts = [part[..., 4:11, 0:7].repeat(2, -1).repeat(2, -2) for part in full(layers)]
    assert parts[2].all()
    check(item_of(masked, tmp_path, zoom), parts)


def test_a_callable_may_take_more_away_from_valid(tmp_path, layers):
    def cutout(sample):
        valid = sample["valid"].clone()
        valid[5:7] = False
        return sample | {"valid": valid}

    image, mask, valid = full(layers)
    valid = valid.copy()
    valid[5:7] = False
    check(item_of(masked, tmp_path, cutout), [image, np.where(valid, mask, 255), valid])


def test_new_ids_in_the_mask_do_not_make_missing_pixels_valid(tmp_path, layers):
    def binary(sample):
        return sample | {"mask": (sample["mask"] > 0).long(), "image": sample["image"] * 2 - 1}

    image, mask, valid = full(layers)
    parts = [image, np.where(valid, mask > 0, 255), valid]
    check(item_of(masked, tmp_path, binary), parts, scaled=lambda image: image * 2 - 1)

    def noisy(sample):
        return binary(sample) | {"image": torch.rand(sample["image"].shape)}

    with pytest.raises(ConfigError, match=r"noisy: its mask does not tell .* give `valid` moved"):
        item_of(masked, tmp_path, noisy)


def test_a_valid_that_contradicts_the_mask_is_told(tmp_path, layers):
    def crossed(sample):
        return flip_two(sample) | {"valid": sample["valid"].flip(-2)}

    wrong = int((full(layers)[2][::-1] & ~full(layers)[2][:, ::-1]).sum())
    assert wrong
    for kind in KINDS:
        with pytest.raises(
            ConfigError, match=rf"crossed: .* {wrong} of 196 pixels are valid by it"
        ):
            item_of(kind, tmp_path, crossed)
