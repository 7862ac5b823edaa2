"""Columns of a window index: their names, their order, and which of them tell the windows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.choices import one_of
from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["pixel", "bounds"]
Coordinates = Literal["auto", "pixel", "bounds"]

MASK = "mask_path"
IMAGE = "image_path"
GEOMETRY = "geometry"
OFFSETS = ("row_off", "col_off")
SIDES = ("height", "width")
PIXELS = ("row_off", "col_off", "width", "height")
PATCH = "patch_size"
BOUNDS = ("minx", "miny", "maxx", "maxy")
TILE_BOUNDS = tuple(f"tile_{name}" for name in BOUNDS)
CRS = "crs"
PLACES = (*PIXELS, *BOUNDS, CRS)
"""What geoseg writes of every window."""
MEASURED = (
    "valid_share",
    "labelled_share",
    "class_counts",
    "split",
    "fold",
    "dropped_in_fold",
)
"""What comes after the places, where it is there."""


def told(bad: Any) -> str:
    """The rows that are wrong, (row,) bool, for an error.

    >>> told(np.array([False, True, True]))
    'row 1 (from 0; 2 of 3 rows)'
    """
    return f"row {int(np.argmax(bad))} (from 0; {int(bad.sum())} of {len(bad)} rows)"


def check_key(names: Sequence[str], key: str, *, where: str) -> None:
    """See that the column of mask files is there.

    Raises:
        ConfigError: It is not; the columns found are named.
    """
    if key not in names:
        near = get_close_matches(key, names, n=1)
        hint = f"is it {near[0]!r}? " if near else ""
        raise ConfigError(
            f"{where}: has no column {key!r} for the masks, but {_listed(names)}; {hint}name the column of "
            "the mask files with key="
        )


def kind_of(names: Sequence[str], coordinates: Coordinates, *, where: str) -> Kind:
    """Whether pixel columns or bounds tell the windows.

    Args:
        names: The columns of the table.
        coordinates: "pixel" or "bounds" ask for that kind; "auto" takes pixels where they are complete.
        where: What errors call the table.

    Raises:
        ConfigError: Neither set of columns is complete, or not the one asked for.
    """
    one_of(coordinates, ("auto", "bounds", "pixel"), name="coordinates")
    if coordinates != "bounds" and not _missing_for_pixels(names):
        return "pixel"
    if coordinates != "pixel" and bounds_of(names) is not None:
        return "bounds"
    texts = []
    if coordinates != "bounds":
        texts.append(f"pixel columns lack {', '.join(_missing_for_pixels(names))}")
    if coordinates != "pixel":
        texts.append(f"bounds lack {', '.join(_missing_for_bounds(names))}")
    raise ConfigError(
        f"{where}: its columns do not tell the windows: {'; '.join(texts)}; found {_listed(names)}; expected "
        "row_off, col_off and a size (width and height, or patch_size), or minx, miny, maxx, maxy, or the "
        "same four with tile_"
    )


def bounds_of(names: Collection[str]) -> tuple[str, ...] | None:
    """The four columns of bounds, those without `tile_` first; None where no set is complete."""
    for group in (BOUNDS, TILE_BOUNDS):
        if all(name in names for name in group):
            return group
    return None


def _missing_for_pixels(names: Collection[str]) -> list[str]:
    missing = [name for name in OFFSETS if name not in names]
    if PATCH in names or all(name in names for name in SIDES):
        return missing
    return [*missing, "width and height (or patch_size)"]


def _missing_for_bounds(names: Collection[str]) -> list[str]:
    """Of the set that is nearly there, or of the plain one."""
    found = [[name for name in group if name not in names] for group in (BOUNDS, TILE_BOUNDS)]
    return min(found, key=len)


def sizes_of(table: DataFrame, *, where: str) -> NDArray[np.int64] | None:
    """(row, 2) heights and widths of the columns that tell them; None without such columns.

    Raises:
        ConfigError: They hold something else than whole numbers from 1.
    """
    if all(name in table for name in SIDES):
        names: tuple[str, ...] = SIDES
    elif PATCH in table:
        names = (PATCH, PATCH)
    else:
        return None
    sizes = np.stack([whole_numbers(table, name, where=where) for name in names], axis=1)
    bad = (sizes < 1).any(axis=1)
    if bad.any():
        raise ConfigError(
            f"{where}: {told(bad)}: the window is {_times(sizes[bad][0])} pixels; expected at least 1 x 1"
        )
    return sizes


def whole_numbers(table: DataFrame, name: str, *, where: str) -> NDArray[np.int64]:
    """(row,) a column of whole numbers.

    Raises:
        ConfigError: It holds something else.
    """
    values = numbers(table, name, where=where)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(values) < 2**53) | (values != np.rint(values))
    if bad.any():
        raise ConfigError(
            f"{where}: {told(bad)}: {name} is {values[bad][0]:g}, expected a whole number of pixels"
        )
    return values.astype(np.int64)


def numbers(table: DataFrame, name: str, *, where: str) -> NDArray[np.float64]:
    """(row,) a column of numbers, NaN where it has none.

    Raises:
        ConfigError: It holds text.
    """
    import pandas as pd

    column = table[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.isnan(values) & column.notna().to_numpy(bool)
    if bad.any():
        raise ConfigError(
            f"{where}: {told(bad)}: {name} is {column.iloc[int(np.argmax(bad))]!r}, expected a number"
        )
    return values


def _times(size: NDArray[np.int64]) -> str:
    return f"{size[0]} x {size[1]}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names)) or "no column at all"
