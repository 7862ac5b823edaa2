"""Boxes of one size in volumes: where they begin when they lie side by side."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.windowed.position import position_of
from geoseg.errors import ConfigError
from geoseg.volumes.rle import Shape
from geoseg.window import Edge, starts

Origin = tuple[int, int, int]
"""First plane, row and column of a box, from 0 within its volume."""
Place = tuple[int, Origin]
"""(volume number, first plane, row and column)."""
Size3D = int | Sequence[int] | NDArray[np.integer[Any]]
"""Voxels: (depth, height, width), or one number for all three."""
_AXES = 3


def triple(size: Size3D, *, name: str = "size") -> Shape:
    """(depth, height, width) of a size given as one number or as three.

    Raises:
        ConfigError: It is neither, or a number is below 1.

    >>> triple(32), triple((8, 64, 48))
    ((32, 32, 32), (8, 64, 48))
    """
    several = isinstance(size, Sequence) or (isinstance(size, np.ndarray) and size.ndim > 0)
    given: Any = size if several and not isinstance(size, str) else (size,) * _AXES
    try:
        sides = tuple(
            operator.index(side) for side in given if not isinstance(side, bool | np.bool_)
        )
    except TypeError:
        sides = ()
    if len(sides) != _AXES or min(sides) < 1:
        raise ConfigError(
            f"{name} is {size!r}, expected voxels as one whole number from 1, or (depth, height, width)"
        )
    return sides[0], sides[1], sides[2]


class SlidingBoxes:
    """All boxes of all volumes in order: plane by plane, row by row."""

    def __init__(
        self,
        shapes: Sequence[Shape],
        size: Shape,
        stride: Shape | None = None,
        edge: Edge = "flush",
    ) -> None:
        """Lay the boxes.

        Args:
            shapes: Of the volumes.
            size: Of a box.
            stride: Voxels from box to box; None: `size`, without overlap.
            edge: What happens at the far sides, see `geoseg.window.starts`.

        Raises:
            ConfigError: "flush" with a stride larger than the size, or an unknown edge.
        """
        self._starts = [
            tuple(
                tuple(starts(side, span, step, edge))
                for side, span, step in zip(shape, size, stride or size, strict=True)
            )
            for shape in shapes
        ]
        self._stops = list(accumulate(prod(map(len, axes)) for axes in self._starts))

    def __len__(self) -> int:
        return self._stops[-1]

    def __getitem__(self, index: int) -> Place:
        """Where a box lies; IndexError past the end."""
        position = position_of(index, len(self))
        number = bisect_right(self._stops, position)
        planes, rows, cols = self._starts[number]
        rest, col = divmod(position - (self._stops[number - 1] if number else 0), len(cols))
        plane, row = divmod(rest, len(rows))
        return number, (planes[plane], rows[row], cols[col])
