"""From a scene to its labels: windows through a model, blended in a ring of rows, written as they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from geoseg.classes import ClassMap
from geoseg.datasets import SlidingWindowGeoDataset, collate
from geoseg.labels.accumulate import FinishedRows, ScoreAccumulator
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels, LabelStore, LabelWriter
from geoseg.labels.blend import Blend
from geoseg.outputs import refuse_inputs
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache
from geoseg.spec import files_of
from geoseg.window import Size, Window, pair

Model = Callable[[Tensor, Tensor], Tensor]
"""(image (batch, channel, height, width) in the native dtype, valid (batch, height, width)) to
probabilities (batch, class, height, width) float32, all on one device."""

_CACHE_BYTES = 64 << 20
_BLOCK_ROWS = 512


def predict(
    model: Model,
    scene: Scene,
    classes: ClassMap,
    *,
    store: LabelStore | None,
    size: Size,
    stride: Size | None = None,
    blend: Blend = "hann",
    batch_size: int = 8,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Labels:
    """Predict a scene window by window.

    Pixels that are not valid in the image, or outside the scene's AOI, are `ignore_id`. Windows that
    do not meet the AOI, or hold no valid pixel, never reach the model. Every batch is filled up to
    `batch_size`, so that the result does not depend on how windows fall into batches.

    Args:
        model: Gives probabilities, in the order of `classes`.
        scene: What is predicted, read as it is (a Learner gives it the Standardize of its training, see
            `geoseg.learner.standardized`); its labels are not read.
        classes: The classes of the map.
        store: Where rows are written as soon as no window touches them, in memory that does not grow
            with the height; None returns labels in memory, with float32 scores.
        size: Pixels of a window, one number or (height, width).
        stride: Pixels from window to window; None: half the size.
        blend: How overlapping windows are joined, see `geoseg.labels.blend`.
        batch_size: Windows in a step.
        workers: Processes that read; 0 reads in this one.
        device: Where the model is.

    Returns:
        The labels, read back from the store where there is one.

    Raises:
        ConfigError: The store would replace a file of the scene.
        LabelError: The model gives NaN where the image is valid.
        SourceError: The image cannot be read.
        StoreError: The map cannot be written.
    """
    if store is not None:
        refuse_inputs(files_of(store), files_of(scene))
    size = pair(size)
    step = (max(size[0] // 2, 1), max(size[1] // 2, 1)) if stride is None else pair(stride)
    windows = SlidingWindowGeoDataset([scene], size, step, normalize=False, labels=False)
    accumulator = ScoreAccumulator(
        shape=scene.grid.shape,
        classes=len(classes),
        size=size,
        stride=step,
        blend=blend,
        keep_scores=store is None,
    )
    with block_cache(_cache_for(scene)):
        loader = DataLoader(
            windows,
            batch_size,
            num_workers=workers,
            collate_fn=collate,
            generator=torch.Generator(),  # else the caller's random numbers move on
        )
        batches = tqdm(loader, desc=f"predict {scene.id}", unit="batch", disable=None, leave=False)
        rows = _finished_rows(model, batches, accumulator, batch_size, torch.device(device))
        if store is None:
            return _in_memory(rows, scene, classes)
        with store.writer(scene.grid, classes) as writer:
            _write(rows, scene, classes, writer)
    return store.read()


def _finished_rows(
    model: Model,
    batches: Any,
    accumulator: ScoreAccumulator,
    batch_size: int,
    device: torch.device,
) -> Iterator[FinishedRows]:
    """Rows in order, from batches in the order of the windows."""
    for whole in batches:
        batch = _measured_windows(whole)
        count = len(batch["row"])
        if not count:
            continue
        image = _filled_up(batch["image"], batch_size)
        valid = _filled_up(batch["valid"], batch_size)
        with torch.inference_mode():
            scores = model(image.to(device), valid.to(device))[:count].float().cpu().numpy()
        measured = batch["valid"].numpy()
        for i in range(count):
            window = Window(int(batch["row"][i]), int(batch["col"][i]), *measured.shape[1:])
            yield from accumulator.add(window, scores[i], measured[i])
    yield from accumulator.finish()


def _measured_windows(batch: dict[str, Any]) -> dict[str, Any]:
    """The windows of a batch that hold a valid pixel."""
    seen = batch["valid"].flatten(1).any(dim=1)
    if seen.all():
        return batch
    return {key: batch[key][seen] for key in ("image", "valid", "row", "col")}


def _filled_up(part: Tensor, batch_size: int) -> Tensor:
    """The same batch with zeros up to its full length: kernels may differ from length to length."""
    missing = batch_size - len(part)
    if not missing:
        return part
    return torch.cat([part, torch.zeros((missing, *part.shape[1:]), dtype=part.dtype)])


def _write(
    rows: Iterator[FinishedRows], scene: Scene, classes: ClassMap, writer: LabelWriter
) -> None:
    for part in rows:
        height, width = part.channels.shape
        writer.write(Window(part.row, 0, height, width), _ids(part, scene, classes))


def _in_memory(rows: Iterator[FinishedRows], scene: Scene, classes: ClassMap) -> ArrayLabels:
    ids = np.full(scene.grid.shape, classes.ignore_id, np.uint8)
    scores = np.zeros((len(classes), *scene.grid.shape), np.float32)
    for part in rows:
        place = slice(part.row, part.row + len(part.channels))
        ids[place] = _ids(part, scene, classes)
        if part.scores is not None:
            scores[:, place] = part.scores
    return ArrayLabels(scene.grid, classes, ids, scores=scores)


def _ids(
    part: FinishedRows, scene: Scene, classes: ClassMap
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Class ids of finished rows, ignored where nothing was measured and outside the AOI."""
    ids = part.channels
    if classes.ids != tuple(range(len(classes))):
        ids = classes.id_table()[ids]
    known = part.covered
    if (area := scene.area) is not None:
        known = known & area.mask(Window(part.row, 0, *ids.shape))
    if not known.all():
        ids = np.where(known, ids, np.uint8(classes.ignore_id))
    return ids


def _cache_for(scene: Scene) -> int:
    """Two rows of blocks of the image, which is all that reading from top to bottom needs."""
    image = scene.image
    row = image.grid.width * len(image.band_names) * np.dtype(image.dtype).itemsize
    return int(max(_CACHE_BYTES, 2 * _BLOCK_ROWS * row))
