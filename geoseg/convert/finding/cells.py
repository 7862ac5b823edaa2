"""Tables of patches, CSV or Parquet: their rows, and what a cell says. The same cells say the same in both.

Text, numbers and the like are the text that CSV has of them; an empty cell, null and NaN are none. Labels are names
separated by `;`, in Parquet also a list; one that is there twice counts once.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from geoseg.convert.finding.headers import header_of
from geoseg.errors import ConfigError, SourceError, errors_as

LABELS = "labels"
"""The only column that may hold lists."""
_PARQUET = (".parquet", ".pq", ".geoparquet")
_LISTS = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
"""What asks for a kind of list in pyarrow; that of 15 knows no views."""
_SHOWN = 60


def read_rows(
    table: str, columns: Sequence[str], *, needed: Collection[str], expected: str
) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, one after the other; a column that is not there is in none.

    Args:
        table: CSV, or Parquet by its ending.
        columns: Those that are read; a row of CSV has others, too.
        needed: Those that must be there.
        expected: What to give or do where one is not, for the error.

    Raises:
        ConfigError: There is no such file.
        SourceError: It cannot be read or lacks a column; one that is to be read is there twice, by a name that is
            nearly right, or of another kind than text and numbers.
    """
    path = Path(table)
    if not path.is_file():
        raise ConfigError(f"{table}: there is no such file, expected a table in CSV or Parquet")
    rows_of = _parquet_rows if path.suffix.lower() in _PARQUET else _csv_rows
    with errors_as(
        SourceError,
        f"{table}: this table cannot be read",
        cure="expected CSV in UTF-8 or Parquet",
        of=(OSError, ValueError, csv.Error),
    ):
        for there, rows in rows_of(table, columns):
            if lacking := sorted({*needed} - {*there}):
                raise SourceError(
                    f"{table}: has the columns {', '.join(there) or 'of an empty file'}, expected "
                    f"{' and '.join(lacking)} too; {expected}"
                )
            yield from rows


def text_of(cell: Any) -> str:
    """A cell as CSV has it; empty where there is none."""
    if isinstance(cell, str):  # nearly all are
        return cell.strip()
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return ""
    return str(cell).strip()


def labels_of(cell: Any, table: str) -> tuple[str, ...] | None:
    """The labels of a cell; None where there are none, () for a list of none.

    Raises:
        SourceError: It is a list that was written as text.
    """
    if isinstance(cell, list):
        return tuple(dict.fromkeys(name for part in cell if (name := text_of(part))))
    text = text_of(cell)
    if text.startswith("[") and text.endswith("]"):
        raise SourceError(
            f"{table}: labels are {text[:_SHOWN]!r}, a list written as text; write the names with ';' between them, "
            "or give a Parquet table with lists"
        )
    return tuple(dict.fromkeys(name for part in text.split(";") if (name := part.strip()))) or None


_Rows = Iterator[tuple[Sequence[str], Iterator[Mapping[str, Any]]]]
"""(columns of the file, rows), in one part or several."""


def _csv_rows(table: str, columns: Sequence[str]) -> _Rows:
    with Path(table).open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        rows.fieldnames = header_of(table, rows.fieldnames or (), columns)
        yield rows.fieldnames, rows


def _parquet_rows(table: str, columns: Sequence[str]) -> _Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table) as file:
            there = header_of(table, file.schema_arrow.names, columns)
            names = dict(zip(file.schema_arrow.names, there, strict=True))
            wanted = [own for own, name in names.items() if name in columns]
            for own in wanted:
                _check_kind(table, names[own], file.schema_arrow.field(own).type)
            yield there, iter(())  # a table without rows has columns, too
            for batch in file.iter_batches(columns=wanted):
                there_names = [names[own] for own in batch.schema.names]
                named = pa.RecordBatch.from_arrays(batch.columns, there_names)
                yield there, iter(named.to_pylist())  # which frees them before the next are read
    except pa.ArrowException as error:
        raise SourceError(f"{table}: this table cannot be read: {error}") from error


def _check_kind(table: str, name: str, kind: Any) -> None:
    """See that the cells of a column of Parquet could stand in CSV."""
    from pyarrow import types

    inner = kind
    lists = [getattr(types, asks) for asks in _LISTS if hasattr(types, asks)]
    if name == LABELS and any(is_list(kind) for is_list in lists):
        inner = kind.value_type
    if types.is_dictionary(inner):
        inner = inner.value_type
    bare = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_nested)
    if any(wrong(inner) for wrong in bare):
        or_lists = " (or lists of such)" if name == LABELS else ""
        raise SourceError(
            f"{table}: the column {name} holds {kind}, expected text or numbers{or_lists}; write it as text"
        )
