"""Scores as bytes, and what is told from them: confidence and entropy."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.labels.base import Scores

Quantity = Literal["scores", "confidence", "entropy"]
"""What a file beside a class map holds."""
QUANTITIES: tuple[Quantity, ...] = ("scores", "confidence", "entropy")
"""All of them, in the order in which files are made."""

LEVELS = 254
"""The byte of a score of 1; that of 0 is 0."""
UNKNOWN = 255
"""The byte of a pixel without scores."""

_STEP = 1 << 16
"""Pixels worked on at once: few enough to stay in the processor's cache."""
_TOLERANCE = 1e-3
"""How far past 0 and 1 a score may lie: less than what the next byte begins at."""


def quantised(values: Scores) -> NDArray[np.uint8]:
    """(band, height, width) numbers from 0 to 1 as the nearest of 255 bytes, 0..254.

    `dequantised` brings each back to within 1/508.
    """
    bands, height, width = values.shape
    made = np.empty(values.shape, np.uint8)
    rows = max(_STEP // width, 1)
    for band in range(bands):
        for y in range(0, height, rows):
            part = values[band, y : y + rows] * np.float32(LEVELS)
            part += np.float32(0.5)  # casting cuts off
            made[band, y : y + rows] = part
    return made


def dequantised(values: NDArray[np.uint8]) -> Scores:
    """The float32 numbers that bytes stand for; 0 where a pixel has no scores."""
    found: Scores = np.divide(values, np.float32(LEVELS), dtype=np.float32)
    np.copyto(found, np.float32(0), where=values == UNKNOWN)
    return found


def told_of(quantity: Quantity, scores: Scores) -> Scores:
    """(band, height, width) of a quantity, each number from 0 to 1.

    "scores" are given back as they are, one band a class. "confidence" is the highest score. "entropy"
    is -sum(p log p) / log K of K classes (Shannon's, by its largest value): 0 where one class is
    certain, 1 where all are equally likely; with one class it is 0.

    Args:
        quantity: Which.
        scores: (class, height, width) that sum to 1.
    """
    if quantity == "scores":
        return scores
    if quantity == "confidence":
        highest: Scores = scores.max(axis=0, keepdims=True)
        return highest
    return _entropy(scores)


def check_scores(scores: Scores, what: str) -> None:
    """See that scores are probabilities.

    Raises:
        LabelError: Some are NaN, below 0 or above 1.
    """
    least, most = scores.min(), scores.max()
    if not (least >= -_TOLERANCE and most <= 1 + _TOLERANCE):
        raise LabelError(
            f"{what}: scores lie from {least:g} to {most:g}, expected probabilities from 0 to 1; bring "
            "logits there with a softmax over the classes, and look for NaN in the image"
        )


def _entropy(scores: Scores) -> Scores:
    count, height, width = scores.shape
    made = np.zeros((1, height, width), np.float32)
    if count == 1:
        return made
    for part in scores:
        known = np.clip(
            part, np.finfo(np.float32).tiny, 1
        )  # there p log p is 0 as far as floats go
        made[0] -= known * np.log(known)
    made /= np.float32(math.log(count))
    return np.clip(made, 0, 1, out=made)
