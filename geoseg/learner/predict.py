"""From a scene to its labels: windows through a model, blended in a ring of rows, written as they end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Ids, Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.kept import KeptBands, remove_leftovers
from geoseg.labels.manifest import Manifest, Part
from geoseg.labels.parts import part_outputs, write_part
from geoseg.labels.rows import LabelRows, Shard, in_bands, row_bands, shard_rows
from geoseg.learner.prediction.fingerprint import described, machine, stamps_of
from geoseg.learner.prediction.job import Job, Model, job_for
from geoseg.learner.prediction.pipeline import behind
from geoseg.learner.prediction.stream import label_rows
from geoseg.learner.training import TTA
from geoseg.outputs import refuse_inputs
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache
from geoseg.spec import uris_of
from geoseg.version import __version__
from geoseg.window import Size, Window

Seen = Callable[[Window, Ids], None]
"""Is given finished rows of the scene, from top to bottom, with their ids (height, width)."""

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
        resume: Go on from the finished bands of an earlier run that did not come to its end.
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
        LabelError: The model gives NaN where the image is valid.
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


def perform(
    job: Job,
    store: LabelStore | None,
    *,
    resume: bool = False,
    shard: Shard | None = None,
    keep: bool = True,
    model_digest: str | None = None,
    seen: Seen | None = None,
) -> Labels:
    """Do a job; see `predict`."""
    rows = (
        range(job.scene.grid.height) if shard is None else shard_rows(job.scene.grid.height, shard)
    )
    with block_cache(_cache_for(job)):
        if store is None:
            return _in_memory(job, rows, resume=resume, seen=seen)
        uri = _uri_of(store, shard=shard, resume=resume)
        if shard is None:
            refuse_inputs(store.outputs, job.scene.inputs)
            store.check()
        elif uri is not None:
            _check_part(uri, store, job)
        if uri is not None and not resume:
            remove_leftovers(uri)
        if uri is None or (model_digest is None and not resume and shard is None):
            return _write(job, rows, store, kept=None, seen=seen)
        part = Part(manifest=_manifest(job, model_digest), rows=(rows.start, rows.stop))
        outputs = store.outputs if shard is None else part_outputs(uri, scores=job.keep_scores)
        one_band = len(list(row_bands(rows))) == 1  # of which nothing is left to go on from
        kept = None
        if resume or (keep and not one_band):
            kept = KeptBands.open(uri, part, outputs)
        with nullcontext() if kept is None else kept.until_whole():
            if shard is None:
                return _write(job, rows, store, kept=kept, seen=seen)
            return _write_part(job, uri, part, kept=kept, seen=seen)


def look(job: Job, seen: Seen) -> None:
    """Predict a scene only to see its rows, which are kept nowhere."""

    def show(piece: LabelRows) -> None:
        seen(piece.window, piece.ids)

    rows = range(job.scene.grid.height)
    with (
        block_cache(_cache_for(job)),
        closing(_rows(job, rows, None)) as pieces,
        behind(show) as give,
    ):
        for piece in pieces:
            give(piece)


def _rows(job: Job, rows: range, kept: KeptBands | None) -> Generator[LabelRows]:
    """The labels of some rows in pieces of bands, read back where an earlier run finished them."""
    stretches = [(rows, False)] if kept is None else kept.begin()
    with _progress(job, sum(len(stretch) for stretch, there in stretches if not there)) as bar:
        for stretch, there in stretches:
            if kept is not None and there:
                yield from kept.read(stretch)
                continue
            with closing(label_rows(job, stretch)) as pieces:
                yield from in_bands(_counted(pieces, bar))


def _progress(job: Job, rows: int) -> tqdm[Any]:
    """A bar of the rows that are predicted, with rate and time left; silent without a terminal."""
    told = f"predict {job.scene.id}"
    return tqdm(total=rows, desc=told, unit="row", disable=None, leave=False)


def _counted(pieces: Iterable[LabelRows], bar: tqdm[Any]) -> Generator[LabelRows]:
    for piece in pieces:
        bar.update(len(piece.ids))
        yield piece


def _write(
    job: Job, rows: range, store: LabelStore, *, kept: KeptBands | None, seen: Seen | None
) -> Labels:
    def put(piece: LabelRows) -> None:
        if kept is not None:
            kept.put(piece, job.model.note)
        writer.write(piece.window, piece.ids, piece.scores)
        if seen is not None:
            seen(piece.window, piece.ids)

    with (
        closing(_rows(job, rows, kept)) as pieces,
        store.writer(job.scene.grid, job.classes) as writer,
        behind(put) as write,
    ):
        for piece in pieces:
            write(piece)
    return store.read()


def _write_part(
    job: Job, uri: str, part: Part, *, kept: KeptBands | None, seen: Seen | None
) -> Labels:
    def pieces() -> Generator[LabelRows]:
        for piece in found:
            if kept is not None:
                kept.put(piece, job.model.note)
            if seen is not None:
                seen(piece.window, piece.ids)
            yield piece

    def notes() -> tuple[str, ...]:
        earlier = () if kept is None else kept.part.notes
        return earlier if job.model.note is None else (*earlier, job.model.note)

    with closing(_rows(job, range(*part.rows), kept)) as found:
        return write_part(uri, part, pieces(), notes=notes)


def _in_memory(job: Job, rows: range, *, resume: bool, seen: Seen | None) -> ArrayLabels:
    if resume:
        raise ConfigError(
            "resume goes on from files beside an output; pass a store, or resume=False"
        )
    whole = job.scene.grid
    grid = whole.crop(Window(rows.start, 0, len(rows), whole.width))
    ids = np.full(grid.shape, job.classes.ignore_id, np.uint8)
    scores = np.zeros((len(job.classes), *grid.shape), np.float32)
    with _progress(job, len(rows)) as bar, closing(label_rows(job, rows)) as pieces:
        for piece in _counted(pieces, bar):
            first = piece.row - rows.start
            place = slice(first, first + len(piece.ids))
            ids[place] = piece.ids
            if piece.scores is not None:
                scores[:, place] = piece.scores
            if seen is not None:
                seen(piece.window, piece.ids)
    return ArrayLabels(grid, job.classes, ids, scores=scores)


def _uri_of(store: LabelStore, *, shard: Shard | None, resume: bool) -> str | None:
    """The file beside which bands are kept, or which is a shard's part; None where there is none.

    Raises:
        ConfigError: The store cannot serve for what is asked.
    """
    if shard is not None and not isinstance(store, GeoTIFFLabelStore):
        raise ConfigError(
            f"the part of a shard is a GeoTIFF, not {type(store).__name__}; give a GeoTIFFLabelStore, "
            "and the other store to merge()"
        )
    local = [uri for uri in uris_of(store)[:1] if "://" not in uri]
    if resume and not local:
        raise ConfigError(
            f"{type(store).__name__} has no local `uri` beside which finished rows could be kept, so "
            "that no run into it can be resumed; leave out `resume`"
        )
    return local[0] if local else None  # a store of one's own may write elsewhere


def _check_part(uri: str, store: LabelStore, job: Job) -> None:
    """See that a shard's files replace nothing that they may not.

    Raises:
        ConfigError: One is read as an input.
        StoreError: One is there already and the store replaces nothing.
    """
    outputs = part_outputs(uri, scores=job.keep_scores)
    refuse_inputs(outputs, job.scene.inputs)
    there = [output for output in outputs if Path(output).exists()]
    if there and isinstance(store, GeoTIFFLabelStore) and store.mode == "error":
        raise StoreError(
            f"{', '.join(there)}: is there already and this store replaces nothing; choose another name, "
            'remove it, or pass mode="overwrite"'
        )


def _manifest(job: Job, model_digest: str | None) -> Manifest:
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
        tta=job.tta,
        precision=job.precision,
        scores=job.keep_scores,
        machine=machine(job.device),
    )


def _cache_for(job: Job) -> int:
    """Two rows of blocks of the image, which is all that reading from top to bottom needs."""
    image = job.scene.image
    width = image.grid.width if job.tiling is None else job.tiling.cols
    row = width * len(image.band_names) * np.dtype(image.dtype).itemsize
    return int(max(_CACHE_BYTES, 2 * _BLOCK_ROWS * row))
