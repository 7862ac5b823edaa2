"""What the counts of cells tell of windows: the least and the most pixels that one can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.sampling.boxes import Boxes, Floats, Ints, chosen
from geoseg.sampling.kinds import Quantity


class Cells:
    """Counts of some quantities in the cells of several scenes, in one line of cells.

    A quantity is any set of pixels, such as those of a class. Windows begin in their scene and may
    reach past its end.
    """

    def __init__(
        self, counts: Sequence[NDArray[Any]], shapes: Any, side: int, quantities: Sequence[Quantity]
    ) -> None:
        """Add the counts up.

        Args:
            counts: For each scene (row, column, kind of pixel) pixels in each cell.
            shapes: (scene, 2) height and width of the scenes in pixels.
            side: Pixels a side of a cell, at most 64.
            quantities: What is asked for later.
        """
        self.side = side
        self.shapes = np.asarray(shapes, np.int64)
        self.layout = -(-self.shapes // side)
        """(scene, 2) rows and columns of cells."""
        self.first = _starts(self.layout.prod(axis=1))
        """(scene + 1,) number of each scene's first cell."""
        self._row = {quantity: row for row, quantity in enumerate(dict.fromkeys(quantities))}
        self._counts = np.zeros((len(self._row), self.first[-1]), np.uint16)
        for scene, part in enumerate(counts):
            for quantity, row in self._row.items():
                sums = part[..., list(quantity)].sum(axis=-1, dtype=np.uint16)
                self._counts[row, self.first[scene] : self.first[scene + 1]] = sums.ravel()
        self._add_up()

    def _add_up(self) -> None:
        """Sums over all cells above and left, one more row and column a scene than it has cells."""
        self._sums_first = _starts((self.layout + 1).prod(axis=1))
        self._sums = np.zeros((len(self._counts), self._sums_first[-1]), np.int64)
        for scene, (rows, cols) in enumerate(self.layout.tolist()):
            cells = self._counts[:, self.first[scene] : self.first[scene + 1]]
            place = slice(self._sums_first[scene], self._sums_first[scene + 1])
            sums = self._sums[:, place].reshape(-1, rows + 1, cols + 1)
            part = cells.reshape(-1, rows, cols)
            sums[:, 1:, 1:] = part.cumsum(axis=1, dtype=np.int64).cumsum(axis=2)

    def __getstate__(self) -> dict[str, Any]:
        """Without the sums, which are large and quickly made."""
        return {k: v for k, v in self.__dict__.items() if k != "_sums"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._add_up()

    def counts(self, quantity: Quantity) -> NDArray[np.uint16]:
        """(cell,) pixels of a quantity."""
        found: NDArray[np.uint16] = self._counts[self._row[quantity]]
        return found

    def least(self, quantity: Quantity, boxes: Boxes) -> Ints:
        """(window,) so many pixels of a quantity each window holds at least; exact along cells."""
        # What a window leaves of the cells that it touches may all be of the quantity.
        found = np.zeros(len(boxes), np.int64)
        for held, area, inside in self._zones(quantity, boxes):
            found += np.maximum(held - (area - inside), 0)
        return found

    def most(self, quantity: Quantity, boxes: Boxes) -> Ints:
        """(window,) so many pixels of a quantity each window holds at most; exact along cells."""
        found = np.zeros(len(boxes), np.int64)
        for held, _, inside in self._zones(quantity, boxes):
            found += np.minimum(held, inside)
        return found

    def boxes_at(self, cells: Ints) -> Boxes:
        """The cells as windows, by their number; those at the last row and column end with the scene."""
        scenes, rows, cols = self.places(cells)
        begin = np.stack([rows, cols], axis=1) * self.side
        return np.column_stack([scenes, begin, np.minimum(self.shapes[scenes] - begin, self.side)])

    def places(self, cells: Ints) -> tuple[Ints, Ints, Ints]:
        """(scene, row, column) of cells by their number."""
        scenes = np.searchsorted(self.first, cells, side="right") - 1
        rows, cols = np.divmod(cells - self.first[scenes], self.layout[scenes, 1])
        return scenes, rows, cols

    def _zones(self, quantity: Quantity, boxes: Boxes) -> Iterator[tuple[Ints, Ints, Ints]]:
        """The cells that windows touch, in nine zones: cut at the corners and edges, whole between.

        Yields:
            (window,) pixels of the quantity in the cells of a zone, their area, and that in the window.
        """
        scenes = boxes[:, 0]
        rows, heights, tall = self._along(boxes, 0)
        cols, widths, wide = self._along(boxes, 1)
        step, first = self.layout[scenes, 1] + 1, self._sums_first[scenes]
        sums = self._sums[self._row[quantity]]
        at = [[sums[first + row * step + col] for col in cols] for row in rows]
        for i, j in product(range(3), range(3)):
            held = at[i + 1][j + 1] - at[i + 1][j] - at[i][j + 1] + at[i][j]
            yield held, heights[i] * widths[j], tall[i] * wide[j]

    def _along(self, boxes: Boxes, axis: int) -> tuple[Ints, Ints, Ints]:
        """Cells that windows touch along an axis, in three zones.

        Returns:
            (4, window) where zones begin and the last ends, in cells; (3, window) pixels of their cells;
            (3, window) those of them in the window.
        """
        shape, layout = self.shapes[boxes[:, 0], axis], self.layout[boxes[:, 0], axis]
        begin = boxes[:, 1 + axis]
        end = np.minimum(begin + boxes[:, 3 + axis], shape)
        last_whole = np.where(end == shape, layout, end // self.side)
        ends = [begin // self.side, -(-begin // self.side), last_whole, -(-end // self.side)]
        cells: Ints = np.maximum.accumulate(ends)  # a window may lie in one cell
        pixels = np.minimum(cells * self.side, shape)
        return cells, np.diff(pixels, axis=0), np.diff(np.clip(pixels, begin, end), axis=0)


class CellChoice:
    """Cells drawn by how many pixels of a quantity they hold."""

    def __init__(self, cells: Cells, quantity: Quantity, *, equal_scenes: bool) -> None:
        """Weigh the cells.

        Args:
            cells: Where to choose.
            quantity: Of what.
            equal_scenes: Scenes that hold any are chosen alike; else by how much they hold.
        """
        counts = cells.counts(quantity)
        self.cells = np.flatnonzero(counts)
        weights = counts[self.cells].astype(float)
        if equal_scenes:
            scenes = cells.places(self.cells)[0]
            weights /= np.bincount(scenes, weights)[scenes]
        self._sums = np.cumsum(weights)

    def draw(self, numbers: Floats) -> Ints:
        """(window,) cells, from numbers in [0, 1); there must be one."""
        found: Ints = self.cells[chosen(numbers, self._sums)]
        return found


def _starts(lengths: NDArray[Any]) -> Ints:
    """Where each of several stretches in a line begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
