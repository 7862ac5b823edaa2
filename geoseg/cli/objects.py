"""Two vector files: which objects of the one the other has found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from geoseg.errors import SourceError

if TYPE_CHECKING:
    from geoseg.classes import ClassMap
    from geoseg.labels.evaluation.matching import ObjectCounts
    from geoseg.sources.vector import FileVectorSource

_OWN_COLUMN = "class_name"
"""Where polygons that geoseg writes have the name of their class."""
_MOST_IDS = 255


def match_files(
    truth: str, prediction: str, *, aoi: str | None, class_by: str | None, iou: float
) -> tuple[ObjectCounts, ClassMap]:
    """Match the features of two files.

    Args:
        truth: What is right.
        prediction: What is judged.
        aoi: Polygons to which both are cut.
        class_by: A column of class names or numbers in the truth; the prediction has it too, or
            `class_name`, as geoseg writes it. None: all features are of one class.
        iou: From where on two features are the same object.

    Raises:
        SourceError: A file cannot be read, or its column holds no classes.
    """
    from geoseg.classes import ClassMap
    from geoseg.labels.evaluation.polygons import match_polygons
    from geoseg.sources.vector import FileVectorSource

    true, predicted = FileVectorSource(uri=truth), FileVectorSource(uri=prediction)
    predicted_by, classes = None, ClassMap.of("object")
    if class_by is not None:
        own = class_by in predicted.read().columns
        predicted_by = class_by if own else _OWN_COLUMN
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
    return counts, classes


def told(counts: ObjectCounts, classes: ClassMap, *, as_json: bool) -> str:
    """The counts as JSON or as a table."""
    from geoseg.labels.table import object_table

    objects = counts.to_dict(classes)
    if as_json:
        return json.dumps({"objects": objects}, indent=2, ensure_ascii=False)
    return object_table(objects)


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
