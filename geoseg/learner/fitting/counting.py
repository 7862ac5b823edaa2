"""How many pixels of each class training data have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed
from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.learner.samples import Samples
from geoseg.sampling.histogram import histograms_of
from geoseg.scene import Scene
from geoseg.window import Size, Window

MOST_ITEMS = 256
"""Items of a data set that are looked at; a larger one is thinned out evenly."""
_ENOUGH = 64_000_000
"""Pixels after which shares of classes do not change: larger scenes are thinned out evenly by rows, unless
exact counts are asked for."""
_ROWS = 256

Counts = NDArray[np.int64]
"""(scene or item, class) pixels that are valid and labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What was found in training data."""

    counts: Counts
    """(scene or item, class) pixels that are valid and labelled."""
    valid: NDArray[np.int64]
    """(scene or item,) valid pixels."""


def count_labels(
    samples: Samples,
    classes: ClassMap,
    *,
    exact: bool = False,
    size: Size | None = None,
    cache: str | None = None,
) -> Counted:
    """Count the labelled pixels of scenes, or of a data set's items.

    Of a data set at most 256 items are looked at. Scenes of more than 64 million pixels are thinned out, and
    what is found stands for the rest.

    Args:
        samples: Scenes with labels of these classes, or a data set.
        classes: The classes.
        exact: Look at every pixel of scenes.
        size: Of the windows which are drawn from the scenes too; see `geoseg.sampling.class_counts`.
        cache: A folder where exact counts are kept; None: nowhere.

    Raises:
        LabelError: Labels hold an id that is no class.
    """
    if isinstance(samples, Dataset):
        return _of_items(samples, classes)
    scenes = listed(samples)
    total = sum(scene.grid.height * scene.grid.width for scene in scenes)
    if not exact and total > _ENOUGH:
        return _thinned(scenes, classes, step=round(total / _ENOUGH) + 1)
    totals = np.stack([found.totals for found in histograms_of(scenes, size=size, cache=cache)])
    return Counted(totals[:, : len(classes)], totals[:, :-1].sum(axis=1))


def check_counts(samples: Samples, counted: Counted) -> None:
    """See that there is something to learn from.

    Raises:
        SceneError: A scene has no valid pixel, or none of them has a labelled one.
        LabelError: No item of a data set has a labelled pixel.
    """
    labelled = bool(counted.counts.any())
    if isinstance(samples, Dataset):
        if not labelled:
            raise LabelError(
                f"none of the {len(counted.counts)} items of the data set that were looked at has a pixel "
                "that is valid and labelled; see that `mask` holds class ids and `valid` is True somewhere"
            )
        return
    scenes = listed(samples)
    for scene, valid in zip(scenes, counted.valid, strict=True):
        if not valid:
            raise SceneError(
                f"scene {scene.id!r}: no pixel of the image is valid; see that its nodata value is "
                "right, or leave the scene out"
            )
    if not labelled:
        raise SceneError(
            f"no pixel of the training scenes ({', '.join(scene.id for scene in scenes[:4])}) has a label "
            "that counts; see that image, labels and AOI overlap and that their nodata is right"
        )


def _thinned(scenes: Sequence[Scene], classes: ClassMap, *, step: int) -> Counted:
    counts, valid = np.zeros((len(scenes), len(classes)), np.int64), np.zeros(len(scenes), np.int64)
    for number, scene in enumerate(scenes):
        found = np.zeros(256, np.int64)
        for window in _some_rows(scene, step):
            sample = scene.read(window)
            valid[number] += step * int(sample.image.valid.sum())
            if sample.labels is not None:
                ids = sample.labels[sample.image.valid]
                found += step * np.bincount(ids, minlength=len(found))
        _refuse_strange(f"scene {scene.id!r}: its labels hold", found, classes)
        counts[number] = found[list(classes.ids)]
    return Counted(counts, valid)


def _some_rows(scene: Scene, step: int) -> Iterator[Window]:
    """Windows of whole rows, evenly spread; at least the first."""
    for row in range(0, scene.grid.height, _ROWS * step):
        yield Window(row, 0, min(_ROWS, scene.grid.height - row), scene.grid.width)


def _of_items(data: Any, classes: ClassMap) -> Counted:
    if not len(data):
        raise ConfigError("the data set is empty; expected at least one item")
    count = min(len(data), MOST_ITEMS)
    rows, valid = [], []
    for number in (n * len(data) // count for n in range(count)):
        item = data[number]
        kept = np.asarray(item["valid"])
        found = np.bincount(np.asarray(item["mask"])[kept], minlength=256)
        _refuse_strange(f"item {number} of the data set: its mask holds", found, classes)
        rows.append(found[list(classes.ids)])
        valid.append(int(kept.sum()))
    return Counted(np.array(rows, np.int64), np.array(valid, np.int64))


def _refuse_strange(where: str, counts: NDArray[np.int64], classes: ClassMap) -> None:
    strange = sorted(set(np.flatnonzero(counts).tolist()) - {*classes.ids, classes.ignore_id})
    if strange:
        raise LabelError(
            f"{where} the ids {strange[:8]}, expected those of {list(classes.names)}: "
            f"{list(classes.ids)}, or {classes.ignore_id} for ignored"
        )
