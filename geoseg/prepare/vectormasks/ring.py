"""Where the boundaries of classes are near."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int32]
_Extreme = Callable[..., Any]


def near_boundary(classes: Classes, radius: int) -> NDArray[np.bool_]:
    """Where a pixel of another class lies so near, centre to centre.

    Pixels on both sides of a boundary are near it. Ignored pixels are no class: they have no boundary
    and are not near any.

    Args:
        classes: (height + 2 radius, width + 2 radius) numbers of classes, -1 where ignored.
        radius: Pixels, at least 1.

    Returns:
        (height, width) of the inner pixels.

    >>> near_boundary(np.array([[0] * 5 + [1] * 4] * 3, np.int32), radius=1)
    array([[False, False, False,  True,  True, False, False]])
    """
    height, width = classes.shape[0] - 2 * radius, classes.shape[1] - 2 * radius
    if classes.min() == classes.max():
        return np.zeros((height, width), bool)
    highest = _in_discs(classes, radius, np.maximum)
    none = np.int32(np.iinfo(np.int32).max)
    lowest = _in_discs(np.where(classes < 0, none, classes), radius, np.minimum)
    inner = classes[radius : radius + height, radius : radius + width]
    near: NDArray[np.bool_] = (highest > lowest) & (inner >= 0)
    return near


def _in_discs(values: Classes, radius: int, extreme: _Extreme) -> Classes:
    """The extreme of each disc, from rows that widen towards the disc's middle."""
    height, width = values.shape[0] - 2 * radius, values.shape[1] - 2 * radius
    reached, row = 0, values[:, radius : radius + width].copy()
    found = values[:height, radius : radius + width].copy()  # the topmost pixel of the disc
    for away in range(radius, -1, -1):
        reach = math.isqrt(radius * radius - away * away)
        for step in range(reached + 1, reach + 1):
            for start in (radius - step, radius + step):
                extreme(row, values[:, start : start + width], out=row)
        reached = reach
        for start in {radius - away, radius + away}:
            extreme(found, row[start : start + height], out=found)
    return found
