"""How many pixels of each class training data have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed
from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.learner.items import item_of, refuse_ids
from geoseg.learner.samples import Samples
from geoseg.sampling.histogram import histograms_of
from geoseg.sampling.thinned import Thinned, check_ids, share_of
from geoseg.scene import Scene
from geoseg.window import Size

MOST_ITEMS = 256
"""Items of a data set that are looked at; a larger one is thinned out evenly."""
_ENOUGH = 64_000_000
"""Pixels after which shares of classes do not change: larger scenes are thinned out evenly by blocks of
rows, unless exact counts are asked for."""
_IDS = 256

Counts = NDArray[np.int64]
"""(scene or item, class) pixels that are valid and labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What was found in training data."""

    counts: Counts
    """(scene or item, class) pixels that are valid and labelled."""
    valid: NDArray[np.int64]
    """(scene or item,) valid pixels; of thinned out scenes those near the AOI."""


def count_labels(
    samples: Samples,
    classes: ClassMap,
    *,
    exact: bool = False,
    size: Size | None = None,
    cache: str | None = None,
) -> Counted:
    """Count the labelled pixels of scenes, or of a data set's items.

    Of a data set at most 256 items are looked at. Scenes of more than 64 million pixels together are
    thinned out near their AOIs, and what is found stands for the rest; where nothing is found, all is read.

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
        return _thinned(scenes, classes)
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


def _thinned(scenes: Sequence[Scene], classes: ClassMap) -> Counted:
    share = share_of(scenes, _ENOUGH)
    parts = [Thinned.of(scene, share, seed=number) for number, scene in enumerate(scenes)]
    for part in parts:
        if not part.whole:
            check_ids(part.scene)
    found = [_looked(part, classes) for part in parts]
    labelled = any(counts.any() for counts, _ in found)
    for number, (_, valid) in enumerate(found):
        # What is asked for may lie between the blocks: only a look at all pixels tells that it does not.
        if not (labelled and valid):
            found[number] = _of_whole(scenes[number], classes)
    return Counted(
        np.stack([counts for counts, _ in found]), np.array([valid for _, valid in found])
    )


def _looked(part: Thinned, classes: ClassMap) -> tuple[Counts, int]:
    """((class,) counts, valid pixels) that the blocks of a scene stand for."""
    counts, valid = np.zeros(256, np.int64), 0
    for window in part:
        sample = part.scene.read(window)
        valid += int(sample.image.valid.sum())
        if sample.labels is not None:
            counts += np.bincount(sample.labels[sample.image.valid], minlength=len(counts))
    _refuse_strange(f"scene {part.scene.id!r}: its labels hold", counts, classes)
    return counts[list(classes.ids)] * part.pixels // part.read, valid * part.pixels // part.read


def _of_whole(scene: Scene, classes: ClassMap) -> tuple[Counts, int]:
    """The same of all its pixels, also of those apart from the AOI."""
    (histogram,) = histograms_of([scene], size=None, cache=None)
    return histogram.totals[: len(classes)], int(histogram.totals[:-1].sum())


def _of_items(data: Any, classes: ClassMap) -> Counted:
    if not len(data):
        raise ConfigError("the data set is empty; expected at least one item")
    count = min(len(data), MOST_ITEMS)
    rows, valid = [], []
    for number in (n * len(data) // count for n in range(count)):
        item = item_of(data, number)
        ids, where = item.mask.numpy(), f"item {number} of the data set: its mask holds"
        # Where nothing is valid too: training looks up all of them.
        known = {*classes.ids, classes.ignore_id}
        refuse_ids(where, sorted(set(_present(ids)) - known), classes)
        rows.append(np.bincount(ids[item.valid], minlength=_IDS)[list(classes.ids)])
        valid.append(int(item.valid.sum()))
    return Counted(np.array(rows, np.int64), np.array(valid, np.int64))


def _present(ids: NDArray[np.int64]) -> list[int]:
    """Which numbers a mask holds."""
    if ids.size and ids.min() >= 0 and ids.max() < _IDS:  # much faster than to sort them
        return list(map(int, np.flatnonzero(np.bincount(ids.ravel(), minlength=_IDS))))
    return list(map(int, np.unique(ids)))


def _refuse_strange(where: str, counts: NDArray[np.int64], classes: ClassMap) -> None:
    strange = set(np.flatnonzero(counts).tolist()) - {*classes.ids, classes.ignore_id}
    refuse_ids(where, sorted(strange), classes)
