"""All windows of one size that keep the rules and begin at a cell, for rules that few windows keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.sampling.boxes import Boxes, Floats, Ints, chosen
from geoseg.sampling.cells import Cells
from geoseg.sampling.kinds import Kind
from geoseg.sampling.looked import look
from geoseg.scene import Scene

_AT_ONCE = 1 << 18
"""Windows that are looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Windows of one size that keep the rules of their kind."""

    places: NDArray[np.int32]
    """(window, 3): scene number, row, col; scene after scene."""
    size: tuple[int, int]
    """Height and width of them all."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.places.nbytes

    def draw(self, numbers: Floats, *, equal_scenes: bool) -> Boxes:
        """Some of them, from numbers in [0, 1); all equally likely, or scenes and those in one."""
        if equal_scenes:
            _, scene, counts = np.unique(self.places[:, 0], return_inverse=True, return_counts=True)
            which = chosen(numbers, np.cumsum(1 / counts[scene]))
        else:
            which = (numbers * len(self.places)).astype(np.int64)
        places = self.places[which].astype(np.int64)
        return np.column_stack([places, np.broadcast_to(self.size, (len(places), 2))])


def keeps(kind: Kind, cells: Cells, boxes: Boxes) -> NDArray[np.bool_]:
    """(window,) whether each is sure to be of a kind."""
    area = boxes[:, 3] * boxes[:, 4]
    kept = np.ones(len(boxes), bool)
    for need in kind.needs:
        kept &= cells.least(need.quantity, boxes) >= need.of(area)
    if kind.without is not None:
        kept &= cells.most(kind.without, boxes) == 0
    return kept


def find(
    kind: Kind, size: tuple[int, int], cells: Cells, scenes: Sequence[Scene], *, length: int
) -> Found:
    """All windows of a kind and size that begin at a cell; if none does, some that begin elsewhere.

    Args:
        kind: Of the windows.
        size: (height, width) of them all.
        cells: What is known of the scenes.
        scenes: Their pixels are read where no window begins at a cell.
        length: Windows in an epoch, for the text of the error.

    Raises:
        ConfigError: There is none; the text says what the best hold.
    """
    parts = [np.zeros((0, 5), np.int64)]
    parts += [boxes[keeps(kind, cells, boxes)] for boxes in _beginning_at_cells(cells, size)]
    boxes = np.concatenate(parts)
    if not len(boxes):
        boxes = look(kind, cells, scenes, _beginning_at_cells(cells, size))
    if not len(boxes):
        raise ConfigError(_why_none(kind, size, cells, length=length))
    return Found(boxes[:, :3].astype(np.int32), size)


def _beginning_at_cells(cells: Cells, size: tuple[int, int]) -> Iterator[Boxes]:
    """Windows that begin at cells, some at a time; those that would reach past a scene end with it."""
    for first in range(0, int(cells.first[-1]), _AT_ONCE):
        numbers = np.arange(first, min(first + _AT_ONCE, int(cells.first[-1])))
        scenes, rows, cols = cells.places(numbers)
        corners = np.stack([rows, cols], axis=1) * cells.side
        lasts = np.maximum(cells.shapes[scenes] - size, 0)
        new = (corners - lasts < cells.side).all(
            axis=1
        )  # else they end with the scene as others do
        corners = np.minimum(corners, lasts)
        boxes = np.column_stack([scenes, corners, np.broadcast_to(size, corners.shape)])
        yield boxes[new]


def _why_none(kind: Kind, size: tuple[int, int], cells: Cells, *, length: int) -> str:
    """What the best windows hold, each rule by itself."""
    area: Ints = np.array([size[0] * size[1]])
    told = []
    for need in kind.needs:
        counts = (cells.most(need.quantity, b).max() for b in _beginning_at_cells(cells, size))
        told.append(
            f"at least {int(need.of(area)[0])} of its {area[0]} pixels {need.name} (the best that begins at "
            f"a cell has at most {max(map(int, counts))})"
        )
    if kind.without is not None:
        counts = (cells.least(kind.without, b).min() for b in _beginning_at_cells(cells, size))
        told.append(
            "none of another class (the best that begins at a cell has at least "
            f"{min(map(int, counts))})"
        )
    return (
        f"sampling: no window of {size[0]} x {size[1]} px {kind.name} was found that has "
        f"{' and '.join(told)}, but {max(round(kind.share * length), 1)} of the {length} windows of an epoch "
        "are to be such; ask for less, or choose smaller windows or other scenes"
    )
