"""The symmetries of the square: turns and mirrors that blend no pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.learner.augment.batch import MOVING, Batch, bits


def d4(batch: Batch, generator: torch.Generator) -> Batch:
    """Each chip turned and mirrored in one of the ways that keep its shape, all equally likely."""
    height, width = batch["image"].shape[-2:]
    # Moves 0..3 turn by 180 degrees or not and mirror or not; 4..7 are these after a transposition.
    moves = 8 if height == width else 4
    drawn = torch.randint(moves, (len(batch["image"]),), generator=generator).tolist()
    moved = {key: _moved(batch[key], drawn) for key in MOVING}
    return {**batch, **moved}


def _moved(pixels: Tensor, moves: list[int]) -> Tensor:
    chips = zip(bits(pixels), moves, strict=True)
    return torch.stack([_turned(chip, move) for chip, move in chips]).view(pixels.dtype)


def _turned(chip: Tensor, move: int) -> Tensor:
    """One element of the symmetry group of the square, on the last two axes."""
    if move >= 4:  # noqa: PLR2004 - see d4
        chip = chip.mT
    axes = [axis for axis, bit in ((-2, 1), (-1, 2)) if move & bit]
    return chip.flip(axes) if axes else chip
