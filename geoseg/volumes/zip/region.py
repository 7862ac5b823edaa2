"""Boxes of a volume that may reach outside of it."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.errors import GridError
from geoseg.volumes.rle import Shape
from geoseg.volumes.rle.value import span

Span = tuple[int, int]
"""First voxel along an axis and one past the last."""
Region = tuple[Span, Span, Span]
"""Spans of depth, height and width inside a volume, at least one voxel each."""
Slices = tuple[slice, slice, slice]
_AXES = ("depth", "height", "width")


def region_of(box: Sequence[slice], shape: Shape) -> tuple[Region | None, Slices, Shape]:
    """The part of a box that lies in the volume, where that lies in the box, and the box's shape.

    The part is None where the box lies wholly outside.

    Raises:
        GridError: There are not three slices, or one is empty or has a step.

    >>> region_of((slice(-1, 2), slice(None), slice(1, 9)), (4, 3, 2))[0]
    ((0, 2), (0, 3), (1, 2))
    """
    if len(box) != len(_AXES):
        raise GridError(f"the box has {len(box)} slices, expected depth, height and width")
    spans = [span(part, side, axis) for part, side, axis in zip(box, shape, _AXES, strict=True)]
    depth, height, width = (
        (max(start, 0), min(stop, side)) for (start, stop), side in zip(spans, shape, strict=True)
    )
    inside = depth, height, width
    one, two, three = (
        slice(low - start, high - start)
        for (low, high), (start, _) in zip(inside, spans, strict=True)
    )
    sides = [stop - start for start, stop in spans]
    held = all(low < high for low, high in inside)
    return inside if held else None, (one, two, three), (sides[0], sides[1], sides[2])
