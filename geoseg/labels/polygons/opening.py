"""What is too narrow to keep: a morphological opening of all classes at once, row after row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geoseg.labels.base import Ids, Scores
from geoseg.labels.polygons.rings import Bools


class Opening:
    """Ignores pixels that no square of one class covers.

    A pixel stays where some square of `size` x `size` pixels, all of its class and all on the grid,
    covers it. Memory: the rows pushed at once and two squares more.
    """

    def __init__(self, size: int, *, width: int, ignore_id: int) -> None:
        """Begin above the first row.

        Args:
            size: Pixels a side of the square, at least 1.
            width: Pixels of a row.
            ignore_id: The id of pixels that are left out.
        """
        self._halo = size - 1
        self._ignore_id = ignore_id
        self._ids = np.empty((0, width), np.uint8)
        self._scores: Scores | None = None
        self._given = 0  # how many rows of `_ids` were given back already
        self.left_out = 0
        """Pixels left out so far."""

    def push(self, ids: Ids, scores: Scores | None, *, last: bool) -> tuple[Ids, Scores | None]:
        """The rows that no later row can change; none perhaps.

        Args:
            ids: (height, width) of the next rows.
            scores: (height, width) of the same, or None for all rows.
            last: Whether no row follows.
        """
        self._ids = np.concatenate([self._ids, ids])
        if scores is not None:
            before = [] if self._scores is None else [self._scores]
            self._scores = np.concatenate([*before, scores])
        first, stop = self._given, len(self._ids) - (0 if last else self._halo)
        stop = max(stop, first)
        rows = self._ids[first:stop]
        kept = covered(self._ids, self._halo + 1)[first:stop]
        opened = np.where(kept, rows, np.uint8(self._ignore_id))
        self.left_out += int((opened != rows).sum())
        ready = None
        if self._scores is not None:
            ready, self._scores = np.split(self._scores, [stop - first])
        drop = max(stop - self._halo, 0)
        self._ids, self._given = self._ids[drop:], stop - drop
        return opened, ready


def covered(ids: Ids, size: int) -> Bools:
    """(height, width) whether a square of equal ids, all within the array, covers each pixel."""
    if min(ids.shape) < size:
        return np.zeros(ids.shape, bool)
    low, high = ids, ids
    for axis in (0, 1):
        low = _running(np.minimum, low, size, axis)
        high = _running(np.maximum, high, size, axis)
    covering = np.pad(low == high, size - 1)
    for axis in (0, 1):
        covering = _running(np.logical_or, covering, size, axis)
    return covering


def _running(function: Callable[..., Ids], array: Ids, size: int, axis: int) -> Ids:
    """The function over every run of `size` values; the side becomes shorter by `size - 1`."""
    span, values = 1, np.moveaxis(array, axis, 0)
    while span < size:
        step = min(span, size - span)  # runs twice as long, and those of the last step overlap
        values = function(values[:-step], values[step:])
        span += step
    return np.moveaxis(values, 0, axis)
