"""A model whose answers are looked at before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from geoseg.errors import LabelError

Model = Callable[[Tensor, Tensor], Tensor]
"""(image (batch, channel, height, width) in the native dtype, valid (batch, height, width)) to
probabilities (batch, class, height, width) float32, all on one device."""

_SLACK = 1e-2
"""How far probabilities may lie past 0 and 1 by rounding, in 16 bits too."""


def checked(model: Model, classes: int) -> Model:
    """The same model; what it gives is known to be probabilities of the batch.

    Where an image is not valid anything may be, even NaN.

    Args:
        model: As above.
        classes: How many there are.
    """

    def call(image: Tensor, valid: Tensor) -> Tensor:
        scores: object = model(image, valid)
        if not isinstance(scores, Tensor) or scores.shape[:-2] != (len(image), classes):
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise LabelError(
                f"the model gives {got}, expected a tensor (batch, class, height, width) of "
                f"{len(image)} windows and {classes} classes"
            )
        _check_range(scores, valid)
        return scores

    return call


def _check_range(scores: Tensor, valid: Tensor) -> None:
    least, most = torch.aminmax(scores)
    if least >= -_SLACK and most <= 1 + _SLACK:  # NaN is neither
        return
    rows, cols = ((a - b) // 2 for a, b in zip(valid.shape[1:], scores.shape[2:], strict=True))
    known = valid[:, rows : rows + scores.shape[2], cols : cols + scores.shape[3]]
    if known.shape != (len(scores), *scores.shape[2:]):
        return  # of a size that is refused where sizes are compared
    found = scores.movedim(1, -1)[known]
    if found.isnan().any():
        raise LabelError("the model gives NaN where the image is valid, expected probabilities")
    if len(found) and (found.min() < -_SLACK or found.max() > 1 + _SLACK):
        raise LabelError(
            f"the model gives {float(found.min()):.6g} to {float(found.max()):.6g}, expected "
            "probabilities from 0 to 1; take the softmax of its logits"
        )
