"""The masks that an index names: each once, with its grid, and which rows are of which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid, to_crs
from geoseg.sampling.windowindex.paths import identity


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of all rows."""

    paths: tuple[str, ...]
    """Each mask once: what to open."""
    grids: tuple[Grid, ...]
    """(mask,) their grids."""
    rows: NDArray[np.int64]
    """(row,) which of the masks each row is of."""

    @property
    def shapes(self) -> NDArray[np.int64]:
        """(row, 2) height and width of each row's mask."""
        shapes = np.array([grid.shape for grid in self.grids], np.int64).reshape(-1, 2)
        return shapes[self.rows]

    @property
    def by_path(self) -> dict[str, Grid]:
        """{mask: its grid}."""
        return dict(zip(self.paths, self.grids, strict=True))

    def taken(self, rows: NDArray[np.intp]) -> Masks:
        """Of some rows, without masks that none of them is of."""
        numbers = self.rows[rows]
        found = np.unique(numbers)
        return Masks(
            paths=tuple(self.paths[number] for number in found),
            grids=tuple(self.grids[number] for number in found),
            rows=np.searchsorted(found, numbers).astype(np.int64),
        )

    def groups(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """(mask, its rows in order) of every mask that has rows."""
        order = np.argsort(self.rows, kind="stable")
        found, first = np.unique(self.rows[order], return_index=True)
        for mask, start, stop in zip(found, first, np.append(first, len(order))[1:], strict=True):
            yield int(mask), order[start:stop]

    def path_of(self, row: int) -> str:
        """The mask of a row."""
        return self.paths[int(self.rows[row])]


class Grids:
    """Grids of rasters, each file opened once whatever name it is asked by."""

    def __init__(self, known: Mapping[str, Grid] | None = None) -> None:
        """Those that are known already, by path."""
        self._known = {identity(path): grid for path, grid in (known or {}).items()}

    def of(self, path: str) -> Grid:
        """The grid of a raster.

        Raises:
            SourceError: It is missing or no raster.
        """
        return self.named(path)[1]

    def named(self, path: str) -> tuple[str, Grid]:
        """What all spellings of the path have in common, and the grid.

        Raises:
            SourceError: It is missing or no raster.
        """
        name = identity(path)
        if name not in self._known:
            self._known[name] = Grid.of(path)
        return name, self._known[name]


def open_masks(paths: Sequence[str], rows: NDArray[np.int64], *, grids: Grids, where: str) -> Masks:
    """The masks of an index, opened where their grids are not known yet; two names of one file are one mask.

    Args:
        paths: What to open, each once.
        rows: (row,) which of them each row is of.
        grids: What is known already.
        where: What errors call the index.

    Raises:
        SourceError: A mask is missing or no raster.
    """
    found: dict[str, tuple[int, str, Grid]] = {}
    same = np.empty(len(paths), np.int64)
    for number, path in enumerate(paths):
        try:
            name, grid = grids.named(path)
        except SourceError as error:
            row = int(np.argmax(rows == number))
            raise SourceError(f"{where}: the mask of row {row} (from 0): {error}") from error
        same[number] = found.setdefault(name, (len(found), path, grid))[0]
    kept = found.values()
    return Masks(tuple(path for _, path, _ in kept), tuple(grid for *_, grid in kept), same[rows])


def crs_text(grid: Grid) -> str | None:
    """An authority code or WKT; None without a CRS."""
    return None if grid.crs is None else str(grid.crs.to_string())


def crs_of(value: Any) -> CRS:
    """The CRS of a cell: text, or an EPSG number in any form that tables have.

    Raises:
        GridError: It names none.
    """
    if isinstance(value, str):
        value = value.strip()
        # A column of numbers with empty cells has a point in them: 32637.0.
        return to_crs(int(value.split(".")[0]) if re.fullmatch(r"\d+(\.0*)?", value) else value)
    number = float(value)
    if number != int(number):
        raise GridError(f"{value!r} names no CRS; write e.g. 'EPSG:32619' or WKT")
    return to_crs(int(number))


def same_crs(one: CRS | None, other: CRS | None) -> bool:
    """Whether two CRSs mean the same, however they are written, with x always before y."""
    if one is None or other is None:
        return one is other
    return bool(one == other) or _equal(one.to_wkt(), other.to_wkt())


@lru_cache(maxsize=256)
def _equal(one: str, other: str) -> bool:
    here, there = pyproj.CRS.from_wkt(one), pyproj.CRS.from_wkt(other)
    return here.equals(there, ignore_axis_order=True)
