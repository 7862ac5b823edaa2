"""Arithmetic of runs: half-open spans [start, end) of positions in two sorted arrays.

Canonical runs are sorted and apart from each other: at least one position lies between two of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Runs = tuple[Positions, Positions]
"""(starts, ends)."""


def merged(starts: Positions, ends: Positions) -> Runs:
    """Canonical runs that cover the same positions as runs in any order, which may overlap and touch.

    Sorted apart from each other, the i-th end lies before the next start exactly where all runs begun
    so far have ended: there a merged run ends.

    >>> merged(np.array([7, 0, 3]), np.array([9, 3, 5]))
    (array([0, 7]), array([5, 9]))
    """
    starts, ends = np.sort(starts, kind="stable"), np.sort(ends, kind="stable")
    apart = starts[1:] > ends[:-1]
    first, last = np.ones(len(starts), np.bool_), np.ones(len(ends), np.bool_)
    first[1:] = last[:-1] = apart
    return starts[first], ends[last]


def union(one: Runs, other: Runs) -> Runs:
    """Positions in either."""
    return merged(*_together(one, other))


def intersection(one: Runs, other: Runs) -> Runs:
    """Positions in both; each of the two must be canonical.

    No position lies in more than two runs. So a start that comes before the previous end (both sorted
    apart from each other) is where the second run begins, and that end is where the first of the two
    ends.
    """
    starts, ends = (np.sort(values, kind="stable") for values in _together(one, other))
    both = starts[1:] < ends[:-1]
    return starts[1:][both], ends[:-1][both]


def complement(runs: Runs, *, size: int) -> Runs:
    """Positions of [0, size) that are in none of the canonical runs."""
    starts = np.concatenate([[0], runs[1]])
    ends = np.concatenate([runs[0], [size]])
    some = starts < ends
    return starts[some], ends[some]


def _together(one: Runs, other: Runs) -> Runs:
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
