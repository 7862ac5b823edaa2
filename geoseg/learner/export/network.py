"""The network that goes into an exported file: pixels as they are in files to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from geoseg.datasets.windows import scale_of
from geoseg.learner.export.facts import ExportFacts

if TYPE_CHECKING:
    from geoseg.learner.module import SegmentationModule


class ProbabilityNetwork(nn.Module):
    """A trained network with its normalisation before it and a softmax behind it.

    Pixels come in the units of their source: 0..255 of a uint8 image. A pixel that is NaN in any band
    is not valid: the network sees 0 there, as it does of a bundle, and what comes out there has no
    meaning.
    """

    offset: Tensor
    """(channel, 1, 1), taken off first."""
    divisor: Tensor
    """(channel, 1, 1), divided by then; that of unsigned integers brings them to [0, 1]."""
    mean: Tensor
    """(channel, 1, 1), of what comes of that."""
    std: Tensor
    """(channel, 1, 1), above 0."""

    def __init__(self, module: SegmentationModule, facts: ExportFacts) -> None:
        """The network is shared with the module, not copied.

        Args:
            module: A trained module, on the CPU and in `eval` mode.
            facts: Their dtype and Standardize tell how pixels are brought to what the module takes.
        """
        super().__init__()
        offset, divisor = _first_step(facts)
        self.network = module.network
        self.register_buffer("offset", torch.tensor(offset).view(-1, 1, 1))
        self.register_buffer("divisor", torch.tensor(divisor).view(-1, 1, 1))
        self.register_buffer("mean", module.mean.detach().clone())
        self.register_buffer("std", module.std.detach().clone())

    def forward(self, image: Tensor) -> Tensor:
        """Probabilities of a batch.

        Args:
            image: (batch, channel, height, width) float32.

        Returns:
            (batch, class, height, width) float32, which sums to 1 over the classes.
        """
        missing = torch.isnan(image).any(dim=1, keepdim=True)
        scaled = (image - self.offset) / self.divisor
        normal = torch.where(missing, 0.0, (scaled - self.mean) / self.std)
        return torch.softmax(self.network(normal).float(), dim=1)


def as_input(image: Tensor, valid: Tensor) -> Tensor:
    """A batch as the exported network takes it.

    Args:
        image: (batch, channel, height, width) in the native dtype.
        valid: (batch, height, width) bool.

    Returns:
        The same values as float32, NaN where not valid.
    """
    return torch.where(valid[:, None], image.float(), torch.nan)


def _first_step(facts: ExportFacts) -> tuple[list[float], list[float]]:
    """(offset, divisor) of each channel, or of all: a Standardize of the images, or their scale."""
    standardize = None if facts.info.data is None else facts.info.data.standardize
    if standardize is not None:
        return list(standardize.mean), [std or 1.0 for std in standardize.std]
    return [0.0], [round(1 / scale_of(np.dtype(facts.dtype)))]
