"""The manifest of a store: a Parquet file with what the values do not tell, a row for each patch.

Columns: `key`; `bands`, `shapes`, `dtypes` (lists, in the order in which the bands were given); `crs`
(text); `transform` (6 numbers of the affine, for the size of the patch's largest bands); `nodata` (a list
as long as `bands`); `bounds` (left, bottom, right, top in that CRS); `sha256` (of the bytes that are
stored); `source` (path relative to the folder that was named), `group` (which folder), `sample` (the same
for patches that belong together), `split`, `labels` (a list of text); `compression` (`zstd` or nothing).
Rows are sorted by key. Of all but `key` a manifest may have none. What is told of the whole store stands
as JSON in the metadata of the Parquet schema, under `geoseg`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.store.compression import compression_of
from geoseg.sources.store.environments import DATA_FILE

MANIFEST = "manifest.parquet"
"""Its name in the folder of a store."""
TOLD = b"geoseg"
"""Where the schema's metadata has what is told of the whole store."""
ROWS = 1024
"""Rows of a group: what is read to find one."""
ERRORS = (OSError, ValueError, KeyError, TypeError, NotImplementedError)
"""What pyarrow's errors are."""

_SHARED = ("bands", "shapes", "dtypes", "crs", "nodata", "group", "split", "compression")
"""Columns in which most rows of a store are equal: kept once for all of them."""

Nodata = float | Mapping[str, float | None] | None


class ManifestRows:
    """Collects the rows of a store that is being written; compact, so that a million fit."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._tables: list[Any] = []
        self._shared: dict[tuple[Any, ...], int] = {}
        self._kept = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        value: bytes,
        *,
        grid: Grid | None,
        nodata: Nodata,
        source: str | None = None,
        group: str | None = None,
        sample: str | None = None,
        split: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """One patch.

        Args:
            key: Its key.
            arrays: What was stored.
            value: The bytes that were stored, compressed or not.
            grid: Where the largest bands lie.
            nodata: The number that means "missing": one for all arrays, or by name.
            source: The path of its file or folder, relative to the folder of its group.
            group: The kind of source that it is of.
            sample: A name that all patches of one place and time share.
            split: Such as train, validation, test.
            labels: Names of classes of the whole patch.

        Raises:
            StoreError: The grid has another size than the largest arrays, or nodata is given for an array
                that is not there.
        """
        self.add_row(
            manifest_row(
                key,
                arrays,
                value,
                grid=grid,
                nodata=nodata,
                source=source,
                group=group,
                sample=sample,
                split=split,
                labels=labels,
            )
        )

    def add_row(self, row: Mapping[str, Any]) -> None:
        """One patch by its row: what `iter_rows` gave for an earlier run.

        Args:
            row: By the names of columns; what is not there is not known.
        """
        shared = tuple(_frozen(row.get(name)) for name in _SHARED)
        kept = {name: row.get(name) for name in _schema().names if name not in _SHARED}
        self._rows.append({**kept, _NUMBER: self._shared.setdefault(shared, len(self._shared))})
        self._count += 1
        if len(self._rows) >= ROWS:
            self._pack()

    def write(self, path: Path, *, told: Mapping[str, Any] | None = None) -> None:
        """Write all rows, sorted by key.

        Args:
            path: The file.
            told: What holds for the whole store, as JSON has it.
        """
        import pyarrow as pa

        self._pack()
        tables = self._tables or [_compact_schema().empty_table()]
        self._write(path, pa.concat_tables(tables).sort_by("key"), told)

    def write_segment(self, path: Path) -> None:
        """Write the rows that were added since the last segment, in their order, for a later `iter_rows`.

        They stay in memory too: `write` writes all rows.
        """
        import pyarrow as pa

        self._pack()
        tables = self._tables[self._kept :] or [_compact_schema().empty_table()]
        self._write(path, pa.concat_tables(tables), None)
        self._kept = len(self._tables)

    def _write(self, path: Path, rows: Any, told: Mapping[str, Any] | None) -> None:
        """Write compact rows as whole ones, a group at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        shared = self._shared_table()
        schema = _schema()
        if told:
            text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            schema = schema.with_metadata({TOLD: text})
        with pq.ParquetWriter(path, schema, compression="zstd") as file:
            for first in range(0, len(rows), ROWS):
                part = rows.slice(first, ROWS)
                common = shared.take(part[_NUMBER].combine_chunks())
                columns = [(common if n in _SHARED else part)[n] for n in schema.names]
                file.write_table(pa.table(columns, schema=schema), row_group_size=ROWS)

    def _shared_table(self) -> Any:
        import pyarrow as pa

        schema = pa.schema([_schema().field(name) for name in _SHARED])
        rows = [dict(zip(_SHARED, values, strict=True)) for values in self._shared]
        return pa.Table.from_pylist(rows, schema=schema)

    def _pack(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._tables.append(pa.Table.from_pylist(self._rows, schema=_compact_schema()))
        self._rows = []


_NUMBER = "shared"
"""The column of a compact row that tells which of the shared values are its own."""


def manifest_row(
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    value: bytes,
    *,
    grid: Grid | None = None,
    nodata: Nodata = None,
    source: str | None = None,
    group: str | None = None,
    sample: str | None = None,
    split: str | None = None,
    labels: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The row of a patch, which another process may make; see `ManifestRows.add`."""
    look = _look_of(tuple([(name, a.dtype, a.shape) for name, a in arrays.items()]))
    if grid is not None and grid.shape != look.size:
        raise StoreError(
            f"the grid is {grid.describe()}, the largest bands are {look.size or 'not there'}; give the "
            "grid of the largest bands"
        )
    by_name = nodata if isinstance(nodata, Mapping) else dict.fromkeys(arrays, nodata)
    if strange := sorted(by_name.keys() - arrays.keys()):
        raise StoreError(f"nodata is given for {strange}, but the arrays are {list(arrays)}")
    return {
        "key": key,
        "bands": list(arrays),
        "shapes": list(look.shapes),
        "dtypes": list(look.dtypes),
        "crs": None if grid is None or grid.crs is None else grid.crs.to_string(),
        "transform": None if grid is None else list(grid.transform[:6]),
        "nodata": [by_name.get(name) for name in arrays],
        "bounds": None if grid is None else list(grid.bounds),
        "sha256": hashlib.sha256(value).hexdigest(),
        "source": source,
        "group": group,
        "sample": sample,
        "split": split,
        "labels": None if labels is None else list(labels),
        "compression": compression_of(value),
    }


def manifest_path(data_file: str) -> str:
    """Where the manifest of a store lies: in its folder; beside a single file, as NAME.manifest.parquet."""
    path = Path(data_file)
    if path.name == DATA_FILE:
        return str(path.with_name(MANIFEST))
    return str(path.with_name(f"{path.name}.{MANIFEST}"))


def iter_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a manifest or a segment, in its order, by the names of columns; few in memory at once.

    Raises:
        SourceError: It cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            known = [name for name in _schema().names if name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=ROWS, columns=known):
                yield from batch.to_pylist()
    except ERRORS as error:
        raise SourceError(
            f"{path}: rows of a manifest cannot be read: {error}; remove it and write the store again"
        ) from error


def _frozen(value: Any) -> Any:
    """A list as a tuple; NaN as one and the same object, since it equals nothing else."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(
        tuple(v) if isinstance(v, list) else math.nan if v != v else v  # noqa: PLR0124 - NaN alone
        for v in value
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What rows tell of arrays, the same for nearly all patches of a store."""

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    size: tuple[int, ...]
    """(height, width) of the largest; empty where none has both."""


@lru_cache(maxsize=256)
def _look_of(arrays: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]) -> _Look:
    """What is told of arrays of such names, dtypes and shapes."""
    shapes = tuple(shape for _, _, shape in arrays)
    sides = [shape[-2:] for shape in shapes if len(shape) > 1]
    return _Look(
        shapes=shapes,
        dtypes=tuple(dtype.newbyteorder("=").name for _, dtype, _ in arrays),
        size=tuple(max(side) for side in zip(*sides, strict=True)),
    )


@lru_cache(maxsize=1)
def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("key", pa.string()),
            ("bands", pa.list_(pa.string())),
            ("shapes", pa.list_(pa.list_(pa.int32()))),
            ("dtypes", pa.list_(pa.string())),
            ("crs", pa.string()),
            ("transform", pa.list_(pa.float64())),
            ("nodata", pa.list_(pa.float64())),
            ("bounds", pa.list_(pa.float64())),
            ("sha256", pa.string()),
            ("source", pa.string()),
            ("group", pa.string()),
            ("sample", pa.string()),
            ("split", pa.string()),
            ("labels", pa.list_(pa.string())),
            ("compression", pa.string()),
        ]
    )


@lru_cache(maxsize=1)
def _compact_schema() -> Any:
    import pyarrow as pa

    own = [field for field in _schema() if field.name not in _SHARED]
    return pa.schema([*own, (_NUMBER, pa.int32())])
