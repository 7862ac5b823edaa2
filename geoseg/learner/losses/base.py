"""What all losses share: they look at kept pixels only, and at those in one list."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError, LabelError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, target, valid) -> scalar."""


@dataclass(frozen=True, kw_only=True)
class PixelLoss(ABC):
    """A loss of the kept pixels of a batch together, wherever they lie."""

    ignore_index: int = 255
    """The target of pixels that are not labelled."""

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (batch, class, height, width), any floating dtype.
            target: (batch, height, width) int64, the channel of each pixel's class, or `ignore_index`.
            valid: (batch, height, width) bool, True where the image is measured.

        Returns:
            A scalar, float32 also for half precision and under autocast (float64 stays). Where no pixel
            is kept, 0 with a gradient of zeros.

        Raises:
            ConfigError: Shapes differ, or an option does not fit the number of classes.
            LabelError: The target of a kept pixel is no channel.
        """
        return self.of(*kept_pixels(logits, target, valid, ignore_index=self.ignore_index))

    @abstractmethod
    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of pixels.

        Args:
            scores: (class, pixel) logits, float32 or float64.
            truth: (pixel,) int64, each from 0 to the number of classes - 1; maybe none at all.

        Returns:
            A scalar that hangs on `scores` also where there is no pixel.
        """


def kept_pixels(
    logits: Tensor, target: Tensor, valid: Tensor, *, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """The pixels that are valid and labelled.

    All others are left out before any arithmetic: what the logits hold there, NaN too, reaches neither
    the loss nor the gradient, which is 0 there.

    Returns:
        (class, pixel) logits, at least float32, and (pixel,) channels.

    Raises:
        ConfigError: Shapes differ.
        LabelError: The target of a kept pixel is no channel.
    """
    if not logits.shape[:1] + logits.shape[2:] == target.shape == valid.shape:
        raise ConfigError(
            f"logits are {tuple(logits.shape)}, target {tuple(target.shape)} and valid "
            f"{tuple(valid.shape)}, expected (batch, class, height, width) and twice (batch, height, width)"
        )
    places = (valid & (target != ignore_index)).flatten().nonzero()[:, 0]
    scores = logits.movedim(1, 0).flatten(1).index_select(1, places)
    truth = target.flatten().index_select(0, places).long()
    if len(truth) and not 0 <= int(truth.min()) <= int(truth.max()) < len(scores):
        raise LabelError(
            f"the target holds {int(truth.min())} to {int(truth.max())}, expected channels 0 to "
            f"{len(scores) - 1}, or {ignore_index} for ignored"
        )
    return scores.to(torch.promote_types(scores.dtype, torch.float32)), truth


def at_least_zero(what: str, value: Any) -> float:
    """An option as a number.

    Raises:
        ConfigError: It is none, or below 0, or not finite.
    """
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ConfigError(f"{what} is {value!r}, expected a number of at least 0")
    return number


def weights_of(given: Sequence[float] | None) -> tuple[float, ...] | None:
    """Class weights as plain numbers.

    Raises:
        ConfigError: They are no numbers of at least 0.
    """
    if given is None:
        return None
    if isinstance(given, str):
        raise ConfigError(
            f"class_weights is {given!r}, expected one number a class; "
            f"`losses.class_weights({given!r}, counts)` makes them of pixel counts"
        )
    return tuple(at_least_zero("a class weight", weight) for weight in given)
