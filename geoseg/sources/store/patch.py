"""What the manifest tells of one patch: its row, found and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affine import Affine

from geoseg.errors import SourceError
from geoseg.sources.cache import remember
from geoseg.sources.store.manifest import ERRORS

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


def find_patch(path: str, key: str) -> Patch | None:
    """What a manifest tells of a patch; None where there is no manifest, or no row for the key.

    Raises:
        SourceError: The manifest cannot be read, or what it tells of the patch makes no sense.
    """
    if not Path(path).is_file():
        return None
    try:
        for group in _groups(path, key):
            row = _row(_table(path, group), key)
            if row is not None:
                return patch_of(row)
    except ERRORS as error:
        raise SourceError(
            f"{path}: the manifest cannot be read for {key!r}: {error}; write the store again, or remove "
            "the manifest to read patches without georeference"
        ) from error
    return None


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


def _groups(path: str, key: str) -> list[int]:
    """The row groups that may hold a key."""
    ranges = remember(
        ("manifest ranges", path),
        lambda: _ranges(path),
        files=(path,),
        nbytes=lambda found: 200 * len(found),
    )
    return [i for i, range_ in enumerate(ranges) if range_ is None or range_[0] <= key <= range_[1]]


def _ranges(path: str) -> list[tuple[str, str] | None]:
    """(first, last key) of each row group, where the file tells."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    columns = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    if "key" not in columns:
        raise ValueError(f"it has no column `key`, but {', '.join(columns)}")
    column = columns.index("key")
    found: list[tuple[str, str] | None] = []
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        told = statistics is not None and statistics.has_min_max
        # Keys that are no text are told of when rows are read.
        text = told and isinstance(statistics.min, str)
        found.append((statistics.min, statistics.max) if text else None)
    return found


def _table(path: str, group: int) -> Any:
    """The columns of a row group that reading wants."""

    def read() -> Any:
        import pyarrow.parquet as pq

        wanted = ["key", "bands", "shapes", "dtypes", "crs", "transform", "nodata"]
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            return file.read_row_group(group, columns=[name for name in wanted if name in known])

    return remember(
        ("manifest rows", path, group), read, files=(path,), nbytes=lambda table: int(table.nbytes)
    )


def _row(table: Any, key: str) -> dict[str, Any] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = table["key"].type
    if not any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string)):
        raise ValueError(f"the column `key` is {kind}, expected text")
    at = pc.index(table["key"], pa.scalar(key, kind)).as_py()
    return None if at < 0 else table.slice(at, 1).to_pylist()[0]
