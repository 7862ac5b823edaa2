"""The Lovasz softmax loss: a surface under which the mean IoU can be climbed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.learner.losses.base import PixelLoss


@dataclass(frozen=True, kw_only=True)
class Lovasz(PixelLoss):
    """The Lovasz extension of 1 - IoU, over the whole batch, mean over classes that occur.

    The error of a pixel for a class is 1 - p where it has that class, and p elsewhere, with probability p
    of the softmax. For errors of 0 and 1 the loss is 1 - IoU, and it is convex in the errors between.
    Takes n log(n) steps a class that occurs. Source: Berman et al., The Lovasz-Softmax loss, 2018.
    """

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        p = scores.softmax(dim=0)
        present: list[int] = truth.bincount().nonzero()[:, 0].tolist()
        losses = [_extension(p[channel], truth == channel) for channel in present]
        return torch.stack(losses).mean() if losses else scores.sum()


def _extension(p: Tensor, is_class: Tensor) -> Tensor:
    """The Lovasz extension of 1 - IoU of one class that occurs."""
    errors = torch.where(is_class, 1 - p, p)
    # The extension is linear wherever the order of the errors stays: no gradient goes through sorting.
    return (errors * _slopes(errors.detach(), is_class)).sum()


def _slopes(errors: Tensor, is_class: Tensor) -> Tensor:
    """(pixel,) how much 1 - IoU rises when each pixel turns wrong, after all with a larger error.

    With intersection I and union U after that pixel: 1 / U for a pixel of the class, which takes 1 from
    I, and I / (U (U - 1)) for another, which adds 1 to U. Counted in whole numbers, not as a difference
    of two nearly equal ratios.
    """
    order = errors.argsort(descending=True, stable=True)
    turned = is_class[order]
    pixels = turned.sum()
    intersection = (pixels - turned.cumsum(0)).to(errors.dtype)
    union = (pixels + (~turned).cumsum(0)).to(errors.dtype)
    slopes = torch.where(turned, 1 / union, intersection / union / (union - 1).clamp(min=1))
    return torch.empty_like(errors).scatter(0, order, slopes)
