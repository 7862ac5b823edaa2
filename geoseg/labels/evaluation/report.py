"""Evaluation: what was found, overall and for each scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels import metrics
from geoseg.labels.evaluation.counts import SceneCounts
from geoseg.labels.table import evaluation_table
from geoseg.outputs import written_whole


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
