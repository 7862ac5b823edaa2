"""Losses that are a mean over pixels: cross entropy and focal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.learner.losses.base import PixelLoss, at_least_zero, weights_of


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(PixelLoss):
    """Cross entropy: the mean of -log(p), with p the probability of each pixel's own class.

    With class weights it is the mean weighted by the weight of each pixel's class, as
    `torch.nn.functional.cross_entropy` has it.
    """

    class_weights: tuple[float, ...] | None = None
    """One number >= 0 a class; None: all alike."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_weights", weights_of(self.class_weights))

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        missed = -_log_probability(scores, truth)
        if self.class_weights is None:
            return missed.sum() / max(len(truth), 1)
        weights = _weights(self.class_weights, scores)[truth]
        total = weights.sum()
        # Where nothing weighs anything the sum is 0, whatever divides it.
        return (missed * weights).sum() / torch.where(total > 0, total, 1)


@dataclass(frozen=True, kw_only=True)
class Focal(PixelLoss):
    """Focal loss: the mean of -a (1 - p) ** gamma log(p), with p the probability of each pixel's own class.

    p is that of the softmax, and a the weight of the pixel's class. The sum is divided by the number of
    pixels, not by their weights. Source: Lin et al., Focal Loss for Dense Object Detection, 2017.
    """

    gamma: float = 2.0
    """How much less a pixel counts the better it is predicted; 0 is cross entropy."""
    class_weights: tuple[float, ...] | None = None
    """One number >= 0 a class; None: 1 each."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", at_least_zero("gamma", self.gamma))
        object.__setattr__(self, "class_weights", weights_of(self.class_weights))

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        log_p = _log_probability(scores, truth)
        # 1 - p without cancellation; never 0, where a gamma below 1 has an infinite slope.
        miss = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
        losses = -(miss**self.gamma) * log_p
        if self.class_weights is not None:
            losses = losses * _weights(self.class_weights, scores)[truth]
        return losses.sum() / max(len(truth), 1)


def _log_probability(scores: Tensor, truth: Tensor) -> Tensor:
    """(pixel,) log of the probability of each pixel's own class."""
    return scores.log_softmax(dim=0).gather(0, truth[None])[0]


def _weights(given: tuple[float, ...], scores: Tensor) -> Tensor:
    """(class,) weights.

    Raises:
        ConfigError: There is not one a class.
    """
    if len(given) != len(scores):
        raise ConfigError(
            f"{len(given)} class weights for {len(scores)} classes; give one number a class"
        )
    return scores.new_tensor(given)
