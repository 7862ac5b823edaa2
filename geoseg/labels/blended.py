"""Labels from the windows of a prediction loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat, zip_longest
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.accumulate import FinishedRows, ScoreAccumulator
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Scores
from geoseg.labels.blend import Blend
from geoseg.window import Size, Window, pair, sliding

_END: Any = object()
_SLACK = 1e-2
"""How far a probability may lie past 1 by rounding, in 16 bits too."""


def blended(
    windows: Iterable[Window],
    scores: Iterable[ArrayLike],
    grid: Grid,
    classes: ClassMap,
    *,
    valid: Iterable[ArrayLike] | None = None,
    size: Size | None = None,
    stride: Size | None = None,
    blend: Blend = "hann",
) -> ArrayLabels:
    """Blend the scores of overlapping windows to labels with scores, in memory.

    The windows are those of `sliding(grid, size, stride)`, row by row from the top left, in that order;
    some may be left out. Pixels that no window covers are `ignore_id`.

    >>> grid, classes = Grid(height=5, width=7), ClassMap.of("land", "water")
    >>> windows = sliding(grid, size=4, stride=3)
    >>> scores = (np.full((2, 4, 4), (0.2, 0.8)[c], np.float32) for c in (0, 1, 0, 1))
    >>> labels = blended(windows, scores, grid, classes)
    >>> labels.scores(grid.whole).shape
    (2, 5, 7)

    Args:
        windows: All of one size; those at the edge may reach past the grid where it is smaller.
        scores: For each window (class, height, width) probabilities in the order of `classes`: arrays,
            or anything that numpy takes, such as torch tensors on the CPU. Taken one by one.
        grid: Where the windows are counted.
        classes: What the channels mean.
        valid: For each window (height, width), False where its scores mean nothing; None: they all do.
        size: Pixels of a window; None: those of the first.
        stride: Pixels from window to window; None: as the windows tell. Give it where whole rows or
            columns of windows are left out.
        blend: How overlapping windows are joined, see `geoseg.labels.blend`.

    Raises:
        ConfigError: Size, stride or blend cannot be.
        GridError: A window is none of `sliding(grid, size, stride)`, or not later than the last.
        LabelError: There are more windows than scores or the reverse, or scores have another shape or
            are no probabilities.
    """
    given = tuple(windows)
    if not given:
        raise LabelError("there are no windows, so that no label is known; give at least one")
    size = given[0].shape if size is None else pair(size)
    step = _stride_of(given, size) if stride is None else pair(stride)
    _check_windows(given, grid, size, step, all_sides=stride is None)
    accumulator = ScoreAccumulator(
        shape=grid.shape,
        classes=len(classes),
        size=size,
        stride=step,
        blend=blend,
        keep_scores=True,
    )
    made = _Arrays(grid, classes)
    masks = repeat(None, len(given)) if valid is None else valid
    for i, (window, part, mask) in enumerate(zip_longest(given, scores, masks, fillvalue=_END)):
        _check_count(i, len(given), scores=part, valid=mask)
        known = None if mask is None else np.asarray(mask, bool)
        made.take(accumulator.add(window, _probabilities(part, known, window), known))
    made.take(accumulator.finish())
    return ArrayLabels(grid, classes, made.ids, scores=made.scores)


class _Arrays:
    """The whole grid in memory, filled row by row."""

    def __init__(self, grid: Grid, classes: ClassMap) -> None:
        self.ids = np.full(grid.shape, classes.ignore_id, np.uint8)
        self.scores = np.zeros((len(classes), *grid.shape), np.float32)
        self._table, self._ignored = classes.id_table(), np.uint8(classes.ignore_id)

    def take(self, finished: Iterable[FinishedRows]) -> None:
        for rows in finished:
            place = slice(rows.row, rows.row + len(rows.channels))
            self.ids[place] = np.where(rows.covered, self._table[rows.channels], self._ignored)
            if rows.scores is not None:
                self.scores[:, place] = rows.scores


def _stride_of(windows: Sequence[Window], size: tuple[int, int]) -> tuple[int, int]:
    """How far the second row of windows is from the first, and the second column."""
    rows, cols = sorted({w.row for w in windows}), sorted({w.col for w in windows})
    return (
        rows[1] - rows[0] if len(rows) > 1 else size[0],
        cols[1] - cols[0] if len(cols) > 1 else size[1],
    )


def _check_windows(
    windows: Sequence[Window],
    grid: Grid,
    size: tuple[int, int],
    stride: tuple[int, int],
    *,
    all_sides: bool,
) -> None:
    """See that the windows are of `sliding`.

    Args:
        windows: All of them.
        grid: Where they are counted.
        size: Pixels of each.
        stride: Pixels from one to the next.
        all_sides: Whether each row and each column of windows must be there, as the stride was taken
            from them.

    Raises:
        GridError: They are not.
    """
    fits = stride[0] <= size[0] and stride[1] <= size[1]
    expected = sliding(grid, size, stride) if fits else None
    rows, cols = (set(expected.rows), set(expected.cols)) if expected else (set(), set())
    for window in windows:
        if window.row not in rows or window.col not in cols or window.shape != size:
            raise GridError(_not_sliding(f"{window} is none of", grid, size, stride))
    found = {window.row for window in windows}, {window.col for window in windows}
    if all_sides and found != (rows, cols):
        raise GridError(
            _not_sliding("the windows lack whole rows or columns of", grid, size, stride)
        )


def _not_sliding(what: str, grid: Grid, size: tuple[int, int], stride: tuple[int, int]) -> str:
    return (
        f"{what} sliding(grid, size={size}, stride={stride}) on the grid of {grid.height} x "
        f"{grid.width} px; take the windows from there with its default edge, and pass size= and "
        "stride= where some of them are left out"
    )


def _check_count(i: int, windows: int, *, scores: Any, valid: Any) -> None:
    for what, value in (("scores", scores), ("valid", valid)):
        if i >= windows or value is _END:
            more = "fewer" if value is _END else "more"
            if value is _END and i >= windows:
                continue
            raise LabelError(
                f"there are {windows} windows, but {more} of `{what}`; give one for each window, in the "
                "order of the windows"
            )


def _probabilities(part: ArrayLike, known: Any, window: Window) -> Scores:
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is told below
            scores = np.asarray(part, np.float32)
    except (RuntimeError, TypeError, ValueError) as error:
        raise LabelError(
            f"the scores of {window} are no numbers that numpy takes: {error}; pass an array, or a "
            "tensor as scores.detach().float().cpu()"
        ) from error
    looked_at = scores if known is None or known.shape != scores.shape[1:] else scores[:, known]
    if looked_at.size:
        least, most = np.fmin.reduce(looked_at, axis=None), np.fmax.reduce(looked_at, axis=None)
        if least < 0 or most > 1 + _SLACK:  # NaN is neither: the accumulator tells its place
            raise LabelError(
                f"the scores of {window} lie from {least:g} to {most:g}, expected probabilities from 0 to "
                "1; bring logits there with a softmax over the classes"
            )
    return scores
