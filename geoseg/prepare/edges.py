"""Where a picture or a map of labels has edges, as one number a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.grid import Floats

Mask = NDArray[np.bool_]

_FLAT = 1e-9
"""Edges weaker than this part of the values' size are rounding."""


def image_edges(planes: NDArray[Any], valid: Mask) -> Floats:
    """(height, width) strength of the gradient, the mean of all bands, each relative to its own mean.

    Args:
        planes: (band, height, width).
        valid: (height, width); edges are 0 elsewhere and beside it.
    """
    inside = shrunk(valid)
    total = np.zeros(valid.shape)
    for plane in planes:
        values = np.where(valid, plane, 0).astype(np.float64)
        size = np.abs(values).max()
        down, right = np.zeros(valid.shape), np.zeros(valid.shape)
        down[1:-1] = values[2:] - values[:-2]
        right[:, 1:-1] = values[:, 2:] - values[:, :-2]
        strength = np.where(inside, np.hypot(down, right), 0.0)
        mean = strength.sum() / max(int(inside.sum()), 1)
        if mean > _FLAT * size:
            total += strength / mean
    return total / len(planes)


def label_edges(ids: NDArray[Any], valid: Mask) -> Floats:
    """(height, width) number of the four neighbours that have another label, from 0 to 4.

    Both pixels beside a boundary count, so that its place is between them.

    Args:
        ids: (height, width).
        valid: (height, width); a boundary of what is not valid is none.
    """
    edges = np.zeros(ids.shape)
    down = (ids[1:] != ids[:-1]) & valid[1:] & valid[:-1]
    right = (ids[:, 1:] != ids[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    edges[1:] += down
    edges[:-1] += down
    edges[:, 1:] += right
    edges[:, :-1] += right
    return edges


def shrunk(valid: Mask) -> Mask:
    """Valid pixels whose four neighbours are valid, too; outside counts as valid."""
    if valid.all():
        return valid
    inside = valid.copy()
    inside[1:] &= valid[:-1]
    inside[:-1] &= valid[1:]
    inside[:, 1:] &= valid[:, :-1]
    inside[:, :-1] &= valid[:, 1:]
    return inside
