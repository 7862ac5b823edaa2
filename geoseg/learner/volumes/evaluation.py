"""VolumeEvaluation: how good predicted volumes are, overall and each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.labels import metrics
from geoseg.learner.volumes import overlaps
from geoseg.learner.volumes.overlaps import Overlaps
from geoseg.learner.volumes.predicted import PredictedVolume
from geoseg.outputs import written_whole
from geoseg.volumes.rle import Rle
from geoseg.volumes.volume import Volume

_PLANES = 16
"""Decoded at once."""


@dataclass(frozen=True, eq=False)
class VolumeEvaluation:
    """How good a prediction is, overall and for each volume.

    A class that is in neither truth nor prediction has no Dice and no IoU (None), and is left out of means.
    """

    classes: ClassMap
    """In the order of the counts; background first, unless classes may overlap."""
    volumes: Mapping[str, Overlaps]
    """Name to (class, 3) voxels: in both truth and prediction, in the truth, in the prediction."""

    @cached_property
    def overall(self) -> Overlaps:
        """All volumes as one: their counts are added up, so that each voxel weighs the same."""
        total: Overlaps = np.sum(list(self.volumes.values()), axis=0)
        return total

    @property
    def dice(self) -> dict[str, float | None]:
        """Of each class, over all volumes."""
        return dict(zip(self.classes.names, overlaps.dice(self.overall), strict=True))

    @property
    def iou(self) -> dict[str, float | None]:
        """Of each class, over all volumes."""
        return dict(zip(self.classes.names, overlaps.iou(self.overall), strict=True))

    @property
    def mean_dice(self) -> float | None:
        """Over the classes that occur."""
        return metrics.mean(overlaps.dice(self.overall))

    @property
    def mean_iou(self) -> float | None:
        """Over the classes that occur."""
        return metrics.mean(overlaps.iou(self.overall))

    def to_dict(self) -> dict[str, Any]:
        """`overall` and `volumes`, each with `mean_dice`, `mean_iou` and `per_class`; no value is None."""
        volumes = {name: self._told(counts) for name, counts in self.volumes.items()}
        return {"overall": self._told(self.overall), "volumes": volumes}

    def to_json(self) -> str:
        """The same as JSON; what has no value is null."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def table(self) -> str:
        """A line for each class and one for the means, as text for people."""
        dice, iou = self.dice, self.iou
        rows = [
            ("", "Dice", "IoU"),
            *((name, _number(dice[name]), _number(iou[name])) for name in self.classes.names),
            ("mean", _number(self.mean_dice), _number(self.mean_iou)),
        ]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{name:<{width}}  {dice:>6}  {iou:>6}" for name, dice, iou in rows)

    def save(self, uri: str) -> None:
        """Write the JSON to a file, whole or not at all.

        Raises:
            StoreError: The folder cannot be written.
        """
        with written_whole(uri) as path:
            path.write_text(self.to_json() + "\n", encoding="utf-8")

    def _told(self, counts: Overlaps) -> dict[str, Any]:
        dice, iou = overlaps.dice(counts), overlaps.iou(counts)
        per_class = [
            {
                "name": info.name,
                "dice": dice[number],
                "iou": iou[number],
                "truth": int(counts[number, 1]),
                "predicted": int(counts[number, 2]),
            }
            for number, info in enumerate(self.classes.classes)
        ]
        return {
            "mean_dice": metrics.mean(dice),
            "mean_iou": metrics.mean(iou),
            "per_class": per_class,
        }


def truth_of(row: Volume, classes: tuple[str, ...]) -> tuple[Rle, ...]:
    """The masks of a volume that a prediction is compared with.

    Args:
        row: The volume.
        classes: What the model tells apart, but the background.

    Raises:
        LabelError: The volume has no masks, or of other classes, or they are damaged.
    """
    rles = row.rles()
    if rles is None:
        raise LabelError(f"volume {row.name!r} has no masks to compare with")
    if row.classes != classes:
        raise LabelError(
            f"volume {row.name!r} has masks of {list(row.classes)}, but the model tells apart "
            f"{list(classes)}; give volumes of the same classes in the same order"
        )
    return rles


def compared(predicted: PredictedVolume, row: Volume) -> Overlaps:
    """What a prediction has in common with the masks of a volume, some planes at a time.

    What is not valid in the image is left out of all counts.

    Raises:
        LabelError: The volume has no masks, or of other classes.
    """
    rles = truth_of(row, predicted.foreground)
    depth, height, width = row.shape
    total = np.zeros((len(predicted.classes), 3), np.int64)
    for plane in range(0, depth, _PLANES):
        planes = slice(plane, min(plane + _PLANES, depth))
        box = planes, slice(0, height), slice(0, width)
        truth = np.stack([rle.window(box) for rle in rles])
        if predicted.exclusive:
            ids = np.array(predicted.classes.ids)[:, None, None, None]
            found = predicted.voxels[planes] == ids
            truth = np.concatenate([~truth.any(axis=0, keepdims=True), truth])
        else:
            found = predicted.voxels[:, planes].astype(bool)
        if predicted.valid is not None:
            truth &= predicted.valid[planes]
            found &= predicted.valid[planes]
        total += overlaps.of_masks(truth, found)
    return total


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
