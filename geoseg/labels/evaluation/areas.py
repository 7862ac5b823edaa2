"""How much ground each class covers: as mapped, and adjusted by the errors that the truth shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyproj import Geod

from geoseg.classes import ClassMap
from geoseg.grid import Floats, Grid, apply, transformer
from geoseg.labels.metrics import Confusion

_SAMPLED_ROWS = 257
"""Rows at which the size of pixels is worked out; between them it changes evenly enough."""
_SAMPLED_COLS = 5
_STEP_M = 50.0
"""Metres at least between the places from which a pixel's size is taken: far above rounding."""
_SAME_AREA = 1e-5
"""Part by which the pixels of rows that are counted together may differ in area."""
_ANY_ROWS = 1 << 30
_LEAST_COUNT = 2
"""Pixels with truth that a mapped class needs before its errors can be estimated."""
_ROUNDING = 1e-12
"""Part by which two sums of the same areas may differ."""
_SAMPLED = (
    "standard errors assume that the pixels with truth are a random sample of each mapped class, each "
    "independent of the others; where they lie side by side, the real errors are larger"
)
_COVERED = (
    "the truth covers the whole map: areas are counted, not estimated, and have no standard error"
)
_UNKNOWN = "too few pixels with truth in some mapped class to adjust areas by the errors"


def row_areas(grid: Grid) -> Floats | None:
    """(height,) square metres that a pixel of each row covers on the ellipsoid (WGS 84).

    This holds for any CRS: pixels of degrees shrink towards the poles, those of Mercator too. Across a
    row the mean of five columns is taken. None without a CRS, and where it does not tell a place on the
    Earth.
    """
    metres = grid.ground_resolution
    if metres is None or grid.crs is None:
        return None
    rows = np.linspace(0.5, grid.height - 0.5, min(grid.height, _SAMPLED_ROWS))
    cols = (np.arange(_SAMPLED_COLS) + 0.5) * (grid.width / _SAMPLED_COLS)
    across, down = np.meshgrid(cols, rows)
    areas = _pixel_areas(grid, across, down, reach=max(_STEP_M / min(metres), 1.0) / 2)
    means = areas.mean(axis=1)
    if not (np.isfinite(means).all() and means.min() > 0):
        return None
    found: Floats = np.interp(np.arange(grid.height) + 0.5, rows, means)
    return found


def rows_alike(areas: Floats | None) -> tuple[int, Floats | None]:
    """How many rows may be counted together, and areas that are the same within each such group.

    Groups begin at row 0. The pixels of a group differ by a part of 1e-5 at most; each row gets its
    group's mean.

    >>> rows_alike(np.array([100.0, 100.0005, 100.001, 100.0015]))
    (2, array([100.00025, 100.00025, 100.00125, 100.00125]))
    """
    if areas is None or len(areas) == 1:
        return _ANY_ROWS, areas
    change = float((np.abs(np.diff(areas)) / areas[1:]).max())
    size = max(int(_SAME_AREA / change), 1) if change > _SAME_AREA / _ANY_ROWS else _ANY_ROWS
    starts = np.arange(0, len(areas), size)
    lengths = np.diff(starts, append=len(areas))
    return size, np.repeat(np.add.reduceat(areas, starts) / lengths, lengths)


def area_records(
    counts: Confusion, areas: Floats, mapped: Floats, classes: ClassMap
) -> list[dict[str, Any]]:
    """The area of each class as mapped and as adjusted by its errors, in square metres.

    The adjusted area is the stratified estimator of Olofsson et al. (2014, "Good practices for
    estimating area and assessing accuracy of land change", equations 9 to 11): each class of the map is
    a stratum, which the errors of its pixels with truth share out among the true classes. It assumes
    that those pixels are a random sample of each mapped class. Neighbouring pixels are not independent:
    where the truth covers whole areas, the standard error is too small. Where it covers the whole map,
    nothing is estimated and there is none. `areas_note` says so.

    Args:
        counts: (truth, prediction) pixels.
        areas: (truth, prediction) square metres of the same pixels.
        mapped: (class,) square metres of the map, with and without truth.
        classes: Their order.

    Returns:
        For each class `id`, `name`, `mapped_m2`, `adjusted_m2` and `standard_error_m2`; the latter two
        are None where some class of the map has fewer than two pixels with truth, the last one also
        where all of the map has truth.
    """
    adjusted, errors = _adjusted(counts.T, areas.T, mapped)
    if _covered(areas, mapped):
        errors = None
    return [
        {
            "id": info.id,
            "name": info.name,
            "mapped_m2": float(mapped[i]),
            "adjusted_m2": None if adjusted is None else float(adjusted[i]),
            "standard_error_m2": None if errors is None else float(errors[i]),
        }
        for i, info in enumerate(classes.classes)
    ]


def areas_note(records: list[dict[str, Any]], areas: Floats, mapped: Floats) -> str:
    """What the standard errors assume, or why there are none.

    Args:
        records: What `area_records` gives.
        areas: As there.
        mapped: As there.
    """
    if records[0]["adjusted_m2"] is None:
        return _UNKNOWN
    return _COVERED if _covered(areas, mapped) else _SAMPLED


def _covered(areas: Floats, mapped: Floats) -> bool:
    """Whether the truth is known on all of the map."""
    return bool(np.allclose(areas.sum(axis=0), mapped, rtol=_ROUNDING, atol=0))


def _adjusted(
    counts: Confusion, areas: Floats, mapped: Floats
) -> tuple[Floats, Floats] | tuple[None, None]:
    """(class,) adjusted areas and standard errors, from matrices whose rows are the map."""
    strata = mapped > 0
    samples = counts.sum(axis=1)[strata]
    if not strata.any() or samples.min() < _LEAST_COUNT:
        return None, None
    rows, weights = areas[strata], mapped[strata, None]
    shares = rows / rows.sum(axis=1, keepdims=True)
    variances = weights**2 * shares * (1 - shares) / (samples[:, None] - 1)
    return (weights * shares).sum(axis=0), np.sqrt(variances.sum(axis=0))


def _pixel_areas(grid: Grid, cols: Floats, rows: Floats, *, reach: float) -> Floats:
    """Square metres of pixels at places, from where a step in column and in row leads.

    An element of the ellipsoid is M N cos(latitude) d(latitude) d(longitude), with M and N its radii of
    curvature along and across the meridian.

    Args:
        grid: It has a CRS.
        cols: Columns of the places.
        rows: Rows of the places.
        reach: How far a step leads to either side, in pixels.
    """
    to_degrees = transformer("" if grid.crs is None else grid.crs.to_string(), "EPSG:4326")

    def degrees(col: Floats, row: Floats) -> Floats:
        return np.array(to_degrees.transform(*apply(grid.transform, col, row)))

    with np.errstate(invalid="ignore"):  # what has no place is infinite
        by_col = degrees(cols + reach, rows) - degrees(cols - reach, rows)
        by_row = degrees(cols, rows + reach) - degrees(cols, rows - reach)
        for step in (by_col, by_row):
            step[0] = (step[0] + 180) % 360 - 180  # across the antimeridian
        element = np.abs(by_col[0] * by_row[1] - by_row[0] * by_col[1]) / (2 * reach) ** 2
        areas: Floats = element * np.radians(1.0) ** 2 * _curvature(degrees(cols, rows)[1])
    return areas


def _curvature(lat: Floats) -> Floats:
    """M N cos(latitude) in square metres, of latitudes in degrees."""
    ellipsoid = Geod(ellps="WGS84")
    sine, cosine = np.sin(np.radians(lat)), np.cos(np.radians(lat))
    root = 1 - ellipsoid.es * sine**2
    result: Floats = ellipsoid.a**2 * (1 - ellipsoid.es) / root**2 * cosine
    return result
