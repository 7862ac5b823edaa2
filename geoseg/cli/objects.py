"""Two vector files: which objects of the one the other has found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.cli.polygons import OWN_COLUMNS, own_columns
from geoseg.errors import SourceError

if TYPE_CHECKING:
    from geoseg.classes import ClassMap
    from geoseg.labels.evaluation.matching import ObjectCounts
    from geoseg.sources.vector import FileVectorSource

_MOST_IDS = 255


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """What was found in two files."""

    counts: ObjectCounts
    """Of each class."""
    classes: ClassMap
    """Of both files."""
    notes: tuple[str, ...]
    """What a reader of the numbers should know."""


def match_files(
    truth: str, prediction: str, *, aoi: str | None, class_by: str | None, iou: float
) -> Matched:
    """Match the features of two files.

    Args:
        truth: What is right.
        prediction: What is judged.
        aoi: Polygons to which both are cut.
        class_by: A column of class names or numbers in the truth; the prediction has it too, or
            `class_name`, as geoseg writes it. None: `class_name` or `class_id` where both have it, noted;
            otherwise all features are of one class.
        iou: From where on two features are the same object.

    Raises:
        SourceError: A file cannot be read, or its column holds no classes.
    """
    from geoseg.classes import ClassMap
    from geoseg.labels.evaluation.polygons import match_polygons
    from geoseg.sources.vector import FileVectorSource

    true, predicted = FileVectorSource(uri=truth), FileVectorSource(uri=prediction)
    predicted_by, classes = None, ClassMap.of("object")
    notes: tuple[str, ...] = ()
    if class_by is None:
        class_by, notes = _shared_column(truth, prediction)
    if class_by is not None:
        own = class_by in predicted.read().columns
        predicted_by = class_by if own else OWN_COLUMNS[0]
        classes = _classes_in([(true, class_by), (predicted, predicted_by)])
    counts = match_polygons(
        true,
        predicted,
        classes,
        class_by=class_by,
        predicted_class_by=predicted_by,
        aoi=None if aoi is None else FileVectorSource(uri=aoi),
        iou=iou,
    )
    return Matched(counts, classes, notes)


def told(matched: Matched, *, as_json: bool) -> str:
    """The counts as JSON or as a table."""
    from geoseg.labels.table import object_table

    objects = matched.counts.to_dict(matched.classes)
    if as_json:
        found = {"objects": objects, "notes": list(matched.notes)}
        return json.dumps(found, indent=2, ensure_ascii=False)
    return "\n\n".join([object_table(objects), *(f"note: {note}" for note in matched.notes)])


def _shared_column(truth: str, prediction: str) -> tuple[str | None, tuple[str, ...]]:
    """The column of classes that both files have as geoseg writes it, and a note that says so."""
    known = own_columns(prediction)
    for column in own_columns(truth):
        if column in known:
            note = f"objects are matched by class: the column {column!r} of both (--class-by names another)"
            return column, (note,)
    return None, ()


def _classes_in(columns: list[tuple[FileVectorSource, str]]) -> ClassMap:
    """The classes that columns name, in order."""
    from geoseg.classes import ClassMap

    values: set[Any] = set()
    for source, column in columns:
        frame = source.read()
        if column not in frame.columns:
            there = ", ".join(str(name) for name in frame.columns if name != "geometry")
            raise SourceError(
                f"{source.uri}: has no column {column!r} of classes; the columns are: {there or 'none'}"
            )
        values.update(frame[column].dropna().tolist())
    if all(isinstance(value, str) for value in values) and 0 < len(values) <= _MOST_IDS:
        return ClassMap.of(*sorted(values))
    numbers = all(isinstance(value, int | float) and value == int(value) for value in values)
    if values and numbers and min(values) >= 0 and max(values) < _MOST_IDS:
        ids = sorted({int(value) for value in values})
        return ClassMap.model_validate([{"id": i, "name": str(i)} for i in ids])
    raise SourceError(
        f"{', '.join(source.uri for source, _ in columns)}: the columns of classes hold neither names only "
        f"nor whole numbers from 0 to {_MOST_IDS - 1} only: {sorted(map(str, values))[:8]}"
    )
