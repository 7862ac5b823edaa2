"""Windows for volumes of which nobody says how to cut them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from geoseg.volumes.rle import Shape

MOST: Shape = (32, 64, 64)
"""(depth, height, width) of the largest window that is chosen."""
FEWEST, MANY = 32, 256
"""Windows in an epoch, however few or many would cover the volumes."""


def window_for(shapes: Sequence[Shape]) -> Shape:
    """The largest window that median depth, height and width fill, at most 32 x 64 x 64 voxels.

    Its sides are powers of two, as networks halve them.

    Args:
        shapes: (depth, height, width) of one or more volumes.

    >>> window_for([(5, 100, 40)]), window_for([(400, 512, 512)])
    ((4, 64, 32), (32, 64, 64))
    """
    medians = np.median(np.array(shapes), axis=0).astype(int).tolist()
    depth, height, width = (
        min(1 << (median.bit_length() - 1), most)
        for median, most in zip(medians, MOST, strict=True)
    )
    return depth, height, width


def length_for(shapes: Sequence[Shape], size: Shape) -> int:
    """Windows in an epoch: as many as cover the volumes side by side, from 32 to 256.

    Args:
        shapes: (depth, height, width) of the volumes.
        size: Of a window.
    """
    covering = sum(
        prod(-(-side // span) for side, span in zip(shape, size, strict=True)) for shape in shapes
    )
    return min(max(covering, FEWEST), MANY)
