"""From a table to the rows of an index: paths resolved, windows found and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.choices import one_of
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.sampling.windowindex.boxes import Boxes, Outside, check_inside
from geoseg.sampling.windowindex.columns import (
    IMAGE,
    Coordinates,
    check_key,
    kind_of,
    told,
)
from geoseg.sampling.windowindex.fresh import check_fresh, tell_disagreement
from geoseg.sampling.windowindex.masks import Grids, Masks, open_masks
from geoseg.sampling.windowindex.note import Note
from geoseg.sampling.windowindex.paths import resolved
from geoseg.sampling.windowindex.placing import boxes_of_bounds, boxes_of_pixels
from geoseg.sampling.windowindex.rows import Cells, Rows, cells_of
from geoseg.sampling.windowindex.tables import Loaded
from geoseg.warn import warn
from geoseg.window import Size

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class How:
    """How a table is read; see `WindowIndex.read`."""

    key: str
    coordinates: Coordinates
    base: str | None
    patch_size: Size | None
    outside: Outside
    snap: bool
    reproject: bool

    def of_own_file(self) -> How:
        """For a file that geoseg built: columns that are asked for mean nothing there."""
        return replace(self, coordinates="pixel")


def rows_of_loaded(uri: str, loaded: Loaded, how: How, *, grids: Grids | None = None) -> Rows:
    """The rows of a file that is loaded; its note tells whether windows may reach past their masks."""
    folder = Path(uri).absolute().parent
    rows = rows_of(loaded.table, how, where=uri, folder=folder, grids=grids, note=loaded.note)
    if loaded.note is None:
        _tell_disagreement(rows, how, where=uri)
    _tell_empty(rows, where=uri)
    return rows


def rows_of_table(
    table: DataFrame,
    how: How,
    *,
    where: str,
    folder: Path | None,
    grids: Mapping[str, Grid] | None,
) -> Rows:
    """The rows of a table in memory."""
    rows = rows_of(
        table.reset_index(drop=True), how, where=where, folder=folder, grids=Grids(grids)
    )
    _tell_disagreement(rows, how, where=where)
    _tell_empty(rows, where=where)
    return rows


def _tell_disagreement(rows: Rows, how: How, *, where: str) -> None:
    """Tell of pixels that are taken where bounds of the same row say another place."""
    if kind_of(list(rows.table.columns), how.coordinates, where=where) == "pixel":
        tell_disagreement(rows, where=where)


def _tell_empty(rows: Rows, *, where: str) -> None:
    if not len(rows.boxes):
        warn(f"{where}: holds no window; check how it was made")


def rows_of(
    table: DataFrame,
    how: How,
    *,
    where: str,
    folder: Path | None = None,
    grids: Grids | None = None,
    note: Note | None = None,
) -> Rows:
    """The rows of a table.

    Args:
        table: All columns.
        how: What its columns mean.
        where: What errors call it.
        folder: Of its file; None for a table in memory.
        grids: What is known of masks already.
        note: What geoseg noted with it; None for somebody's own.

    Raises:
        GeosegError: As of `WindowIndex.read`.
    """
    one_of(how.outside, ("error", "pad"), name="outside")
    check_key(list(table.columns), how.key, where=where)
    kind = kind_of(list(table.columns), how.coordinates, where=where)
    leads = Leads(folder=folder, base=how.base, where=where, own=note is not None)
    masks = _masks(table, how, leads, grids=grids)
    boxes = _boxes(table, masks, how, pixels=kind == "pixel", where=where)
    own = None if note is None else note.outside
    outside: Outside = "pad" if "pad" in (own, how.outside) else "error"
    images = _images(cells_of(table[IMAGE]), leads) if IMAGE in table else None
    rows = Rows(table, boxes, masks, key=how.key, outside=outside, images=images)
    # First: a window may be outside because its mask is another one now.
    if note is not None and kind == "pixel":
        check_fresh(rows, note=note, where=where)
    check_inside(boxes, masks, outside=outside, where=where)
    return rows


@dataclass(frozen=True, slots=True)
class Leads:
    """Where relative paths of a table lead; see `resolved`."""

    folder: Path | None
    base: str | None
    where: str
    own: bool

    def of(self, paths: Sequence[str]) -> tuple[str, ...]:
        """What to open, for paths as they are written."""
        return resolved(paths, folder=self.folder, base=self.base, where=self.where, own=self.own)


def _masks(table: DataFrame, how: How, leads: Leads, *, grids: Grids | None) -> Masks:
    cells = cells_of(table[how.key])
    empty = np.array([cell is None for cell in cells], bool)
    if empty.any():
        raise ConfigError(
            f"{leads.where}: {told(empty)}: the column {how.key!r} names no mask; fill it in, or remove the row"
        )
    written, rows = _distinct(cells)
    return open_masks(leads.of(written), rows, grids=grids or Grids(), where=leads.where)


def _images(cells: Cells, leads: Leads) -> Cells:
    written = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    paths = dict(zip(written, leads.of(written), strict=True))
    return np.array([paths.get(cell) for cell in cells], object)


def _boxes(table: DataFrame, masks: Masks, how: How, *, pixels: bool, where: str) -> Boxes:
    if pixels:
        return boxes_of_pixels(table, where=where)
    return boxes_of_bounds(
        table,
        masks,
        patch_size=how.patch_size,
        snap=how.snap,
        reproject=how.reproject,
        where=where,
    )


def _distinct(cells: Cells) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Each text once, in the order in which they come first, and which of them each cell is."""
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(cell, len(numbers)) for cell in cells], np.int64)
    return tuple(numbers), rows
