"""From a mask to its runs, without transposing it.

Along the fastest axis of the line a mask is a bundle of columns. It changes inside a column where two
neighbours differ, found by comparing the array with itself one step on, as it lies in memory; and from
one column to the next where the last voxel of one differs from the first of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import LabelError
from geoseg.shortlist import some
from geoseg.volumes.masked import hidden
from geoseg.volumes.rle.layout import Layout
from geoseg.volumes.rle.runs import Positions, Runs

_SLAB = 2**20
"""Voxels compared at once: few enough to stay in cache."""
_SHOWN = 8
"""How many values an error lists."""


def runs_of(mask: NDArray[Any], layout: Layout) -> Runs:
    """Canonical runs of the voxels that are not 0.

    Args:
        mask: Array of the layout's shape, in any memory order: bool, or integers 0 and one k > 0.
        layout: The line in which positions count.

    Raises:
        LabelError: The mask holds anything else.
    """
    value = _value(mask)
    faces = mask.transpose(layout.axes[::-1])
    first, last = faces[..., 0].reshape(-1), faces[..., -1].reshape(-1)
    _refuse_others(first, value=value)
    outside = np.zeros(1, mask.dtype)
    changed = np.concatenate([first, outside]) != np.concatenate([outside, last])
    between = np.flatnonzero(changed) * mask.shape[layout.axes[0]]
    edges = np.concatenate([between, *_inside_columns(mask, layout, value=value)])
    edges.sort()
    return edges[::2].copy(), edges[1::2].copy()


def refuse_masked(mask: ArrayLike) -> None:
    """LabelError for a masked array that hides voxels: what stands there is neither inside nor outside."""
    if count := hidden(mask):
        raise LabelError(
            f"the mask is a masked array, {count} of its voxels are masked; say what they are: "
            "mask.filled(False) for outside"
        )


def _inside_columns(mask: NDArray[Any], layout: Layout, *, value: int) -> Iterator[Positions]:
    """Positions of voxels that differ from the one before in their column, slab by slab."""
    memory = sorted(range(3), key=lambda axis: (mask.shape[axis] == 1, -abs(mask.strides[axis])))
    view = mask.transpose(memory)
    places = [layout.places[axis] for axis in memory]
    along = memory.index(layout.axes[0])
    here: tuple[slice, ...] = (slice(None),) * along
    planes = max(_SLAB // (view.shape[1] * view.shape[2]), 1)
    for top in range(0, len(view), planes):
        # Where columns run from plane to plane, slabs share one: its neighbours lie in both.
        slab = view[top : top + planes + (along == 0)]
        after, before = slab[(*here, slice(1, None))], slab[(*here, slice(-1))]
        if after.size:
            index = _unravelled(np.flatnonzero(after != before), after.shape)
            if mask.dtype != np.bool_:
                _refuse_others(after[index], value=value)
            position: Positions = index[0] * places[0]
            position += index[1] * places[1]
            position += index[2] * places[2]
            position += top * places[0] + 1
            yield position


def _unravelled(flat: Positions, shape: tuple[int, ...]) -> tuple[Positions, Positions, Positions]:
    """As `np.unravel_index` for three axes, several times faster: numpy divides by one number fast."""
    line = flat // shape[2]
    plane = line // shape[1]
    return plane, line - plane * shape[1], flat - line * shape[2]


def _value(mask: NDArray[Any]) -> int:
    """The value that stands for "in the mask"; LabelError for dtypes and signs that have none."""
    if mask.dtype == np.bool_:
        return 1
    if mask.dtype.kind not in "iu":
        raise LabelError(
            f"the mask is {mask.dtype}, expected bool, or integers 0 and one other; say what is inside, "
            "such as mask > 0.5"
        )
    if mask.dtype.kind == "i" and mask.min() < 0:
        raise LabelError(
            f"the mask holds {mask.min()}, expected bool, or integers 0 and one other above it"
        )
    return int(mask.max())


def _refuse_others(values: NDArray[Any], *, value: int) -> None:
    """LabelError unless the values are 0 or `value`.

    Voxels at the head of a column and those that differ from the one before: they hold every value
    that the mask does.
    """
    other = (values != 0) & (values != value)
    if other.any():
        found = np.unique(np.append(values[other], values.dtype.type(value))).tolist()
        shown = some(found, _SHOWN, counted=False)
        raise LabelError(
            f"the mask holds the values {shown} beside 0, expected 0 and one other; encode each class "
            f"by itself, such as mask == {found[0]}"
        )
