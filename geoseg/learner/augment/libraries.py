"""Transforms of torchvision v2 and kornia as callables on a batch.

Both know masks, so that what they do to an image they do to its mask. `valid` goes with the mask, as a
number that no filling has: pixels from outside are not valid. Where a pixel is not valid after, the image
is 0 and the mask is left as it came. These libraries blend pixels that are not valid into their
neighbours, as the own kinds of geoseg do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError
from geoseg.learner.augment.batch import Batch, refuse_integers

_VALID = 173
"""Stands for valid in what the libraries move."""


def of_library(what: Any) -> Callable[[Batch], Batch] | None:
    """A transform of one of the libraries as a callable on a batch; None for other callables.

    Raises:
        ConfigError: It is one of torchvision's transforms that know no masks.
    """
    homes = [base.__module__ for base in type(what).__mro__]
    if any(home.startswith("torchvision.transforms.v2") for home in homes):
        return from_torchvision(what)
    if any(home.startswith("torchvision.") for home in homes):
        raise ConfigError(
            f"{type(what).__qualname__} of {type(what).__module__} would leave the mask behind; take the "
            "transform of that name from torchvision.transforms.v2"
        )
    if any(home.split(".")[0] == "kornia" for home in homes):
        return from_kornia(what)
    return None


def from_torchvision(transform: Callable[..., Any]) -> Callable[[Batch], Batch]:
    """A transform of torchvision v2 as a callable on a batch, chip by chip.

    Args:
        transform: Such as `v2.Compose([...])`; called with a dictionary of `tv_tensors`: "image" an
            Image, "mask" and "valid" Masks.
    """
    return Torchvision(transform)


def from_kornia(augmentation: nn.Module) -> Callable[[Batch], Batch]:
    """An augmentation of kornia as a callable on a batch of float images.

    Args:
        augmentation: An `AugmentationSequential`, whatever its `data_keys`, or a single augmentation.
    """
    from kornia.augmentation import AugmentationSequential

    whole: Any = augmentation
    return Kornia(
        whole if isinstance(whole, AugmentationSequential) else AugmentationSequential(whole)
    )


@dataclass(frozen=True)
class Torchvision:
    """See `from_torchvision`."""

    transform: Callable[..., Any]

    def __call__(self, batch: Batch) -> Batch:
        """The batch with each chip transformed."""
        from torchvision import tv_tensors

        image, mask, code = batch["image"], batch["mask"], _coded(batch["valid"])
        chips = [
            self.transform(
                {
                    "image": tv_tensors.Image(image[row]),
                    "mask": tv_tensors.Mask(mask[row]),
                    "valid": tv_tensors.Mask(code[row]),
                }
            )
            for row in range(len(image))
        ]
        stacked = (_stacked([chip[key] for chip in chips]) for key in ("image", "mask", "valid"))
        return _decoded(batch, *stacked)


@dataclass(frozen=True)
class Kornia:
    """See `from_kornia`."""

    augmentation: nn.Module

    def __call__(self, batch: Batch) -> Batch:
        """The batch augmented.

        Raises:
            ConfigError: The images are not floats.
        """
        refuse_integers(batch, name="of kornia")
        image, mask = batch["image"], batch["mask"]
        both = torch.stack([mask, _coded(batch["valid"])], dim=1).to(image.dtype)
        augment = self.augmentation.to(image.device)
        image, both = augment(image, both, data_keys=["input", "mask"])
        return _decoded(batch, image, both[:, 0].to(mask.dtype), both[:, 1])


def _coded(valid: Tensor) -> Tensor:
    return valid.to(torch.uint8) * _VALID


def _decoded(batch: Batch, image: Tensor, mask: Tensor, code: Tensor) -> Batch:
    """The batch with what a library made of it."""
    valid = code == _VALID
    if valid.shape == batch["valid"].shape:
        image = torch.where(valid[:, None], image, torch.zeros((), dtype=image.dtype))
        mask = torch.where(valid, mask, batch["mask"])
    return {**batch, "image": image, "mask": mask, "valid": valid}


def _stacked(chips: list[Tensor]) -> Tensor:
    """Chips as one plain tensor.

    Raises:
        ConfigError: They have different sizes.
    """
    if len(sizes := {tuple(chip.shape) for chip in chips}) > 1:
        raise ConfigError(
            f"a torchvision transform makes chips of different sizes: {sorted(sizes)[:3]}; end it with one "
            "that gives the size they came with"
        )
    return torch.stack([chip.as_subclass(Tensor) for chip in chips])
