"""How much of the masks the windows of an index cover."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.sampling.windowindex.boxes import Boxes
from geoseg.sampling.windowindex.masks import Masks


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many pixels of the masks lie in some window."""

    pixels: int
    """Of all masks of the index."""
    covered: int
    """Of these, in at least one window; each counts once."""

    @property
    def share(self) -> float:
        """Covered of all, 0 to 1."""
        return self.covered / self.pixels if self.pixels else 0.0

    @property
    def uncovered_share(self) -> float:
        """The rest, 0 to 1."""
        return 1.0 - self.share

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "uncovered_share": self.uncovered_share}


def coverage_of(boxes: Boxes, masks: Masks) -> Coverage:
    """How many pixels of the masks lie in some window."""
    pixels = sum(grid.height * grid.width for grid in masks.grids)
    covered = sum(
        covered_pixels(boxes[rows], masks.grids[mask].shape) for mask, rows in masks.groups()
    )
    return Coverage(pixels=pixels, covered=covered)


def covered_pixels(boxes: Boxes, shape: tuple[int, int]) -> int:
    """How many pixels of a raster (height, width) lie in some window; parts past it do not count."""
    start = np.clip(boxes[:, :2], 0, shape)
    stop = np.clip(boxes[:, :2] + boxes[:, 2:], 0, shape)
    spans = np.concatenate([start, stop], axis=1)
    rows = np.unique(spans[:, [0, 2]], axis=0)
    cols = np.unique(spans[:, [1, 3]], axis=0)
    if len(rows) * len(cols) == len(np.unique(spans, axis=0)):  # every row of windows is the same
        return _length(rows) * _length(cols)
    left, right = spans[:, [1, 0]].astype(float).T, spans[:, [3, 2]].astype(float).T
    area = shapely.area(shapely.union_all(shapely.box(*left, *right)))
    return round(float(area))


def _length(spans: NDArray[np.int64]) -> int:
    """The length of the union of half-open spans, sorted by their starts."""
    reached = np.maximum.accumulate(spans[:, 1])
    before = np.concatenate([spans[:1, 0], reached[:-1]])
    return int(np.maximum(reached - np.maximum(spans[:, 0], before), 0).sum())
