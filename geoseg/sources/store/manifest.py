"""The manifest of a store: a Parquet file with what the values do not tell, a row for each patch.

Columns: `key`; `bands`, `shapes`, `dtypes` (lists, in the order in which the bands were given); `crs`
(text); `transform` (6 numbers of the affine, for the size of the patch's largest bands); `nodata` (a list
as long as `bands`); `sha256` (of the value). Rows are sorted by key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from geoseg.errors import SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.cache import remember
from geoseg.sources.store.environments import DATA_FILE
from geoseg.sources.store.patch import Patch, patch_of

MANIFEST = "manifest.parquet"
"""Its name in the folder of a store."""
_ROWS = 1024
"""Rows of a group: what is read to find one."""

_ERRORS = (OSError, ValueError, KeyError, TypeError, NotImplementedError)
"""What pyarrow's errors are."""

Nodata = float | Mapping[str, float | None] | None


class ManifestRows:
    """Collects the rows of a store that is being written; compact, so that a million fit."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._tables: list[Any] = []

    def add(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        value: bytes,
        *,
        grid: Grid | None,
        nodata: Nodata,
    ) -> None:
        """One patch.

        Args:
            key: Its key.
            arrays: What was stored.
            value: The bytes that were stored.
            grid: Where the largest bands lie.
            nodata: The number that means "missing": one for all arrays, or by name.

        Raises:
            StoreError: The grid has another size than the largest arrays, or nodata is given for an array
                that is not there.
        """
        _check_size(arrays, grid)
        by_name = nodata if isinstance(nodata, Mapping) else dict.fromkeys(arrays, nodata)
        if strange := sorted(by_name.keys() - arrays.keys()):
            raise StoreError(f"nodata is given for {strange}, but the arrays are {list(arrays)}")
        self._rows.append(
            {
                "key": key,
                "bands": list(arrays),
                "shapes": [list(array.shape) for array in arrays.values()],
                "dtypes": [array.dtype.newbyteorder("=").name for array in arrays.values()],
                "crs": None if grid is None or grid.crs is None else grid.crs.to_string(),
                "transform": None if grid is None else list(grid.transform[:6]),
                "nodata": [by_name.get(name) for name in arrays],
                "sha256": hashlib.sha256(value).hexdigest(),
            }
        )
        if len(self._rows) >= _ROWS:
            self._pack()

    def write(self, path: Path) -> None:
        """Write all rows, sorted by key."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pack()
        table = pa.concat_tables(self._tables) if self._tables else _schema().empty_table()
        pq.write_table(table.sort_by("key"), path, row_group_size=_ROWS, compression="zstd")

    def _pack(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._tables.append(pa.Table.from_pylist(self._rows, schema=_schema()))
        self._rows = []


def manifest_path(data_file: str) -> str:
    """Where the manifest of a store lies: in its folder; beside a single file, as NAME.manifest.parquet."""
    path = Path(data_file)
    if path.name == DATA_FILE:
        return str(path.with_name(MANIFEST))
    return str(path.with_name(f"{path.name}.{MANIFEST}"))


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
    except _ERRORS as error:
        raise SourceError(
            f"{path}: the manifest cannot be read for {key!r}: {error}; write the store again, or remove "
            "the manifest to read patches without georeference"
        ) from error
    return None


def _check_size(arrays: Mapping[str, NDArray[Any]], grid: Grid | None) -> None:
    shapes = [array.shape[-2:] for array in arrays.values() if array.ndim > 1]
    size = tuple(max(sides) for sides in zip(*shapes, strict=True))
    if grid is not None and grid.shape != size:
        raise StoreError(
            f"the grid is {grid.describe()}, the largest bands are {size or 'not there'}; give the grid "
            "of the largest bands"
        )


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
            ("sha256", pa.string()),
        ]
    )


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
