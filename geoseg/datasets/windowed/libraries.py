"""Transforms of torchvision v2 and kornia as callables on a sample.

Both know masks. `valid` goes with the mask, as a number that no filling has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from geoseg.datasets.windowed.sample import Item
from geoseg.errors import ConfigError

_VALID = 173
"""Stands for valid in what the libraries move."""


def library_of(what: Any) -> Callable[[Item], Item] | None:
    """A transform of one of the libraries as a callable on a sample; None for other callables.

    Raises:
        ConfigError: It is one of torchvision's that know no masks.
    """
    homes = [base.__module__ for base in type(what).__mro__]
    if any(home.startswith("torchvision.transforms.v2") for home in homes):
        return Torchvision(what)
    if any(home.startswith("torchvision.") for home in homes):
        raise ConfigError(
            f"{type(what).__qualname__} of {type(what).__module__} would leave the mask behind; take the "
            "transform of that name from torchvision.transforms.v2"
        )
    if any(home.split(".")[0] == "kornia" for home in homes):
        from kornia.augmentation import AugmentationSequential

        whole = isinstance(what, AugmentationSequential)
        return Kornia(what if whole else AugmentationSequential(what))
    return None


@dataclass(frozen=True)
class Torchvision:
    """A transform of torchvision v2, called with `tv_tensors`."""

    transform: Callable[..., Any]

    def __call__(self, item: Item) -> Item:
        """The sample transformed."""
        from torchvision import tv_tensors

        found = self.transform(
            {
                "image": tv_tensors.Image(item["image"]),
                "mask": tv_tensors.Mask(item["mask"]),
                "valid": tv_tensors.Mask(_coded(item)),
            }
        )
        parts = {key: found[key].as_subclass(torch.Tensor) for key in ("image", "mask", "valid")}
        return {**item, **parts, "valid": parts["valid"] == _VALID}


@dataclass(frozen=True)
class Kornia:
    """An augmentation of kornia, called with a batch of one."""

    augmentation: Any

    def __call__(self, item: Item) -> Item:
        """The sample augmented."""
        both = torch.stack([item["mask"], _coded(item).long()])[None].to(torch.float32)
        image, both = self.augmentation(item["image"][None], both, data_keys=["input", "mask"])
        mask, code = both[0].round().to(torch.int64)
        return {**item, "image": image[0], "mask": mask, "valid": code == _VALID}


def _coded(item: Item) -> torch.Tensor:
    valid: torch.Tensor = item["valid"]
    return valid.to(torch.uint8) * _VALID
