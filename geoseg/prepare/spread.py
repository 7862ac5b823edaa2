"""Windows spread over a part of a raster, for what is measured on a sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geoseg.sources.base import RasterSource
from geoseg.window import Window

_PLACES = 16
"""Along a side, at most."""


def spread_windows(source: RasterSource, area: Window, *, size: int, most: int) -> Iterator[Window]:
    """Windows spread evenly over an area, in an order that is the same every time.

    Those of which a source knows without reading that they are empty are left out.

    Args:
        source: What will be read, on whose grid the area lies.
        area: Lies in the raster.
        size: Pixels a side; less where the area is smaller.
        most: How many at most.
    """
    height, width = min(size, area.height), min(size, area.width)
    rows = _offsets(area.row, area.height, height)
    cols = _offsets(area.col, area.width, width)
    places = [Window(row, col, height, width) for row in rows for col in cols]
    if len(places) > most:
        order = np.random.default_rng(0).permutation(len(places))
        places = [places[i] for i in order]
    given = 0
    for window in places:
        if given == most:
            return
        if not source.surely_empty(window):
            given += 1
            yield window


def _offsets(first: int, length: int, size: int) -> list[int]:
    """Where spans that hardly overlap begin, the first and the last at the ends."""
    count = min(max(-(-length // size), 1), _PLACES)
    return sorted({first + round(i) for i in np.linspace(0, length - size, count).tolist()})
