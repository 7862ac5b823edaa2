"""What was counted in a scene, and the scores that follow from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from geoseg.classes import ClassMap
from geoseg.grid import Floats
from geoseg.labels import metrics
from geoseg.labels.evaluation.areas import area_records, areas_note
from geoseg.labels.evaluation.bootstrap import Blocks, Intervals, as_list
from geoseg.labels.evaluation.boundary import boundary_iou
from geoseg.labels.evaluation.matching import ObjectCounts
from geoseg.labels.metrics import Confusion


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Ground that classes cover, in square metres on the ellipsoid."""

    known: Floats
    """(truth, prediction) of the pixels in the confusion matrix."""
    mapped: Floats
    """(class,) of the prediction, where the truth is not known too; inside the AOI."""

    def __add__(self, other: Areas) -> Areas:
        """Both together."""
        return Areas(self.known + other.known, self.mapped + other.mapped)


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """Pixels near class boundaries."""

    distance: int
    """How near, in pixels."""
    confusion: Confusion
    """(truth, prediction) pixels; the last slot is for all that are not near a boundary."""

    def __add__(self, other: Boundary) -> Boundary:
        """Both together."""
        return Boundary(self.distance, self.confusion + other.confusion)


@dataclass(frozen=True, eq=False)
class SceneCounts:
    """What was counted in one scene, or in several together."""

    confusion: Confusion
    """(truth, prediction) pixels, in the order of the classes."""
    ignored: int
    """Pixels left out: no truth, or outside the AOI."""
    unpredicted: int
    """Pixels left out although there is truth, because the prediction ignores them."""
    areas: Areas | None = None
    """None where the grid has no place on the Earth."""
    boundary: Boundary | None = None
    """Where boundary IoU was asked for."""
    objects: ObjectCounts | None = None
    """Where objects were asked for."""
    blocks: Blocks | None = None
    """Where intervals were asked for."""

    @classmethod
    def pooled(cls, parts: Collection[Self]) -> Self:
        """Several as one: counts are added up, so that each pixel weighs the same.

        A measure that some of them lack, or took in another way, is left out.
        """
        boundaries = [part.boundary for part in parts]
        objects = [part.objects for part in parts]
        blocks = [part.blocks for part in parts]
        return cls(
            confusion=np.sum([part.confusion for part in parts], axis=0),
            ignored=sum(part.ignored for part in parts),
            unpredicted=sum(part.unpredicted for part in parts),
            areas=_added([part.areas for part in parts]),
            boundary=_added(boundaries) if _alike(boundaries, "distance") else None,
            objects=_added(objects) if _alike(objects, "iou") else None,
            blocks=_added(blocks) if _alike(blocks, "size", "resamples", "seed") else None,
        )

    @cached_property
    def intervals(self) -> Intervals | None:
        """95 % intervals by resampling blocks; None where they were not asked for."""
        return None if self.blocks is None else self.blocks.intervals()

    def to_dict(self, classes: ClassMap) -> dict[str, Any]:
        """Counts and scores as plain values; a score without a value is None.

        `areas` (and `areas_note`, what their errors assume), `mean_boundary_iou` (and `boundary_iou` of each class), `objects` and `intervals` (and
        `iou_interval` of each class) are there where they were measured.
        """
        result = {
            "confusion": self.confusion.tolist(),
            "accuracy": metrics.accuracy(self.confusion),
            "kappa": metrics.kappa(self.confusion),
            "mean_iou": metrics.mean_iou(self.confusion),
            "mean_f1": metrics.mean(metrics.f1(self.confusion)),
            "ignored": self.ignored,
            "unpredicted": self.unpredicted,
            "per_class": self._per_class(classes),
        }
        if self.boundary is not None:
            result["boundary_px"] = self.boundary.distance
            result["mean_boundary_iou"] = metrics.mean(boundary_iou(self.boundary.confusion))
        if self.intervals is not None:
            result["intervals"] = self.intervals.to_dict()
        if self.objects is not None:
            result["objects"] = self.objects.to_dict(classes)
        if self.areas is not None:
            known, mapped = self.areas.known, self.areas.mapped
            result["areas"] = area_records(self.confusion, known, mapped, classes)
            result["areas_note"] = areas_note(result["areas"], known, mapped)
        return result

    def _per_class(self, classes: ClassMap) -> list[dict[str, Any]]:
        columns: dict[str, Any] = {
            "id": classes.ids,
            "name": classes.names,
            "iou": metrics.iou(self.confusion),
            "f1": metrics.f1(self.confusion),
            "precision": metrics.precision(self.confusion),
            "recall": metrics.recall(self.confusion),
        }
        if self.boundary is not None:
            columns["boundary_iou"] = boundary_iou(self.boundary.confusion)
        if self.intervals is not None:
            columns["iou_interval"] = [as_list(interval) for interval in self.intervals.iou]
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]


def _alike(parts: Collection[Any], *names: str) -> bool:
    """Whether all parts were taken in one way."""
    return len({tuple(getattr(part, name, None) for name in names) for part in parts}) == 1


def _added(parts: Collection[Any]) -> Any:
    """The sum; None where one is missing."""
    first, *others = parts
    for other in others:
        if first is None or other is None:
            return None
        first = first + other
    return first
