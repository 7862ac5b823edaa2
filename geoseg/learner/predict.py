"""From a scene to its labels: windows through a model, blended in a ring of rows, written as they end."""

from __future__ import annotations

import torch

from geoseg.classes import ClassMap
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.rows import Shard
from geoseg.learner.prediction.checked import Model
from geoseg.learner.prediction.job import job_for
from geoseg.learner.prediction.perform import Seen, perform
from geoseg.learner.training import TTA
from geoseg.scene import Scene
from geoseg.window import Size


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
    tta: TTA | None = None,
    max_memory: int | None = None,
    resume: bool = False,
    shard: Shard | None = None,
    keep: bool = True,
    model_digest: str | None = None,
    seen: Seen | None = None,
) -> Labels:
    """Predict a scene window by window.

    Pixels that are not valid in the image, or outside the scene's AOI, are `ignore_id`. Windows that
    do not meet the AOI, or hold no valid pixel, never reach the model. Where a window reaches past a scene
    that is smaller, the model sees the scene mirrored. Every batch is filled up to
    `batch_size`, and holds the same windows in every run, so that the result is equal to the byte
    whatever the workers, resumes and shards.

    Args:
        model: Gives probabilities, in the order of `classes`: for whole windows, or for their middle, as
            a network of unpadded convolutions does. Then windows overlap by that margin too, and past the
            edge of the scene it is the scene mirrored; `stride` is at most the size of the output.
        scene: What is predicted, read as it is (a Learner gives it the Standardize of its training, see
            `geoseg.learner.standardized`); its labels are not read.
        classes: The classes of the map.
        store: Where rows are written as soon as no window touches them, in memory that does not grow
            with the height; None returns labels in memory, with float32 scores.
        size: Pixels of a window, one number or (height, width).
        stride: Pixels from window to window; None: half the size, or half of what the model gives.
        blend: How overlapping windows are joined, see `geoseg.labels.blend`.
        batch_size: Windows in a step.
        workers: Processes that read; 0 reads in this one.
        device: Where the model is.
        tta: Positions of a window over which probabilities are averaged, see `geoseg.learner.prediction.tta`.
        max_memory: Bytes for what grows with the width of the scene, see `geoseg.learner.prediction.tiling`. A scene
            that needs more is predicted in pieces, at the cost of the windows on their seams. None: no
            bound.
        resume: Go on from the finished bands of an earlier run that did not come to its end; not with
            `keep=False`.
        shard: (i, n): predict only number i, from 0, of n stretches of the rows, and write them as a
            part for `geoseg.labels.parts.merge`; the store is a GeoTIFFLabelStore.
        keep: Keep finished bands of 512 rows in a hidden folder beside the output until that is whole, so
            that a run that is stopped or killed can be resumed. It needs `model_digest`, and for the time
            of the run a byte a pixel on disk, and 4 a class where the store wants scores.
        model_digest: What tells this model from all others, see
            `geoseg.learner.prediction.fingerprint.weights_digest`; without it nothing is kept.
        seen: Is given the rows too when they are finished, from one thread: beside the model where there
            is a store. What `geoseg.labels.judging` gives, for one.

    Returns:
        The labels, read back from the store where there is one; of a shard, on the grid of its rows.

    Raises:
        ConfigError: The store would replace a file of the scene; an argument is out of range; or the
            run to resume was another one.
        LabelError: What the model gives is no probabilities of its windows, or NaN where the image is valid.
        SourceError: The image cannot be read.
        StoreError: The map cannot be written.

    Warns:
        UserWarning: An earlier run left finished bands, and this one is without `resume`; or the memory
            of the device was not enough for a batch, so that it goes on with smaller ones.
    """
    job = job_for(
        model,
        scene,
        classes,
        size=size,
        stride=stride,
        blend=blend,
        batch_size=batch_size,
        workers=workers,
        device=device,
        tta=tta,
        max_memory=max_memory,
        keep_scores=store is None or store.wants_scores,
    )
    return perform(
        job, store, resume=resume, shard=shard, keep=keep, model_digest=model_digest, seen=seen
    )
