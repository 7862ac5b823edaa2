"""Confidence intervals by resampling blocks of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.grid import Floats

Interval = tuple[float, float]
_LEVEL = 0.95
_DRAWS = 1 << 22
"""Numbers drawn at once."""
LEAST_BLOCKS = 2
"""Blocks from which an interval can be had."""
_LEAST_RESAMPLES = 20
"""Of fewer none need lie in the 2.5 % at either end."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """What was counted in each block of a scene, or of several."""

    totals: NDArray[np.int64]
    """(block, 3, class) pixels that are right, in the truth, and predicted."""
    size: int
    """Pixels a side of a block; those at the right and lower edge are smaller."""
    resamples: int
    """How often blocks are drawn."""
    seed: int
    """The draws follow from it."""

    def __add__(self, other: Blocks) -> Blocks:
        """The blocks of both."""
        totals = np.concatenate([self.totals, other.totals])
        return Blocks(totals, self.size, self.resamples, self.seed)

    def intervals(self) -> Intervals:
        """95 % intervals of the scores by the bootstrap over blocks.

        From n blocks n are drawn with replacement, the pixels of those drawn are added up and scored;
        the interval goes from the 2.5th to the 97.5th percentile of the scores (Efron and Tibshirani
        1993). Pixels near each other are alike, so that drawing single pixels would give intervals that
        are much too narrow; blocks should be larger than the reach of that likeness. One block tells
        nothing about how blocks differ: no interval then.
        """
        count, _, classes = self.totals.shape
        if count < LEAST_BLOCKS:
            return Intervals(self, None, None, (None,) * classes)
        right, truth, predicted = np.moveaxis(self._resampled(), 1, 0)
        union = truth + predicted - right
        ious = np.divide(right, union, out=np.full_like(right, np.nan), where=union > 0)
        pixels = truth.sum(axis=1)
        known = ~np.isnan(ious)
        means = np.where(known, ious, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return Intervals(
            self,
            mean_iou=_interval(means[pixels > 0]),
            accuracy=_interval((right.sum(axis=1) / np.maximum(pixels, 1))[pixels > 0]),
            iou=tuple(_interval(values[~np.isnan(values)]) for values in ious.T),
        )

    def _resampled(self) -> Floats:
        """(resample, 3, class) pixels; how often each block is drawn is one multinomial number."""
        count, *shape = self.totals.shape
        rng = np.random.default_rng(self.seed)
        chances = np.full(count, 1 / count)
        flat = self.totals.reshape(count, -1).astype(np.float64)
        step = max(_DRAWS // count, 1)
        parts = [
            rng.multinomial(count, chances, size=min(step, self.resamples - start)) @ flat
            for start in range(0, self.resamples, step)
        ]
        return np.concatenate(parts).reshape(-1, *shape)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """95 % intervals, (low, high); None where there is nothing to draw from."""

    blocks: Blocks
    """What they come from."""
    mean_iou: Interval | None
    """Of the mean IoU over the classes that occur in a resample."""
    accuracy: Interval | None
    """Of the share of pixels that are right."""
    iou: tuple[Interval | None, ...]
    """Of each class, over the resamples in which it occurs."""

    def to_dict(self) -> dict[str, Any]:
        """How they were made, and those of all classes together, as plain values."""
        return {
            "level": _LEVEL,
            "blocks": len(self.blocks.totals),
            "block_px": self.blocks.size,
            "resamples": self.blocks.resamples,
            "seed": self.blocks.seed,
            "mean_iou": as_list(self.mean_iou),
            "accuracy": as_list(self.accuracy),
        }


def check_resamples(count: int) -> None:
    """See that intervals are not made of a handful of resamples.

    Raises:
        ConfigError: There are some, but fewer than 20.
    """
    if 0 < count < _LEAST_RESAMPLES:
        raise ConfigError(
            f"bootstrap is {count!r}, expected 0 (no intervals) or {_LEAST_RESAMPLES} resamples at least: "
            "fewer do not tell a 95 % interval; 1000 is usual"
        )


def as_list(interval: Interval | None) -> list[float] | None:
    """[low, high], as JSON has it."""
    return None if interval is None else list(interval)


def _interval(values: Floats) -> Interval | None:
    if not len(values):
        return None
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
