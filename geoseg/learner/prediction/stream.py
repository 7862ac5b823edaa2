"""From windows to rows of labels: read, through the model, blended, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.labels.accumulate import FinishedRows, ScoreAccumulator
from geoseg.labels.rows import LabelRows
from geoseg.learner.prediction.batches import as_seen, batches
from geoseg.learner.prediction.halving import filled_up
from geoseg.learner.prediction.job import Job
from geoseg.learner.prediction.tiling import Tiling
from geoseg.window import Window


class _SmallerOutput(Exception):  # noqa: N818 - it is no error
    """The model gives scores for the middle of its windows only."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.size = size


def label_rows(job: Job, rows: range) -> Generator[LabelRows]:
    """The labels of some rows of the scene, in order, from the windows that touch them.

    A batch holds the same windows whichever rows are asked for, those of the whole scene's, so that
    rows that are predicted by themselves are equal to the byte to those of the whole scene.
    """
    stop = rows.start
    try:
        for piece in _labels(job, rows):
            yield piece
            stop = piece.row + len(piece.ids)
    except _SmallerOutput as found:  # of the first batch: rows before it hold nothing
        yield from _labels(job.with_output(found.size), range(stop, rows.stop))


def _labels(job: Job, rows: range) -> Generator[LabelRows]:
    width = job.scene.grid.width
    if job.tiling is None:
        part = Window(rows.start, 0, len(rows), width)
        for finished in _finished_rows(job, part, part):
            yield LabelRows(finished.row, *_known(finished, job, col=0))
        return
    for strip in job.tiling.strips(rows, job.scene.grid.height):
        inside = range(max(strip.start, rows.start), min(strip.stop, rows.stop))
        yield _joined(job, inside, strip, job.tiling)


def _joined(job: Job, rows: range, strip: range, tiling: Tiling) -> LabelRows:
    """Rows of a strip from pieces that are predicted one by one; windows on a seam are predicted twice."""
    width = job.scene.grid.width
    ids = np.empty((len(rows), width), np.uint8)
    scores = np.empty((len(job.classes), *ids.shape), np.float32) if job.keep_scores else None
    for piece in tiling.pieces(strip, width):
        part = Window(rows.start, piece.col, len(rows), piece.width)
        for finished in _finished_rows(job, part, piece):
            first = finished.row - rows.start
            place = slice(first, first + len(finished.channels)), slice(part.col, part.col_stop)
            ids[place], found = _known(finished, job, col=part.col)
            if scores is not None:
                scores[(slice(None), *place)] = found
    return LabelRows(rows.start, ids, scores)


def _finished_rows(job: Job, part: Window, piece: Window) -> Iterator[FinishedRows]:
    """The rows of a part of a piece, by batches of the whole piece."""
    grid = job.scene.grid
    accumulator = ScoreAccumulator(
        shape=grid.shape,
        classes=len(job.classes),
        size=job.output or job.size,
        stride=job.stride,
        blend=job.blend,
        keep_scores=job.keep_scores,
        part=part,
    )
    for batch in batches(job, part, piece):
        yield from _blended(batch, job, accumulator)
    yield from accumulator.finish()


def _blended(
    batch: dict[str, Any], job: Job, accumulator: ScoreAccumulator
) -> Iterator[FinishedRows]:
    """The rows that a batch finishes; its scores are let go before the next batch is worked on."""
    scores = _scores_of(batch, job)
    (height, width), (rows, cols) = scores.shape[2:], job.margin
    measured = batch["valid"].numpy()[:, rows : rows + height, cols : cols + width]
    for i in range(len(scores)):
        window = Window(int(batch["row"][i]) + rows, int(batch["col"][i]) + cols, height, width)
        yield from accumulator.add(window, scores[i], measured[i])


def _scores_of(batch: dict[str, Any], job: Job) -> NDArray[np.float32]:
    """(window, class, height, width) of a batch.

    Raises:
        _SmallerOutput: The model gives scores for the middle of its windows only.
        LabelError: They are no scores of the windows.
    """
    image, valid = (filled_up(part, job.batch_size) for part in as_seen(batch, job))
    with torch.inference_mode():
        scores = job.model(image, valid)[: len(batch["row"])]
        array: NDArray[np.float32] = scores.numpy()
    expected = job.output or job.size
    found = (int(array.shape[-2]), int(array.shape[-1]))
    if found != expected:
        pairs = list(zip(job.size, found, strict=True))
        if job.output is not None or any(a < b or (a - b) % 2 for a, b in pairs):
            raise LabelError(
                f"for windows of {job.size[0]} x {job.size[1]} px the model gives scores of {found[0]} x "
                f"{found[1]} px; expected the same size, or the middle of each window: smaller by an "
                "even number of pixels"
            )
        raise _SmallerOutput(found)
    return array


def _known(
    part: FinishedRows, job: Job, *, col: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Class ids and scores of finished rows: ignored, and 0, where nothing was measured and outside the AOI.

    Args:
        part: The rows.
        job: What they belong to.
        col: Their first column in the scene.
    """
    ids, scores, classes = part.channels, part.scores, job.classes
    if classes.ids != tuple(range(len(classes))):
        ids = classes.id_table()[ids]
    known = part.covered
    if (area := job.scene.area) is not None:
        known = known & area.mask(Window(part.row, col, *ids.shape))
    if not known.all():
        ids = np.where(known, ids, np.uint8(classes.ignore_id))
        scores = None if scores is None else np.where(known, scores, np.float32(0))
    return ids, scores
