"""The built-in U-Net for volumes, which needs torch only."""

from __future__ import annotations

from itertools import pairwise
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner.models.anyvolume import Strides, cropped, level_strides, padded, product

_GROUPS = 8


class UNet3D(nn.Module):
    """A small U-Net for volumes that trains on a CPU, for thin stacks as well as for cubes.

    As in the built-in `UNet` the body works at half resolution, and a thin branch at full resolution brings
    back what that blurs. Height and width are halved at each level, depth only at the deepest ones, and
    not while it is thin (see `level_strides`). Convolutions are normalised within each volume, so that a
    batch of one trains as well, and a volume's logits do not hang on what shares its batch.

    Volumes of any size are taken, a depth of 1 too. They are padded at the far sides to multiples of the
    deepest strides, by repeating the edge; the logits are cut back.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int = 16,
        depth: int = 4,
        planes: int | None = None,
    ) -> None:
        """Random weights.

        Args:
            in_channels: Channels of the image.
            classes: Channels of the logits.
            width: Channels at the first level; each of the next levels has twice as many.
            depth: Levels; the deepest has a stride of `2**depth` along height and width.
            planes: Depth of the windows that it is for, from which the strides along depth follow; the
                weights do not. None: 32.

        Raises:
            ConfigError: A number is not whole or below 1.
        """
        super().__init__()
        given: dict[str, object] = {"in_channels": in_channels, "classes": classes}
        given |= {"width": width, "depth": depth}
        given |= {} if planes is None else {"planes": planes}
        for key, value in given.items():
            if type(value) is not int or value < 1:
                raise ConfigError(f"a 3D U-Net needs a whole number >= 1 as {key}, got {value!r}")
        strides = level_strides(planes, depth)
        self.strides = product(strides)
        # At least two cells along rows and columns: there is nothing to normalise in a single value.
        self.least: Strides = self.strides[0], 2 * self.strides[1], 2 * self.strides[2]
        widths = [width * 2**level for level in range(depth)]
        steps = list(pairwise(widths))
        self.stem = _Block(in_channels, width, stride=strides[0])
        self.down = nn.ModuleList(
            _Block(shallow, deep, stride=stride)
            for (shallow, deep), stride in zip(steps, strides[1:], strict=True)
        )
        self.up = nn.ModuleList(_Block(shallow + deep, shallow) for shallow, deep in steps)
        self.coarse = nn.Conv3d(width, classes, 1)
        thin = -(-width // 2)
        self.fine = nn.Sequential(
            _Block(in_channels, thin), nn.Conv3d(thin, classes, 1, bias=False)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, depth, height, width), floats.

        Returns:
            (batch, class, depth, height, width).
        """
        whole = padded(image, self.strides, least=self.least)
        coarse = functional.interpolate(
            self.coarse(self._body(whole)), size=whole.shape[2:], mode="trilinear"
        )
        return cropped(coarse + self.fine(whole), image.shape)

    def _body(self, image: Tensor) -> Tensor:
        """Features at the first level: down to the deepest level and up again, with skips."""
        features: Tensor = self.stem(image)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            larger = functional.interpolate(features, size=skip.shape[2:], mode="nearest")
            features = up(torch.cat([skip, larger], dim=1))
        return features


class _Block(nn.Sequential):
    """Two 3 x 3 x 3 convolutions, the first with the stride."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: Strides = (1, 1, 1)) -> None:
        super().__init__(
            _convolution(in_channels, out_channels, stride=stride),
            _convolution(out_channels, out_channels),
        )


def _convolution(
    in_channels: int, out_channels: int, *, stride: Strides = (1, 1, 1)
) -> nn.Sequential:
    """3 x 3 x 3 convolution, group normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(gcd(max(out_channels // 2, 1), _GROUPS), out_channels),
        nn.ReLU(inplace=True),
    )
