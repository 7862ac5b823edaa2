"""Confusion matrices, and what is read off them.

A matrix counts pixels: rows are the truth, columns the prediction. What has no value is None and not
NaN: the precision of a class that was never predicted, the recall of one that does not occur, kappa
where everything is one class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError

Confusion = NDArray[np.int64]
"""(truth, prediction) pixel counts."""

_PIXELS = 1 << 20
"""Pixels counted at once: bincount makes 8 bytes of each number."""
_BYTE = 256


def confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], slots: int) -> Confusion:
    """Count how often each pair of numbers meets.

    Args:
        truth: Numbers from 0 to slots - 1, of any shape. Ignored pixels have a slot of their own.
        prediction: The same way, of the same shape.
        slots: How many numbers there are, 1 to 256; up to 16 are several times faster.

    Returns:
        (slots, slots) counts; rows are the truth.

    Raises:
        ConfigError: The shapes differ, slots is out of range, or a number reaches it.
    """
    if truth.shape != prediction.shape:
        raise ConfigError(
            f"truth has shape {truth.shape} and prediction {prediction.shape}, expected equal shapes"
        )
    if not 1 <= slots <= _BYTE:
        raise ConfigError(f"slots is {slots}, expected 1 to {_BYTE}")
    counts = np.zeros(slots * slots, np.int64)
    truth, prediction = truth.reshape(-1), prediction.reshape(-1)
    for start in range(0, truth.size, _PIXELS):
        t, p = truth[start : start + _PIXELS], prediction[start : start + _PIXELS]
        highest = max(int(t.max()), int(p.max()))
        if highest >= slots:
            raise ConfigError(f"truth or prediction holds {highest}, expected 0 to {slots - 1}")
        counts += _count_pairs(t, p, slots)
    return counts.reshape(slots, slots)


def _count_pairs(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], slots: int) -> Confusion:
    """(slots ** 2,) counts of `truth * slots + prediction`."""
    if slots * slots > _BYTE:
        codes = truth.astype(np.uint16)
        codes *= slots
        codes += prediction
        return np.bincount(codes, minlength=slots * slots).astype(np.int64, copy=False)
    small = truth * np.uint8(slots)  # 15 * 16 + 15 still fits
    small += prediction
    # Two neighbours are read as one number of 16 bits: half as many to count, then both halves add up.
    even = small.size // 2 * 2
    pairs = np.bincount(small[:even].view(np.uint16), minlength=_BYTE * _BYTE)
    pairs = pairs.reshape(_BYTE, _BYTE)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1)
    if even < small.size:
        counts[small[-1]] += 1
    result: Confusion = counts[: slots * slots].astype(np.int64, copy=False)
    return result


def accuracy(matrix: Confusion) -> float | None:
    """The share of pixels that are right; None without pixels."""
    total = int(matrix.sum())
    return int(np.trace(matrix)) / total if total else None


def kappa(matrix: Confusion) -> float | None:
    """Cohen's kappa (1960): accuracy beyond what the totals of rows and columns give by chance.

    (po - pe) / (1 - pe), with po the accuracy and pe the sum over classes of row share times column
    share. None without pixels, or where truth and prediction are one and the same class.
    """
    observed = accuracy(matrix)
    if observed is None:
        return None
    shares = matrix / matrix.sum()
    by_chance = float((shares.sum(axis=0) * shares.sum(axis=1)).sum())
    occurring = int(np.count_nonzero(matrix.sum(axis=0) + matrix.sum(axis=1)))
    return (observed - by_chance) / (1 - by_chance) if occurring > 1 else None


def iou(matrix: Confusion) -> list[float | None]:
    """Intersection over union of each class (Jaccard); None where it does not occur at all."""
    right, truth, predicted = _totals(matrix)
    return _ratios(right, truth + predicted - right)


def f1(matrix: Confusion) -> list[float | None]:
    """F1 of each class, which is Dice: 2 right / (truth + predicted); None as in `iou`."""
    right, truth, predicted = _totals(matrix)
    return _ratios(2 * right, truth + predicted)


def precision(matrix: Confusion) -> list[float | None]:
    """The share of the pixels predicted as a class that are right; None where there are none."""
    right, _, predicted = _totals(matrix)
    return _ratios(right, predicted)


def recall(matrix: Confusion) -> list[float | None]:
    """The share of a class's pixels that were found; None where there are none."""
    right, truth, _ = _totals(matrix)
    return _ratios(right, truth)


def mean(values: list[float | None]) -> float | None:
    """The mean of those that have a value; None where none has."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def mean_iou(matrix: Confusion) -> float | None:
    """The mean IoU of the classes that occur in truth or prediction; None where none does."""
    return mean(iou(matrix))


def _totals(matrix: Confusion) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(right, in the truth, predicted) pixels of each class."""
    return np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)


def _ratios(above: NDArray[Any], below: NDArray[Any]) -> list[float | None]:
    return [int(a) / int(b) if b else None for a, b in zip(above, below, strict=True)]
