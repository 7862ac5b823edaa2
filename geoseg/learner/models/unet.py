"""The built-in U-Net, which needs torch only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ConfigError


class UNet(nn.Module):
    """A small U-Net that trains on a CPU, with sharp boundaries.

    The body starts with a stride of 2, so that it works on a quarter of the pixels; its logits are
    brought to full size by bilinear interpolation. What that blurs comes back from a thin branch of two
    convolutions at full resolution, whose logits are added.

    Images of any size are taken. They are padded at the right and the bottom to a multiple of the
    deepest stride, by repeating the edge, because every halving must divide evenly for the skips to fit;
    the logits are cut back. In `eval` mode each image is computed for itself.
    """

    def __init__(self, in_channels: int, classes: int, *, width: int = 24, depth: int = 4) -> None:
        """Random weights.

        Args:
            in_channels: Channels of the image.
            classes: Channels of the logits.
            width: Channels at half resolution; each of the next levels has twice as many.
            depth: Levels; the deepest has a stride of `2**depth`.

        Raises:
            ConfigError: A number is not whole or below 1.
        """
        super().__init__()
        given: dict[str, object] = {"in_channels": in_channels, "classes": classes}
        given |= {"width": width, "depth": depth}
        for key, value in given.items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"a U-Net needs a whole number >= 1 as {key}, got {value!r}")
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth)]
        steps = list(pairwise(widths))
        self.stem = _Block(in_channels, width, stride=2)
        self.down = nn.ModuleList(_Block(shallow, deep, stride=2) for shallow, deep in steps)
        self.up = nn.ModuleList(_Block(shallow + deep, shallow) for shallow, deep in steps)
        self.coarse = nn.Conv2d(width, classes, 1)
        thin = -(-width // 2)
        self.fine = nn.Sequential(
            _Block(in_channels, thin), nn.Conv2d(thin, classes, 1, bias=False)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, height, width), floats.

        Returns:
            (batch, class, height, width).
        """
        height, width = image.shape[-2:]
        image = self._padded(image)
        coarse = functional.interpolate(
            self.coarse(self._body(image)), scale_factor=2.0, mode="bilinear"
        )
        logits: Tensor = coarse + self.fine(image)
        return logits[..., :height, :width]

    def _body(self, image: Tensor) -> Tensor:
        """Features at half resolution: down to the deepest level and up again, with skips."""
        features: Tensor = self.stem(image)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            doubled = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = up(torch.cat([skip, doubled], dim=1))
        return features

    def _padded(self, image: Tensor) -> Tensor:
        # At least two cells at the deepest level: batch normalisation cannot train on a single value.
        # Numbers below 0 are divided in another way in ONNX.
        cells = ((n + self.stride - 1) // self.stride for n in image.shape[-2:])
        rows, cols = (
            max(count, 2) * self.stride - n
            for count, n in zip(cells, image.shape[-2:], strict=True)
        )
        image = functional.pad(image, (0, cols, 0, rows), mode="replicate")
        if torch.compiler.is_compiling():  # a graph with a layout in it is not one for all batches
            return image
        # The convolutions follow the layout of what they are given; on a CPU this one is 2-3x faster.
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
        # Statistics follow within a few steps: short trainings would be judged by old ones.
        nn.BatchNorm2d(out_channels, momentum=0.3),
        nn.ReLU(inplace=True),
    )
