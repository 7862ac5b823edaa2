"""ArrayLabels: class ids in memory."""

from __future__ import annotations

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, Scores
from geoseg.labels.ids import check_ids, pad_ids
from geoseg.window import Window


class ArrayLabels(Labels):
    """Class ids in an array, and scores perhaps.

    >>> grid = Grid(height=2, width=3)
    >>> ids = np.array([[0, 1, 1], [0, 0, 255]], np.uint8)
    >>> labels = ArrayLabels(grid, ClassMap.of("background", "building"), ids)
    >>> labels.read(Window(1, 1, 1, 3))
    array([[  0, 255, 255]], dtype=uint8)
    """

    def __init__(
        self, grid: Grid, classes: ClassMap, ids: Ids, scores: Scores | None = None
    ) -> None:
        """Take the arrays as they are; they are not copied.

        Args:
            grid: Where the pixels lie.
            classes: What the ids mean.
            ids: (height, width) uint8 of the grid, `ignore_id` where nothing is known.
            scores: (class, height, width) float32 that sum to 1, in the order of `classes`.

        Raises:
            LabelError: A shape or dtype does not fit, or ids are outside the class map.
        """
        _check_shape("ids", ids.shape, grid.shape)
        check_ids(ids, classes, "ids")
        if scores is not None:
            _check_shape("scores", scores.shape, (len(classes), *grid.shape))
        self.grid = grid
        self.classes = classes
        self._ids = ids
        self._scores = scores

    def read(self, window: Window) -> Ids:
        """A copy of the ids of a window; see Labels."""
        return pad_ids(
            window,
            self.grid,
            ignore_id=self.classes.ignore_id,
            inside=lambda part: self._ids[part.slices].copy(),
        )

    def scores(self, window: Window) -> Scores:
        """A copy of the scores of a window, 0 outside the grid; see Labels."""
        if self._scores is None:
            return super().scores(window)
        scores = np.zeros((len(self.classes), *window.shape), np.float32)
        part = window.intersection(self.grid.whole)
        if part is not None:
            target = (slice(None), *part.relative_to(window).slices)
            scores[target] = self._scores[(slice(None), *part.slices)]
        return scores


def _check_shape(what: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise LabelError(
            f"{what} have shape {got}, expected {expected}, as the grid and classes say"
        )
