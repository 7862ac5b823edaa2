"""Windows of all rows as one array, and whether they lie on their masks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.sampling.windowindex.columns import told
from geoseg.sampling.windowindex.masks import Masks

Boxes = NDArray[np.int64]
"""(row, 4): row, col, height, width of each window, in pixels of its mask."""
Outside = Literal["error", "pad"]


def check_inside(boxes: Boxes, masks: Masks, *, outside: Outside, where: str) -> None:
    """See that windows hold pixels of their masks, and none else unless they may.

    Args:
        boxes: The windows.
        masks: The masks of all rows.
        outside: "pad": windows may reach past the mask's edges.
        where: What errors call the index.

    Raises:
        GridError: A window lies outside its mask, or reaches past its edge with outside="error".
    """
    start, stop, shapes = boxes[:, :2], boxes[:, :2] + boxes[:, 2:], masks.shapes
    apart = ((stop <= 0) | (start >= shapes)).any(axis=1)
    if apart.any():
        raise GridError(
            f"{where}: {_told(apart, boxes, masks)} lies wholly outside its mask; expected windows on the "
            "mask; remove the row, or name the mask that it belongs to"
        )
    past = ((start < 0) | (stop > shapes)).any(axis=1)
    if past.any() and outside == "error":
        raise GridError(
            f"{where}: {_told(past, boxes, masks)} reaches past the edge of its mask; expected a window "
            'within it; correct the row, or fill what is outside with outside="pad" (edge="pad" of a data set)'
        )


def bounds_of(boxes: Boxes, masks: Masks) -> NDArray[np.float64]:
    """(row, 4) left, bottom, right, top of each window in its mask's CRS."""
    found = np.empty((len(boxes), 4))
    for mask, rows in masks.groups():
        t = masks.grids[mask].transform
        row, col, height, width = boxes[rows].astype(np.float64).T
        cols, lines = np.stack([col, col + width]), np.stack([row, row + height])
        x = t.a * cols[[0, 1, 0, 1]] + t.b * lines[[0, 0, 1, 1]] + t.c
        y = t.d * cols[[0, 1, 0, 1]] + t.e * lines[[0, 0, 1, 1]] + t.f
        found[rows] = np.stack([x.min(0), y.min(0), x.max(0), y.max(0)], axis=1)
    return found


def _told(bad: Any, boxes: Boxes, masks: Masks) -> str:
    first = int(np.argmax(bad))
    row, col, height, width = boxes[first]
    mask = masks.grids[masks.rows[first]]
    return (
        f"{told(bad)}: the window of {height} x {width} px at row {row}, column {col} of "
        f"{masks.path_of(first)} ({mask.height} x {mask.width} px)"
    )
