"""What people pass where features are expected: a path, a source, or a GeoDataFrame."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from geoseg.errors import SourceError
from geoseg.sources.base import VectorField, VectorSource
from geoseg.sources.vector import FrameSource

if TYPE_CHECKING:
    from os import PathLike

    from geopandas import GeoDataFrame

    Vectors = str | PathLike[str] | VectorSource | GeoDataFrame


def as_vectors(given: Any, *, name: str = "the features") -> VectorSource:
    """The source of features that is meant.

    Args:
        given: A path, a VectorSource or its fields, or a GeoDataFrame with a CRS.
        name: What an error calls it.

    Raises:
        SourceError: It is something else, as a GeoDataFrame without a CRS.
    """
    from geopandas import GeoDataFrame

    if not isinstance(given, str | os.PathLike | Mapping | VectorSource | GeoDataFrame):
        raise SourceError(
            f"{name}: got {type(given).__name__}, expected a path, a VectorSource, or a GeoDataFrame with a CRS"
        )
    try:
        if isinstance(given, GeoDataFrame):
            return FrameSource(frame=given)
        found: VectorSource = TypeAdapter(VectorField).validate_python(given)
    except ValidationError as error:
        told = (one["msg"].removeprefix("Value error, ") for one in error.errors())
        raise SourceError(f"{name}: {'; '.join(told)}") from error
    return found
