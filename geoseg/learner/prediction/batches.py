"""The windows of a prediction in batches, always in the same ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from geoseg.datasets import SlidingWindowGeoDataset, collate
from geoseg.datasets.windows import Place
from geoseg.learner.prediction.job import Job
from geoseg.learner.prediction.mirror import mirrored
from geoseg.learner.prediction.pipeline import ahead
from geoseg.window import Window


def batches(job: Job, part: Window, piece: Window) -> Iterator[dict[str, Any]]:
    """The windows that touch a part of the scene, in order, with a valid pixel in each.

    They are read in a thread beside the model where no other processes read.

    Args:
        job: What is done.
        part: What is asked for.
        piece: Of which it is a part; its batches are those of the whole piece, whatever the part.
    """
    found = _batches(job, part, piece)
    return found if job.workers else ahead(found)


def as_seen(batch: dict[str, Any], job: Job) -> tuple[Tensor, Tensor]:
    """Images and where they are valid, mirrored where windows reach past the scene."""
    image, valid, whole = batch["image"], batch["valid"], job.scene.grid.whole
    places = zip(batch["row"].tolist(), batch["col"].tolist(), strict=True)
    windows = [Window(row, col, *job.size) for row, col in places]
    outside = [i for i, window in enumerate(windows) if not whole.contains(window)]
    if not outside:
        return image, valid
    image, valid = image.numpy().copy(), valid.numpy().copy()
    for i in outside:
        image[i] = mirrored(image[i], windows[i], whole.shape)
        valid[i] = mirrored(valid[i], windows[i], whole.shape)
    return torch.from_numpy(image), torch.from_numpy(valid)


def _batches(job: Job, part: Window, piece: Window) -> Iterator[dict[str, Any]]:
    in_rows = job.tiling is None
    windows: SlidingWindowGeoDataset
    if in_rows and job.output is None:
        windows = SlidingWindowGeoDataset(
            [job.scene], job.size, job.stride, normalize=False, labels=False
        )
    else:
        windows = _OneByOne(job)
    places = windows.windows.of_scene[0]
    if in_rows:
        chosen = batches_of(places, part, job.batch_size)
    else:
        chosen = batches_in(places, part, piece, job.batch_size)
    loader = DataLoader(
        windows,
        batch_sampler=chosen,
        num_workers=job.workers,
        collate_fn=collate,
        generator=torch.Generator(),  # else the caller's random numbers move on
    )
    for read in loader:
        batch = _measured_windows(read)
        if len(batch["row"]):
            yield batch


class _OneByOne(SlidingWindowGeoDataset):
    """Windows that are each read by itself.

    Those of some columns, since a ring would hold whole rows of the scene, and those of a model whose
    output is smaller: they overlap by a margin on all sides and reach past the scene.
    """

    def __init__(self, job: Job) -> None:
        output = job.output or job.size
        super().__init__([job.scene], output, job.stride, normalize=False, labels=False)
        self.size, self._margin = job.size, job.margin

    def place(self, index: int) -> Place:
        number, window = super().place(index)
        rows, cols = self._margin
        return number, Window(window.row - rows, window.col - cols, *self.size)

    def _reader_at(self, place: Place) -> None:  # noqa: ARG002
        return None


def batches_of(windows: Sequence[Window], part: Window, batch_size: int) -> list[list[int]]:
    """The batches, as numbers of windows, that hold all windows that touch some whole rows.

    They are batches of the whole scene, whose first one begins with its first window.

    Args:
        windows: All windows of the scene, row by row, of one size.
        part: The rows, as wide as the scene.
        batch_size: Windows in a batch.
    """
    first, stop = _touching(windows, part)
    begin = first // batch_size * batch_size
    return [
        list(range(i, min(i + batch_size, len(windows)))) for i in range(begin, stop, batch_size)
    ]


def batches_in(
    windows: Sequence[Window], part: Window, piece: Window, batch_size: int
) -> list[list[int]]:
    """The same for some columns: of the batches of the windows that touch a piece, those that touch a part."""
    touching = range(*_touching(windows, piece))
    of_piece = [i for i in touching if windows[i].intersection(piece) is not None]
    cut = [of_piece[i : i + batch_size] for i in range(0, len(of_piece), batch_size)]
    return [batch for batch in cut if any(windows[i].intersection(part) for i in batch)]


def _touching(windows: Sequence[Window], part: Window) -> tuple[int, int]:
    """The first window that touches the rows of a part, and the one after the last."""
    if not len(windows):
        return 0, 0
    first = bisect_left(windows, part.row - windows[0].height + 1, key=lambda w: w.row)
    return first, bisect_left(windows, part.row_stop, key=lambda w: w.row)


def _measured_windows(batch: dict[str, Any]) -> dict[str, Any]:
    """The windows of a batch that hold a valid pixel."""
    seen = batch["valid"].flatten(1).any(dim=1)
    if seen.all():
        return batch
    return {key: batch[key][seen] for key in ("image", "valid", "row", "col")}
