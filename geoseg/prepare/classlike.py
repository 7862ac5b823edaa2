"""Whether pixels are numbers of classes, where the file does not say so."""

from __future__ import annotations

import numpy as np

from geoseg.prepare.spread import spread_windows
from geoseg.sources.base import RasterSource

_MOST = 32
"""Distinct values in all places looked at; a picture has more."""
_SIZE, _PLACES = 128, 16
"""Pixels a side of the places that are looked at, and how many."""


def distinct_values(source: RasterSource) -> int | None:
    """How many values a single band of whole numbers holds, where they are so few that they may be classes.

    Looks at 16 places of 128 x 128 pixels, spread over the raster.

    Returns:
        The number of distinct valid values found; None for several bands, fractions, or many values.

    Raises:
        SourceError: The pixels cannot be read.
    """
    if source.dtype.kind not in "iu" or len(source.band_names) != 1:
        return None
    found: set[int] = set()
    for window in spread_windows(source, source.grid.whole, size=_SIZE, most=_PLACES):
        chip = source.read(window)
        found.update(np.unique(chip.data[0][chip.valid]).tolist())
        if len(found) > _MOST:
            return None
    return len(found) or None


def holds_classes(source: RasterSource) -> bool:
    """Whether a source says that it holds numbers of classes, or looks like it."""
    return source.wholly_categorical or distinct_values(source) is not None
