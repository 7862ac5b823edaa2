"""Patches named in a table: CSV or Parquet, a row a patch.

Columns: `image` (a path, relative to the source folder); and, where there are such, `mask` (a path), `key`
(else the image's by the group's template), `split`, and `labels` (in CSV separated by `;`, in Parquet a list
or such a text; one that is there twice counts once). Empty cells are none; further columns are passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.convert.finding.naming import namer
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.convert.templates import compiled
from geoseg.errors import ConfigError, SourceError

COLUMNS = ("image", "mask", "key", "split", "labels")
"""Those that are read."""
_PARQUET = (".parquet", ".pq", ".geoparquet")


def table_patches(group: Group, root: str) -> list[Patch]:
    """The patches of a table, sorted by path as text.

    Args:
        group: With its table.
        root: The folder to which its paths are relative.

    Raises:
        ConfigError: The table is missing.
        SourceError: It cannot be read, has no column `image`, or a row names none.
    """
    table = _found(group.table or "", root)
    name = namer(group, root)
    patches = []
    for number, row in enumerate(read_rows(table), 1):
        image = _relative(str(row.get("image") or ""), root)
        # The pattern of a table's group takes everything: paths are given, not looked for.
        match = compiled(group.pattern).search(image)
        if not image or match is None:
            raise SourceError(
                f"{table}: row {number} names no image; fill it in, or remove the row"
            )
        patches.append(_with_cells(name(image, match), row, root))
    return sorted(patches, key=lambda patch: (patch.path, patch.key))


def _found(table: str, root: str) -> str:
    """A table's place: as it is named, else below the source folder."""
    below = Path(root, table)
    return str(below) if not Path(table).is_file() and below.is_file() else table


def read_rows(table: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, one after the other.

    Raises:
        ConfigError: It is missing.
        SourceError: It cannot be read, or has no column `image`.
    """
    path = Path(table)
    if not path.is_file():
        raise ConfigError(f"{table}: there is no such file, expected a table in CSV or Parquet")
    try:
        rows = _parquet_rows(path) if path.suffix.lower() in _PARQUET else _csv_rows(path)
        for row in rows:
            if "image" not in row:
                raise SourceError(
                    f"{table}: has the columns {', '.join(map(str, row))}, expected image (and mask, key, split, "
                    "labels); rename one"
                )
            yield row
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{table}: this table cannot be read: {error}") from error


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file)


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        there = [name for name in COLUMNS if name in file.schema_arrow.names]
        if "image" not in there:
            there = file.schema_arrow.names
        for batch in file.iter_batches(columns=there):
            yield from batch.to_pylist()


def _with_cells(patch: Patch, row: Mapping[str, Any], root: str) -> Patch:
    cells = {name: str(row.get(name) or "").strip() for name in ("mask", "key", "split")}
    key = cells["key"] or patch.key
    return replace(
        patch,
        key=key,
        sample=key if patch.sample == patch.key else patch.sample,
        mask=_relative(cells["mask"], root) or patch.mask,
        split=cells["split"] or patch.split,
        labels=_labels(row.get("labels")) or patch.labels,
    )


def _labels(cell: Any) -> tuple[str, ...] | None:
    parts = cell.split(";") if isinstance(cell, str) else [str(part) for part in cell or ()]
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip())) or None


def _relative(cell: str, root: str) -> str:
    """A path of a table, POSIX; one that is absolute has to lie below the root."""
    cell = cell.strip()
    if not Path(cell).is_absolute():
        return Path(cell).as_posix() if cell else ""
    try:
        return Path(cell).relative_to(Path(root).absolute()).as_posix()
    except ValueError:
        raise SourceError(
            f"{cell}: the table names this file, which does not lie below the source folder {root}; name a "
            "folder above all files as the source"
        ) from None
