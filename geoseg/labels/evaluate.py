"""evaluate: a prediction against the truth, block by block, in one pooled confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels import metrics
from geoseg.labels.base import Labels
from geoseg.labels.evaluation.counts import SceneCounts
from geoseg.labels.evaluation.errormap import ErrorKind
from geoseg.labels.evaluation.errormap import error_map as written_errors
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.evaluation.nearest import brought_onto, placed
from geoseg.labels.table import evaluation_table
from geoseg.outputs import written_whole
from geoseg.sources.base import VectorSource
from geoseg.sources.handles import block_cache

_CACHE_BYTES = 16 << 20
"""GDAL's decoded blocks while files are read from top to bottom, unless the rows are very wide."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a prediction is, overall and for each scene."""

    classes: ClassMap
    """The classes, in the order of the matrices."""
    scenes: Mapping[str, SceneCounts]
    """Name to counts."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers should know, such as that grids differed."""

    @cached_property
    def overall(self) -> SceneCounts:
        """All scenes as one: their counts are added up, so that each pixel weighs the same."""
        parts = list(self.scenes.values())
        return parts[0] if len(parts) == 1 else SceneCounts.pooled(parts)

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
        scenes = {name: part.overall for name, part in parts.items()}
        notes = tuple(f"{name}: {note}" for name, part in parts.items() for note in part.notes)
        return cls(first.classes, scenes, notes)

    def to_dict(self) -> dict[str, Any]:
        """`overall` and `scenes`, each with what `SceneCounts.to_dict` gives, and `notes`."""
        scenes = {name: part.to_dict(self.classes) for name, part in self.scenes.items()}
        overall = self.overall.to_dict(self.classes)
        return {"overall": overall, "scenes": scenes, "notes": list(self.notes)}

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
    truth: Labels,
    prediction: Labels,
    aoi: VectorSource | None = None,
    *,
    name: str = "scene",
    boundary_px: int | None = None,
    object_iou: float | None = None,
    bootstrap: int = 0,
    block_px: int = 512,
    seed: int = 0,
    error_map: str | None = None,
    error_kind: ErrorKind = "right",
) -> Evaluation:
    """Compare two labels block by block; memory grows with the width only.

    Left out are the pixels that the truth ignores or whose centre is outside the AOI (`ignored`), and
    of the others those that the prediction ignores (`unpredicted`). A truth on another grid is brought
    onto that of the prediction, each pixel taking the id at its centre; `Evaluation.notes` says so.

    Args:
        truth: What is right.
        prediction: What is judged.
        aoi: Where to compare; None: everywhere.
        name: What the result calls the scene.
        boundary_px: Boundary IoU too, of pixels this near to a class boundary; see `BoundaryCounter`.
        object_iou: Precision, recall and F1 of objects (4-connected regions) too, which are the same from
            this IoU on, such as 0.5; see `ObjectCounter`.
        bootstrap: Resamples of blocks for 95 % intervals, such as 1000; see `Blocks`.
        block_px: Pixels a side of such a block.
        seed: The resamples follow from it.
        error_map: A local path for a GeoTIFF of errors: 0 right, 1 wrong, 255 left out.
        error_kind: "pairs": that map tells true and predicted class; see `error_classes`.

    Raises:
        ConfigError: A number is out of range, or pairs of classes are too many for a map.
        GridError: The grids differ and one has no CRS, or they share no ground.
        LabelError: The class maps differ, or ids are outside them.
        StoreError: The map of errors cannot be written.
    """
    grid = prediction.grid
    _check_crs(truth.grid, grid, name)
    truth, note = brought_onto(truth, grid)
    with ExitStack() as stack:
        errors = None
        if error_map is not None:
            written = written_errors(error_map, grid, truth.classes, error_kind)
            errors = stack.enter_context(written)
        judge = Evaluator(
            grid,
            truth.classes,
            predicted_classes=prediction.classes,
            name=name,
            boundary_px=boundary_px,
            object_iou=object_iou,
            bootstrap=bootstrap,
            block_px=block_px,
            seed=seed,
            errors=errors,
        )
        stack.enter_context(block_cache(max(_CACHE_BYTES, 4 * 512 * grid.width)))
        compare = judge.against(truth, aoi)
        for window in prediction.blocks():
            compare(window, prediction.read(window))
    return Evaluation(truth.classes, {name: judge.result()}, () if note is None else (note,))


def _check_crs(truth: Grid, prediction: Grid, name: str) -> None:
    same = truth.shape == prediction.shape and truth.offset_of(prediction) == (0, 0)
    if same or (truth.crs is not None and prediction.crs is not None):
        return
    raise GridError(
        f"scene {name!r}: the truth is on another grid than the prediction, and cannot be brought onto it "
        f"without a CRS of both: {placed(truth)}; and {placed(prediction)}"
    )
