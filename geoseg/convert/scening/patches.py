"""Patches cut from scenes, row of windows by row of windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.convert.layout import MASK
from geoseg.convert.scening.measured import Measured
from geoseg.convert.scening.missing import Missing, mark_missing
from geoseg.grid import Grid
from geoseg.labels.base import Ids
from geoseg.scene import Scene
from geoseg.sources.rows import RowRing
from geoseg.window import Edge, Size, Window, WindowSequence, sliding

VALID = "valid"
"""The name of the array that tells which pixels are valid, where no number in the bands does."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How patches are cut."""

    size: Size | None
    """None: each scene is one patch."""
    stride: Size | None
    edge: Edge


@dataclass(frozen=True, slots=True, eq=False)
class CutPatch:
    """One patch, ready to be stored."""

    key: str
    arrays: dict[str, NDArray[Any]]
    """(height, width) by band; `mask` and `valid` where there are such."""
    grid: Grid
    nodata: dict[str, float | None]


def windows_of(scene: Scene, cut: Cut) -> WindowSequence:
    """The windows of a scene, also those that its AOI leaves out."""
    grid = scene.grid
    return sliding(grid, cut.size or grid.shape, cut.stride, cut.edge)


def all_inside(scene: Scene, windows: WindowSequence) -> bool:
    """Whether no window reaches past the scene."""
    height, width = windows.size
    last = Window(windows.rows[-1], windows.cols[-1], height, width) if windows else None
    return last is None or scene.grid.whole.contains(last)


def kept_in_row(scene: Scene, windows: WindowSequence, row: int) -> list[Window]:
    """Those of a row that meet the scene's AOI."""
    found = [Window(row, col, *windows.size) for col in windows.cols]
    if (area := scene.area) is not None:
        found = [window for window, keep in zip(found, area.keep(found), strict=True) if keep]
    return found


def patches_of(scene: Scene, cut: Cut, missing: Missing) -> Iterator[CutPatch]:
    """The patches of a scene; memory holds one row of windows."""
    windows = windows_of(scene, cut)
    rows = _Rows(scene, windows)
    for row in windows.rows:
        kept = kept_in_row(scene, windows, row)
        if kept:
            rows.read(row)
        for window in kept:
            key = scene.id if cut.size is None else f"{scene.id}_{window.row}_{window.col}"
            yield _patch(key, scene, missing, window, rows.cut(window))


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """What a window shows."""

    data: NDArray[Any]
    """(band, height, width), a copy."""
    measured: NDArray[np.bool_]
    """(band, height, width)."""
    valid: NDArray[np.bool_]
    """(height, width)."""
    ids: Ids | None


class _Rows:
    """Image, what is measured of it, and ids of one row of windows, at full width."""

    def __init__(self, scene: Scene, windows: WindowSequence) -> None:
        self._scene, self._pixels = scene, scene.pixels
        self._height = windows.size[0]
        self._width = max(scene.grid.width, windows.cols[-1] + windows.size[1])
        self._of_bands = Measured(scene)
        self._ring: RowRing | None = None
        if not self._pixels.lacks_bands:
            self._ring = RowRing(self._pixels, size=self._height, width=self._width)

    def read(self, row: int) -> None:
        """Go down to a row; rows that two rows of windows share are read once."""
        whole = Window(row, 0, self._height, self._width)
        if self._ring is not None:
            chip = self._ring.at(row)
            measured = self._of_bands.of(chip, whole)
        else:
            chip, measured = self._pixels.read_measured(whole)
        self._data, self._measured, self._valid = chip.data, measured, chip.valid
        self._ids = self._scene.read_labels(whole, chip.valid)

    def cut(self, window: Window) -> _Pixels:
        """A window's columns."""
        cols = slice(window.col, window.col_stop)
        return _Pixels(
            data=self._data[..., cols].copy(),
            measured=self._measured[..., cols],
            valid=self._valid[:, cols],
            ids=None if self._ids is None else self._ids[:, cols].copy(),
        )


def _patch(key: str, scene: Scene, missing: Missing, window: Window, pixels: _Pixels) -> CutPatch:
    names, data = scene.image.band_names, pixels.data
    nodata: dict[str, float | None] = {}
    if (marks := missing.marks) is None:
        data[~pixels.measured] = 0  # unspecified there: the same input is to give the same bytes
    else:
        mark_missing(data, pixels.measured, marks, f"scene {scene.id!r}: {window}")
        nodata = {name: float(mark.real) for name, mark in zip(names, marks, strict=True)}
    arrays: dict[str, NDArray[Any]] = dict(zip(names, data, strict=True))
    if missing.array:
        arrays[VALID] = pixels.valid.astype(np.uint8)
        nodata[VALID] = 0
    if pixels.ids is not None and scene.labels is not None:
        arrays[MASK] = pixels.ids
        nodata[MASK] = float(scene.labels.class_map.ignore_id)
    return CutPatch(key, arrays, scene.grid.crop(window), nodata)
