"""Images as numbers near [0, 1], and numbers of each channel: what normalisation is made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.errors import ConfigError


def scaled_to_unit(image: Tensor) -> Tensor:
    """Float images: unsigned integers scaled to [0, 1], other dtypes cast."""
    if image.is_floating_point():
        return image.float()
    limits = torch.iinfo(image.dtype)
    scaled = image.float()
    return scaled / limits.max if limits.min == 0 else scaled


def per_channel(values: Sequence[float] | None, channels: int, default: float) -> Tensor:
    """(channel, 1, 1) float32.

    Raises:
        ConfigError: There is not one number a channel.
    """
    if values is None:
        values = [default] * channels
    if len(values) != channels:
        raise ConfigError(f"{len(values)} statistics for {channels} channels; pass one for each")
    return torch.tensor([float(value) for value in values]).view(-1, 1, 1)
