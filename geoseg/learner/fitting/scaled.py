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


def per_channel(
    values: Sequence[float] | None, channels: int, default: float, *, positive: bool = False
) -> Tensor:
    """(channel, 1, 1) float32.

    Args:
        values: One number a channel; None: the default for all.
        channels: How many there are.
        default: For all of them.
        positive: Whether all must be above 0, as those that are divided by.

    Raises:
        ConfigError: There is not one number a channel, or one is not finite, or not above 0.
    """
    if values is None:
        values = [default] * channels
    if len(values) != channels:
        raise ConfigError(f"{len(values)} statistics for {channels} channels; pass one for each")
    found = torch.tensor([float(value) for value in values]).view(-1, 1, 1)
    if not bool(torch.isfinite(found).all()) or (positive and not bool((found > 0).all())):
        expected = "finite and above 0; give 1 for a constant channel" if positive else "finite"
        raise ConfigError(
            f"{'std' if positive else 'mean'} is {[float(value) for value in values][:8]}, expected "
            f"one number a channel, {expected}"
        )
    return found
