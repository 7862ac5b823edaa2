"""Rows of a CSV or Parquet file as texts."""

from __future__ import annotations

import csv
from pathlib import Path

from geoseg.errors import SourceError, errors_as

Row = dict[str, str]
"""Column to text; empty cells are left out."""


def read_rows(uri: str) -> tuple[tuple[str, ...], list[Row]]:
    """Columns and rows of a table; Parquet by its suffix, else CSV with a header.

    Raises:
        SourceError: It cannot be read, a column is named twice, or a row has more cells than there are
            columns.
    """
    with errors_as(
        SourceError,
        f"{uri}: cannot read this table",
        cure="expected CSV in UTF-8 or Parquet",
        of=(OSError, ValueError, csv.Error),
    ):
        if uri.lower().endswith(".parquet"):
            return _of_parquet(uri)
        return _of_csv(uri)


def _of_csv(uri: str) -> tuple[tuple[str, ...], list[Row]]:
    with Path(uri).open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        columns = tuple(cell.strip() for cell in next(lines, []))
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise SourceError(f"{uri}: the column {twice[0]!r} is there twice; keep one")
        rows = []
        for cells in lines:
            if len(cells) > len(columns):
                raise SourceError(
                    f"{uri}, line {lines.line_num}: {len(cells)} cells for {len(columns)} columns; put "
                    "cells with commas in quotes"
                )
            rows.append(dict(zip(columns, cells, strict=False)))
    return columns, [_filled(row) for row in rows if row]


def _of_parquet(uri: str) -> tuple[tuple[str, ...], list[Row]]:
    from pyarrow import parquet

    table = parquet.read_table(uri)
    rows = [
        {key: "" if value is None else str(value) for key, value in row.items()}
        for row in table.to_pylist()
    ]
    return tuple(table.column_names), [_filled(row) for row in rows]


def _filled(row: Row) -> Row:
    return {column: cell.strip() for column, cell in row.items() if cell.strip()}
