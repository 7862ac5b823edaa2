"""Columns of features, and their values as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from geoseg.errors import SourceError
from geoseg.shortlist import some

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Text = Annotated[str, Field(min_length=1)]

_MISSING = ("NAType", "NaTType")
"""What pandas has in place of a value, by name: pandas takes long to import."""
_SHOWN = 8
"""How many values an error lists."""


def column_of(frame: GeoDataFrame, column: str, *, argument: str, name: str) -> Any:
    """A column of attributes.

    Args:
        frame: The features; without any, columns may be missing.
        column: Its name.
        argument: What names it, for the error.
        name: What the error calls the features.

    Raises:
        SourceError: There is no such column.
    """
    if column in frame.columns and column != frame.active_geometry_name:
        return frame[column]
    if not len(frame):
        return frame.geometry.astype(object)  # an empty GeoJSON has no columns
    there = [str(c) for c in frame.columns if c != frame.active_geometry_name]
    near = get_close_matches(column, there, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; name one of them"
    raise SourceError(
        f"{name}: has no column {column!r}, which {argument} names; the columns are: "
        f"{', '.join(there) or 'none'}{hint}"
    )


def as_text(value: Any) -> str | None:
    """A value of a column as text: 3.0 is "3", True is "True"; None where there is no value."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        whole = value.is_integer()
        return str(int(value)) if whole else None if math.isnan(value) else str(value)
    if value is None or type(value).__name__ in _MISSING:
        return None
    return str(value) or None


def texts_as_keys(mapping: Any) -> Any:
    """A mapping whose keys are text, as the values of columns are compared.

    Raises:
        ValueError: Two keys are the same text, or one is no value.
    """
    if not isinstance(mapping, Mapping):
        return mapping
    keys = [as_text(key) for key in mapping]
    if None in keys:
        raise ValueError("a key is empty: features without a value have no class")
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} is given twice, as text and as a number")
    return dict(zip(keys, mapping.values(), strict=True))


def counted_texts(texts: Iterable[str | None]) -> str:
    """Values with how often they occur, most frequent first, for a text."""
    found = Counter("no value" if text is None else repr(text) for text in texts).most_common()
    return some((f"{text} ({count} features)" for text, count in found), _SHOWN)
