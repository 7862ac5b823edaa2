"""Networks by name."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen, refuse_unknown


def build(name: str, in_channels: int, classes: int, **options: Any) -> nn.Module:
    """A network by its name.

    Args:
        name: "unet", the built-in `UNet`.
        in_channels: Channels of the image.
        classes: Channels of the logits.
        **options: Keyword arguments of the network: for "unet" `width` and `depth`.

    Returns:
        A module (batch, channel, height, width) -> logits (batch, class, height, width).

    Raises:
        ConfigError: The name or an option is unknown, or a number is below 1.
    """
    kind = chosen("model", name, _KINDS)
    known = set(inspect.signature(kind).parameters) - {"in_channels", "classes"}
    refuse_unknown(f"model {name!r}", options, known)
    return kind(in_channels, classes, **options)


class UNet(nn.Module):
    """A small U-Net that trains on a CPU, with sharp boundaries.

    Its first convolution has stride 2, so that the body works on a quarter of the pixels. What that
    loses comes back at the end, where the body's features meet a thin branch at full resolution.

    Images of any size are taken. They are padded at the right and the bottom to a multiple of the
    deepest stride, by repeating the edge, because every halving must divide evenly for the skips to fit;
    the logits are cut back.
    """

    def __init__(self, in_channels: int, classes: int, *, width: int = 24, depth: int = 4) -> None:
        """Random weights.

        Args:
            in_channels: Channels of the image.
            classes: Channels of the logits.
            width: Channels at half resolution; each of the next levels has twice as many.
            depth: Levels; the deepest has a stride of `2**depth`.
        """
        super().__init__()
        given = {"in_channels": in_channels, "classes": classes, "width": width, "depth": depth}
        for key, value in given.items():
            if value < 1:
                raise ConfigError(f"a U-Net needs {key} >= 1, got {value}")
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth)]
        thin = max(width // 2, 4)
        self.stem = _Block(in_channels, width, stride=2)
        self.down = nn.ModuleList(_Block(a, b, stride=2) for a, b in zip(widths, widths[1:]))
        self.up = nn.ModuleList(_Block(a + b, a) for a, b in zip(widths, widths[1:]))
        self.detail = _convolution(in_channels, thin)
        self.reduce = nn.Conv2d(width, thin, 1)
        self.head = nn.Sequential(_convolution(2 * thin, thin), nn.Conv2d(thin, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, height, width), floats.

        Returns:
            (batch, class, height, width).
        """
        height, width = image.shape[-2:]
        image = self._padded(image)
        levels = [self.stem(image)]
        for down in self.down:
            levels.append(down(levels[-1]))
        deep = levels.pop()
        for up in reversed(self.up):
            deep = up(torch.cat([levels.pop(), _doubled(deep)], dim=1))
        fine = torch.cat([self.detail(image), _doubled(self.reduce(deep))], dim=1)
        logits: Tensor = self.head(fine)
        return logits[..., :height, :width]

    def _padded(self, image: Tensor) -> Tensor:
        # Two cells at the deepest level: batch normalisation cannot train on a single value.
        height, width = (max(-(-n // self.stride), 2) * self.stride - n for n in image.shape[-2:])
        image = functional.pad(image, (0, width, 0, height), mode="replicate")
        return image.contiguous(memory_format=torch.channels_last)


class _Block(nn.Sequential):
    """Two 3 x 3 convolutions, the first with the stride."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__(
            _convolution(in_channels, out_channels, stride=stride),
            _convolution(out_channels, out_channels),
        )


def _convolution(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _doubled(features: Tensor) -> Tensor:
    """Twice the height and width."""
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


_KINDS = {"unet": UNet}
