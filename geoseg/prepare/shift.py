"""By how many pixels one raster is displaced against another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.prepare.aligning.kernel import warped_for
from geoseg.prepare.classlike import holds_classes
from geoseg.prepare.correlate import SURE, Kind, Shift, shift_between, unmeasured
from geoseg.prepare.spread import spread_windows
from geoseg.sources.base import RasterSource, raster_source
from geoseg.warn import warn
from geoseg.window import Window

_TRIES = 4
"""Times as many places as are wanted that are looked at."""
_LEAST_VALID = 0.25
"""Of a place's pixels, valid in both, for it to be looked at."""
_LEAST_SIZE = 128
"""Pixels a side of a place, unless the area is smaller."""
_AGREE = 1.5
"""Pixels by which a place's shift may differ from the median and agree."""


def measure_shift(
    source: RasterSource | str,
    reference: RasterSource | str,
    *,
    source_kind: Kind | None = None,
    reference_kind: Kind | None = None,
    places: int = 9,
    size: int = 512,
    most: int = 64,
) -> tuple[float, float]:
    """(row, col) by which a source is displaced against a reference, in pixels of the reference.

    Positive is down and right: what lies at row 10 in the reference lies at row 10 + `row` in the
    source. Both may be images, also of different sensors, or labels; see `shift_between`. Warns where
    nothing can be measured, and gives NaN. `estimate_shift` tells confidence and reason as well.

    Args:
        source: The raster to judge, or its uri; on any grid with a CRS.
        reference: What it should lie on, or its uri.
        source_kind: "image" or "labels"; None: labels where the file says so by a colour table, or holds
            one band of few whole numbers.
        reference_kind: The same of the reference.
        places: How many windows are measured, spread over where the two overlap; the median counts.
        size: Pixels a side of a window.
        most: Pixels along an axis that are searched.

    Raises:
        GridError: One of the two has no CRS.
        SourceError: One cannot be read.
    """
    found = estimate_shift(
        source,
        reference,
        source_kind=source_kind,
        reference_kind=reference_kind,
        places=places,
        size=size,
        most=most,
    )
    if not found.measured:
        warn(f"the shift cannot be measured: {found.reason}")
    return found.row, found.col


def estimate_shift(
    source: RasterSource | str,
    reference: RasterSource | str,
    *,
    source_kind: Kind | None = None,
    reference_kind: Kind | None = None,
    places: int = 9,
    size: int = 512,
    most: int = 64,
) -> Shift:
    """The same as `measure_shift` as a Shift: with a confidence, and a reason where nothing is measured."""
    moved, fixed = raster_source(source), raster_source(reference)
    area = overlap(moved.grid, fixed.grid)
    if area is None:
        return unmeasured("the two do not overlap")
    kinds = source_kind or _kind(moved), reference_kind or _kind(fixed)
    onto = warped_for(moved, fixed.grid, categorical=kinds[0] == "labels")
    found = unmeasured("")
    for side in _sizes(area, size):
        pairs = _pairs(onto, fixed, area, size=side, tries=places * _TRIES)
        shifts = (
            shift_between(*pair, a_kind=kinds[0], b_kind=kinds[1], most=most) for pair in pairs
        )
        found = _median(shifts, places)
        if found.measured:
            break
    return found


def overlap(source: Grid, target: Grid) -> Window | None:
    """The window of the target around a source; all of it where that cannot be told."""
    try:
        around = target.window(source.bounds, source.crs)
    except GridError:  # reaches past what the target's CRS can express
        return target.whole
    return around.intersection(target.whole)


def _kind(source: RasterSource) -> Kind:
    return "labels" if holds_classes(source) else "image"


def _pairs(
    source: RasterSource, reference: RasterSource, area: Window, *, size: int, tries: int
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.bool_]]]:
    """Pixels of both, and where both are valid, of places that have enough of them."""
    for window in spread_windows(source, area, size=size, most=tries):
        a, b = source.read(window), reference.read(window)
        valid = a.valid & b.valid
        if valid.mean() >= _LEAST_VALID:
            yield a.data, b.data, valid


def _sizes(area: Window, size: int) -> Iterator[int]:
    """Pixels a side of the places: smaller where the area has no two of them, then as large as it has."""
    short = min(area.shape)
    if short < 2 * size and short // 2 >= _LEAST_SIZE:
        yield short // 2
    yield size


def _median(shifts: Iterable[Shift], places: int) -> Shift:
    """What most of so many places agree on; those where nothing can be measured do not count."""
    found: list[Shift] = []
    reason = "they have no place where enough pixels are valid in both"
    for one in shifts:
        if one.reason is None:
            found.append(one)
        else:
            reason = one.reason
        if len(found) == places:
            break
    if not found:
        return unmeasured(reason)
    row, col = _middle(found)
    near = [one for one in found if max(abs(one.row - row), abs(one.col - col)) <= _AGREE]
    if not near:
        return unmeasured(f"the {len(found)} places measured differ")
    confidence = float(np.median([one.confidence for one in near])) * len(near) / len(found)
    if confidence < SURE:
        return unmeasured(f"of the {len(found)} places measured only {len(near)} agree", confidence)
    row, col = _middle(near)
    return replace(near[0], row=row, col=col, confidence=confidence, places=len(near))


def _middle(found: list[Shift]) -> tuple[float, float]:
    """The medians of rows and columns."""
    return float(np.median([one.row for one in found])), float(
        np.median([one.col for one in found])
    )
