"""Overlapping windows of scores become rows of classes, in memory that does not grow with the height.

The sums live in a ring of as many rows as a window has. When a window of a later row of windows
comes, no window can touch the rows above it any more: they leave, and their place is used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.labels.base import Scores
from geoseg.labels.blend import Blend, blend_weights, check_blend, owned_spans
from geoseg.window import Size, Window, sliding

_CHUNK = 1 << 16
"""Pixels whose highest score is sought at once: few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRows:
    """Whole rows of a scene, or of a part of it, that no later window touches.

    The arrays are the receiver's to keep.
    """

    row: int
    """The first of the rows."""
    channels: NDArray[np.uint8]
    """(rows, width): the channel with the highest score, the lowest of equal ones; 0 where nothing
    is covered."""
    covered: NDArray[np.bool_]
    """(rows, width): True where some window had a valid pixel."""
    scores: Scores | None
    """(class, rows, width) that sum to 1, 0 where nothing is covered; None unless asked for."""


class ScoreAccumulator:
    """Blends the scores of overlapping windows; every row of the scene leaves once, in order.

    The windows are those of `sliding(shape, size, stride)`, in their order; some may be left out.
    Scores are added up in the order of the windows, so that equal input gives equal bytes: also in a
    part of the scene that is predicted by itself, from all windows that touch it.

    Memory: as many rows of the part's width as a window has, at 4 bytes a class and 1 more.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, int],
        classes: int,
        size: Size,
        stride: Size | None = None,
        blend: Blend = "hann",
        keep_scores: bool = False,
        part: Window | None = None,
    ) -> None:
        """Start above the first row of a scene, or of a part of it.

        Args:
            shape: (height, width) of the scene.
            classes: Channels of the scores, 1 to 255.
            size: Window size in pixels, one number or (height, width).
            stride: Pixels from window to window, the same way; None means `size`.
            blend: "center" takes a pixel from the window in whose middle it lies; the others are
                weighted means, see `blend_weights`.
            keep_scores: Whether the finished rows bring their scores.
            part: The pixels that are wanted; windows beside it are taken and change nothing. None:
                the whole scene.

        Raises:
            ConfigError: There is no such blend, or the numbers are out of range.
            GridError: The part reaches past the scene.
        """
        check_blend(blend)
        if not 1 <= classes <= 255:  # noqa: PLR2004
            raise ConfigError(f"classes is {classes}, expected 1 to 255")
        try:
            self._windows = sliding(shape, size, stride)
        except ValueError as error:
            raise ConfigError(f"scene of {shape[0]} x {shape[1]} px: {error}") from error
        whole = Window(0, 0, *shape)
        self._part = part = whole if part is None else part
        if not whole.contains(part):
            raise GridError(f"{part} reaches past the scene of {shape[0]} x {shape[1]} px; cut it")
        self._shape, self._keep_scores = shape, keep_scores
        rows, cols = self._windows.size
        self._sums = np.zeros((classes, rows, part.width), np.float32)
        self._covered = np.zeros((rows, part.width), bool)
        self._top = part.row  # the first row in the ring: all above have left
        self._last = (-1, -1)  # (row, col) of the last window
        self._add_up = blend != "center"
        wanted = part.row, part.row_stop
        self._row_spans = _spans(self._windows.rows, rows, shape[0], wanted, owned=not self._add_up)
        wanted = part.col, part.col_stop
        self._col_spans = _spans(self._windows.cols, cols, shape[1], wanted, owned=not self._add_up)
        self._weights: Scores | None = None
        if blend not in ("center", "mean"):
            sides = blend_weights(blend, rows)[:, None] * blend_weights(blend, cols)
            self._weights = sides.astype(np.float32)
            self._weighted = np.empty((classes, rows, cols), np.float32)

    def add(
        self, window: Window, scores: Scores, valid: NDArray[np.bool_] | None = None
    ) -> Iterator[FinishedRows]:
        """Blend in a window.

        Args:
            window: One of the windows, later in their order than the last.
            scores: (class, height, width) probabilities, for pixels outside the scene too.
            valid: (height, width), False where the scores mean nothing; None: all mean something.

        Returns:
            The rows that are finished now: some where a new row of windows begins, else none. Take
            them before the next call or later, they do not change.

        Raises:
            GridError: It is none of the windows, or not later than the last.
            LabelError: An array has another shape, or scores of finished rows are NaN or infinite.
        """
        self._check(window, scores, valid)
        finished = self._leave(min(window.row, self._part.row_stop))
        self._last = window.row, window.col
        cols = slice(*self._col_spans[window.col])
        if cols.start < cols.stop:
            place = _relative(cols, self._part.col)
            for ring, rows in self._ring(*self._row_spans[window.row]):
                inside = _relative(rows, window.row), _relative(cols, window.col)
                self._blend_in((ring, place), inside, scores, valid)
        return finished

    def finish(self) -> Iterator[FinishedRows]:
        """The rows that are left, down to the last of the scene or part.

        Raises:
            LabelError: Scores are NaN or infinite.
        """
        self._last = self._shape
        return self._leave(self._part.row_stop)

    def _check(self, window: Window, scores: Scores, valid: NDArray[np.bool_] | None) -> None:
        known = window.row in self._row_spans and window.col in self._col_spans
        if not known or window.shape != self._windows.size:
            height, width = self._windows.size
            raise GridError(
                f"{window} is none of the {height} x {width} px windows of this scene; take them "
                "from sliding(shape, size, stride)"
            )
        if (window.row, window.col) <= self._last:
            raise GridError(
                f"{window} comes after the one at row {self._last[0]}, col {self._last[1]}; give "
                "each window once, row by row"
            )
        expected = (len(self._sums), *window.shape)
        if scores.shape != expected:
            raise LabelError(f"scores of {window} have shape {scores.shape}, expected {expected}")
        if valid is not None and valid.shape != window.shape:
            raise LabelError(f"valid of {window} has shape {valid.shape}, expected {window.shape}")

    def _ring(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """Rows of the scene as (rows of the ring, rows of the scene): two pieces where it wraps."""
        length = self._covered.shape[0]
        while start < stop:
            place = start % length
            end = min(stop, start + length - place)
            yield slice(place, place + end - start), slice(start, end)
            start = end

    def _blend_in(
        self,
        target: tuple[slice, slice],
        inside: tuple[slice, slice],
        scores: Scores,
        valid: NDArray[np.bool_] | None,
    ) -> None:
        """Bring a part of a window to its place in the ring."""
        where = True if valid is None or valid[inside].all() else valid[inside]
        sums, part = self._sums[(slice(None), *target)], scores[(slice(None), *inside)]
        if self._weights is not None:
            weighted = self._weighted[:, : part.shape[1], : part.shape[2]]
            part = np.multiply(part, self._weights[inside], out=weighted)
        if self._add_up:
            np.add(sums, part, out=sums, where=where)
        else:
            np.copyto(sums, part, where=where)
        self._covered[target] |= where

    def _leave(self, row: int) -> Iterator[FinishedRows]:
        """The rows above a row; their place in the ring is empty then."""
        length, width = self._covered.shape
        held = min(row, self._top + length)
        finished = [self._take(ring, rows.start) for ring, rows in self._ring(self._top, held)]
        gap = range(max(held, self._top), row, length)  # no window came here
        self._top = max(row, self._top)
        classes = len(self._sums) if self._keep_scores else None
        return chain(finished, (_nothing(i, min(length, row - i), width, classes) for i in gap))

    def _take(self, ring: slice, row: int) -> FinishedRows:
        sums, covered = self._sums[:, ring], self._covered[ring]
        channels = highest(sums, row=row)
        scores = _normalised(sums) if self._keep_scores else None
        finished = FinishedRows(row, channels, covered.copy(), scores)
        sums.fill(0)
        covered.fill(False)
        return finished


def highest(scores: Scores, *, row: int = 0) -> NDArray[np.uint8]:
    """(height, width): the channel with the highest score, the lowest of equal ones, as argmax does.

    Args:
        scores: (class, height, width).
        row: What errors call the first row.

    Raises:
        LabelError: The highest score of a pixel is NaN or infinite.
    """
    classes, height, width = scores.shape
    channels = np.zeros((height, width), np.uint8)
    step = max(_CHUNK // width, 1)
    for i in range(0, height, step):
        best, here = scores[0, i : i + step].copy(), channels[i : i + step]
        for c in range(1, classes):
            # A later channel is a larger number: no selection is needed, which random data would slow.
            above = (scores[c, i : i + step] > best).view(np.uint8)
            np.maximum(here, np.multiply(above, np.uint8(c), out=above), out=here)
            np.maximum(best, scores[c, i : i + step], out=best)
        if not np.isfinite(best.max()):  # of NaN too the maximum is NaN
            _tell_not_finite(best, row + i)
    return channels


def _tell_not_finite(best: Scores, row: int) -> NoReturn:
    places = np.argwhere(~np.isfinite(best))
    y, x = places[0]
    what = "NaN" if np.isnan(best[y, x]) else "infinite"
    raise LabelError(
        f"the scores at row {row + y}, col {x} are {what} (NaN or infinite at {len(places) - 1} more pixels "
        f"of {len(best)} rows): look for NaN in the image where it is valid, and in the model's weights"
    )


def _normalised(sums: Scores) -> Scores:
    """Weighted sums of probabilities as probabilities.

    By their own sum and not by the windows' weights: that holds also where windows were left out.
    """
    total = sums.sum(axis=0)
    scores: Scores = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    return scores


def _nothing(row: int, rows: int, width: int, classes: int | None) -> FinishedRows:
    """Rows that no window covers."""
    scores = None if classes is None else np.zeros((classes, rows, width), np.float32)
    shape = (rows, width)
    return FinishedRows(row, np.zeros(shape, np.uint8), np.zeros(shape, bool), scores)


def _spans(
    starts: tuple[int, ...], size: int, length: int, wanted: tuple[int, int], *, owned: bool
) -> dict[int, tuple[int, int]]:
    """The start of each window on a side, and the (first, stop) wanted pixels that it brings.

    A window beside them brings none: there the stop is not above the first.
    """
    first, stop = wanted
    if owned:
        spans = owned_spans(starts, size, length).items()
        return {start: (max(a, first), min(b, stop)) for start, (a, b) in spans}
    return {start: (max(start, first), min(start + size, stop)) for start in starts}


def _relative(span: slice, start: int) -> slice:
    return slice(span.start - start, span.stop - start)
