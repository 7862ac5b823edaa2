"""Whether pixels, bounds and CRS of a table still tell the same places on masks as they are now."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError, StaleIndexError
from geoseg.grid import Floats
from geoseg.sampling.windowindex.boxes import bounds_of as expected_bounds
from geoseg.sampling.windowindex.columns import BOUNDS, CRS, bounds_of
from geoseg.sampling.windowindex.masks import Masks, crs_of, crs_text, same_crs
from geoseg.sampling.windowindex.note import Note, files_of
from geoseg.sampling.windowindex.onpixels import RowCRS, parts
from geoseg.sampling.windowindex.rows import Rows, first_rows
from geoseg.warn import warn

_OFF_OWN = 0.01
"""Pixels: what geoseg wrote agrees to this."""
_OFF_ANY = 0.5
"""Pixels: others round their bounds."""


def check_fresh(rows: Rows, *, note: Note, where: str) -> None:
    """See that masks of an index of geoseg have the grids that they had.

    Args:
        rows: Windows by their pixels.
        note: What was noted with them.
        where: What errors call the index.

    Raises:
        StaleIndexError: They have others.

    Warns:
        UserWarning: Masks of an index that cannot be made anew have other sizes in bytes now.
    """
    found = (_other_shapes(rows, note), _other_crs(rows), _other_bounds(rows))
    told = [text for text in found if text]
    if told:
        raise StaleIndexError(
            f"{where}: masks have other grids than when it was written: {'; '.join(told)}; make the index "
            'anew from the masks as they are, or find its windows by their bounds with coordinates="bounds"'
        )
    if note.built is None:
        _tell_edited(rows, note, where=where)


def tell_disagreement(rows: Rows, *, where: str) -> None:
    """Tell in how many rows of somebody's table the bounds are not where the pixels are.

    Args:
        rows: Windows by their pixels.
        where: What the warning calls the index.

    Warns:
        UserWarning: There are such rows; those in another CRS than their mask's are not looked at.
    """
    names = bounds_of(rows.table.columns)
    if names is None:
        return
    off = np.where(_in_crs_of_mask(rows), _off(rows, names), 0.0)
    if (off > _OFF_ANY).any():
        row = int(np.argmax(off > _OFF_ANY))
        warn(
            f"{where}: in {int((off > _OFF_ANY).sum())} of {len(off)} rows the bounds are not where the pixels "
            f"are, in the first, row {row} (from 0) of {rows.masks.path_of(row)}, by {off[row]:.3g} px; the "
            'pixels are taken; should the bounds be right, ask for coordinates="bounds"'
        )


def _other_bounds(rows: Rows) -> str:
    if any(name not in rows.table for name in BOUNDS):
        return ""
    off = _off(rows, BOUNDS)
    bad = off > _OFF_OWN
    if not bad.any():
        return ""
    row = int(np.argmax(bad))
    return (
        f"{int(bad.sum())} of {len(bad)} windows lie elsewhere, the first is row {row} (from 0) of "
        f"{rows.masks.path_of(row)}, {off[row]:.3g} px off its bounds"
    )


def _other_crs(rows: Rows) -> str:
    if CRS not in rows.table:
        return ""
    bad = ~_in_crs_of_mask(rows, empty_is_none=True)
    if not bad.any():
        return ""
    row = int(np.argmax(bad))
    now = crs_text(rows.masks.grids[rows.masks.rows[row]])
    return (
        f"{int(bad.sum())} of {len(bad)} windows were in another CRS, the first is row {row} (from 0) of "
        f"{rows.masks.path_of(row)}: {_shown(rows.table[CRS].iloc[row])} then, {now or 'none'} now"
    )


def _other_shapes(rows: Rows, note: Note) -> str:
    masks, numbers = rows.masks, _named(rows, note)
    bad = [
        (n, old)
        for n, old in zip(numbers, note.masks, strict=False)
        if masks.grids[n].shape != (old.height, old.width)
    ]
    if not bad:
        return ""
    number, old = bad[0]
    height, width = masks.grids[number].shape
    return (
        f"{len(bad)} of {len(numbers)} masks have other sizes, the first is {masks.paths[number]}: "
        f"{old.height} x {old.width} px then, {height} x {width} px now"
    )


def _tell_edited(rows: Rows, note: Note, *, where: str) -> None:
    numbers = _named(rows, note)
    paths = [rows.masks.paths[n] for n in numbers]
    now = files_of(paths, [rows.masks.grids[n] for n in numbers])
    edited = [
        path
        for path, old, new in zip(paths, note.masks, now, strict=False)
        if None not in (old.size, new.size) and old.size != new.size
    ]
    if edited:
        warn(
            f"{where}: {len(edited)} of {len(paths)} masks were changed since it was written, the first is "
            f"{edited[0]}; the windows are right, but what was measured of the labels (class_counts, "
            "labelled_share, a balanced split) may not be; make the index anew to measure again"
        )


def _named(rows: Rows, note: Note) -> list[int]:
    """The masks in the order in which rows name them; none where nothing is noted of them."""
    if not note.masks or rows.key not in rows.table:
        return []
    numbers: list[int] = rows.masks.rows[first_rows(rows.table[rows.key])].tolist()
    return numbers if len(numbers) == len(note.masks) else []


def _off(rows: Rows, names: tuple[str, ...]) -> Floats:
    """(row,) how far bounds of the table are from those of the window, in pixels; 0 where there are none."""
    import pandas as pd

    columns = [pd.to_numeric(rows.table[name], errors="coerce") for name in names]
    given = np.stack([c.to_numpy(np.float64, na_value=np.nan) for c in columns], axis=1)
    low, high = np.minimum(given[:, :2], given[:, 2:]), np.maximum(given[:, :2], given[:, 2:])
    apart = np.abs(np.concatenate([low, high], axis=1) - expected_bounds(rows.boxes, rows.masks))
    off: Floats = np.nan_to_num(apart / _pixels(rows.masks), nan=0.0).max(axis=1, initial=0.0)
    return off


def _pixels(masks: Masks) -> Floats:
    """(row, 4) how wide and high pixels are on the ground, twice."""
    found = [
        (abs(g.transform.a) + abs(g.transform.b), abs(g.transform.d) + abs(g.transform.e))
        for g in masks.grids
    ]
    return np.tile(np.array(found).reshape(-1, 2)[masks.rows], 2)


def _in_crs_of_mask(rows: Rows, *, empty_is_none: bool = False) -> NDArray[np.bool_]:
    """(row,) whether the cell of the CRS means that of the mask; an empty one does, unless it says none."""
    same = np.ones(len(rows.boxes), bool)
    if CRS not in rows.table:
        return same
    for mask, part, cell in parts(rows.masks, RowCRS.of(rows.table[CRS])):
        crs = rows.masks.grids[mask].crs
        if cell is None:
            same[part] = crs is None or not empty_is_none
            continue
        try:
            same[part] = same_crs(crs_of(cell), crs)
        except (GridError, ValueError, TypeError):
            same[part] = False
    return same


def _shown(cell: Any) -> str:
    return cell if isinstance(cell, str) else "none"
