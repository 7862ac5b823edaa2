"""Callables on the sample, which need not know of `valid`: it also goes along in the mask, as an id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from geoseg.datasets.windowed.sample import Item
from geoseg.errors import ConfigError

_CUBE = 3


def by_sample(
    call: Callable[[Item], Any], item: Item, *, hidden: int | None, ignored_id: int, name: str
) -> Item:
    """The item that a callable makes of an item, with tensors of one size in the dtypes of all items.

    Args:
        call: Gets the item with `hidden` in its mask where it is not valid.
        item: With `image`, `mask` and `valid`.
        hidden: The id that tells in the mask what is not valid; None: the callable moves `valid` itself.
        ignored_id: The mask's id in the result where it is not valid.
        name: What errors call the callable.

    Raises:
        ConfigError: What it gives is no sample, its sizes differ, or its `valid` contradicts its mask.
    """
    before: torch.Tensor = item["valid"].clone()
    mask = item["mask"]
    if hidden is not None:
        mask = torch.where(before, mask, torch.full_like(mask, hidden))
    found = call({**item, "mask": mask.clone()})
    if not isinstance(found, Mapping) or not {"image", "mask"} <= set(found):
        raise ConfigError(f"{name}: gave {told(found)}, expected the sample with image and mask")
    image, moved = _tensor(found["image"]), _tensor(found["mask"])
    valid = before if found.get("valid") is None else _tensor(found["valid"]).to(torch.bool)
    follows = hidden is not None and torch.equal(valid, before)
    _check_sizes(image, moved, moved if follows else valid, name)
    if hidden is not None:
        (valid,) = valid_after(
            image[None],
            mask[None],
            moved[None],
            valid[None],
            before[None],
            hidden=hidden,
            name=name,
        )
    return {**found, **_finished(image, moved, valid, ignored_id=ignored_id)}


def valid_after(
    image: torch.Tensor,
    mask: torch.Tensor,
    moved: torch.Tensor,
    valid: torch.Tensor,
    before: torch.Tensor,
    *,
    hidden: int,
    name: str,
) -> torch.Tensor:
    """(chip, height, width) which pixels are valid after a call.

    It is what the callable made of `valid`; where it left that as it came, what its mask tells.

    Args:
        image: (chip, band, height, width) after the call.
        mask: (chip, height, width) ids that the callable got, `hidden` where not valid.
        moved: (chip, height, width) ids that it gave.
        valid: The `valid` that it gave.
        before: The `valid` that it got.
        hidden: The id that tells in a mask what is not valid.
        name: What errors call the callable.

    Raises:
        ConfigError: The `valid` it changed contradicts its mask, or neither tells what is valid.
    """
    by_mask = torch.ne(moved, hidden)
    if not torch.equal(valid, before):
        _check_agreement(valid, by_mask, name)
        return valid
    lost = by_mask.flatten(1).all(dim=1) & ~before.flatten(1).all(dim=1)
    for chip in lost.nonzero().flatten().tolist():
        if _renamed(mask[chip], moved[chip]):
            _check_unmoved(image[chip], before[chip], name)
            by_mask[chip] = before[chip]
    return by_mask


def told(found: Any) -> str:
    """What a callable gave, for an error."""
    return f"keys {sorted(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__


def _tensor(value: Any) -> torch.Tensor:
    """Arrays of any strides too."""
    return torch.as_tensor(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value)


def _check_sizes(image: torch.Tensor, mask: torch.Tensor, valid: torch.Tensor, name: str) -> None:
    shapes = [tuple(part.shape) for part in (image, mask, valid)]
    if image.ndim != _CUBE or shapes[1] != shapes[0][1:] or shapes[2] != shapes[1]:
        raise ConfigError(
            f"{name}: image is {shapes[0]}, mask {shapes[1]} and valid {shapes[2]}, expected (band, "
            "height, width) and twice (height, width); move `valid` with the mask"
        )


def _check_agreement(valid: torch.Tensor, by_mask: torch.Tensor, name: str) -> None:
    """What the mask tells to be missing cannot be valid; that more is not valid is well, as of a cutout."""
    wrong = int((valid & ~by_mask).sum())
    if wrong:
        raise ConfigError(
            f"{name}: it changed `valid`, but {wrong} of {valid.numel()} pixels are valid by it and not by "
            "the mask; move both alike, or leave `valid` as it came, then it follows the mask"
        )


def _renamed(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether a mask may have new ids at the old places: each old id became one new id."""
    return before.shape == after.shape and all(
        bool((after[before == one] == after[before == one][0]).all())
        for one in torch.unique(before)
    )


def _check_unmoved(image: torch.Tensor, valid: torch.Tensor, name: str) -> None:
    """See that an image, which was 0 where not valid, is still of one colour there."""
    missing = image[:, ~valid]
    if not bool((missing == missing[:, :1]).all()):
        raise ConfigError(
            f"{name}: its mask does not tell any more which pixels are not valid, and it left `valid` as it "
            "came; give `valid` moved with the mask, or keep the ids of the mask"
        )


def _finished(
    image: torch.Tensor, mask: torch.Tensor, valid: torch.Tensor, *, ignored_id: int
) -> Item:
    """The dtypes of all items, and nothing where it is not valid."""
    image, mask = image.to(torch.float32), mask.to(torch.int64)
    if not bool(valid.all()):
        image = torch.where(valid, image, torch.zeros(()))
        mask = torch.where(valid, mask, torch.full_like(mask, ignored_id))
    return {"image": image, "mask": mask, "valid": valid}
