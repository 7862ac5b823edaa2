"""Which windows labels can be compared with the image in, and why none can."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.checking.scan import Scan

_LEAST_EDGES = 32
"""Pixels of boundary in a window worth measuring."""
_LEAST_VALID = 0.25
"""Of its pixels, likewise."""


def fit_rows(scan: Scan, boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(window,) whether it has boundaries of labels, and enough of an image that is not constant.

    Args:
        scan: What is known of the windows.
        boxes: (window, 4) row, column, height, width.
    """
    least = _LEAST_VALID * boxes[:, 2] * boxes[:, 3]
    fit = scan.seen & scan.read & ~scan.constant & (scan.edges >= _LEAST_EDGES)
    return fit & (scan.valid >= least) & (scan.labelled >= least)


def why_none(scan: Scan, boxes: NDArray[np.int64]) -> str:
    """Why no window is fit: the first thing that they lack.

    Args:
        scan: What is known of the windows.
        boxes: (window, 4) row, column, height, width.
    """
    both = scan.seen & scan.read
    if not both.any():
        return "no window could be read with its image"
    several = np.count_nonzero(scan.counts.pixels > 0, axis=1) > 1
    if not (both & several).any():
        return "no window holds two classes"
    edges = scan.edges[both]
    if edges.max() < _LEAST_EDGES:
        if not edges.any():
            return (
                "classes touch in no window, as where a ring between them is ignored, so that there is no "
                "boundary to compare with the image; to measure, check masks made without the ring"
            )
        height, width = boxes[both][np.argmax(edges), 2:].tolist()
        return (
            f"the windows are too small: the longest boundary of classes in one, of {height} x {width} px, has "
            f"{edges.max()} px, expected {_LEAST_EDGES} at least; take larger windows"
        )
    return (
        f"no window with a boundary has an image of several values and {_LEAST_VALID:.0%} of its pixels valid "
        "and labelled"
    )
