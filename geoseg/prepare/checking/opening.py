"""An index with all its rows that can be used; the others are told, not raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GeosegError, SourceError
from geoseg.prepare.checking.findings import Example, Findings
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sampling.windowindex.boxes import Outside
from geoseg.sampling.windowindex.columns import Coordinates, check_key, kind_of
from geoseg.sampling.windowindex.masks import Grids
from geoseg.sampling.windowindex.paths import resolved
from geoseg.sampling.windowindex.reading import How, rows_of
from geoseg.sampling.windowindex.rows import Rows, cells_of
from geoseg.sampling.windowindex.tables import load

if TYPE_CHECKING:
    from pandas import DataFrame

_Ints = NDArray[np.int64]

_MOST = 200
"""Bad rows that are told one by one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What of an index can be looked at."""

    index: WindowIndex
    """The rows whose mask opens and whose window lies on it."""
    rows: _Ints
    """(window,) their numbers in the file."""
    total: int
    """Rows of the file."""
    outside: Outside
    """"pad" where the index itself says that windows may reach past their masks."""


def opened(
    index: WindowIndex | str | PathLike[str],
    found: Findings,
    *,
    key: str,
    coordinates: Coordinates,
    mask_base_path: str | None,
) -> Opened:
    """An index, or what can be used of its file.

    Args:
        index: The windows, or a CSV or Parquet file.
        found: Takes rows without a usable window, and masks that do not open.
        key: The column of the masks.
        coordinates: Which columns tell the windows.
        mask_base_path: The folder for relative paths; None: the index's own.

    Raises:
        SourceError: The file cannot be read.
        ConfigError: Its columns do not tell masks and windows.
    """
    if isinstance(index, WindowIndex):
        return Opened(index, np.arange(len(index)), len(index), index.outside)
    uri = fspath(index)
    loaded = load(uri, key=key)
    table = loaded.table
    check_key(list(table.columns), key, where=uri)
    kind_of(list(table.columns), coordinates, where=uri)
    folder = Path(uri).absolute().parent
    grids = Grids()
    table, good = _with_masks(table, key, found, folder=folder, base=mask_base_path, grids=grids)
    how = How(
        key=key,
        coordinates=coordinates,
        base=mask_base_path,
        patch_size=None,
        outside="pad",
        snap=False,
        reproject=False,
    )

    def read(rows: _Ints) -> Rows:
        part = table.iloc[rows].reset_index(drop=True)
        return rows_of(part, how, where=uri, folder=folder, grids=grids)

    usable = _usable(np.flatnonzero(good), read, table, key, found)
    own: Outside = "error" if loaded.note is None else loaded.note.outside
    return Opened(WindowIndex(read(usable), uri=uri), usable, len(table), own)


def _with_masks(
    table: DataFrame,
    key: str,
    found: Findings,
    *,
    folder: Path,
    base: str | None,
    grids: Grids,
) -> tuple[DataFrame, NDArray[np.bool_]]:
    """The table with paths that can be opened, and which rows have a mask that opens."""
    cells = cells_of(table[key])
    written = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    paths = dict(
        zip(written, resolved(written, folder=folder, base=base, where="index"), strict=True)
    )
    reasons: dict[str, str] = {}
    for path in paths.values():
        try:
            grids.of(path)
        except (GeosegError, OSError, ValueError) as error:
            reasons[path] = str(error)
    good = np.ones(len(table), bool)
    for row, cell in enumerate(cells):
        if cell is None:
            found.add("row-unusable", Example(row=row, detail=f"the column {key!r} names no mask"))
        elif paths[cell] in reasons:
            why = _without(paths[cell], reasons[paths[cell]])
            found.add("mask-unreadable", Example(paths[cell], row, detail=why))
        else:
            continue
        good[row] = False
    table = table.copy()
    table[key] = [None if cell is None else paths[cell] for cell in cells]
    return table, good


def _usable(
    rows: _Ints, read: Callable[[_Ints], Rows], table: DataFrame, key: str, found: Findings
) -> _Ints:
    """Rows whose windows lie on their masks; halves are tried until the bad ones are found."""
    good: list[_Ints] = []
    waiting, told = [rows], 0
    while waiting:
        part = waiting.pop()
        try:
            read(part)
            good.append(part)
            continue
        except SourceError:
            raise
        except GeosegError as error:
            reason = str(error)
        if len(part) > 1 and told < _MOST:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
            continue
        told += 1
        if len(part) > 1:
            reason = f"one of {len(part)} rows, not looked at one by one: {reason}"
        for number in part.tolist():
            found.add("row-unusable", Example(str(table[key].iloc[number]), number, detail=reason))
    return np.sort(np.concatenate(good)) if good else np.empty(0, np.int64)


def _without(path: str, text: str) -> str:
    """A reason without the path that is told beside it."""
    return text.removeprefix(f"{path}: ")
