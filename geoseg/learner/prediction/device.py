"""Where a model computes, and in which number format."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.choices import one_of
from geoseg.errors import ConfigError
from geoseg.learner.prediction.checked import Model
from geoseg.learner.training import Precision

HALF: dict[str, torch.dtype | None] = {
    "32": None,
    "16-mixed": torch.float16,
    "bf16-mixed": torch.bfloat16,
}
"""Precision to the number format in which it computes where that is enough; None: 32 bits."""


def chosen_device(name: str | None) -> torch.device:
    """A device by its name as torch has it; None: a GPU where there is one, else the CPU.

    Raises:
        ConfigError: There is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: no CUDA
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"device is {name!r}, which cannot be used here: {first}; leave it out, or take 'cpu'"
        ) from error
    return device


def probabilities(module: nn.Module, device: torch.device, precision: Precision) -> Model:
    """What a module that gives logits predicts.

    Args:
        module: From (image, valid) to logits, on the device, in `eval` mode.
        device: Where it is.
        precision: Number format of its arithmetic; the softmax is taken in 32 bits.

    Raises:
        ConfigError: There is no such precision.
    """
    half = HALF[one_of(precision, HALF, name="precision")]

    def model(image: Tensor, valid: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            logits = module(image, valid)
        return torch.softmax(logits.float(), dim=1)

    return model
