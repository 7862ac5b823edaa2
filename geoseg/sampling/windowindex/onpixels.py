"""Ground rectangles in pixels of their masks, all rows of a table at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid, apply, transformer
from geoseg.sampling.windowindex.masks import Masks, crs_of, same_crs

_EDGE_POINTS = 21
"""Points on each side of a box that is reprojected: its edges bend."""
_AT_ONCE = 20_000
"""Boxes that are reprojected in one go."""


@dataclass(frozen=True, slots=True)
class OnPixels:
    """Where the boxes of a table lie on their masks."""

    spans: Floats
    """(row, 4) first row, first column, row after the last, column after the last; not whole numbers."""
    reprojected: NDArray[np.bool_]
    """(row,) whether the box came in another CRS than its mask's; its span is then the enclosing one."""
    centres: Floats
    """(row, 2) row and column of the box's centre, which is not the span's where it was reprojected."""


@dataclass(frozen=True, slots=True)
class RowCRS:
    """The column `crs` of a table: its distinct cells, and which each row has."""

    cells: tuple[Any, ...]
    """Each once."""
    rows: NDArray[np.int64]
    """(row,) which of them; -1 for none: the box is in its mask's CRS."""

    @classmethod
    def of(cls, column: Any) -> RowCRS:
        """From a column of a table."""
        import pandas as pd

        codes, cells = pd.factorize(column)
        blank = [n for n, cell in enumerate(cells) if isinstance(cell, str) and not cell.strip()]
        rows = np.where(np.isin(codes, blank), -1, codes)
        return cls(tuple(cells.tolist()), rows.astype(np.int64))


def on_pixels(
    boxes: Floats, masks: Masks, crs: RowCRS | None, *, reproject: bool, where: str
) -> OnPixels:
    """Boxes in pixels of their masks.

    Args:
        boxes: (row, 4) left, bottom, right, top.
        masks: The masks of all rows; none is rotated.
        crs: The CRSs of the boxes; None: those of the masks.
        reproject: Whether a box may come in another CRS than its mask's.
        where: What errors call the index.

    Raises:
        GridError: A cell names no CRS, a box is in another CRS and may not be, or it has no place in that
            of its mask.
    """
    spans, centres = np.empty((len(boxes), 4)), np.empty((len(boxes), 2))
    reprojected = np.zeros(len(boxes), bool)
    for mask, rows, cell in parts(masks, crs):
        grid = masks.grids[mask]
        from_crs = None
        if cell is not None:
            from_crs = _other_crs(
                cell, grid, reproject=reproject, place=_place(rows, masks, where), count=len(rows)
            )
        reprojected[rows] = from_crs is not None
        for part in np.array_split(rows, -(-len(rows) // _AT_ONCE)):
            x, y = _points(boxes[part], edges=from_crs is not None)
            if from_crs is not None and grid.crs is not None:
                x, y = transformer(from_crs, grid.crs.to_string()).transform(x, y)
                _check_placed(x, y, place=_place(part, masks, where), grid=grid)
            col, row = apply(~grid.transform, x, y)
            spans[part] = np.stack([row.min(1), col.min(1), row.max(1), col.max(1)], axis=1)
            centres[part] = np.stack([row[:, 0], col[:, 0]], axis=1)
    return OnPixels(spans, reprojected, centres)


def parts(masks: Masks, crs: RowCRS | None) -> Iterator[tuple[int, NDArray[np.intp], Any]]:
    """(mask, rows, CRS of their boxes as it is written or None)."""
    for mask, rows in masks.groups():
        if crs is None:
            yield mask, rows, None
            continue
        codes = crs.rows[rows]
        for code in np.unique(codes):
            yield mask, rows[codes == code], None if code < 0 else crs.cells[code]


def _other_crs(cell: Any, grid: Grid, *, reproject: bool, place: str, count: int) -> str | None:
    """The CRS of boxes as text; None where it is the mask's own."""
    try:
        given = crs_of(cell)
    except (GridError, ValueError, TypeError) as error:
        raise GridError(
            f"{place}: the crs {cell!r} names no CRS; write e.g. 'EPSG:32619' or WKT"
        ) from error
    if same_crs(given, grid.crs):
        return None
    theirs = "no CRS" if grid.crs is None else grid.crs.to_string()
    if grid.crs is None:
        raise GridError(
            f"{place}: the bounds are in {given.to_string()}, the mask has no CRS; give the mask one, or "
            "write pixel columns (row_off, col_off, width, height)"
        )
    if not reproject:
        raise GridError(
            f"{place}: the bounds of {count} rows are in {given.to_string()}, the mask is in {theirs}; "
            "expected one CRS; write the bounds in that of the mask, or ask for reproject_bounds=True"
        )
    return str(given.to_string())


def _points(boxes: Floats, *, edges: bool) -> tuple[Floats, Floats]:
    """(box, point) x and y: the centre, and then the corners or points along all edges."""
    left, bottom, right, top = boxes.T[:, :, None]
    along = np.linspace(0.0, 1.0, _EDGE_POINTS if edges else 2)
    across, up = left + along * (right - left), bottom + along * (top - bottom)
    like = np.zeros_like(across)
    x = [(left + right) / 2, across, across, like + left, like + right]
    y = [(bottom + top) / 2, like + bottom, like + top, up, up]
    return np.concatenate(x, axis=1), np.concatenate(y, axis=1)


def _check_placed(x: Floats, y: Floats, *, place: str, grid: Grid) -> None:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GridError(
            f"{place}: its bounds, or those of rows with the same crs, have no place in "
            f"{grid.crs.to_string() if grid.crs else 'no CRS'}; correct the bounds or the crs"
        )


def _place(rows: NDArray[np.intp], masks: Masks, where: str) -> str:
    return f"{where}: row {rows[0]} (from 0) of {masks.path_of(int(rows[0]))}"
