"""evaluate: a prediction against the truth, block by block, in one pooled confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.aoi import AOI
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels import metrics
from geoseg.labels.base import Ids, Labels
from geoseg.labels.ids import check_ids
from geoseg.labels.metrics import Confusion
from geoseg.labels.table import evaluation_table
from geoseg.outputs import written_whole
from geoseg.sources.base import VectorSource
from geoseg.sources.handles import block_cache

_CACHE_BYTES = 16 << 20
"""GDAL's decoded blocks while files are read from top to bottom, unless the rows are very wide."""
_PIXELS = 1 << 20
"""Pixels compared at once: what is derived from them stays small beside the block."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneCounts:
    """What was counted in one scene, or in several together."""

    confusion: Confusion
    """(truth, prediction) pixels, in the order of the classes."""
    ignored: int
    """Pixels left out: no truth, or outside the AOI."""
    unpredicted: int
    """Pixels left out although there is truth, because the prediction ignores them."""

    def to_dict(self, classes: ClassMap) -> dict[str, Any]:
        """Counts and metrics as plain values; a metric without a value is None."""
        rows = zip(
            classes.classes,
            metrics.iou(self.confusion),
            metrics.f1(self.confusion),
            metrics.precision(self.confusion),
            metrics.recall(self.confusion),
            strict=True,
        )
        return {
            "confusion": self.confusion.tolist(),
            "accuracy": metrics.accuracy(self.confusion),
            "kappa": metrics.kappa(self.confusion),
            "mean_iou": metrics.mean_iou(self.confusion),
            "ignored": self.ignored,
            "unpredicted": self.unpredicted,
            "per_class": [
                {"id": c.id, "name": c.name, "iou": i, "f1": f, "precision": p, "recall": r}
                for c, i, f, p, r in rows
            ],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good a prediction is, overall and for each scene."""

    classes: ClassMap
    """The classes, in the order of the matrices."""
    scenes: Mapping[str, SceneCounts]
    """Name to counts."""

    @property
    def overall(self) -> SceneCounts:
        """All scenes as one: their counts are added up, so that each pixel weighs the same."""
        parts = self.scenes.values()
        return SceneCounts(
            confusion=np.sum([part.confusion for part in parts], axis=0),
            ignored=sum(part.ignored for part in parts),
            unpredicted=sum(part.unpredicted for part in parts),
        )

    @property
    def mean_iou(self) -> float | None:
        """The mean IoU over all scenes of the classes that occur; None without a pixel."""
        return metrics.mean_iou(self.overall.confusion)

    @classmethod
    def pool(cls, parts: Mapping[str, Evaluation]) -> Self:
        """Several evaluations as one.

        Args:
            parts: Name to evaluation; each becomes one scene.

        Raises:
            ConfigError: There is none.
            LabelError: Their class maps differ.
        """
        if not parts:
            raise ConfigError("no evaluations to pool; give at least one")
        (first_name, first), *others = parts.items()
        for name, part in others:
            if part.classes != first.classes:
                raise LabelError(
                    f"scenes {first_name!r} and {name!r} have different classes: "
                    f"{first.classes.names} and {part.classes.names}; evaluate them apart"
                )
        return cls(first.classes, {name: part.overall for name, part in parts.items()})

    def to_dict(self) -> dict[str, Any]:
        """`overall` and `scenes`, each with the counts and metrics of `SceneCounts.to_dict`."""
        scenes = {name: part.to_dict(self.classes) for name, part in self.scenes.items()}
        return {"overall": self.overall.to_dict(self.classes), "scenes": scenes}

    def to_json(self) -> str:
        """The same as JSON; what has no value is null."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def table(self) -> str:
        """The same as text for people, without the confusion matrices."""
        return evaluation_table(self.to_dict())

    def save(self, uri: str) -> None:
        """Write the JSON to a file, whole or not at all.

        Raises:
            StoreError: The folder cannot be written.
        """
        with written_whole(uri) as path:
            path.write_text(self.to_json() + "\n", encoding="utf-8")


def evaluate(
    truth: Labels, prediction: Labels, aoi: VectorSource | None = None, *, name: str = "scene"
) -> Evaluation:
    """Compare two labels on one grid; memory grows with its width only.

    Left out are the pixels that the truth ignores or whose centre is outside the AOI (`ignored`), and
    of the others those that the prediction ignores (`unpredicted`).

    Args:
        truth: What is right.
        prediction: What is judged.
        aoi: Where to compare; None: everywhere.
        name: What the result calls the scene.

    Raises:
        GridError: The grids differ.
        LabelError: The class maps differ, or ids are outside them.
    """
    _check_grids(truth.grid, prediction.grid, name)
    _check_classes(truth.classes, prediction.classes, name)
    area = None if aoi is None else AOI.of(aoi, truth.grid)
    count = len(truth.classes)
    tables = (
        _channel_table(truth.classes, truth.classes),
        _channel_table(prediction.classes, truth.classes),
    )
    counts = np.zeros((count + 1, count + 1), np.int64)
    with block_cache(max(_CACHE_BYTES, 4 * 512 * truth.grid.width)):
        for window in truth.blocks():
            true, predicted = truth.read(window), prediction.read(window)
            check_ids(true, truth.classes, f"truth of {name!r} in {window}")
            check_ids(predicted, prediction.classes, f"prediction of {name!r} in {window}")
            inside = None if area is None else area.mask(window)
            counts += _compare(true, predicted, inside, tables=tables, slots=count + 1)
    found = SceneCounts(
        confusion=counts[:count, :count],
        ignored=int(counts[count].sum()),
        unpredicted=int(counts[:count, count].sum()),
    )
    return Evaluation(truth.classes, {name: found})


def _compare(
    truth: Ids,
    prediction: Ids,
    inside: NDArray[np.bool_] | None,
    *,
    tables: tuple[bytes, bytes],
    slots: int,
) -> Confusion:
    """(slots, slots) counts of a block; the last slot is for what is ignored or not inside."""
    counts = np.zeros((slots, slots), np.int64)
    step = max(_PIXELS // truth.shape[1], 1)
    for start in range(0, len(truth), step):
        rows = slice(start, start + step)
        true, predicted = _look_up(truth[rows], tables[0]), _look_up(prediction[rows], tables[1])
        if inside is not None:
            true = np.where(inside[rows].reshape(-1), true, np.uint8(slots - 1))
        counts += metrics.confusion(true, predicted, slots)
    return counts


def _channel_table(own: ClassMap, order: ClassMap) -> bytes:
    """The place in `order` of each of 256 ids; ignored ids come after the last."""
    table = order.channel_table()
    table[own.ignore_id] = len(order)
    return table.tobytes()


def _look_up(ids: Ids, table: bytes) -> Ids:
    # Several times faster than an index by an array.
    return np.frombuffer(ids.tobytes().translate(table), np.uint8)


def _check_grids(truth: Grid, prediction: Grid, name: str) -> None:
    if truth.shape == prediction.shape and truth.offset_of(prediction) == (0, 0):
        return
    raise GridError(
        f"scene {name!r}: the truth is on another grid than the prediction: {_placed(truth)}; and "
        f"{_placed(prediction)}; bring it there: RasterLabels(source=..., classes=...)"
        ".on(prediction.grid)"
    )


def _placed(grid: Grid) -> str:
    return f"{grid.describe()} from ({grid.transform.c:.10g}, {grid.transform.f:.10g})"


def _check_classes(truth: ClassMap, prediction: ClassMap, name: str) -> None:
    true, predicted = (dict(zip(c.ids, c.names, strict=True)) for c in (truth, prediction))
    if true != predicted:
        raise LabelError(
            f"scene {name!r}: the truth has the classes {true}, but the prediction {predicted}; ids "
            "and names must agree: map the truth with RasterLabels(mapping=...)"
        )
