"""Places on the Earth in groups that lie far apart."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
from numpy.typing import NDArray

_Cell = tuple[int, ...]

_AROUND = tuple(product((-1, 0, 1), repeat=3))


class _Joined:
    """Cells that are one group, as a forest."""

    def __init__(self) -> None:
        self._parent: dict[_Cell, _Cell] = {}

    def add(self, cell: _Cell) -> None:
        """Take a cell in, and join it with those around that are there."""
        self._parent.setdefault(cell, cell)
        for step in _AROUND:
            other = tuple(a + b for a, b in zip(cell, step, strict=True))
            if other in self._parent:
                self.join(cell, other)

    def join(self, one: _Cell, other: _Cell) -> None:
        """Make one group of two."""
        self._parent[self.root(other)] = self.root(one)

    def root(self, cell: _Cell) -> _Cell:
        """The same for all cells of a group."""
        while self._parent[cell] != cell:
            self._parent[cell] = cell = self._parent[self._parent[cell]]
        return cell


def groups_apart(points: NDArray[np.float64], *, cell: float) -> list[NDArray[np.int64]]:
    """Numbers of things in groups, between which lies a gap of at least a cell somewhere.

    Args:
        points: (thing, point, 3) metres from the middle of the Earth, where no meridian is a seam.
        cell: Metres. Things nearer than this are in one group.
    """
    cells = [
        [tuple(cell) for cell in thing]
        for thing in np.floor(points / cell).astype(np.int64).tolist()
    ]
    joined = _Joined()
    for one in dict.fromkeys(one for thing in cells for one in thing):
        joined.add(one)
    for first, *others in dict.fromkeys(tuple(thing) for thing in cells):
        for other in others:  # a large thing joins what it touches
            joined.join(first, other)
    groups = defaultdict[_Cell, list[int]](list)
    for number, thing in enumerate(cells):
        groups[joined.root(thing[0])].append(number)
    return [np.array(found, np.int64) for found in groups.values()]
