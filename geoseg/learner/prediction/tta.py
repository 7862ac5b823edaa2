"""Test-time augmentation: a window is predicted in several positions and the probabilities averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from geoseg.learner.training import TTA

_Model = Callable[[Tensor, Tensor], Tensor]

_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""Dtypes that torch does not flip, and those of the same bytes that it does."""


def averaged(model: _Model, tta: TTA | None) -> _Model:
    """The model that gives the mean of its probabilities over all positions of a window.

    What the model gives is turned back before it is averaged. None: the model as it is.
    """
    if tta is None:
        return model
    turned = (False, True) if tta == "d4" else (False,)
    positions = [(axes, transpose) for transpose in turned for axes in ((), (-1,), (-2,), (-2, -1))]

    def mean(image: Tensor, valid: Tensor) -> Tensor:
        parts = []
        for axes, transpose in positions:
            moved = (_moved(pixels, axes, transpose=transpose) for pixels in (image, valid))
            parts.append(_moved_back(model(*moved), axes, transpose=transpose).float())
        return torch.stack(parts).mean(dim=0)

    return mean


def _moved(pixels: Tensor, axes: tuple[int, ...], *, transpose: bool) -> Tensor:
    bits = pixels.view(_SIGNED.get(pixels.dtype, pixels.dtype))
    moved = torch.flip(bits, axes) if axes else bits
    return (moved.transpose(-2, -1).contiguous() if transpose else moved).view(pixels.dtype)


def _moved_back(scores: Tensor, axes: tuple[int, ...], *, transpose: bool) -> Tensor:
    scores = scores.transpose(-2, -1) if transpose else scores
    return torch.flip(scores, axes) if axes else scores
