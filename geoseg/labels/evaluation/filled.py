"""Pixels of the truth that have a class only because no polygon lies there."""

from __future__ import annotations

import numpy as np

from geoseg.aoi import AOI
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels
from geoseg.labels.metrics import Confusion
from geoseg.labels.sources import SourceLabels, VectorLabels
from geoseg.sources.base import VectorSource
from geoseg.window import Window


class Filled:
    """Counts the compared pixels whose true class is the background of polygons.

    The confusion matrix knows how many pixels of that class there are. Only where polygons have it too,
    these are burned once more without a background, block by block, and their pixels taken off.
    """

    def __init__(
        self, labels: VectorLabels, background: int, grid: Grid, aoi: VectorSource | None
    ) -> None:
        """Begin with nothing seen.

        Args:
            labels: The polygons of the truth, with their class map.
            background: The class of pixels without a polygon.
            grid: Of truth and prediction.
            aoi: Where they are compared.
        """
        self._classes, self._background = labels.class_map, background
        self._polygons = labels.of_background(grid)
        self._area = None if aoi is None or self._polygons is None else AOI.of(aoi, grid)
        self._drawn = 0

    def see(self, window: Window, prediction: Ids) -> None:
        """Look at a block of the prediction, in which `ignore_id` stands for "not predicted"."""
        if self._polygons is None:
            return
        drawn = self._polygons.read(window) == self._background
        drawn &= prediction != self._classes.ignore_id
        if self._area is not None:
            drawn &= self._area.mask(window)
        self._drawn += int(np.count_nonzero(drawn))

    def note(self, counts: Confusion) -> str | None:
        """How many pixels were filled, for the reader of the scores; None where there is none.

        Args:
            counts: (truth, prediction) pixels of all blocks that were seen.
        """
        place = self._classes.ids.index(self._background)
        filled = int(counts[place].sum()) - self._drawn
        if not filled:
            return None
        name = self._classes.name_of(self._background)
        return (
            f"{filled:,} px without a polygon counted as {name!r}; if such pixels are not known, score "
            "with background=None (--background none)"
        )


def filled_in(truth: Labels, aoi: VectorSource | None) -> Filled | None:
    """What counts them; None where the truth is no polygons, or has no class where there are none."""
    if not isinstance(truth, SourceLabels) or not isinstance(truth.source, VectorLabels):
        return None
    background = truth.source.background_id
    if background is None or background not in truth.classes.ids:
        return None
    return Filled(truth.source, background, truth.grid, aoi)
