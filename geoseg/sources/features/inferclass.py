"""InferClass: which class each feature has, from its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictInt,
    StrictStr,
    model_validator,
)

from geoseg.errors import SourceError
from geoseg.sources.features.columns import Text, as_text, column_of, counted_texts, texts_as_keys
from geoseg.sources.features.conditions import Condition
from geoseg.sources.transformedvector import VectorTransform
from geoseg.spec import AlsoWritten, FrozenMap
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

ClassRef = Annotated[StrictInt, Field(ge=0, le=255)] | Annotated[StrictStr, Field(min_length=1)]
"""A class by its id or name."""

_Found = NDArray[np.object_]
"""(feature,) an id, a name, or None where the class is not known yet."""


def _pairs(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def _checked(queries: tuple[tuple[str, ClassRef], ...]) -> tuple[tuple[str, ClassRef], ...]:
    for text, _ in queries:
        Condition.of(text)
    return queries


Queries = Annotated[
    tuple[tuple[str, ClassRef], ...],
    BeforeValidator(_pairs),
    AlsoWritten({"type": "object", "additionalProperties": {"type": ["string", "integer"]}}),
    AfterValidator(_checked),
    PlainSerializer(dict, return_type=dict[str, Any]),
]
"""{condition: class} whose order counts; see `Condition.of` for the conditions."""


class InferClass(VectorTransform):
    """Finds the class of each feature and writes it to a column, for `VectorLabels(class_by=...)`.

    The first that gives one decides: the id in `id_by`, the name in `name_by`, the value of `value_by`
    in `values`, the first condition of `queries` that holds, `default`.
    """

    type: Literal["infer_class"] = "infer_class"
    id_by: Text | None = None
    """A column of class ids: whole numbers, or text that is one; empty where not known."""
    name_by: Text | None = None
    """A column of class names, empty where not known."""
    value_by: Text | None = None
    """A column whose values `values` leads to classes."""
    values: Annotated[FrozenMap[Text, ClassRef], BeforeValidator(texts_as_keys)] = FrozenMap()
    """{value of the column: class id or name}; values are compared as text, 3.0 as "3"."""
    queries: Queries = ()
    """{condition: class id or name}, the first that holds decides. Conditions are pandas queries that may
    only compare and calculate, see `Condition.of`."""
    default: ClassRef | None = None
    """The class of all other features."""
    on_missing: Literal["warn", "raise"] = "warn"
    """Whether features without a class are left out, with a warning that counts them, or an error."""
    column: Text = "class"
    """The column to write."""

    @model_validator(mode="after")
    def _something_to_go_by(self) -> Self:
        if (self.value_by is None) == bool(self.values):
            raise ValueError(
                "value_by= (a column) and values= ({its value: class}) belong together"
            )
        ways = (self.id_by, self.name_by, self.value_by, self.default)
        if not self.queries and all(way is None for way in ways):
            raise ValueError(
                "nothing tells a class; give id_by, name_by, value_by with values, queries or default"
            )
        return self

    def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features that have a class, with the column of classes.

        Raises:
            SourceError: A column is missing, `id_by` holds what is no id, `column` is there for
                something else, or `on_missing="raise"` and a feature has no class.
        """
        import pandas as pd

        own = (self.id_by, self.name_by, self.value_by)
        if self.column in frame.columns and self.column not in own:
            raise SourceError(
                f"{name}: has a column {self.column!r} already, which the classes would overwrite; choose "
                "another with column=, or go by it with id_by=, name_by= or value_by="
            )
        found: _Found = np.full(len(frame), None, object)
        for way in self._ways(frame, name):
            unknown = pd.isna(found)
            found[unknown] = way[unknown]
        known = ~pd.isna(found)
        if not known.all():
            self._tell_of_missing(frame[~known], len(frame), name)
        classes = pd.Series(found[known], index=frame.index[known], dtype=object)
        changed: GeoDataFrame = frame[known].assign(**{self.column: classes})
        return changed

    def _ways(self, frame: GeoDataFrame, name: str) -> Iterable[_Found]:
        """(feature,) classes, by one way after the other."""
        if self.id_by is not None:
            yield self._ids(frame, self.id_by, name)
        if self.name_by is not None:
            column = column_of(frame, self.name_by, argument="name_by", name=name)
            yield np.array([as_text(value) for value in column], object)
        if self.value_by is not None:
            column = column_of(frame, self.value_by, argument="value_by", name=name)
            yield np.array([self.values.get(as_text(value) or "") for value in column], object)
        for text, target in self.queries:
            holds = Condition.of(text).holds(frame, name=name)
            yield np.where(holds, np.array(target, object), np.array(None, object))
        if self.default is not None:
            yield np.full(len(frame), self.default, object)

    def _ids(self, frame: GeoDataFrame, column: str, name: str) -> _Found:
        values = column_of(frame, column, argument="id_by", name=name)
        texts = [as_text(value) for value in values]
        wrong = [text for text in texts if text is not None and not _is_id(text)]
        if wrong:
            raise SourceError(
                f"{name}: id_by={column!r} holds what is no class id: {counted_texts(wrong)}; expected "
                "whole numbers 0 to 255; use name_by= for names, or value_by= with values="
            )
        return np.array([None if text is None else int(text) for text in texts], object)

    def _tell_of_missing(self, missing: GeoDataFrame, count: int, name: str) -> None:
        text = f"{name}: {len(missing)} of {count} features have no class"
        if self.value_by is not None:
            values = counted_texts(as_text(value) for value in missing[self.value_by])
            text += f"; their {self.value_by!r} is {values}"
        if self.on_missing == "raise":
            raise SourceError(f"{text}; name their classes, give a default=, or on_missing='warn'")
        warn(f"{text}; they are left out, unless a default= is given")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255  # noqa: PLR2004
