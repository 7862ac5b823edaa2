"""Labels against edges of the image, on a sample of windows: displaced, or unrelated."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.checking.findings import Example, Findings
from geoseg.prepare.checking.fitting import fit_rows, why_none
from geoseg.prepare.checking.labellook import Known, labelled_of
from geoseg.prepare.checking.nearness import Nearness, nearness_of
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.origins import Origins
from geoseg.prepare.checking.pairing import Images
from geoseg.prepare.checking.scan import FAILURES, Scan, read_both
from geoseg.prepare.correlate import Shift, shift_between
from geoseg.sources.base import Chip
from geoseg.window import Window

_SIDE = 128
"""Pixels a side of what is measured at least, where the mask has them; at most four times that."""
_APART = 0.5
"""Of its pixels that an area may share with another: agreement of one area with itself says nothing."""
_AGREE = 1.5
"""Pixels by which a window's shift may differ from the median and agree."""
_LEAST_WINDOWS = 3
"""That agree, for a shift to be believed; they are half of those measured at least."""
_FAR = 1.0
"""Pixels of displacement that are worth a warning."""
_LEAST_BOUNDARIES = 5
"""Windows, for the nearness of boundaries to edges to be judged."""
_CHANCE = 1.1
"""Times chance, below which boundaries have nothing to do with edges."""


@dataclass(frozen=True, slots=True)
class ShiftSample:
    """By how much labels are displaced against the image, from several windows."""

    row: float | None
    """Median in pixels, positive where labels lie too far down; None where nothing could be measured."""
    col: float | None
    """The same to the right."""
    spread: float | None
    """Pixels: 1.4826 times the median distance from the median, of the windows that could be measured."""
    tried: int
    """Windows that were looked at."""
    measured: int
    """Windows in which a shift could be measured."""
    agree: int
    """Of these, windows within 1.5 pixels of the median."""
    reason: str | None = None
    """Why no shift is told; None where one is."""

    @property
    def far(self) -> bool:
        """Whether it is a pixel at least, and more than chance makes of so many windows."""
        if self.spread is None or not self.agree:
            return False
        return self.distance >= max(_FAR, 2 * self.spread / math.sqrt(self.agree))

    @property
    def distance(self) -> float:
        """Pixels; 0 where nothing was measured."""
        return 0.0 if self.row is None or self.col is None else float(np.hypot(self.row, self.col))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class EdgeSample:
    """What was measured on the sample."""

    shift: ShiftSample
    """Of all windows."""
    by_mask: dict[str, ShiftSample]
    """Of masks with three windows that agree, or more; patches count for what they were cut from."""
    boundaries: Nearness | None
    """How near boundaries lie to edges, of all windows; None where none has any."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "shift": self.shift.to_dict(),
            "by_mask": {mask: shift.to_dict() for mask, shift in self.by_mask.items()},
            "boundaries": None if self.boundaries is None else self.boundaries.to_dict(),
        }


def measure_sample(
    opened: Opened,
    images: Images,
    scan: Scan,
    known: Known,
    found: Findings,
    *,
    origins: Origins,
    windows: int,
    seed: int,
) -> EdgeSample:
    """Measure shift and nearness on windows spread over all masks.

    Args:
        opened: The windows.
        images: Their images.
        scan: What is known of them.
        known: What values of masks mean.
        found: Takes shifts, and boundaries that are none.
        origins: The masks that patches were cut from.
        windows: How many at most.
        seed: Chooses them.
    """
    shifts: dict[int, Shift] = {}
    near: dict[int, Nearness] = {}
    rows = _chosen(opened, scan, origins, windows, seed)
    for row, ids, valid, pixels in _read(opened, images, rows, known):
        shifts[row] = shift_between(ids, pixels, valid, a_kind="labels", b_kind="image")
        nearness = nearness_of(ids, Chip(pixels, valid))
        if nearness is not None:
            near[row] = nearness
    _tell_boundaries(opened, near, found)
    by_mask = defaultdict[str, list[Shift]](list)
    for row, shift in shifts.items():
        by_mask[origins.names[row]].append(shift)
    whole = _median(list(shifts.values()))
    sample = EdgeSample(
        shift=whole if shifts else replace(whole, reason=why_none(scan, opened.index.boxes)),
        by_mask={m: s for m, some in by_mask.items() if (s := _median(some)).row is not None},
        boundaries=sum(near.values(), Nearness(0, 0, 0.0)) if near else None,
    )
    _tell_shifts(sample, found)
    return sample


def _chosen(opened: Opened, scan: Scan, origins: Origins, most: int, seed: int) -> list[int]:
    """Windows with boundaries and image, as many of each mask as of another, in the order of masks."""
    rows = np.flatnonzero(fit_rows(scan, opened.index.boxes))
    rows = np.random.default_rng((seed, 1)).permutation(rows)
    taken = defaultdict[str, int](int)
    turns = np.zeros(len(rows), np.int64)  # which of its mask's windows a row is
    for place, row in enumerate(rows.tolist()):
        mask = origins.names[row]
        turns[place] = taken[mask]
        taken[mask] += 1
    chosen = _apart(opened, origins, rows[np.argsort(turns, kind="stable")].tolist(), most)
    number = {mask: place for place, mask in enumerate(opened.index.masks)}
    return sorted(chosen, key=lambda row: (number[opened.index.mask_paths[row]], row))


def _apart(opened: Opened, origins: Origins, rows: list[int], most: int) -> list[int]:
    """The first windows around which areas hardly overlap."""
    areas = defaultdict[str, list[Window]](list)
    chosen: list[int] = []
    for row in rows:
        if len(chosen) == most:
            break
        mask = opened.index.grid_of(opened.index.mask_paths[row])
        area = origins.placed(row, _around(opened.index.windows[row], mask.whole))
        shared = (area.intersection(other) for other in areas[origins.names[row]])
        limit = _APART * area.height * area.width
        if all(part is None or part.height * part.width <= limit for part in shared):
            areas[origins.names[row]].append(area)
            chosen.append(row)
    return chosen


def _read(
    opened: Opened, images: Images, rows: list[int], known: Known
) -> Iterator[tuple[int, NDArray[np.generic], NDArray[np.bool_], NDArray[np.generic]]]:
    """(row, labels, where both are known, pixels) around each window; what cannot be read is left out."""
    for row in rows:
        mask = opened.index.grid_of(opened.index.mask_paths[row])
        try:
            window = _around(opened.index.windows[row], mask.whole)
            ids, labels, pixels, valid, _ = read_both(opened, images, row, window)
        except FAILURES:  # told by the scan, or a neighbour of what was
            continue
        if pixels is None or valid is None:
            continue
        if pixels.dtype.kind == "c":
            pixels = np.abs(pixels)
        yield row, ids, labelled_of(ids, labels, known.ignored) & valid, pixels


def _around(window: Window, whole: Window) -> Window:
    """A window large enough to measure on, in the mask."""
    row, height = _side(window.row, window.height, whole.height)
    col, width = _side(window.col, window.width, whole.width)
    return Window(row, col, height, width)


def _side(start: int, length: int, whole: int) -> tuple[int, int]:
    """Where a side begins, and its length."""
    wanted = min(max(length, _SIDE), 4 * _SIDE, whole)
    return min(max(start + (length - wanted) // 2, 0), whole - wanted), wanted


def _median(shifts: list[Shift]) -> ShiftSample:
    """What most windows agree on: single ones may be wrong."""
    places = np.array([(s.row, s.col) for s in shifts if s.measured]).reshape(-1, 2)
    if not len(places):
        reasons = Counter(shift.reason for shift in shifts).most_common(1)
        reason = reasons[0][0] if reasons else None
        return ShiftSample(None, None, None, len(shifts), 0, 0, reason)
    off = np.abs(places - np.median(places, axis=0))
    near = off.max(axis=1) <= _AGREE
    spread = float(1.4826 * np.median(np.hypot(*off.T)))
    agree = int(near.sum())
    if agree < max(_LEAST_WINDOWS, len(places) / 2):
        enough = max(_LEAST_WINDOWS, math.ceil(len(places) / 2))
        reason = f"{agree} of {len(places)} windows measured agree, expected {enough} at least"
        return ShiftSample(None, None, spread, len(shifts), len(places), agree, reason)
    row, col = np.median(places[near], axis=0)
    return ShiftSample(float(row), float(col), spread, len(shifts), len(places), agree)


def _tell_shifts(sample: EdgeSample, found: Findings) -> None:
    """Masks that are displaced; or all of them, where no mask has windows enough by itself."""
    far = {mask: shift for mask, shift in sample.by_mask.items() if shift.far}
    for mask, shift in far.items():
        found.add("shift", Example(mask, detail=_told(shift)))
    if not far and sample.shift.far:
        found.add("shift", Example(None, detail=f"over all masks: {_told(sample.shift)}"))


def _told(shift: ShiftSample) -> str:
    return (
        f"labels lie {shift.row:+.2f} rows (positive: down) and {shift.col:+.2f} columns (right) from the "
        f"image; {shift.agree} of {shift.measured} windows measured agree, spread {shift.spread:.2f} px"
    )


def _tell_boundaries(opened: Opened, near: dict[int, Nearness], found: Findings) -> None:
    """Say where boundaries of all windows together are no nearer to edges than other pixels are."""
    whole = sum(near.values(), Nearness(0, 0, 0.0))
    if len(near) < _LEAST_BOUNDARIES or whole.ratio >= _CHANCE:
        return
    for row in sorted(near, key=lambda row: near[row].ratio):
        if near[row].ratio < _CHANCE:
            detail = f"{near[row].share:.0%} of the boundary near an edge, by chance {near[row].chance:.0%}"
            where = opened.index.mask_paths[row], int(opened.rows[row]), opened.index.windows[row]
            found.add("boundary-mismatch", Example(*where, detail))
