"""Where the patches of a store lie."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from geoseg.grid import Bounds, Grid, to_crs, transformer

if TYPE_CHECKING:
    import pandas as pd

_LONLAT = "EPSG:4326"


class Ground:
    """Counts CRSs, and gathers bounds."""

    def __init__(self) -> None:
        self._crs: Counter[str] = Counter()
        self._placed = 0
        self._low = np.full(2, np.inf)
        self._high = np.full(2, -np.inf)

    def add(self, table: pd.DataFrame) -> None:
        """Add the rows of a manifest."""
        self._placed += int(table["transform"].notna().sum())
        known = table[table["crs"].notna()]
        for crs, rows in known.groupby("crs", sort=False):
            self._crs[str(crs)] += len(rows)
            columns = (rows[name] for name in ("bounds", "transform", "shapes"))
            found = (_bounds(t, s) if b is None else b for b, t, s in zip(*columns, strict=True))
            boxes = [box for box in found if box is not None]
            if boxes:
                self._reach(np.array(boxes, float), str(crs))

    def _reach(self, boxes: np.ndarray[Any, np.dtype[np.float64]], crs: str) -> None:
        """Take in the corners of boxes (left, bottom, right, top)."""
        left, bottom, right, top = boxes.T
        x = np.concatenate([left, left, right, right])
        y = np.concatenate([bottom, top, bottom, top])
        there = to_crs(crs)
        if not (there.is_projected or there.is_geographic):
            return  # of a building site: nowhere on the Earth
        lonlat = np.array(transformer(crs, _LONLAT).transform(x, y))
        lonlat = lonlat[:, np.isfinite(lonlat).all(axis=0)]
        if lonlat.size:
            self._low = np.minimum(self._low, lonlat.min(axis=1))
            self._high = np.maximum(self._high, lonlat.max(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = bool(np.isfinite(self._low).all())
        return {
            "georeferenced": self._placed,
            "crs": dict(self._crs.most_common()),
            "bounds_4326": [float(v) for v in (*self._low, *self._high)] if found else None,
        }


def _bounds(
    transform: tuple[float, ...] | None, shapes: tuple[tuple[int, ...], ...] | None
) -> Bounds | None:
    """Of the largest bands, for manifests that tell no bounds."""
    sizes = [shape[-2:] for shape in shapes or () if len(shape) > 1]
    if transform is None or not sizes:
        return None
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return Grid(transform=Affine(*transform), height=height, width=width).bounds
