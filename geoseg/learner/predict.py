"""From a scene to its labels: windows through a model, blended in a ring of rows, written as they end."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import numpy as np
import torch

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.kept import KeptBands, remove_leftovers
from geoseg.labels.manifest import Manifest, Part
from geoseg.labels.parts import outputs_of, write_part
from geoseg.labels.rows import LabelRows, Shard, in_bands, shard_rows
from geoseg.learner.fingerprint import described, machine, stamps_of
from geoseg.learner.halving import Halving
from geoseg.learner.job import Job, Model
from geoseg.learner.pipeline import behind
from geoseg.learner.stream import label_rows
from geoseg.learner.tiling import Tiling, tiling_for
from geoseg.learner.training import TTA, check_tta
from geoseg.learner.tta import averaged
from geoseg.outputs import refuse_inputs
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache
from geoseg.spec import uris_of
from geoseg.version import __version__
from geoseg.window import Size, Window, pair

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
    tta: TTA | None = None,
    resume: bool = False,
    shard: Shard | None = None,
    max_memory: int | None = None,
    model_digest: str | None = None,
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
        stride: Pixels from window to window; None: half the size.
        blend: How overlapping windows are joined, see `geoseg.labels.blend`.
        batch_size: Windows in a step.
        workers: Processes that read; 0 reads in this one.
        device: Where the model is.
        tta: Positions of a window over which probabilities are averaged, see `geoseg.learner.tta`.
        resume: Keep finished bands of 512 rows on disk, in a hidden folder beside the output, and go on
            from those of an earlier run with `resume` that did not come to its end. The store is written
            at the end.
        shard: (i, n): predict only number i, from 0, of n stretches of the rows, and write them as a
            part for `geoseg.labels.parts.merge`; the store is a GeoTIFFLabelStore.
        max_memory: Bytes for what grows with the width of the scene, see `geoseg.learner.tiling`. A scene
            that needs more is predicted in pieces, at the cost of the windows on their seams. None: no
            bound.
        model_digest: What tells this model from all others, see
            `geoseg.learner.fingerprint.weights_digest`; needed to resume, and for the parts of shards.

    Returns:
        The labels, read back from the store where there is one; of a shard, on the grid of its rows.

    Raises:
        ConfigError: The store would replace a file of the scene; an argument is out of range; or the
            run to resume was another one.
        LabelError: The model gives NaN where the image is valid.
        SourceError: The image cannot be read.
        StoreError: The map cannot be written.

    Warns:
        UserWarning: An earlier run left finished bands, and this one is without `resume`; or the memory
            of the device was not enough for a batch, so that it goes on with smaller ones.
    """
    size = pair(size)
    step = (max(size[0] // 2, 1), max(size[1] // 2, 1)) if stride is None else pair(stride)
    check_tta(tta, size)
    keep_scores = store is None or store.wants_scores
    job = Job(
        model=Halving(averaged(model, tta), batch_size),
        scene=scene,
        classes=classes,
        size=size,
        stride=step,
        blend=blend,
        batch_size=batch_size,
        workers=workers,
        device=torch.device(device),
        keep_scores=keep_scores,
        tiling=tiling_for(scene, size, len(classes), scores=keep_scores, max_memory=max_memory),
    )
    rows = range(scene.grid.height) if shard is None else shard_rows(scene.grid.height, shard)
    with block_cache(_cache_for(scene, job.tiling)):
        if store is None:
            return _in_memory(job, rows, resume=resume)
        refuse_inputs(store.outputs, scene.inputs)
        store.check()
        if not resume:
            remove_leftovers(uris_of(store))
        if not resume and shard is None:
            return _write(label_rows(job, rows), store, job)
        uri = _uri_of(store, shard=shard)
        part = Part(manifest=_manifest(job, tta, model_digest), rows=(rows.start, rows.stop))
        if not resume:
            with closing(label_rows(job, rows)) as pieces:
                return write_part(uri, part, pieces, note=lambda: job.model.note)
        if shard is not None:
            kept = _all_kept(job, KeptBands.open(uri, part, outputs_of(uri, part)))
            labels: Labels = write_part(uri, kept.part, kept.pieces())
        else:
            kept = _all_kept(job, KeptBands.open(uri, part, store.outputs))
            labels = _write(kept.pieces(), store, job)
        kept.remove()
        return labels


def _all_kept(job: Job, kept: KeptBands) -> KeptBands:
    """The bands of an earlier run, with those that it did not come to."""
    for missing in kept.missing():
        with closing(label_rows(job, missing)) as pieces:
            kept.keep(pieces, note=lambda: job.model.note)
    return kept


def _write(rows: Generator[LabelRows], store: LabelStore, job: Job) -> Labels:
    def put(piece: LabelRows) -> None:
        writer.write(piece.window, piece.ids, piece.scores)

    with (
        closing(rows) as pieces,
        store.writer(job.scene.grid, job.classes) as writer,
        behind(put) as write,
    ):
        for piece in in_bands(pieces):
            write(piece)
    return store.read()


def _in_memory(job: Job, rows: range, *, resume: bool) -> ArrayLabels:
    if resume:
        raise ConfigError(
            "resume goes on from files beside an output; pass a store, or resume=False"
        )
    whole = job.scene.grid
    grid = whole.crop(Window(rows.start, 0, len(rows), whole.width))
    ids = np.full(grid.shape, job.classes.ignore_id, np.uint8)
    scores = np.zeros((len(job.classes), *grid.shape), np.float32)
    with closing(label_rows(job, rows)) as pieces:
        for piece in pieces:
            first = piece.row - rows.start
            place = slice(first, first + len(piece.ids))
            ids[place] = piece.ids
            if piece.scores is not None:
                scores[:, place] = piece.scores
    return ArrayLabels(grid, job.classes, ids, scores=scores)


def _uri_of(store: LabelStore, *, shard: Shard | None) -> str:
    """The file beside which bands are kept, or which is a shard's part.

    Raises:
        ConfigError: The store cannot serve for that.
    """
    if shard is not None and not isinstance(store, GeoTIFFLabelStore):
        raise ConfigError(
            f"the part of a shard is a GeoTIFF, not {type(store).__name__}; give a GeoTIFFLabelStore, "
            "and the other store to merge()"
        )
    uris = uris_of(store)
    if not uris:
        raise ConfigError(f"{type(store).__name__} has no `uri` beside which to keep finished rows")
    return uris[0]


def _manifest(job: Job, tta: str | None, model_digest: str | None) -> Manifest:
    if model_digest is None:
        raise ConfigError(
            "resume and shard must know one model from another; predict with a Learner, or pass "
            "model_digest=weights_digest(...)"
        )
    return Manifest(
        version=__version__,
        scene=described(job.scene),
        files=stamps_of(job.scene),
        model=model_digest,
        grid=job.scene.grid,
        classes=job.classes,
        size=job.size,
        stride=job.stride,
        blend=job.blend,
        batch_size=job.batch_size,
        tta=tta,
        scores=job.keep_scores,
        machine=machine(job.device),
    )


def _cache_for(scene: Scene, tiling: Tiling | None) -> int:
    """Two rows of blocks of the image, which is all that reading from top to bottom needs."""
    image = scene.image
    width = image.grid.width if tiling is None else tiling.cols
    row = width * len(image.band_names) * np.dtype(image.dtype).itemsize
    return int(max(_CACHE_BYTES, 2 * _BLOCK_ROWS * row))
