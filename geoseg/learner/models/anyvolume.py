"""Networks that need multiples of strides along three axes, for volumes of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Strides = tuple[int, int, int]
"""Along depth, height and width."""

_THIN = 4
"""Planes that are left where the depth is halved, at least."""
_DEFAULT_PLANES = 32


class AnyVolume(nn.Module):
    """A network whose volumes may have any size: padded, and the logits cut back."""

    def __init__(self, network: nn.Module, *, strides: Strides, least: Strides) -> None:
        """Take a network.

        Args:
            network: (batch, channel, depth, height, width) to logits (batch, class, depth, height, width),
                for sides that are multiples of the strides.
            strides: Voxels.
            least: The smallest sides that the network takes, multiples of the strides.
        """
        super().__init__()
        self.network = network
        self.strides, self.least = strides, least

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, depth, height, width), floats.

        Returns:
            (batch, class, depth, height, width), a plain tensor whatever subclass goes in or comes out.
        """
        plain = image.as_subclass(Tensor)
        logits: Tensor = self.network(padded(plain, self.strides, least=self.least))
        return cropped(logits.as_subclass(Tensor), plain.shape)


def padded(image: Tensor, strides: Strides, *, least: Strides) -> Tensor:
    """Volumes with multiples of the strides as sides, by repeating the far faces.

    Repeating goes for any size, where reflecting needs a volume larger than the padding.

    Args:
        image: (batch, channel, depth, height, width).
        strides: Voxels.
        least: The smallest sides, multiples of the strides.
    """
    more = [
        max(-(-n // stride) * stride, lowest) - n
        for n, stride, lowest in zip(image.shape[-3:], strides, least, strict=True)
    ]
    if not any(more):
        return image
    depth, rows, cols = more
    return functional.pad(image, (0, cols, 0, rows, 0, depth), mode="replicate")


def cropped(logits: Tensor, shape: torch.Size) -> Tensor:
    """Without what `padded` has added to a volume of this shape."""
    depth, height, width = shape[-3:]
    return logits[..., :depth, :height, :width]


def level_strides(planes: int | None, levels: int) -> list[Strides]:
    """The strides of each level, from the first: depth is halved only by the deepest, and not while thin.

    A level halves height and width always. Depth is halved as long as 4 planes are left, by the deepest
    levels: a stack of few planes keeps them all.

    >>> level_strides(5, 3), level_strides(16, 3)
    ([(1, 2, 2), (1, 2, 2), (1, 2, 2)], [(1, 2, 2), (2, 2, 2), (2, 2, 2)])

    Args:
        planes: Depth of a training window; None: 32.
        levels: How many there are.
    """
    left, halvings = _DEFAULT_PLANES if planes is None else planes, 0
    while left // 2 >= _THIN and halvings < levels:
        left, halvings = left // 2, halvings + 1
    return [(2 if level >= levels - halvings else 1, 2, 2) for level in range(levels)]


def product(strides: Sequence[Strides]) -> Strides:
    """Of all levels together."""
    depth, height, width = 1, 1, 1
    for one in strides:
        depth, height, width = depth * one[0], height * one[1], width * one[2]
    return depth, height, width
