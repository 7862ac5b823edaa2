"""The class by which a window is balanced: its rarest one that is more than a trace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.counts import WindowCounts
from geoseg.sampling.windowindex import WindowIndex

_TRACE = 0.01
"""Share of a window's pixels that a class must have to count."""
NO_CLASS = -1
"""Of windows in which none has."""


def strata_of(index: WindowIndex, counts: WindowCounts) -> NDArray[np.int64]:
    """(window,) the id of the class, rarest in the whole index, that has 1 % of a window's pixels; -1: none."""
    area = index.boxes[:, 2:].prod(axis=1).astype(np.float64)
    there = counts.pixels >= np.maximum(_TRACE * area[:, None], 1)
    found = np.full(len(index), NO_CLASS, np.int64)
    # From the commonest to the rarest, so that the rarest has the last word.
    for place in np.argsort(-counts.pixels.sum(axis=0), kind="stable").tolist():
        found[there[:, place]] = counts.ids[place]
    return found
