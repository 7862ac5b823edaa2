"""Losses that look at kept pixels only: those that are valid and labelled.

A loss is called with

- `logits`: (batch, class, height, width), any floating dtype; computed in float32 also under autocast;
- `target`: (batch, height, width) int64, the channel of each pixel's class, or `ignore_index`;
- `valid`: (batch, height, width) bool, True where the image is measured;

and gives a scalar. A batch in which no pixel is kept gives 0 with a gradient of zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen, refuse_unknown

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, target, valid) -> scalar."""

_DROPPED = -100
"""Marks the pixels that are not kept; no channel has this number whatever `ignore_index` is."""


def build(name: str, **options: Any) -> Loss:
    """A loss by its name.

    Args:
        name: "cross_entropy", "dice", or several with a plus sign between: their sum.
        **options: `ignore_index` (255) for every loss; `weights` (one number a class) for
            "cross_entropy"; `smooth` (1.0, in pixels) for "dice". In a sum each loss takes those it
            knows.

    Raises:
        ConfigError: The name or an option is unknown, or a number is negative.
    """
    kinds = [chosen("loss", part.strip(), _KINDS) for part in name.split("+")]
    known = [{field.name for field in fields(kind)} for kind in kinds]
    refuse_unknown(f"loss {name!r}", options, set().union(*known))
    terms = [
        kind(**{key: value for key, value in options.items() if key in keys})
        for kind, keys in zip(kinds, known, strict=True)
    ]
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


@dataclass(frozen=True)
class CrossEntropy:
    """Cross entropy, mean over kept pixels.

    With class weights it is the mean weighted by the weight of each pixel's class, as
    `torch.nn.functional.cross_entropy` has it.
    """

    weights: tuple[float, ...] | None = None
    """One number >= 0 a class; None: all alike."""
    ignore_index: int = 255
    """The target of pixels that are not labelled."""

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        if any(weight < 0 for weight in self.weights):
            raise ConfigError(f"class weights must not be negative; got {list(self.weights)}")
        object.__setattr__(self, "weights", tuple(self.weights))

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch; see the module for shapes.

        Raises:
            ConfigError: There is not one weight a class.
        """
        kept = _kept(target, valid, self.ignore_index)
        target = target.masked_fill(~kept, _DROPPED)
        logits = logits.float()
        if self.weights is None:
            weights, total = None, kept.sum()
        else:
            weights = self._weights(logits)
            total = weights[target[kept]].sum()
        loss = functional.cross_entropy(
            logits, target, weights, ignore_index=_DROPPED, reduction="sum"
        )
        # torch's own mean is 0 / 0 where nothing is kept; the sum is 0 then, whatever divides it.
        return loss / torch.where(total > 0, total, 1)

    def _weights(self, logits: Tensor) -> Tensor:
        given = self.weights or ()
        if len(given) != logits.shape[1]:
            raise ConfigError(
                f"{len(given)} class weights for {logits.shape[1]} classes; give one number a class"
            )
        return logits.new_tensor(given)


@dataclass(frozen=True)
class Dice:
    """1 - Dice coefficient of the softmax, pooled over the batch, mean over classes that occur.

    Per class c over all kept pixels of the batch together: `(2 sum(p t) + smooth) / (sum(p) + sum(t)
    + smooth)` with probability p and truth t. Classes without a kept pixel in the batch are left out:
    their coefficient would only say how small p is. Source: Milletari et al., V-Net, 2016, with plain
    sums in place of squares.
    """

    smooth: float = 1.0
    """Pixels added above and below, so that a class of few pixels does not jump."""
    ignore_index: int = 255
    """The target of pixels that are not labelled."""

    def __post_init__(self) -> None:
        if self.smooth < 0:
            raise ConfigError(f"smooth must not be negative; got {self.smooth}")

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch; see the module for shapes."""
        kept = _kept(target, valid, self.ignore_index)[:, None]
        channels = torch.arange(logits.shape[1], device=logits.device)[:, None, None]
        truth = (target[:, None] == channels) & kept
        probability = logits.float().softmax(dim=1) * kept
        pixels = truth.sum(dim=(0, 2, 3))
        both = (probability * truth).sum(dim=(0, 2, 3))
        either = probability.sum(dim=(0, 2, 3)) + pixels
        occurs = pixels > 0
        # The 1 stands for a class that does not occur: no 0 / 0, which would spoil the gradient too.
        missed = 1 - (2 * both + self.smooth) / torch.where(occurs, either + self.smooth, 1)
        return (missed * occurs).sum() / occurs.sum().clamp(min=1)


@dataclass(frozen=True)
class Sum:
    """The sum of several losses."""

    terms: tuple[Loss, ...]
    """At least one loss."""

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch; see the module for shapes."""
        return torch.stack([term(logits, target, valid) for term in self.terms]).sum()


def _kept(target: Tensor, valid: Tensor, ignore_index: int) -> Tensor:
    """(batch, height, width) bool: the pixels that count."""
    return valid & (target != ignore_index)


_KINDS = {"cross_entropy": CrossEntropy, "dice": Dice}
