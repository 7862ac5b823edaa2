"""What a row of the manifest tells of a patch, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from affine import Affine

_TRANSFORM = 6
"""Numbers of an affine."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What the manifest tells of one patch."""

    bands: tuple[str, ...] | None
    """Names of the arrays in the order in which they were given."""
    shapes: tuple[tuple[int, ...], ...] | None
    """Of each of `bands`."""
    dtypes: tuple[str, ...] | None
    """Names as numpy has them, of each of `bands`."""
    crs: str | None
    transform: Affine | None
    """For the size of the largest bands."""
    nodata: tuple[float | None, ...] | None
    """The number that means "missing", for each of `bands`."""


def patch_of(row: Mapping[str, Any]) -> Patch:
    """A row of the manifest.

    Raises:
        TypeError: A column is of another type than a manifest has; the text names it.
        ValueError: A list has another length, or a name twice.
    """
    bands = _each(row, "bands", lambda name: isinstance(name, str), "names")
    if bands is not None and len({*bands}) < len(bands):
        raise ValueError(f"the column `bands` is {list(bands)}, expected each name once")
    transform = _each(row, "transform", _is_finite, "6 numbers", count=_TRANSFORM)
    told: dict[str, Any] = {}
    for column, fits, expected in (
        ("shapes", _is_shape, "a list of sizes for each band"),
        ("dtypes", lambda dtype: isinstance(dtype, str), "a name for each band"),
        ("nodata", lambda n: n is None or _is_number(n), "a number (or null) for each band"),
    ):
        told[column] = _each(row, column, fits, expected, count=len(bands or ()))
    crs, shapes = row.get("crs"), told.pop("shapes")
    if crs is not None and not isinstance(crs, str):
        raise TypeError(f"the column `crs` is {crs!r}, expected text")
    return Patch(
        bands=bands,
        shapes=None if shapes is None else tuple(map(tuple, shapes)),
        crs=crs,
        transform=None if transform is None else Affine(*transform),
        **told,
    )


def _each(
    row: Mapping[str, Any],
    column: str,
    fits: Callable[[Any], bool],
    expected: str,
    *,
    count: int | None = None,
) -> tuple[Any, ...] | None:
    """The list in a column, checked; None where there is none."""
    found = row.get(column)
    if found is None:
        return None
    wrong = not isinstance(found, list) or not all(map(fits, found))
    if wrong or count not in (None, len(found)):
        raise ValueError(f"the column `{column}` is {found!r}, expected {expected}")
    return tuple(found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(side) is int for side in value)
