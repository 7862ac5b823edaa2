"""Which rows of an index are served."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.sampling import WindowIndex
from geoseg.warn import warn

EXCLUDED = "excluded"
_log = logging.getLogger("geoseg")
_YES = ("true", "yes", "t", "y", "1", "1.0")
_NO = ("false", "no", "f", "n", "0", "0.0", "")


def served(index: WindowIndex, *, split: str | None = None) -> tuple[WindowIndex, int]:
    """The rows that are not excluded and of a split, and how many were excluded.

    Args:
        index: All rows.
        split: The value wanted in the column `split`; None: any.

    Raises:
        ConfigError: The column `excluded` holds something else than yes and no, there is no such split, or no
            row is left.

    Warns:
        UserWarning: No mask holds a window, and how many masks there are.
    """
    where = index.uri or "the index"
    excluded = 0
    if not len(index):
        if not index.masks:
            raise ConfigError(f"{where}: there is no window to serve: it has no rows")
        warn(
            f"{where}: there is no window to serve: none of {len(index.masks)} masks holds a whole one, the "
            f'first is {index.masks[0]}; give a smaller patch_size, or edge="pad", which fills up'
        )
        return index, 0
    if EXCLUDED in index.table:
        out = _truths(index.table[EXCLUDED], where=where)
        excluded = int(out.sum())
        if excluded:
            _log.info("%s: %d of %d rows are excluded and left out", where, excluded, len(out))
            if out.all():
                raise ConfigError(
                    f"{where}: there is no window to serve: all {excluded} rows are {EXCLUDED}; check that "
                    "column"
                )
            index = index.select(~out)
    return (index if split is None else _of_split(index, split, excluded, where=where)), excluded


def tell_sizes(index: WindowIndex, size: tuple[int, int]) -> None:
    """Log that windows have another size than the one that was asked for, or several."""
    sizes, counts = np.unique(index.boxes[:, 2:], axis=0, return_counts=True)
    if len(sizes) and (len(sizes) > 1 or tuple(sizes[0]) != size):
        told = ", ".join(
            f"{h} x {w} px ({n})" for (h, w), n in zip(sizes[:4], counts, strict=False)
        )
        _log.warning(
            "%s: its windows are %s, patch_size is %s x %s; the index decides",
            index.uri or "the index", told, *size,
        )  # fmt: skip


def _of_split(index: WindowIndex, split: str, excluded: int, *, where: str) -> WindowIndex:
    if "split" not in index.table:
        raise ConfigError(
            f"{where}: has no column 'split'; write it with `geoseg prepare split`, or leave split= out"
        )
    column = index.table["split"].astype(object).where(index.table["split"].notna(), None)
    found = np.array([value == split for value in column], bool)
    if not found.any():
        there = sorted({str(value) for value in column if value is not None})
        raise ConfigError(
            f"{where}: no row is of split {split!r}, there are: "
            f"{', '.join(there) or 'none'}{' in rows that are not excluded' if excluded else ''}"
        )
    return index.select(found)


def _truths(column: Any, *, where: str) -> NDArray[np.bool_]:
    """(row,) True for yes; empty cells are no."""
    told: dict[Any, bool] = {}
    missing = column.isna().to_numpy(bool)
    out = np.zeros(len(column), bool)
    for row, value in enumerate(column.to_numpy(object)):
        if missing[row]:
            continue
        if value not in told:
            text = str(value).strip().lower()
            if text not in _YES + _NO:
                raise ConfigError(
                    f"{where}: row {row} (from 0): {EXCLUDED} is {value!r}, expected true or false"
                )
            told[value] = text in _YES
        out[row] = told[value]
    return out
