"""Where windows were before they became files of their own: patches tell it in columns."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.placed import is_path
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.splitting.blocks import SOURCE
from geoseg.sampling.windowindex.rows import cells_of
from geoseg.window import Window

_OFFSETS = ("source_row_off", "source_col_off")


@dataclass(frozen=True, slots=True)
class Origins:
    """The masks that windows were cut from; their own masks where they were not cut."""

    names: tuple[str, ...]
    """(window,) the mask, which need not be there any more."""
    offsets: NDArray[np.int64]
    """(window, 2) row and column in it of the patch's first pixel; 0 where windows were not cut."""

    def placed(self, row: int, window: Window) -> Window:
        """A window of a row's mask in pixels of what that was cut from."""
        down, right = self.offsets[row].tolist()
        return Window(window.row + down, window.col + right, window.height, window.width)

    def groups(self) -> dict[str, list[int]]:
        """{mask that was cut: its rows}, as they first come."""
        found: dict[str, list[int]] = {}
        for row, name in enumerate(self.names):
            found.setdefault(name, []).append(row)
        return found


def origins_of(opened: Opened) -> Origins:
    """What the columns `source_mask_path`, `source_row_off` and `source_col_off` tell, where they are there.

    Paths are taken as text, relative to the index; those files need not be there. Rows without one stand
    for themselves.
    """
    index = opened.index
    if SOURCE not in index.table:
        return Origins(index.mask_paths, np.zeros((len(index), 2), np.int64))
    uri = index.uri
    folder = Path.cwd() if uri is None else Path(uri).absolute().parent
    cells = cells_of(index.table[SOURCE])
    whole = {cell: _whole(cell, folder) for cell in dict.fromkeys(cells) if cell is not None}
    names = [
        own if cell is None else whole[cell]
        for cell, own in zip(cells, index.mask_paths, strict=True)
    ]
    return Origins(tuple(names), _offsets(opened))


def _whole(path: str, folder: Path) -> str:
    return os.path.normpath(folder / path) if is_path(path) else path


def _offsets(opened: Opened) -> NDArray[np.int64]:
    """Those of the columns; far apart where they do not tell, so that no two windows seem to overlap."""
    import pandas as pd

    table = opened.index.table
    found = _apart(opened)
    if not all(name in table for name in _OFFSETS):
        return found
    columns = [pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in _OFFSETS]
    cells = np.stack(columns, axis=1)
    known = np.isfinite(cells).all(axis=1)
    found[known] = np.round(cells[known]).astype(np.int64)
    return found


def _apart(opened: Opened) -> NDArray[np.int64]:
    """A place of its own for each mask, below all others."""
    masks = opened.index.masks
    number = {mask: place for place, mask in enumerate(masks)}
    tallest = max((opened.index.grid_of(mask).height for mask in masks), default=0)
    rows = [number[mask] * tallest for mask in opened.index.mask_paths]
    return np.stack([np.array(rows, np.int64), np.zeros(len(rows), np.int64)], axis=1)
