"""A manifest as a whole: all rows as one table, for data sets and for what looks at whole stores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.sources.cache import remember
from geoseg.sources.store.environments import data_path
from geoseg.sources.store.listcolumns import Kind, list_values, number_rows, text_values
from geoseg.sources.store.manifest import ERRORS, TOLD, manifest_path

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = {"transform": 6, "bounds": 4}
_LISTS: dict[str, Kind] = {
    "bands": "text", "shapes": "sizes", "dtypes": "text", "nodata": "numbers", "labels": "text",
}  # fmt: skip
_REPEATED = ("crs", "group", "split", "compression")
"""Columns of text with few different values."""
COLUMNS = (
    "key", "bands", "shapes", "dtypes", "crs", "transform", "nodata", "bounds", "sha256", "source", "group",
    "sample", "split", "labels", "compression",
)  # fmt: skip
_ROWS_AT_ONCE = 1 << 16
_VALUE_BYTES = 100
"""What a value takes in memory, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """What a store's manifest tells."""

    table: pd.DataFrame
    """A row for each patch, in the order of the file. All columns asked for are there, as Python objects: text, or
    tuples in place of lists (`shapes`: a tuple of tuples); None where nothing is told. It is kept and given
    to all who ask: make a copy before you change it."""
    told: dict[str, Any]
    """What is told of the whole store."""


def read_manifest(uri: str, *, columns: tuple[str, ...] = COLUMNS) -> Manifest | None:
    """All that the manifest of a store tells; None where there is none. Kept until its file changes.

    Args:
        uri: Of the store: a folder with `data.mdb`, or a single LMDB file.
        columns: The columns to read, in the order wanted; fewer take less time and memory.

    Raises:
        SourceError: There is no such store; the manifest cannot be read, a column is of another type than a
            manifest has, or a key is there twice.
    """
    path = manifest_path(data_path(uri))
    if not Path(path).is_file():
        return None
    return remember(
        ("manifest", path, columns),
        lambda: _read(path, columns),
        files=(path,),
        nbytes=lambda manifest: _VALUE_BYTES * manifest.table.size,
    )


def _read(path: str, wanted: tuple[str, ...]) -> Manifest:
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            told = _told(file.schema_arrow.metadata)
            columns = _columns(file, wanted)
        table = pd.DataFrame({n: pd.Series(c, dtype=object) for n, c in columns.items()})
        if "key" in wanted:
            _check_keys(table["key"])
    except ERRORS as error:
        raise SourceError(
            f"{path}: the manifest cannot be read: {error}; write the store again, or remove the manifest "
            "to do without what it tells"
        ) from error
    return Manifest(table, told)


def _told(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    told = json.loads((metadata or {}).get(TOLD, b"{}"))
    if not isinstance(told, dict):
        raise TypeError(f"its metadata tell {told!r} of the store, expected a JSON object")
    return told


def _columns(file: Any, wanted: tuple[str, ...]) -> dict[str, NDArray[np.object_]]:
    """Columns: one at a time and of limited length, so that what they are made of takes little memory."""
    known = file.schema_arrow.names
    if "key" not in known:
        raise ValueError(f"it has no column `key`, but {', '.join(known)}")
    return {name: _column(file, name) for name in wanted}


def _column(file: Any, name: str) -> NDArray[np.object_]:
    found = np.full(file.metadata.num_rows, None, object)
    if name not in file.schema_arrow.names:
        return found
    first, seen = 0, dict[Any, Any]()
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name], use_threads=False):
        found[first : first + len(batch)] = _values(name, batch.column(0), seen)
        first += len(batch)
    return found


def _values(name: str, column: Any, seen: dict[Any, Any]) -> NDArray[np.object_]:
    """The values of a column as Python objects."""
    if str(column.type) == "null":
        return np.full(len(column), None, object)
    try:
        if name in _NUMBERS:
            return number_rows(column, count=_NUMBERS[name])
        if name in _LISTS:
            return list_values(column, kind=_LISTS[name], seen=seen)
        return text_values(column, repeated=name in _REPEATED)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column `{name}` is {column.type}: {error}") from error


def _check_keys(keys: pd.Series[Any]) -> None:
    if keys.isna().any():
        raise ValueError(f"{int(keys.isna().sum())} rows have no `key`")
    if not keys.is_unique:
        raise ValueError(f"the key {keys[keys.duplicated()].iloc[0]!r} is there twice")
