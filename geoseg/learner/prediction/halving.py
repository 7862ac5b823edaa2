"""A model that takes smaller batches once the memory of the device has run out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from geoseg.warn import warn

_Model = Callable[[Tensor, Tensor], Tensor]

_TOLD = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "not enough memory")
"""Of CUDA and MPS, torch's allocator of the CPU, cuBLAS and cuDNN, oneDNN."""


class Halving:
    """Halves the batch when memory runs out, and goes on with that size.

    Parts of a batch are filled up to their size, as batches are. Scores of smaller batches may differ in
    the last digits.
    """

    def __init__(self, model: _Model, batch_size: int, device: torch.device | None = None) -> None:
        """Begin with whole batches.

        Args:
            model: See `geoseg.learner.prediction.checked.Model`.
            batch_size: Windows in a batch.
            device: Where the model is; None: where the batches are.
        """
        self._model, self._device = model, device
        self.size = self._whole = batch_size
        """Windows that the model is given at once."""

    @property
    def note(self) -> str | None:
        """What a manifest says about it; None while batches are whole."""
        if self.size == self._whole:
            return None
        return f"memory ran out: {self.size} windows at once in place of {self._whole}"

    def __call__(self, image: Tensor, valid: Tensor) -> Tensor:
        """The scores of a batch, which goes to the device in these parts, as float32 on the CPU.

        Raises:
            MemoryError: There is not even room for one window; on a GPU it is torch's own error.

        Warns:
            UserWarning: The batch was halved.
        """
        while True:
            try:
                return self._in_parts(image, valid)
            except (RuntimeError, MemoryError) as error:
                if self.size == 1 or not ran_out_of_memory(error):
                    raise
                self.size = -(-self.size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            warn(
                f"the memory of the device is not enough for the batch: it goes on with {self.size} "
                f"windows at once in place of {self._whole}; scores may differ in the last digits, take "
                f"batch_size={self.size} next time"
            )

    def _in_parts(self, image: Tensor, valid: Tensor) -> Tensor:
        if self.size >= len(image):
            return self._scores(image, valid)
        parts = []
        for i in range(0, len(image), self.size):
            pixels, known = image[i : i + self.size], valid[i : i + self.size]
            scores = self._scores(filled_up(pixels, self.size), filled_up(known, self.size))
            parts.append(scores[: len(pixels)])
        return torch.cat(parts)

    def _scores(self, image: Tensor, valid: Tensor) -> Tensor:
        if self._device is not None:
            image, valid = image.to(self._device), valid.to(self._device)
        return self._model(image, valid).float().cpu()


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a device, or of this machine, was not enough.

    torch has a class for its own allocator only; libraries beneath it tell in words.
    """
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(part in text for part in _TOLD)


def filled_up(part: Tensor, batch_size: int) -> Tensor:
    """The same batch with zeros up to its full length: kernels may differ from length to length."""
    missing = batch_size - len(part)
    if not missing:
        return part
    filling = torch.zeros((missing, *part.shape[1:]), dtype=part.dtype, device=part.device)
    return torch.cat([part, filling])
