"""From runs to voxels of a box.

Each column of the box finds its own runs by bisection. Where a run begins or ends a 1 is set, and an
exclusive or along the columns then turns changes into voxels: whole planes at once, in memory order.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoseg.volumes.rle.layout import Layout, Shape
from geoseg.volumes.rle.runs import Positions, Runs

Span = tuple[int, int]
"""First voxel along an axis and one past the last."""
Box = tuple[Span, Span, Span]
"""Spans of depth, height and width; may reach outside the volume."""

_COLUMNS = 2**14
"""Columns that find their runs at once: few enough to stay in cache."""
_FEW = 256
"""Columns from which one numpy call a step along them is faster than one for all steps."""


def painted(runs: Runs, layout: Layout, box: Box) -> NDArray[np.bool_]:
    """The voxels of a box, (depth, height, width) C-contiguous; outside the volume they are False.

    Args:
        runs: Canonical runs.
        layout: The line in which their positions count.
        box: Spans of at least one voxel each.
    """
    out = np.zeros([stop - start for start, stop in box], np.uint8)
    inside: list[Span] = [
        (max(start, 0), min(stop, side))
        for (start, stop), side in zip(box, layout.shape, strict=True)
    ]
    if all(start < stop for start, stop in inside):
        _, middle, slow = layout.axes
        step = max(_COLUMNS // (inside[middle][1] - inside[middle][0]), 1)
        for first in range(*inside[slow], step):
            part = list(inside)
            part[slow] = first, min(first + step, inside[slow][1])
            _set_changes(out, runs, layout, part, origin=(box[0][0], box[1][0], box[2][0]))
        region = tuple(
            slice(start - origin, stop - origin)
            for (start, stop), (origin, _) in zip(inside, box, strict=True)
        )
        _fill(out[region], layout.axes[0])
    return out.view(np.bool_)


def _set_changes(
    out: NDArray[np.uint8], runs: Runs, layout: Layout, part: list[Span], *, origin: Shape
) -> None:
    """Set 1 where a column of this part of the volume changes, counted from False before its first voxel."""
    fast, middle, slow = layout.axes
    height = part[fast][1] - part[fast][0]
    steps = [stride // out.itemsize for stride in out.strides]
    begin = _cells(part, layout.places, (slow, middle)) + part[fast][0] * layout.places[fast]
    column, start, end = _pieces(runs, begin, height)
    local = [(first - zero, stop - zero) for (first, stop), zero in zip(part, origin, strict=True)]
    cell = _cells(local, steps, (slow, middle)) + local[fast][0] * steps[fast]
    cell = cell[column]
    flat = out.reshape(-1)
    flat[cell + start * steps[fast]] = 1
    open_end = end < height
    flat[(cell + end * steps[fast])[open_end]] = 1


def _cells(spans: list[Span], steps: Shape | list[int], axes: tuple[int, int]) -> Positions:
    """Offsets of the cells of two spans, the first axis slowest: the sum of index times step."""
    one, other = (np.arange(*spans[axis], dtype=np.int64) * steps[axis] for axis in axes)
    cells: Positions = (one[:, np.newaxis] + other).reshape(-1)
    return cells


def _pieces(runs: Runs, begin: Positions, height: int) -> tuple[Positions, Positions, Positions]:
    """What runs leave in columns.

    Args:
        runs: Canonical runs.
        begin: (column,) position of the first voxel of each.
        height: Voxels in a column.

    Returns:
        column, start, end: (piece,) the column's index, and voxels counted from its begin.
    """
    starts, ends = runs
    first = np.searchsorted(ends, begin, side="right")
    count = np.searchsorted(starts, begin + height) - first
    column = np.repeat(np.arange(len(begin)), count)
    run = np.arange(len(column)) + np.repeat(first - (np.cumsum(count) - count), count)
    zero = begin[column]
    return column, np.maximum(starts[run] - zero, 0), np.minimum(ends[run] - zero, height)


def _fill(changes: NDArray[np.uint8], axis: int) -> None:
    """Turn changes along an axis into voxels, in place."""
    planes = np.moveaxis(changes, axis, 0)
    if planes[0].size < _FEW:
        np.bitwise_xor.accumulate(changes, axis=axis, out=changes)
        return
    for previous, plane in pairwise(planes):
        np.bitwise_xor(plane, previous, out=plane)
