"""Losses of classes that may overlap: each class is a question of its own, answered by a sigmoid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner.losses.base import at_least_zero


@dataclass(frozen=True, kw_only=True)
class MultilabelLoss(ABC):
    """A loss of the valid voxels of a batch together, wherever they lie."""

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (batch, class, depth, height, width), any floating dtype.
            target: The same shape, 0 and 1.
            valid: (batch, depth, height, width) bool; what logits and target hold elsewhere, NaN too,
                reaches neither the loss nor the gradient.

        Returns:
            A scalar, at least float32. Where no voxel is valid, 0 with a gradient of zeros.

        Raises:
            ConfigError: Shapes differ.
        """
        if logits.shape != target.shape or logits.shape[:1] + logits.shape[2:] != valid.shape:
            raise ConfigError(
                f"logits are {tuple(logits.shape)}, target {tuple(target.shape)} and valid "
                f"{tuple(valid.shape)}, expected twice (batch, class, depth, height, width) and (batch, depth, "
                "height, width)"
            )
        places = valid.flatten().nonzero()[:, 0]
        scores, truth = (
            part.movedim(1, 0).flatten(1).index_select(1, places) for part in (logits, target)
        )
        dtype = torch.promote_types(scores.dtype, torch.float32)
        return self.of(scores.to(dtype), truth.to(dtype))

    @abstractmethod
    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of voxels.

        Args:
            scores: (class, voxel) logits, float32 or float64.
            truth: (class, voxel) of 0 and 1; maybe of no voxel at all.

        Returns:
            A scalar that hangs on `scores` also where there is no voxel.
        """


@dataclass(frozen=True, kw_only=True)
class BCE(MultilabelLoss):
    """Binary cross entropy: the mean of -t log(p) - (1 - t) log(1 - p) over classes and voxels."""

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, voxel) logits."""
        missed = functional.binary_cross_entropy_with_logits(scores, truth, reduction="sum")
        return missed / max(truth.numel(), 1)


@dataclass(frozen=True, kw_only=True)
class MultilabelDice(MultilabelLoss):
    """1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), the mean over classes.

    With the probability p of a sigmoid. A class without a valid voxel in the batch counts too, as
    1 - smooth / (sum(p) + smooth): of exclusive classes another would lose what is predicted wrongly, here
    nothing else tells. With a `smooth` of 0 such a class is left out, as it would cost 1 whatever is
    predicted. Source: Milletari et al., V-Net, 2016, with plain sums in place of squares.
    """

    smooth: float = 1.0
    """Voxels added above and below, so that a class of few voxels does not jump, and that a class that is
    nowhere costs nothing where nothing is predicted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "smooth", at_least_zero("smooth", self.smooth))

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, voxel) logits."""
        p = scores.sigmoid()
        both, voxels = (p * truth).sum(dim=1), truth.sum(dim=1)
        area = p.sum(dim=1) + voxels + self.smooth
        missed = 1 - (2 * both + self.smooth) / area.clamp(min=torch.finfo(area.dtype).tiny)
        counts = (voxels > 0) | (self.smooth > 0)
        return (missed * counts).sum() / counts.sum().clamp(min=1)
