"""Tables of CSV and Parquet files, with all their columns and what geoseg noted with them."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import SourceError
from geoseg.sampling.windowindex.columns import BOUNDS, CRS, PATCH, PIXELS, TILE_BOUNDS
from geoseg.sampling.windowindex.note import (
    IN_PARQUET,
    Note,
    digest_of_bytes,
    digest_of_table,
    side_note,
)

if TYPE_CHECKING:
    from pandas import DataFrame

PARQUET = (".parquet", ".geoparquet", ".pq")
CSV = (".csv",)

_TEXTS = (CRS, "class_counts")
"""Columns of text, even where all cells look like numbers."""
_NUMBERS = (*PIXELS, *BOUNDS, *TILE_BOUNDS, PATCH)
"""Columns of numbers, however these are written."""
_WHOLE = re.compile(r"0|-?[1-9]\d*")
_FRACTION = r"(\.\d*([eE][+-]\d+)?|[eE][+-]\d+)"
_PRINTED = re.compile(rf"-?(0|[1-9]\d{{0,14}})|-?(0|[1-9]\d*)?{_FRACTION}|-?inf")
"""What a float still says: no leading zeros, all digits of a whole number, an exponent with its sign."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An index as its file has it."""

    table: DataFrame
    """All rows and columns in their order; geometries as WKB."""
    note: Note | None
    """Of an index that geoseg wrote and nobody changed since; None for any other."""


def is_parquet(uri: str) -> bool:
    """Whether a file is Parquet, by its suffix.

    Raises:
        SourceError: It is neither Parquet nor CSV.
    """
    suffix = Path(uri).suffix.lower()
    if suffix not in PARQUET + CSV:
        raise SourceError(
            f"{uri}: the format of a window index goes by the suffix, expected one of: "
            f"{', '.join(CSV + PARQUET)}"
        )
    return suffix in PARQUET


def load(uri: str, *, key: str) -> Loaded:
    """An index as its file has it.

    Args:
        uri: A CSV file in UTF-8 with a header, or Parquet.
        key: The column of the masks, which is text.

    Raises:
        SourceError: It is not there or cannot be read, a column is there twice, or a row has more cells
            than there are columns.
    """
    import pyarrow as pa

    try:
        return _of_parquet(uri) if is_parquet(uri) else _of_csv(uri, key)
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(
            f"{uri}: no such file; build a window index first, or check the path"
        ) from error
    except (OSError, ValueError, pa.ArrowException, csv.Error) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise SourceError(
            f"{uri}: cannot read this window index: {reason.strip()}; expected CSV in UTF-8 with a header and "
            "as many cells in each row, or Parquet"
        ) from error


def _of_parquet(uri: str) -> Loaded:
    import pyarrow.parquet as pq

    with pq.ParquetFile(uri) as file:
        _check_names(file.schema_arrow.names, uri)
        found = file.read()
    text = (found.schema.metadata or {}).get(IN_PARQUET)
    note = None if text is None else Note.from_json(text)
    if note is not None and note.content != digest_of_table(found):
        note = None
    return Loaded(_with_all_columns(found.to_pandas(), found.column_names), note)


def _with_all_columns(table: DataFrame, names: list[str]) -> DataFrame:
    """With columns again that pandas has made an index of, but for one without a name."""
    indexed = [name for name in table.index.names if name in names]
    if indexed:
        table = table.reset_index(indexed)
    return table.reset_index(drop=True)[[name for name in names if name in table]]


def _of_csv(uri: str, key: str) -> Loaded:
    data = Path(uri).read_bytes()
    names = next(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")), [])
    _check_names(names, uri)
    return Loaded(
        _parsed(data, [name for name in (key, *_TEXTS) if name in names]), _noted(uri, data)
    )


def _parsed(data: bytes, texts: list[str]) -> DataFrame:
    import pandas as pd

    kinds: Any = dict.fromkeys(texts, str)
    table = _cells(data, dtype=kinds)
    made_of_cells = not isinstance(table.index, pd.RangeIndex)
    if made_of_cells:  # those in front, where all rows have too many
        raise ValueError("its rows have more cells than there are columns")
    doubtful = [
        name
        for name in table.columns
        if name not in _NUMBERS
        and pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
        and table[name].notna().any()
    ]
    if doubtful:
        written = _cells(data, dtype=str, usecols=doubtful)
        for name in doubtful:
            if not _kept(written[name], whole=pd.api.types.is_integer_dtype(table[name])):
                table[name] = written[name]
    return table


def _cells(data: bytes, *, dtype: Any, usecols: list[str] | None = None) -> DataFrame:
    """The cells of a CSV; only those without a letter are empty."""
    import pandas as pd

    return pd.read_csv(
        io.BytesIO(data),
        encoding="utf-8-sig",
        dtype=dtype,
        usecols=usecols,
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
    )


def _kept(cells: Any, *, whole: bool) -> bool:
    """Whether numbers say all that the texts of a column do: `001` is more than 1."""
    pattern = _WHOLE if whole else _PRINTED
    return all(pattern.fullmatch(cell.strip()) for cell in cells[cells.notna()].unique())


def _noted(uri: str, data: bytes) -> Note | None:
    note = None
    with suppress(OSError):
        note = Note.from_json(side_note(uri).read_bytes())
    return note if note is not None and note.content == digest_of_bytes(data) else None


def _check_names(names: list[str], uri: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"{uri}: the column {twice[0]!r} is there twice; keep one")
