"""Where a voxel lies in the line of all voxels."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal, get_args

from geoseg.errors import ConfigError

Order = Literal["dhw", "hwd"]
"""Axes from the fastest to the slowest: "dhw" is the line that H2O's own 3D decoder reads, "hwd" puts one
slice after the other."""
Shape = tuple[int, int, int]
"""(depth, height, width) in voxels."""
_LARGEST = 2**62
"""Voxels in a volume: sums of two positions still fit 64 bits."""
_2D, _3D = 2, 3


@dataclass(frozen=True)
class Layout:
    """The line of a volume's voxels, positions counted from 0.

    >>> Layout((4, 3, 2), "dhw").places, Layout((4, 3, 2), "hwd").places
    ((1, 4, 12), (6, 1, 3))
    """

    shape: Shape
    """(depth, height, width), each at least 1."""
    order: Order
    """Axes from the fastest to the slowest."""

    @cached_property
    def size(self) -> int:
        """Voxels in the volume."""
        return prod(self.shape)

    @cached_property
    def places(self) -> Shape:
        """How far neighbours along depth, height and width are apart in the line."""
        depth, height, width = self.shape
        return (1, depth, depth * height) if self.order == "dhw" else (height * width, 1, height)

    @cached_property
    def axes(self) -> Shape:
        """Axes, 0 to 2, from the fastest to the slowest.

        Those of one voxel come last: there they change nothing, and the fastest axis is never one of
        them unless all are.
        """
        ranked = sorted(range(_3D), key=lambda axis: (self.shape[axis] == 1, self.places[axis]))
        return ranked[0], ranked[1], ranked[2]

    def voxel(self, position: int) -> Shape:
        """(d, h, w) of the voxel at a position."""
        d, h, w = (
            position // place % side for place, side in zip(self.places, self.shape, strict=True)
        )
        return d, h, w


def layout_of(shape: Shape | tuple[int, int], *, order: Order) -> Layout:
    """The layout of a volume, or of an image (height, width), which is a volume of depth 1.

    Raises:
        ConfigError: The shape is not made of two or three whole numbers from 1, or too large, or the
            order is unknown.
    """
    if order not in get_args(Order):
        raise ConfigError(
            f"order is {order!r}, expected the axes from the fastest to the slowest, one of: "
            + ", ".join(get_args(Order))
        )
    try:
        sides = tuple(operator.index(side) for side in shape)
    except TypeError:
        sides = ()
    if len(sides) not in (_2D, _3D) or min(sides) < 1:
        raise ConfigError(
            f"shape is {shape!r}, expected whole numbers from 1: (depth, height, width), or "
            "(height, width) for an image"
        )
    if prod(sides) > _LARGEST:
        raise ConfigError(f"shape is {shape!r}: {prod(sides)} voxels, expected at most 2**62")
    depth = sides[0] if len(sides) == _3D else 1
    return Layout((depth, sides[-2], sides[-1]), order)
