"""Chips of one batch that share their pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.learner.augment.batch import MOVING, Batch, bits, drawn


def cutmix(
    batch: Batch, generator: torch.Generator, *, share: tuple[float, float], p: float
) -> Batch:
    """Rectangles of chips are those of other chips, at the same place, as these were handed in.

    Args:
        batch: A batch of any dtype; one with a single chip stays as it is.
        generator: The only source of chance.
        share: Smallest and largest part of a chip's area that is another's; rounded to whole pixels
            along each side, of the shape of the chip.
        p: Probability that a chip is changed.
    """
    count, (height, width) = len(batch["image"]), batch["image"].shape[-2:]
    if count == 1:
        return batch
    rows = drawn(count, generator, p=p)
    others = (rows + torch.randint(1, count, (len(rows),), generator=generator)) % count
    source = torch.arange(count).index_copy(0, rows, others)
    area = share[0] + (share[1] - share[0]) * torch.rand(count, generator=generator)
    cut = _spans(area.sqrt(), height, generator)[:, :, None]
    cut = cut & _spans(area.sqrt(), width, generator)[:, None, :]
    return {**batch, **{key: _mixed(batch[key], source, cut) for key in MOVING}}


def _spans(share: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """(chip, length) bool: a span of this share of the length, anywhere in it."""
    size = (share * length).round()
    room = length - size + 1
    # Doubles, as a float just below 1 times the room may be the room.
    first = (torch.rand(len(share), generator=generator, dtype=torch.float64) * room).floor()[
        :, None
    ]
    place = torch.arange(length)
    return (place >= first) & (place < first + size[:, None])


def _mixed(pixels: Tensor, source: Tensor, cut: Tensor) -> Tensor:
    """Pixels of chip `source` within the cut, the chip's own elsewhere."""
    source, cut = source.to(pixels.device), cut.to(pixels.device)
    own = bits(pixels)
    cut = cut.view(len(cut), *[1] * (own.ndim - cut.ndim), *cut.shape[1:])
    return torch.where(cut, own[source], own).view(pixels.dtype)
