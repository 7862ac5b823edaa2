"""The network inside a Lightning module: what it gives, and its weights for callbacks that change them."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError

Weights = dict[str, Tensor]
"""A network's `state_dict`."""


def network_of(module: pl.LightningModule) -> nn.Module:
    """The network of a SegmentationModule; another module is one itself."""
    network = getattr(module, "network", module)
    return network if isinstance(network, nn.Module) else module


def copied(network: nn.Module) -> Weights:
    """All weights and batch statistics as they are now."""
    with torch.no_grad():
        return {name: value.detach().clone() for name, value in network.state_dict().items()}


def logits_of(network: nn.Module, normal: Tensor, *, classes: int) -> Tensor:
    """(batch, class, height, width) logits that a network makes of normalised images.

    Raises:
        ConfigError: It gives something else.
    """
    logits: Any = network(normal)
    expected = (len(normal), classes, *normal.shape[2:])
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigError(
            f"the network gives {got}, expected a tensor {expected}: (batch, class, height, width) "
            f"logits of {classes} classes at the size of the image"
        )
    return logits
