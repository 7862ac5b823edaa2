"""Boundary IoU: how well the edges of classes agree, counted while rows come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from geoseg.labels import metrics
from geoseg.labels.base import Ids
from geoseg.labels.metrics import Confusion

_PIXELS = 1 << 20
"""Pixels worked on at once."""
_UNKNOWN = 255


class BoundaryCounter:
    """Counts the pixels near class boundaries of truth and prediction, in a ring of rows.

    A pixel lies near a boundary of its class where another class has a pixel at most `distance` columns
    and rows away (a square of 2 distance + 1 pixels). The boundary IoU of a class is the IoU of its
    pixels near its boundary in the truth and those in the prediction (Cheng et al. 2021, "Boundary IoU:
    improving object-centric image segmentation evaluation"). What is not known in either, and what lies
    outside the raster, is no class and makes no boundary: an image's edge is where we stop looking.

    However many rows come at once, the counts are those of the whole array.
    """

    confusion: Confusion
    """(slots, slots) pixels by truth and prediction; the last slot is for all not near a boundary."""

    def __init__(self, width: int, *, slots: int, distance: int) -> None:
        """Begin above the first row.

        Args:
            width: Columns of the raster.
            slots: How many numbers there are; the last means not known.
            distance: Pixels, at least 1.
        """
        self.confusion = np.zeros((slots, slots), np.int64)
        self._slots, self._distance = slots, distance
        self._unknown = np.full((2, distance, width), slots - 1, np.uint8)
        self._rows = self._unknown  # not known above the first row
        # To 1 and up, and 0 for not known, which no maximum takes then.
        self._raised = np.arange(1, 257, dtype=np.uint16).astype(np.uint8)
        self._raised[slots - 1] = 0

    def update(self, truth: Ids, prediction: Ids) -> None:
        """Take the next rows, (height, width) each; not known in the same places."""
        rows = np.concatenate([self._rows, np.stack([truth, prediction])], axis=1)
        self._rows = rows[:, -2 * self._distance :].copy()
        ready, halo = rows.shape[1] - 2 * self._distance, 2 * self._distance
        step = max(_PIXELS // rows.shape[2], halo)
        for start in range(0, ready, step):
            part = rows[:, start : min(start + step, ready) + halo]
            self.confusion += metrics.confusion(
                self._near(part[0]), self._near(part[1]), self._slots
            )

    def finish(self) -> Confusion:
        """Count the last rows, and give `confusion`."""
        self.update(*self._unknown)
        return self.confusion

    def _near(self, rows: Ids) -> Ids:
        """Without their halo, the numbers near boundaries; others become the last slot."""
        d = self._distance
        own = rows[d:-d]
        low = np.where(rows == self._slots - 1, np.uint8(_UNKNOWN), rows)
        low = _around(low, d, np.minimum, outside=_UNKNOWN)
        high = _around(self._raised[rows], d, np.maximum, outside=0)
        low += 1  # where nothing is known around, 255 becomes 0, which is also the highest there
        return np.where(low == high, np.uint8(self._slots - 1), own)


def boundary_iou(confusion: Confusion) -> list[float | None]:
    """The boundary IoU of each class, from (slots, slots) counts; None where it has no boundary."""
    return metrics.iou(confusion)[:-1]


def _around(values: Ids, distance: int, least: Callable[..., Any], *, outside: int) -> Ids:
    """The minimum or maximum of the square around each pixel, for all rows but the halo's."""
    size = 2 * distance + 1
    down = _running(values, size, least)
    columns = ((0, 0), (distance, distance))
    wide = np.pad(down, columns, constant_values=outside)
    return _running(wide.T, size, least).T


def _running(values: Ids, size: int, least: Callable[..., Any]) -> Ids:
    """Of each `size` neighbouring rows: spans twice as long each time, then two that overlap."""
    span, length = values, 1
    while 2 * length <= size:
        span = least(span[:-length], span[length:])
        length *= 2
    if length < size:
        rest = size - length
        span = least(span[:-rest], span[rest:])
    return span
