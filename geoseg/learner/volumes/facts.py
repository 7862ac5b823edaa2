"""What a model must know of the volumes that it was trained on, and whether another is like them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

import numpy as np

from geoseg.errors import BundleError, ConfigError
from geoseg.learner.facts import DataFacts
from geoseg.sources.base import has_names
from geoseg.sources.statistics import RunningStatistics
from geoseg.sources.statistics.fitted import nothing_valid
from geoseg.volumes.volume import Volume, channel_names_of
from geoseg.warn import warn

_ENOUGH = 64_000_000
"""Voxels after which more do not change a mean: of more, evenly spread planes are looked at."""


def facts_of_volumes(rows: Sequence[Volume]) -> DataFacts:
    """Channels, dtype and statistics of volumes; of more than 64 million voxels, of evenly spread planes.

    Raises:
        ConfigError: Volumes name their channels differently.
        SourceError: No voxel is valid, or a volume cannot be read.
    """
    first, names = rows[0], common_names(rows)
    total = sum(prod(row.shape) for row in rows)
    step = max(ceil(total / _ENOUGH), 1)
    statistics, seen = RunningStatistics(first.channels), False
    for row in rows:
        image = row.image()
        for plane in range(0, row.shape[0], step):
            pixels = image[:, plane]
            valid = np.isfinite(pixels).all(axis=0)
            statistics.update(pixels, valid)
            seen = seen or bool(valid.any())
    if not seen:
        raise nothing_valid()
    return DataFacts(
        band_names=names or tuple(str(number) for number in range(1, first.channels + 1)),
        dtype=np.dtype(first.dtype).name,
        statistics=statistics.result(),
        resolution_m=None,
        origin="volumes",
    )


def common_names(rows: Sequence[Volume]) -> tuple[str, ...] | None:
    """The names of the channels of volumes that name them; None where none does.

    Raises:
        ConfigError: Two name them differently.
    """
    known: tuple[str, ...] | None = None
    first = ""
    for row in rows:
        names = channel_names_of(row)
        if known is None:
            known, first = names, row.name
        elif names is not None and names != known:
            raise ConfigError(
                f"volume {row.name!r} has the channels {_listed(names)}, but volume {first!r} has "
                f"{_listed(known)}; give all volumes the same in the same order"
            )
    return known


def check_names(rows: Sequence[Volume], known: tuple[str, ...] | None) -> None:
    """Count the volumes whose channels cannot be compared by name with those that are known.

    Args:
        rows: The volumes.
        known: Of the training; None: it has none.

    Warns:
        UserWarning: There are some.
    """
    strange = [row.name for row in rows if (channel_names_of(row) is None) != (known is None)]
    if strange:
        told = (
            "only they have names" if known is None else f"only those have names, {_listed(known)}"
        )
        warn(
            f"the channels of {len(strange)} of {len(rows)} volumes, first {strange[0]!r}, cannot be compared "
            f"by name with those of the training: {told}; see that their order is the same"
        )


def check_volumes(facts: DataFacts, rows: Sequence[Volume]) -> None:
    """See that volumes are like those of training, their channels by name where both have names.

    Raises:
        BundleError: Channels or dtype of one differ.

    Warns:
        UserWarning: Channels cannot be compared by name.
    """
    for row in rows:
        _check_volume(facts, row)
    known = facts.band_names if has_names(facts.band_names) else None
    check_names(rows, known)


def _check_volume(facts: DataFacts, row: Volume) -> None:
    if row.channels != len(facts.band_names):
        raise BundleError(
            f"volume {row.name!r}: the image has {row.channels} channels, but the model was trained on "
            f"{len(facts.band_names)}; give the same in the same order"
        )
    names = channel_names_of(row)
    if names is not None and has_names(facts.band_names) and names != facts.band_names:
        raise BundleError(
            f"volume {row.name!r}: the image has the channels {_listed(names)}, but the model was trained on "
            f"{_listed(facts.band_names)}; give the same in the same order"
        )
    dtype = np.dtype(row.dtype).name
    if dtype != facts.dtype:
        raise BundleError(
            f"volume {row.name!r}: pixels are {dtype}, but the model was trained on {facts.dtype}; "
            "convert the image to the training data's dtype and units"
        )


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"
