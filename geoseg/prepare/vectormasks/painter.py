"""Painter: the classes of any window of a grid, from its layer of polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.burn import Edges, burn
from geoseg.grid import Grid
from geoseg.prepare.vectormasks.encoding import Encoding
from geoseg.prepare.vectormasks.layer import Layer
from geoseg.prepare.vectormasks.ring import near_boundary
from geoseg.window import Window, sliding

_Bools = NDArray[np.bool_]

_PART = 256
"""Pixels a side of what is looked through for boundaries at once."""


@dataclass(frozen=True, eq=False)
class Painted:
    """The pixels of a window."""

    classes: NDArray[np.int32]
    """(height, width) places of ids in `Painter.known`, -1 where ignored; the ring not yet taken out."""
    burnt: _Bools
    """(height, width) where a feature lies."""
    ring: _Bools | None
    """(height, width) what is near a boundary of classes; None without a ring."""


class Painter:
    """Paints windows. Nothing depends on which windows are asked for, or in which order."""

    known: NDArray[np.int64]
    """(class,) the ids that a pixel can have, ascending; that of ignored pixels is not among them."""

    def __init__(self, layer: Layer, grid: Grid, encoding: Encoding, *, ring_px: int) -> None:
        """Sort the polygons.

        Args:
            layer: Polygons in the grid's pixels.
            grid: The pixels.
            encoding: Of the masks.
            ring_px: Pixels that are ignored to each side of a boundary between classes.
        """
        background = [] if encoding.background is None else [encoding.background]
        used = np.unique(np.append(layer.ids, np.array(background, np.int64)))
        self.known = used[used != encoding.ignore_id]
        # A burned number is a polygon's place from the bottom, from 1: so the greater of two is on top.
        self._class_of = self._places(np.append(background or encoding.ignore_id, layer.ids))
        self._ids_out = np.append(self.known, encoding.ignore_id).astype(encoding.dtype)
        self._ring_px = ring_px
        self._tables = [
            Edges.of(
                layer.polygons[some],
                (np.flatnonzero(some) + 1).astype(np.uint32),
                mirrored=grid.transform.determinant < 0,
                all_touched=touched,
            )
            for touched in (False, True)
            if (some := layer.touched == touched).any()
        ]

    def paint(self, window: Window) -> Painted:
        """The classes of a window, which may reach past the grid."""
        around = self._ring_px
        places = self._burned(
            (window.row - around, window.row_stop + around),
            (window.col - around, window.col_stop + around),
        )
        classes = self._class_of[places]
        if not around:
            return Painted(classes, places > 0, None)
        inner = slice(around, -around), slice(around, -around)
        return Painted(classes[inner], places[inner] > 0, self._ring(classes))

    def ids(self, classes: NDArray[np.int32]) -> NDArray[Any]:
        """The ids to write, of places in `known`; -1 is that of ignored pixels."""
        written: NDArray[Any] = self._ids_out[classes]
        return written

    def _ring(self, classes: NDArray[np.int32]) -> _Bools:
        """What is near a boundary, without the margin; by parts, since most hold one class only."""
        margin = 2 * self._ring_px
        height, width = classes.shape[0] - margin, classes.shape[1] - margin
        ring = np.empty((height, width), bool)
        for part in sliding((height, width), _PART, edge="pad"):
            around = classes[part.row : part.row_stop + margin, part.col : part.col_stop + margin]
            ring[part.slices] = near_boundary(around, self._ring_px)
        return ring

    def _burned(self, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.uint32]:
        """(height, width) the place from 1 of the polygon on top, 0 where there is none."""
        top = np.zeros((rows[1] - rows[0], columns[1] - columns[0]), np.uint32)
        for table in self._tables:
            np.maximum(top, burn(table, rows=rows, columns=columns, fill=0), out=top)
        return top

    def _places(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Places in `known`, -1 for what is not there."""
        place = np.searchsorted(self.known, ids).astype(np.int32)
        there = np.isin(ids, self.known)
        return np.where(there, place, np.int32(-1))
