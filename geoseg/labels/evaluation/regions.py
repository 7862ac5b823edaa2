"""Regions of equal numbers, found row by row: what has not ended yet, and what each strip adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.labels.base import Ids

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """4-connected regions, in the order of their first pixels, row by row."""

    first: Numbers
    """(region,) the first pixel of each, counted row by row over the whole raster: its name."""
    area: Numbers
    """(region,) pixels so far."""
    number: Ids
    """(region,) the number that all its pixels hold."""

    @classmethod
    def none(cls) -> Self:
        """No region."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))

    def only(self, kept: NDArray[np.bool_]) -> Regions:
        """Some of them."""
        return Regions(self.first[kept], self.area[kept], self.number[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Rows, and the regions that they belong to."""

    regions: Regions
    """Those that were given, and those that begin here; all with their pixels here."""
    place: Numbers
    """(region given,) where each is now: two may have become one."""
    runs: NDArray[np.int32]
    """(height, width) the run of each pixel: neighbours in a row that hold the same number."""
    region: Numbers
    """(run,) where the region of each run is in `regions`."""
    starts: NDArray[np.bool_]
    """(height, width) where runs begin."""

    unknown: int
    """The number that makes no regions."""

    @property
    def last_row(self) -> Numbers:
        """(width,) where the region of each pixel of the last row is in `regions`."""
        regions: Numbers = self.region[self.runs[-1]]
        return regions

    @property
    def goes_on(self) -> NDArray[np.bool_]:
        """(region,) whether it reaches the last row."""
        reaches = np.zeros(len(self.regions.first), bool)
        reaches[self.last_row] = True
        reaches &= self.regions.number != self.unknown
        return reaches


def next_strip(
    rows: Ids, above: tuple[Ids, Numbers] | None, given: Regions, *, row: int, unknown: int
) -> Strip:
    """Find the regions of rows, which may go on those above.

    Args:
        rows: (height, width) numbers.
        above: The row above, and where in `given` the region of each of its pixels is.
        given: Regions that may go on here.
        row: The first of the rows in the raster.
        unknown: A number that makes no regions: each of its runs stays by itself.
    """
    height, width = rows.shape
    starts = np.ones(rows.shape, bool)
    np.not_equal(rows[:, 1:], rows[:, :-1], out=starts[:, 1:])
    runs = np.cumsum(starts, dtype=np.int32).reshape(rows.shape) - np.int32(1)
    begin = np.flatnonzero(starts)
    known = rows.reshape(-1)[begin]
    lengths = np.diff(begin, append=height * width)

    old = len(given.first)
    ends = [_touching(rows[:-1], rows[1:], runs[:-1] + old, runs[1:] + old, unknown=unknown)]
    if above is not None:
        ends.append(_touching(above[0], rows[0], above[1], runs[0] + old, unknown=unknown))
    upper, lower = (np.concatenate(parts).astype(np.int64) for parts in zip(*ends, strict=True))
    least = least_of_group(old + len(begin), upper, lower)

    # The least of a group is its first pixel: those given come before all that begin here.
    heads = least == np.arange(len(least))
    place = (np.cumsum(heads) - 1)[least]
    areas = np.bincount(place, weights=np.concatenate([given.area, lengths]))
    regions = Regions(
        np.concatenate([given.first, begin + row * width])[heads],
        areas.astype(np.int64),
        np.concatenate([given.number, known])[heads],
    )
    return Strip(regions, place[:old], runs, place[old:], starts, unknown)


def least_of_group(count: int, one: Numbers, other: Numbers) -> Numbers:
    """(count,) the least of all numbers that chains of pairs join to each.

    >>> least_of_group(5, np.array([4, 3]), np.array([3, 1])).tolist()
    [0, 1, 2, 1, 1]
    """
    least = np.arange(count)
    while True:
        a, b = least[one], least[other]
        apart = a != b
        if not apart.any():
            return least
        one, other, a, b = one[apart], other[apart], a[apart], b[apart]
        np.minimum.at(least, np.maximum(a, b), np.minimum(a, b))
        while (least != (further := least[least])).any():
            least = further


def _touching(
    upper: Ids, lower: Ids, above: NDArray[np.int_], below: NDArray[np.int_], *, unknown: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Pairs of what holds the same number in one column, each pair of runs once or little more."""
    same = (upper == lower) & (upper != unknown)
    again = (above[..., 1:] == above[..., :-1]) & (below[..., 1:] == below[..., :-1])
    again &= same[..., :-1]
    same[..., 1:] &= ~again
    return above[same], below[same]
