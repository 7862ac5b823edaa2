"""Objects of maps: which regions of the truth were found, counted while rows come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.labels.base import Ids
from geoseg.labels.evaluation.matching import Numbers, ObjectCounts, Pairs, match
from geoseg.labels.evaluation.regions import Regions, Strip, next_strip

_PIXELS = 1 << 20
"""Pixels worked on at once."""
_SURE = 0.5
"""Regions that share more than this have no other partner with so much: see `match`."""


class ObjectCounter:
    """Matches the 4-connected regions of truth and prediction, while rows come in.

    Regions of one class match where their IoU reaches a threshold, each with one other at most: see
    `match`. Regions of several classes never match. What is not known in either is no part of a region
    and cuts it off. However many rows come at once, the result is that of the whole array. Memory:
    the regions that reach the last row or overlap one that does; with an IoU below 0.5 each pair that
    may match too.
    """

    def __init__(self, width: int, *, slots: int, iou: float) -> None:
        """Begin above the first row.

        Args:
            width: Columns of the raster.
            slots: How many numbers there are; the last means not known.
            iou: From where on two regions are the same object.
        """
        self._width, self._iou, self._row = width, iou, 0
        self._sides = (_Side(slots), _Side(slots))
        self._open = Pairs.none()
        self._may_match: list[tuple[Pairs, Ids]] = []
        self._matched = np.zeros(slots, np.int64)

    def update(self, truth: Ids, prediction: Ids) -> None:
        """Take the next rows, (height, width) each; not known in the same places."""
        step = max(_PIXELS // self._width, 1)
        for start in range(0, len(truth), step):
            rows = slice(start, start + step)
            self._add(truth[rows], prediction[rows])

    def finish(self) -> ObjectCounts:
        """The counts, once all rows have come."""
        true, predicted = self._sides
        self._close(self._open, true.regions, predicted.regions)
        parts, numbers = zip(*self._may_match, strict=True)
        pairs = Pairs(
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.shared for part in parts]),
        )
        classes = np.concatenate(numbers)[match(pairs)]
        matched = self._matched + np.bincount(classes, minlength=len(self._matched))
        sides = true.found[:-1].copy(), predicted.found[:-1].copy()
        return ObjectCounts(self._iou, *sides, matched[:-1])

    def _add(self, truth: Ids, prediction: Ids) -> None:
        true, predicted = (
            side.strip(rows, self._row)
            for side, rows in zip(self._sides, (truth, prediction), strict=True)
        )
        pairs = _overlaps(true, predicted, truth, prediction, before=self._open)
        self._row += len(truth)
        goes_on = true.goes_on[pairs.truth] | predicted.goes_on[pairs.predicted]
        self._close(pairs.only(~goes_on), true.regions, predicted.regions)
        pairs = pairs.only(goes_on)
        self._open = Pairs(
            self._sides[0].keep(true, truth[-1], pairs.truth),
            self._sides[1].keep(predicted, prediction[-1], pairs.predicted),
            pairs.shared,
        )

    def _close(self, pairs: Pairs, truth: Regions, predicted: Regions) -> None:
        """Count those of pairs, whose regions have ended, that match; keep those that may."""
        union = truth.area[pairs.truth] + predicted.area[pairs.predicted] - pairs.shared
        ious, numbers = pairs.shared / union, truth.number[pairs.truth]
        may = ious >= self._iou
        if self._iou >= _SURE:  # then none that is above has another partner that is enough
            sure = may & (ious > _SURE)
            self._matched += np.bincount(numbers[sure], minlength=len(self._matched))
            may &= ~sure
        names = truth.first[pairs.truth[may]], predicted.first[pairs.predicted[may]]
        self._may_match.append((Pairs(*names, ious[may]), numbers[may]))


class _Side:
    """The regions of truth or prediction that have not ended, or overlap one that has not."""

    def __init__(self, slots: int) -> None:
        self.regions = Regions.none()
        self.found = np.zeros(slots, np.int64)
        self._above: tuple[Ids, Numbers] | None = None

    def strip(self, rows: Ids, row: int) -> Strip:
        """The next rows, with all regions."""
        slots = len(self.found)
        strip = next_strip(rows, self._above, self.regions, row=row, unknown=slots - 1)
        self.found += np.bincount(strip.regions.number, minlength=slots)
        self.found -= np.bincount(self.regions.number, minlength=slots)  # counted before
        return strip

    def keep(self, strip: Strip, last_row: Ids, partners: Numbers) -> Numbers:
        """Keep what goes on, and `partners`; where those are now."""
        kept = strip.goes_on.copy()
        kept[partners] = True
        place = np.cumsum(kept) - 1
        self.regions = strip.regions.only(kept)
        self._above = last_row.copy(), place[strip.last_row]
        return place[partners]


def _overlaps(
    true: Strip, predicted: Strip, truth: Ids, prediction: Ids, *, before: Pairs
) -> Pairs:
    """Regions of one class that share pixels, in these rows or before."""
    begin = np.flatnonzero(true.starts | predicted.starts)
    shared = np.diff(begin, append=truth.size)
    numbers = truth.reshape(-1)[begin]
    same: NDArray[np.bool_] = numbers == prediction.reshape(-1)[begin]
    same &= numbers != true.unknown
    begin = begin[same]
    pairs = (
        np.concatenate([true.place[before.truth], true.region[true.runs.reshape(-1)[begin]]]),
        np.concatenate(
            [
                predicted.place[before.predicted],
                predicted.region[predicted.runs.reshape(-1)[begin]],
            ]
        ),
    )
    width = len(predicted.regions.first)
    keys, places = np.unique(pairs[0] * width + pairs[1], return_inverse=True)
    sums = np.bincount(places, weights=np.concatenate([before.shared, shared[same]]))
    return Pairs(keys // max(width, 1), keys % max(width, 1), sums.astype(np.int64))
