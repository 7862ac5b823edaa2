"""The batch that augmentations change: drawing chips of it, and putting changed chips back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError

Batch = dict[str, Any]
Augmentation = Callable[[Batch, torch.Generator], Batch]
"""(batch, generator) -> new batch; the one handed in is left as it is."""

MOVING = ("image", "mask", "valid")
"""What belongs to the pixels of a chip."""

_SIGNED = {
    torch.uint16: torch.int16,
    torch.uint32: torch.int32,
    torch.uint64: torch.int64,
}


def bits(pixels: Tensor) -> Tensor:
    """The same memory in a dtype that torch can index, flip and gather; `.view(dtype)` leads back."""
    return pixels.view(_SIGNED.get(pixels.dtype, pixels.dtype))


def drawn(count: int, generator: torch.Generator, *, p: float) -> Tensor:
    """(chip,) the numbers of the chips that are to be changed, in rising order, on the CPU."""
    if p >= 1:
        return torch.arange(count)
    return (torch.rand(count, generator=generator) < p).nonzero().flatten()


def on_some(change: Augmentation, batch: Batch, generator: torch.Generator, *, p: float) -> Batch:
    """The batch with a change made to the chips that are drawn, each with probability p."""
    rows = drawn(len(batch["image"]), generator, p=p)
    if len(rows) == 0:
        return batch
    return put(batch, rows, change(taken(batch, rows), generator))


def taken(batch: Batch, rows: Tensor) -> Batch:
    """The pixels of some chips."""
    return {key: batch[key][rows.to(batch[key].device)] for key in MOVING}


def put(batch: Batch, rows: Tensor, chips: Batch) -> Batch:
    """A new batch in which some chips have these pixels."""
    changed = {}
    for key in MOVING:
        old: Tensor = batch[key]
        new = bits(old).index_copy(0, rows.to(old.device), bits(chips[key]))
        changed[key] = new.view(old.dtype)
    return {**batch, **changed}


def refuse_integers(batch: Batch, *, name: str) -> None:
    """Check that values may be changed.

    Raises:
        ConfigError: The images are not floats: an integer would overflow.
    """
    dtype = batch["image"].dtype
    if not dtype.is_floating_point:
        raise ConfigError(
            f"augmentation {name!r} needs float images, got {dtype}; let the data set normalise, "
            "or choose 'd4'"
        )
