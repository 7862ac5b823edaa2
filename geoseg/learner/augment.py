"""Changes to training batches that leave their meaning: turns, mirrors, light.

An augmentation is called with a batch and a `torch.Generator` and gives a new batch; equal states of
the generator give equal batches. The batch is a dictionary with

- "image": (batch, channel, height, width);
- "mask": (batch, height, width) class channels;
- "valid": (batch, height, width) bool, True where the image is measured;

and whatever else, which is passed on untouched. Image, mask and valid always move together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen

Batch = dict[str, Any]
Augmentation = Callable[[Batch, torch.Generator], Batch]
"""(batch, generator) -> new batch; the one handed in is left as it is."""

_BRIGHTNESS = 0.2
"""Largest shift of a chip's brightness, in standard deviations of the chip."""
_CONTRAST = 0.2
"""Largest change of a chip's contrast, as a part of it."""


def build(name: str) -> Augmentation:
    """An augmentation by its name.

    Args:
        name: "none"; "d4": one of the eight turns and mirrors of the square for each chip (of the four
            that keep the shape where height and width differ); "d4+light": also a change of brightness
            and contrast.

    Raises:
        ConfigError: There is no such augmentation.
    """
    return chosen("augmentation", name, _KINDS)


def none(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch as it is."""
    del generator
    return batch


def d4(batch: Batch, generator: torch.Generator) -> Batch:
    """Each chip turned and mirrored in one of the ways that keep its shape, all equally likely."""
    height, width = batch["image"].shape[-2:]
    # Moves 0..3 turn by 180 degrees or not and mirror or not; 4..7 are these after a transposition.
    moves = 8 if height == width else 4
    drawn = torch.randint(moves, (len(batch["image"]),), generator=generator).tolist()
    moved = {
        key: torch.stack([_moved(chip, move) for chip, move in zip(batch[key], drawn, strict=True)])
        for key in ("image", "mask", "valid")
    }
    return {**batch, **moved}


def light(batch: Batch, generator: torch.Generator) -> Batch:
    """Brightness and contrast of each chip changed, all channels alike.

    A channel `x` with mean m and standard deviation s over the chip's valid pixels becomes
    `m + contrast * (x - m) + brightness * s`: measured by the chip's own spread, so that it does the
    same to reflectances, digital numbers and normalised values. Pixels that are not valid stay.

    Raises:
        ConfigError: The images are not floats: an integer would overflow.
    """
    image: Tensor = batch["image"]
    if not image.is_floating_point():
        raise ConfigError(
            f"augmentation 'light' needs float images, got {image.dtype}; let the data set normalise, "
            "or choose 'd4'"
        )
    draws = torch.rand((2, len(image), 1, 1, 1), generator=generator) * 2 - 1
    draws = draws.to(image)
    contrast, brightness = 1 + _CONTRAST * draws[0], _BRIGHTNESS * draws[1]
    valid = batch["valid"][:, None]
    count = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = torch.where(valid, image, 0).sum(dim=(2, 3), keepdim=True) / count
    offset = torch.where(valid, image - mean, 0)
    spread = (offset.square().sum(dim=(2, 3), keepdim=True) / count).sqrt()
    changed = mean + contrast * offset + brightness * spread
    return {**batch, "image": torch.where(valid, changed, image)}


def _d4_light(batch: Batch, generator: torch.Generator) -> Batch:
    return light(d4(batch, generator), generator)


def _moved(chip: Tensor, move: int) -> Tensor:
    """One element of the symmetry group of the square, on the last two axes."""
    if move >= 4:  # noqa: PLR2004 - see d4
        chip = chip.mT
    axes = [axis for axis, bit in ((-2, 1), (-1, 2)) if move & bit]
    return chip.flip(axes) if axes else chip


_KINDS: dict[str, Augmentation] = {"none": none, "d4": d4, "d4+light": _d4_light}
