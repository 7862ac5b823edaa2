"""Where a job's results go, and what is told of how they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geoseg.errors import ConfigError, StoreError
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.manifest import MadeBy, Manifest
from geoseg.labels.parts import part_outputs
from geoseg.labels.rows import Shard
from geoseg.learner.prediction.fingerprint import described, machine, stamps_of
from geoseg.learner.prediction.job import Job
from geoseg.outputs import refuse_inputs
from geoseg.spec import uris_of
from geoseg.version import __version__

_CACHE_BYTES = 64 << 20
_BLOCK_ROWS = 512


def uri_of(store: LabelStore, *, shard: Shard | None, resume: bool) -> str | None:
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


def check_outputs(job: Job, store: LabelStore, uri: str | None, *, shard: Shard | None) -> None:
    """See that nothing is replaced that may not be, before any work is done.

    Raises:
        ConfigError: A file is read as an input.
        StoreError: A file is there already and the store replaces nothing.
    """
    if shard is None:
        refuse_inputs(store.outputs, job.scene.inputs)
        store.check()
    elif uri is not None:
        _check_part(uri, store, job)


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


def manifest_of(job: Job, model_digest: str | None) -> Manifest:
    """What a run is told from another by.

    Raises:
        ConfigError: Nobody told which model it is.
    """
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
        pieces=None if job.tiling is None else (job.tiling.rows, job.tiling.cols),
        scores=job.keep_scores,
        machine=machine(job.device),
    )


def cache_for(job: Job) -> int:
    """Two rows of blocks of the image, which is all that reading from top to bottom needs."""
    image = job.scene.image
    width = image.grid.width if job.tiling is None else job.tiling.cols
    row = width * len(image.band_names) * np.dtype(image.dtype).itemsize
    return int(max(_CACHE_BYTES, 2 * _BLOCK_ROWS * row))


def made_by(job: Job, model_digest: str | None, notes: tuple[str, ...]) -> MadeBy:
    """What the finished map tells."""
    return MadeBy(
        version=__version__,
        model=model_digest,
        size=job.size,
        stride=job.stride,
        blend=job.blend,
        batch_size=job.batch_size,
        tta=job.tta,
        precision=job.precision,
        notes=notes,
    )
