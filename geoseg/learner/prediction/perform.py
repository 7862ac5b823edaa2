"""A job done: its rows predicted or read back, kept, written, and shown to whoever looks on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import numpy as np
from tqdm import tqdm

from geoseg.errors import ConfigError
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Ids, Labels, LabelStore
from geoseg.labels.kept import KeptBands, remove_leftovers
from geoseg.labels.manifest import Part, tell
from geoseg.labels.parts import part_outputs, write_part
from geoseg.labels.rows import LabelRows, Shard, in_bands, row_bands, shard_rows
from geoseg.learner.prediction.job import Job
from geoseg.learner.prediction.pipeline import behind
from geoseg.learner.prediction.places import (
    cache_for,
    check_outputs,
    made_by,
    manifest_of,
    uri_of,
)
from geoseg.learner.prediction.stream import label_rows
from geoseg.sources.handles import block_cache
from geoseg.warn import warn
from geoseg.window import Window

Seen = Callable[[Window, Ids], None]
"""Is given finished rows of the scene, from top to bottom, with their ids (height, width)."""


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
    """Do a job; see `geoseg.learner.predict.predict`."""
    if resume and not keep:
        raise ConfigError(
            "resume goes on from finished rows that are kept, and with keep=False none are; leave one of the "
            "two out"
        )
    rows = (
        range(job.scene.grid.height) if shard is None else shard_rows(job.scene.grid.height, shard)
    )
    with block_cache(cache_for(job)):
        if store is None:
            return _in_memory(job, rows, resume=resume, seen=seen)
        uri = uri_of(store, shard=shard, resume=resume)
        if not resume:
            check_outputs(job, store, uri, shard=shard)
            if uri is not None:
                remove_leftovers(uri)
        if uri is None or (model_digest is None and not resume and shard is None):
            return _write(job, rows, store, kept=None, seen=seen, model_digest=model_digest)
        part = Part(manifest=manifest_of(job, model_digest), rows=(rows.start, rows.stop))
        outputs = store.outputs if shard is None else part_outputs(uri, scores=job.keep_scores)
        kept = _kept(uri, part, outputs, resume=resume, keep=keep)
        with nullcontext() if kept is None else kept.until_whole():
            if resume:  # by now what a killed run had begun to name is taken back
                check_outputs(job, store, uri, shard=shard)
                _warn_if_finished(uri, kept)
            if shard is None:
                return _write(job, rows, store, kept=kept, seen=seen, model_digest=model_digest)
            return _write_part(job, uri, part, kept=kept, seen=seen)


def _kept(
    uri: str, part: Part, outputs: Sequence[str], *, resume: bool, keep: bool
) -> KeptBands | None:
    """Where finished bands are kept; None where nobody asks, or a single one leaves nothing to go on from."""
    if not resume and (not keep or len(list(row_bands(range(*part.rows)))) == 1):
        return None
    return KeptBands.open(uri, part, outputs)


def _warn_if_finished(uri: str, kept: KeptBands | None) -> None:
    """Tell that a run is asked to be resumed that came to its end."""
    if kept is not None and not kept.bands and Path(uri).exists():
        warn(
            f"{uri}: is there already and no run into it was stopped, so that there is nothing to resume; "
            "it is predicted anew"
        )


def look(job: Job, seen: Seen) -> None:
    """Predict a scene only to see its rows, which are kept nowhere."""

    def show(piece: LabelRows) -> None:
        seen(piece.window, piece.ids)

    rows = range(job.scene.grid.height)
    with (
        block_cache(cache_for(job)),
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
    # Some terminals say that they have no columns, and tqdm would take their word.
    width = get_terminal_size().columns
    return tqdm(total=rows, desc=told, unit="row", disable=None, leave=False, ncols=width)


def _counted(pieces: Iterable[LabelRows], bar: tqdm[Any]) -> Generator[LabelRows]:
    for piece in pieces:
        bar.update(len(piece.ids))
        yield piece


def _write(
    job: Job,
    rows: range,
    store: LabelStore,
    *,
    kept: KeptBands | None,
    seen: Seen | None,
    model_digest: str | None,
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
    ):
        with behind(put) as write:
            for piece in pieces:
                write(piece)
        tell(writer, made_by(job, model_digest, _notes(job, kept)))
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

    with closing(_rows(job, range(*part.rows), kept)) as found:
        return write_part(uri, part, pieces(), notes=lambda: _notes(job, kept))


def _notes(job: Job, kept: KeptBands | None) -> tuple[str, ...]:
    """What happened on the way, in earlier runs too."""
    notes = () if kept is None else kept.part.notes
    note = job.model.note
    return notes if note is None or note in notes else (*notes, note)


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
