"""Windows taken out, so that no two of different parts overlap or lie nearer than a buffer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.splitting.footprints import Region, too_near

_Ints = NDArray[np.int64]
_Flags = NDArray[np.bool_]


def dropped_parts(
    regions: Sequence[Region], part: NDArray[np.str_], *, order: Sequence[str], buffer_m: float
) -> _Flags:
    """(window,) which windows are dropped: those of the first part near another, then of the second.

    Args:
        regions: The ground that windows cover.
        part: (window,) names.
        order: The parts; of two windows that are too near that of the earlier part is dropped.
        buffer_m: Metres of ground between edges.
    """
    dropped = np.zeros(len(part), np.bool_)
    for i, name in enumerate(order[:-1]):
        later = np.isin(part, list(order[i + 1 :]))
        dropped |= near_any(regions, part == name, later, buffer_m)
    return dropped


def dropped_in_folds(regions: Sequence[Region], fold: _Ints, *, buffer_m: float) -> list[list[int]]:
    """Of each window the folds whose training must do without it, since their validation is too near."""
    found: list[list[int]] = [[] for _ in fold]
    for number in np.unique(fold).tolist():
        near = near_any(regions, fold != number, fold == number, buffer_m)
        for row in np.flatnonzero(near).tolist():
            found[row].append(number)
    return found


def as_texts(folds: Sequence[Sequence[int]]) -> list[str]:
    """The column `dropped_in_fold`: a JSON list a window."""
    return [json.dumps(list(numbers)) for numbers in folds]


def near_any(regions: Sequence[Region], of: _Flags, others: _Flags, buffer_m: float) -> _Flags:
    """(window,) which of some windows overlap one of others, or are nearer than the buffer."""
    found = np.zeros(len(of), np.bool_)
    for region in regions:
        mine, theirs = np.flatnonzero(of[region.rows]), np.flatnonzero(others[region.rows])
        near = too_near(region, mine, theirs, buffer_m)
        found[region.rows[mine[near]]] = True
    return found
