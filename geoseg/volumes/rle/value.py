"""A binary volume as its runs."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.volumes.rle.encoding import refuse_masked, runs_of
from geoseg.volumes.rle.layout import Layout, Order, Shape, layout_of
from geoseg.volumes.rle.painting import Span, painted
from geoseg.volumes.rle.runs import Positions, Runs, complement, intersection, merged, union
from geoseg.volumes.rle.text import read_text, text_of
from geoseg.warn import warn

_2D, _3D = 2, 3


@dataclass(frozen=True, eq=False, repr=False)
class Rle:
    """A binary mask (depth, height, width) as runs of voxels along one line.

    A value: never changed, compared and hashed by what it holds, pickled small. Its runs are sorted and
    never touch, so equal masks of one order are equal.

    Areas, boxes, windows and set operations come straight from the runs: none of them makes the volume.

    >>> mask = Rle.parse("2 3", shape=(2, 3))
    >>> mask, mask.to_string()
    (Rle(1 runs, 3 voxels, shape=(1, 2, 3), order='dhw'), '2 3')
    >>> mask.decode().astype(int)
    array([[[0, 1, 0],
            [1, 1, 0]]])
    """

    starts: Positions
    """(run,) position of the first voxel of each in the line, from 0; read-only."""
    lengths: Positions
    """(run,) voxels in each; read-only."""
    shape: Shape
    """(depth, height, width); given as (height, width), it is of depth 1."""
    order: Order = "dhw"
    """Axes from the fastest to the slowest along the line."""

    def __post_init__(self) -> None:
        layout = layout_of(self.shape, order=self.order)
        starts, lengths = _whole(self.starts, "starts"), _whole(self.lengths, "lengths")
        if len(starts) != len(lengths):
            raise ConfigError(f"{len(starts)} starts but {len(lengths)} lengths, expected as many")
        starts, ends = _checked(starts, lengths, size=layout.size)
        _keep(self, (starts, ends), layout)

    @classmethod
    def encode(cls, mask: ArrayLike, *, order: Order = "dhw") -> Self:
        """The runs of a mask.

        Args:
            mask: (depth, height, width), or (height, width) for depth 1, in any memory order: bool, or
                integers 0 and one other above it.
            order: Axes from the fastest to the slowest along the line.

        Raises:
            LabelError: The mask has other axes or other values, or is a masked array that hides some.
        """
        refuse_masked(mask)
        array = np.asarray(mask)
        if array.ndim not in (_2D, _3D) or not array.size:
            raise LabelError(
                f"the mask has the shape {array.shape}, expected (depth, height, width) or "
                "(height, width), each at least 1"
            )
        layout = layout_of(array.shape, order=order)
        return cls._of(runs_of(array.reshape(layout.shape), layout), layout)

    @classmethod
    def parse(
        cls,
        text: str | None,
        *,
        shape: Shape | tuple[int, int],
        strict: bool = True,
        order: Order = "dhw",
        where: str = "",
    ) -> Self:
        """The runs that a text lists: pairs "start length", starts from 1.

        Warns with counts of runs that touch (joined) and of leading zeros, and of whatever `strict`
        forbids.

        Args:
            text: As `to_string` writes it; the empty string for an empty mask.
            shape: (depth, height, width) of the mask, or (height, width) for depth 1.
            strict: Whether a missing text (None or NaN), white space other than single spaces between
                values, and runs that overlap or come out of order are errors. Otherwise a missing or
                blank text is an empty mask, and such runs are merged.
            order: Axes from the fastest to the slowest along the line; the text does not tell.
            where: What an error or warning begins with, such as the names of the image and the class.

        Raises:
            LabelError: The text is not a list of runs inside the volume.
        """
        layout = layout_of(shape, order=order)
        runs, notes = read_text(text, size=layout.size, strict=strict, where=where)
        for note in notes:
            warn(_noted(note, where))
        return cls._of(runs, layout)

    @classmethod
    def _of(cls, runs: Runs, layout: Layout) -> Self:
        """Of canonical runs, which are not checked again."""
        mask = cls.__new__(cls)
        _keep(mask, runs, layout)
        return mask

    def to_string(self) -> str:
        """The runs as text in this order; the empty string for an empty mask."""
        return text_of(self._runs)

    def decode(self) -> NDArray[np.bool_]:
        """The mask, bool (depth, height, width), C-contiguous."""
        depth, height, width = self.shape
        return painted(self._runs, self._layout, ((0, depth), (0, height), (0, width)))

    def window(self, box: Sequence[slice]) -> NDArray[np.bool_]:
        """A part of the mask, bool (depth, height, width), C-contiguous.

        Args:
            box: Slices of depth, height and width, each at least one voxel. They count from the
                volume's first voxel, negative numbers before it; outside the volume the mask is False.

        Raises:
            GridError: There are not three slices, or one is empty or has a step.
        """
        if len(box) != _3D:
            raise GridError(f"the box has {len(box)} slices, expected depth, height and width")
        depth, height, width = (
            span(part, side, axis)
            for part, side, axis in zip(box, self.shape, ("depth", "height", "width"), strict=True)
        )
        return painted(self._runs, self._layout, (depth, height, width))

    @cached_property
    def area(self) -> int:
        """Voxels in the mask."""
        return int(self.lengths.sum())

    @cached_property
    def box(self) -> tuple[slice, slice, slice] | None:
        """The smallest box around the mask, slices of depth, height and width; None when it is empty."""
        if not self.area:
            return None
        starts, lasts = self.starts, self._runs[1] - 1
        spans = []
        for place, side in zip(self._layout.places, self.shape, strict=True):
            first, last = starts // place, lasts // place
            # A run that passes a line's end holds that line's last voxel and the next one's first.
            whole = (first // side != last // side).any()
            low, high = (0, side) if whole else ((first % side).min(), (last % side).max() + 1)
            spans.append(slice(int(low), int(high)))
        return spans[0], spans[1], spans[2]

    def voxel(self, index: int) -> Shape:
        """(d, h, w) of one voxel of the mask, found without decoding.

        Args:
            index: Which one, 0 up to, not including, `area`, in the order of the line: a random index
                is a random voxel, each as likely as the other.

        Raises:
            IndexError: The mask has no such voxel.
        """
        index = operator.index(index)
        if not 0 <= index < self.area:
            raise IndexError(f"voxel {index} of {self.area}")
        run = int(np.searchsorted(self._counted, index, side="right"))
        past = int(self._counted[run]) - index
        return self._layout.voxel(int(self._runs[1][run]) - past)

    def reordered(self, order: Order) -> Self:
        """The same mask along another line; decodes it, unless it is along that line already."""
        layout = layout_of(self.shape, order=order)
        return self if order == self.order else self._of(runs_of(self.decode(), layout), layout)

    def iou(self, other: Rle) -> float:
        """Intersection over union, 0 to 1; two empty masks are equal: 1.

        Raises:
            GridError: The masks differ in shape or order.
        """
        common = (self & other).area
        either = self.area + other.area - common
        return common / either if either else 1.0

    def __or__(self, other: Rle) -> Self:
        """Voxels in either mask; GridError where they differ in shape or order."""
        if not isinstance(other, Rle):
            return NotImplemented
        return self._of(union(self._runs, self._fitting(other)), self._layout)

    def __and__(self, other: Rle) -> Self:
        """Voxels in both masks; GridError where they differ in shape or order."""
        if not isinstance(other, Rle):
            return NotImplemented
        return self._of(intersection(self._runs, self._fitting(other)), self._layout)

    def __sub__(self, other: Rle) -> Self:
        """Voxels in this mask and not in the other; GridError where they differ in shape or order."""
        if not isinstance(other, Rle):
            return NotImplemented
        rest = complement(self._fitting(other), size=self._layout.size)
        return self._of(intersection(self._runs, rest), self._layout)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rle):
            return NotImplemented
        return (
            self._layout == other._layout
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.lengths, other.lengths)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.order, self.starts.tobytes(), self.lengths.tobytes()))

    def __reduce__(self) -> tuple[Any, ...]:
        narrow = np.min_scalar_type(self._layout.size)
        runs = self.starts.astype(narrow), self.lengths.astype(narrow)
        return type(self), (*runs, self.shape, self.order)

    def __repr__(self) -> str:
        return (
            f"Rle({len(self.starts)} runs, {self.area} voxels, shape={self.shape}, "
            f"order={self.order!r})"
        )

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.shape, self.order)

    @cached_property
    def _runs(self) -> Runs:
        """(starts, ends)."""
        return self.starts, self.starts + self.lengths

    @cached_property
    def _counted(self) -> Positions:
        """(run,) voxels of the mask up to the end of each run."""
        counted: Positions = np.cumsum(self.lengths)
        return counted

    def _fitting(self, other: Rle) -> Runs:
        """The runs of another mask of the same line."""
        if self.shape != other.shape:
            raise GridError(f"masks of the shapes {self.shape} and {other.shape} do not fit")
        if self.order != other.order:
            raise GridError(
                f"the runs of one mask are in the order {self.order!r}, those of the other in "
                f"{other.order!r}; bring one into the order of the other with reordered({self.order!r})"
            )
        return other._runs


def _keep(mask: Rle, runs: Runs, layout: Layout) -> None:
    """Set all fields of a new mask; the runs are canonical and nobody else's."""
    starts, ends = runs
    lengths = ends - starts
    starts.flags.writeable = lengths.flags.writeable = False
    values = {"starts": starts, "lengths": lengths, "shape": layout.shape, "order": layout.order}
    for name, value in values.items():
        object.__setattr__(mask, name, value)


def parse_with_notes(
    text: str | None,
    *,
    shape: Shape | tuple[int, int],
    strict: bool = True,
    order: Order = "dhw",
    where: str = "",
) -> tuple[Rle, tuple[str, ...]]:
    """As `Rle.parse`, with the texts of its warnings returned and not raised, for a report."""
    layout = layout_of(shape, order=order)
    (starts, ends), notes = read_text(text, size=layout.size, strict=strict, where=where)
    found = tuple(_noted(note, where) for note in notes)
    return Rle(starts, ends - starts, layout.shape, order), found


def _noted(note: str, where: str) -> str:
    return f"{where}: run-length text: {note}" if where else f"run-length text: {note}"


def _whole(values: ArrayLike, name: str) -> Positions:
    """A copy of the values as 64-bit integers."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ConfigError(f"{name} are {array.dtype} {array.shape}, expected integers (run,)")
    return array.astype(np.int64)


def _checked(starts: Positions, lengths: Positions, *, size: int) -> Runs:
    """Canonical runs; LabelError unless they are sorted, apart or touching, and inside the volume."""
    wrong = (starts < 0) | (starts >= size) | (lengths < 1) | (lengths > size - starts)
    wrong[1:] |= starts[1:] - starts[:-1] < lengths[:-1]
    if wrong.any():
        run = int(wrong.argmax())
        raise LabelError(
            f"run {run} starts at position {starts[run]} and is {lengths[run]} long; expected sorted "
            f"runs that do not overlap, of at least 1 voxel, within positions 0 to {size - 1}"
        )
    ends = starts + lengths
    return merged(starts, ends) if (starts[1:] == ends[:-1]).any() else (starts, ends)


def span(part: slice, side: int, axis: str) -> Span:
    """First voxel and one past the last; GridError for a step, or no voxel."""
    if part.step not in (None, 1):
        raise GridError(f"the slice of {axis} has the step {part.step}, expected none")
    start = 0 if part.start is None else operator.index(part.start)
    stop = side if part.stop is None else operator.index(part.stop)
    if stop <= start:
        raise GridError(
            f"the slice of {axis} is {start} to {stop}, expected at least one voxel; negative numbers "
            "lie before the volume"
        )
    return start, stop
