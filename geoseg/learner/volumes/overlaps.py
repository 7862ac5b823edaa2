"""How predicted and true voxels of each class overlap: counts, and the scores that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Overlaps = NDArray[np.int64]
"""(class, 3) voxels: in both truth and prediction, in the truth, in the prediction."""


def of_confusion(confusion: NDArray[Any]) -> Overlaps:
    """Those of exclusive classes, from (class, class) voxels whose rows are the truth."""
    columns = [np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)]
    return np.stack(columns, axis=1).astype(np.int64)


def of_masks(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Overlaps:
    """Those of masks (class, ...)."""
    axes = tuple(range(1, truth.ndim))
    columns = [(truth & predicted).sum(axis=axes), truth.sum(axis=axes), predicted.sum(axis=axes)]
    return np.stack(columns, axis=1).astype(np.int64)


def iou(overlaps: Overlaps) -> list[float | None]:
    """Intersection over union of each class; None where it is in neither truth nor prediction."""
    return [
        both / (true + found - both) if true + found else None
        for both, true, found in overlaps.tolist()
    ]


def dice(overlaps: Overlaps) -> list[float | None]:
    """Dice of each class, 2 both / (truth + prediction), which is F1; None as in `iou`."""
    return [
        2 * both / (true + found) if true + found else None
        for both, true, found in overlaps.tolist()
    ]
