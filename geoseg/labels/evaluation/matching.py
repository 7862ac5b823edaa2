"""One object of the truth to one of the prediction, and how many were found."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.labels.metrics import mean

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectCounts:
    """How many objects there are, and how many of them were found."""

    iou: float
    """The IoU from which on two objects are the same."""
    truth: Numbers
    """(class,) objects of the truth."""
    predicted: Numbers
    """(class,) objects of the prediction."""
    matched: Numbers
    """(class,) pairs of one of each."""

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        """Both together."""
        return ObjectCounts(
            self.iou,
            self.truth + other.truth,
            self.predicted + other.predicted,
            self.matched + other.matched,
        )

    def to_dict(self, classes: ClassMap) -> dict[str, Any]:
        """Counts and scores as plain values: of all objects together, and of each class.

        `truth`, `predicted`, `matched`; `precision` is matched / predicted, `recall` matched / truth, and
        `f1` 2 matched / (truth + predicted); `mean_f1` is over the classes that have objects.
        """
        sides = (self.truth.tolist(), self.predicted.tolist(), self.matched.tolist())
        records = [
            {"id": info.id, "name": info.name, **_scores(*counts)}
            for info, *counts in zip(classes.classes, *sides, strict=True)
        ]
        return {
            "iou": self.iou,
            **_scores(*map(sum, sides)),
            "mean_f1": mean([record["f1"] for record in records]),
            "per_class": records,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Objects of truth and prediction that share ground."""

    truth: Numbers
    """(pair,) which object of the truth."""
    predicted: Numbers
    """(pair,) which of the prediction."""
    shared: NDArray[Any]
    """(pair,) how much they share: pixels or square metres, or the IoU."""

    @classmethod
    def none(cls) -> Self:
        """No pair."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def only(self, kept: NDArray[Any]) -> Pairs:
        """Some of them, by bool or place."""
        return Pairs(self.truth[kept], self.predicted[kept], self.shared[kept])


def match(pairs: Pairs) -> Numbers:
    """Which pairs are matches: the highest IoU first, each object once.

    Of equal ones the pair with the lower numbers, of the truth first, comes first. Above an IoU of 0.5
    an object that overlaps no other of its own map has one partner at most, so that this is the only
    matching (Kirillov et al. 2019, "Panoptic segmentation").

    Args:
        pairs: `shared` is the IoU; all of them may match.

    Returns:
        (match,) their places in `pairs`, ascending.
    """
    left = np.lexsort((pairs.predicted, pairs.truth, -pairs.shared))
    found = [np.zeros(0, np.int64)]
    while len(left):
        # A pair that comes first for both of its objects is what one would take, going down the list.
        best = _first_of(pairs.truth[left]) & _first_of(pairs.predicted[left])
        taken = left[best]
        found.append(taken)
        left = left[
            ~np.isin(pairs.truth[left], pairs.truth[taken])
            & ~np.isin(pairs.predicted[left], pairs.predicted[taken])
        ]
    return np.sort(np.concatenate(found))


def check_iou(iou: float) -> None:
    """See that a threshold of IoU can be one.

    Raises:
        ConfigError: It is no number, or not above 0 and at most 1.
    """
    number = isinstance(iou, Real) and not isinstance(iou, bool)
    if not number or not 0 < iou <= 1:
        raise ConfigError(f"the IoU from which objects match is {iou!r}, expected above 0, to 1")


def _first_of(numbers: Numbers) -> NDArray[np.bool_]:
    first = np.zeros(len(numbers), bool)
    first[np.unique(numbers, return_index=True)[1]] = True
    return first


def _scores(truth: int, predicted: int, matched: int) -> dict[str, Any]:
    return {
        "truth": truth,
        "predicted": predicted,
        "matched": matched,
        "precision": matched / predicted if predicted else None,
        "recall": matched / truth if truth else None,
        "f1": 2 * matched / (truth + predicted) if truth + predicted else None,
    }
