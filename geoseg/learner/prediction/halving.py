"""A model that takes smaller batches once the memory of the device has run out."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

_Model = Callable[[Tensor, Tensor], Tensor]


class Halving:
    """Halves the batch when memory runs out, and goes on with that size.

    Parts of a batch are filled up to their size, as batches are. Scores of smaller batches may differ in
    the last digits.
    """

    def __init__(self, model: _Model, batch_size: int) -> None:
        """Begin with whole batches.

        Args:
            model: See `geoseg.learner.prediction.job.Model`.
            batch_size: Windows in a batch.
        """
        self._model = model
        self.size = self._whole = batch_size
        """Windows that the model is given at once."""

    @property
    def note(self) -> str | None:
        """What a manifest says about it; None while batches are whole."""
        if self.size == self._whole:
            return None
        return f"memory ran out: {self.size} windows at once in place of {self._whole}"

    def __call__(self, image: Tensor, valid: Tensor) -> Tensor:
        """The scores of a batch.

        Raises:
            torch.OutOfMemoryError: There is not even room for one window.

        Warns:
            UserWarning: The batch was halved.
        """
        while True:
            try:
                return self._in_parts(image, valid)
            except torch.cuda.OutOfMemoryError:
                if self.size == 1:
                    raise
                self.size = -(-self.size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            warnings.warn(
                f"the memory of the device is not enough for the batch: it goes on with {self.size} "
                f"windows at once in place of {self._whole}; scores may differ in the last digits, take "
                f"batch_size={self.size} next time",
                stacklevel=2,
            )

    def _in_parts(self, image: Tensor, valid: Tensor) -> Tensor:
        if self.size >= len(image):
            return self._model(image, valid)
        parts = []
        for i in range(0, len(image), self.size):
            pixels, known = image[i : i + self.size], valid[i : i + self.size]
            scores = self._model(filled_up(pixels, self.size), filled_up(known, self.size))
            parts.append(scores[: len(pixels)])
        return torch.cat(parts)


def filled_up(part: Tensor, batch_size: int) -> Tensor:
    """The same batch with zeros up to its full length: kernels may differ from length to length."""
    missing = batch_size - len(part)
    if not missing:
        return part
    filling = torch.zeros((missing, *part.shape[1:]), dtype=part.dtype, device=part.device)
    return torch.cat([part, filling])
