"""Windows that are looked for pixel by pixel, where the counts of cells tell of none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.sampling.boxes import Boxes, Floats, Ints
from geoseg.sampling.cells import Cells
from geoseg.sampling.histogram import pixel_kinds
from geoseg.sampling.kinds import Kind, Quantity
from geoseg.scene import Scene
from geoseg.window import Window

_PLACES = 64
"""Cells at whose pixels windows begin that are looked at: the most promising."""


def look(kind: Kind, cells: Cells, scenes: Sequence[Scene], candidates: Iterable[Boxes]) -> Boxes:
    """Windows of a kind that begin at any pixel of the most promising cells; there may be none.

    Args:
        kind: Of the windows.
        cells: What is known of the scenes.
        scenes: Their pixels around some of the candidates are read.
        candidates: Windows that begin at cells.
    """
    best = np.zeros((0, 5), np.int64)
    hopes = np.zeros(0)
    for boxes in candidates:
        both, hope = np.concatenate([best, boxes]), np.append(hopes, _hope(kind, cells, boxes))
        order = np.argsort(-hope, kind="stable")[:_PLACES]
        order = order[hope[order] > -np.inf]
        best, hopes = both[order], hope[order]
    found = [_around(kind, scenes[int(box[0])], box, cells.side) for box in best]
    boxes = np.concatenate([np.zeros((0, 5), np.int64), *found])
    return boxes[np.argsort(boxes[:, 0], kind="stable")]


def _hope(kind: Kind, cells: Cells, boxes: Boxes) -> Floats:
    """(window,) how promising each is; minus infinity where none that begins near it can be kept."""
    area = boxes[:, 3] * boxes[:, 4]
    step = cells.side - 1
    grown = boxes + np.array([0, 0, 0, step, step])
    core = boxes + np.array([0, step, step, -step, -step])
    # The scene may end in the core, which then tells nothing.
    inside = (core[:, 1:3] < cells.shapes[core[:, 0]]).all(axis=1)
    hope = np.full(len(boxes), np.inf)
    hopeless = np.zeros(len(boxes), bool)
    for need in kind.needs:
        wanted = need.of(area)
        hopeless |= cells.most(need.quantity, grown) < wanted
        hope = np.minimum(hope, cells.most(need.quantity, boxes) / wanted)
    if kind.without is not None:
        hopeless[inside] |= cells.least(kind.without, core[inside]) > 0
        hope -= cells.least(kind.without, boxes) / area
    return np.where(hopeless, -np.inf, hope)


def _around(kind: Kind, scene: Scene, box: Ints, side: int) -> Boxes:
    """Windows of a kind that begin in the square of a cell's side right and below a box's corner."""
    number, row, col, height, width = box.tolist()
    lasts = [
        max(length - size, 0)
        for length, size in zip(scene.grid.shape, (height, width), strict=True)
    ]
    rows, cols = (
        min(side, last - start + 1) for start, last in zip((row, col), lasts, strict=True)
    )
    whole = Window(row, col, height + rows - 1, width + cols - 1)
    part = whole.intersection(scene.grid.whole)
    kinds = np.full(whole.shape, -1, np.int16)
    if part is not None:
        kinds[part.relative_to(whole).slices] = pixel_kinds(scene, part)
    kept = np.ones((rows, cols), bool)
    area = np.array(height * width)
    for need in kind.needs:
        kept &= _sums(kinds, need.quantity, (height, width)) >= need.of(area)
    if kind.without is not None:
        kept &= _sums(kinds, kind.without, (height, width)) == 0
    down, right = np.nonzero(kept)
    rest = np.broadcast_to([height, width], (len(down), 2))
    return np.column_stack([np.full(len(down), number), row + down, col + right, rest])


def _sums(kinds: NDArray[np.int16], quantity: Quantity, size: tuple[int, int]) -> Ints:
    """(row, col) pixels of a quantity in the windows of a size at every place of (height, width)."""
    sums = np.zeros((kinds.shape[0] + 1, kinds.shape[1] + 1), np.int64)
    sums[1:, 1:] = np.isin(kinds, quantity).cumsum(axis=0).cumsum(axis=1)
    height, width = size
    found: Ints = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    return found
