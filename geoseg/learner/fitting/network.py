"""The network inside a Lightning module, for callbacks that change its weights."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

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
