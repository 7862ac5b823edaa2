"""Losses of how truth and prediction overlap as areas: Dice and Tversky.

Both are 1 - a coefficient of each class over all kept pixels of the batch together, and the mean over the
classes that occur. Classes without a kept pixel in the batch are left out: their coefficient would only
say how small the probability is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.learner.losses.base import PixelLoss, at_least_zero


@dataclass(frozen=True, kw_only=True)
class Dice(PixelLoss):
    """1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), with probability p and truth t.

    Source: Milletari et al., V-Net, 2016, with plain sums in place of squares.
    """

    smooth: float = 1.0
    """Pixels added above and below, so that a class of few pixels does not jump."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "smooth", at_least_zero("smooth", self.smooth))

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        return _missed(scores, truth, alpha=0.5, beta=0.5, smooth=self.smooth / 2)


@dataclass(frozen=True, kw_only=True)
class Tversky(PixelLoss):
    """1 - (right + smooth) / (right + alpha false + beta missed + smooth).

    right is sum(p t), false sum(p (1 - t)) and missed sum((1 - p) t), with probability p and truth t.
    alpha = beta = 0.5 is Dice with twice the `smooth`, alpha = beta = 1 the Jaccard loss. Source:
    Salehi et al., Tversky loss function for image segmentation, 2017, and its best alpha and beta.
    """

    alpha: float = 0.3
    """What a false pixel costs."""
    beta: float = 0.7
    """What a missed pixel costs; above alpha for recall, below it for precision."""
    smooth: float = 1.0
    """Pixels added above and below, so that a class of few pixels does not jump."""

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "smooth"):
            object.__setattr__(self, name, at_least_zero(name, getattr(self, name)))
        if self.alpha == self.beta == 0:
            raise ConfigError("alpha and beta are both 0, which makes every prediction perfect")

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        return _missed(scores, truth, alpha=self.alpha, beta=self.beta, smooth=self.smooth)


def _missed(scores: Tensor, truth: Tensor, *, alpha: float, beta: float, smooth: float) -> Tensor:
    """1 - the Tversky coefficient, mean over classes that occur."""
    p = scores.softmax(dim=0)
    t = truth == torch.arange(len(scores), device=scores.device)[:, None]
    right, predicted, pixels = (p * t).sum(dim=1), p.sum(dim=1), t.sum(dim=1)
    area = right + alpha * (predicted - right) + beta * (pixels - right) + smooth
    # With a beta of 0 it is 0 where no probability is left for a class, as for one that does not occur.
    missed = 1 - (right + smooth) / area.clamp(min=torch.finfo(area.dtype).tiny)
    occurs = pixels > 0
    return (missed * occurs).sum() / occurs.sum().clamp(min=1)
