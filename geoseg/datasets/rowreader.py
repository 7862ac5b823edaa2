"""Windows side by side, cut together from a ring of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from geoseg.datasets.windows import Place, hide_missing
from geoseg.scene import Scene
from geoseg.sources.rows import RowRing
from geoseg.window import Window


class RowReader:
    """Chips of windows in order, cut from a ring of rows; one thread's own."""

    def __init__(
        self, scene: Scene, *, size: tuple[int, int], width: int, num_threads: int
    ) -> None:
        """Nothing is read yet.

        Args:
            scene: Where rows come from.
            size: (height, width) of the windows; so many rows are kept.
            width: Columns kept, counted from the first.
            num_threads: See RowRing.
        """
        self.scene = scene
        self._width = size[1]
        self._ring = RowRing(scene.pixels, size=size[0], width=width, num_threads=num_threads)
        self._data: NDArray[Any] | None = None
        """(column, band, height, width): a view with the window at every column, or nothing read."""
        self._valid: NDArray[np.bool_] | None = None
        """(column, height, width) likewise; None where all of the rows is valid."""

    def reach(self, row: int, *, may_move: bool) -> bool:
        """Whether windows of this row can be cut; its pixels are read where they may be."""
        if may_move and self._ring.row != row:
            chip = self._ring.at(row)
            self._data = self._at_every_column(chip.data)
            self._valid = None if chip.valid.all() else self._at_every_column(chip.valid)
        return self._data is not None and self._ring.row == row

    def cut(
        self, windows: Sequence[Window], images: NDArray[Any], valid: NDArray[np.bool_]
    ) -> None:
        """Copy windows of the row that was reached, at equal steps to the right.

        Args:
            windows: One of the stretches that `runs` gives.
            images: (window, band, height, width), overwritten; 0 where not valid.
            valid: (window, height, width), overwritten.
        """
        first, last = windows[0].col, windows[-1].col
        step = windows[1].col - first if len(windows) > 1 else 1
        columns = slice(first, last + 1, step)
        np.copyto(images, self._data[columns])  # type: ignore[index]
        if self._valid is None:
            valid[...] = True
            return
        np.copyto(valid, self._valid[columns])
        for image, known in zip(images, valid, strict=True):
            hide_missing(image, known)

    def _at_every_column(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.moveaxis(sliding_window_view(rows, self._width, axis=-1), -2, 0)


def runs(places: Sequence[Place]) -> Iterator[slice]:
    """Stretches of windows that lie in one row of one scene at equal steps to the right."""
    begin, step = 0, None
    for i in range(1, len(places)):
        (scene, window), (before, last) = places[i], places[i - 1]
        moved = window.col - last.col
        same_row = scene == before and window.row == last.row
        if same_row and moved > 0 and step in (None, moved):
            step = moved
        else:
            yield slice(begin, i)
            begin, step = i, None
    if places:
        yield slice(begin, len(places))
