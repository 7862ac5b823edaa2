"""Polygons of one strip of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.grid import Floats
from geoseg.labels.base import Ids, Scores
from geoseg.labels.polygons.rings import Bools, Polygons, flat, unflat


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Connected pixels of one class each: whole, or the pieces of them that lie in a strip."""

    polygons: Polygons
    """(region,) in pixels of the grid: (column, row)."""
    ids: Ids
    """(region,) class ids."""
    pixels: Floats
    """(region,) how many pixels each has."""
    scores: Floats | None = None
    """(region,) the sum over its pixels of the score of its class, where scores are known."""

    def __len__(self) -> int:
        return len(self.polygons)

    def take(self, chosen: Bools | NDArray[np.integer]) -> Regions:
        """Some of them."""
        scores = None if self.scores is None else self.scores[chosen]
        return Regions(self.polygons[chosen], self.ids[chosen], self.pixels[chosen], scores)

    @classmethod
    def joined(cls, parts: list[Regions]) -> Regions:
        """Several as one; at least one."""
        scores = [part.scores for part in parts if part.scores is not None]
        return cls(
            np.concatenate([part.polygons for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.pixels for part in parts]),
            np.concatenate(scores) if scores else None,
        )


def trace(ids: Ids, *, ignore_id: int, top: int, scores: Scores | None = None) -> Regions:
    """The regions of a strip: pixels of one class that are connected through their sides.

    Args:
        ids: (height, width) class ids.
        ignore_id: The id of pixels that belong to no region.
        top: The row of the grid that the strip begins with.
        scores: (height, width) the score of the class of each pixel, finite also where it is ignored.
    """
    found = rasterio.features.shapes(
        ids, mask=ids != ignore_id, connectivity=4, transform=Affine.translation(0, top)
    )
    rings: list[NDArray[np.float64]] = []
    counts: list[int] = []
    values: list[int] = []
    for geometry, value in found:
        rings.extend(map(np.array, geometry["coordinates"]))
        counts.append(len(geometry["coordinates"]))
        values.append(int(value))
    if not rings:
        none = np.zeros(0)
        return Regions(
            np.zeros(0, object), np.zeros(0, np.uint8), none, None if scores is None else none
        )
    lengths = [len(ring) for ring in rings]
    polygons = unflat(np.concatenate(rings), (_offsets(lengths), _offsets(counts)))
    sums = None if scores is None else sums_within(polygons, scores, top=top)
    return Regions(polygons, np.array(values, np.uint8), shapely.area(polygons), sums)


def sums_within(polygons: Polygons, values: Scores, *, top: int) -> Floats:
    """(polygon,) the sum of the values of the pixels in each.

    By Green's theorem, along the edges: with the integral image every vertical edge gives the sum of
    all values to its left in two look-ups.

    Args:
        polygons: In pixels of the grid, within the strip; edges run along rows or columns.
        values: (height, width) of the strip, finite.
        top: The row of the grid that the strip begins with.
    """
    height, width = values.shape
    integral = np.zeros((height + 1, width + 1))
    np.cumsum(values, axis=0, dtype=np.float64, out=integral[1:, 1:])
    np.cumsum(integral[1:, 1:], axis=1, out=integral[1:, 1:])
    coords, (rings, parts) = flat(polygons)
    cols, rows = coords.astype(np.int64).T
    upright = np.zeros(len(coords), bool)
    upright[:-1] = np.diff(cols) == 0
    upright[rings[1:] - 1] = False  # from one ring to the next there is no edge
    sums = _around(integral[rows - top, cols], upright, rings)
    # Around a shell and around a hole, whichever way each was traced.
    sign = np.sign(_around((rows * cols).astype(float), upright, rings))
    sign *= np.where(np.isin(np.arange(len(sign)), parts[:-1]), 1, -1)
    within: Floats = np.add.reduceat(sums * sign, parts[:-1])
    return within


def _around(values: Floats, upright: Bools, rings: NDArray[np.integer]) -> Floats:
    """(ring,) the sum over its vertical edges of how a value changes along each.

    Args:
        values: (vertex,) the value at each vertex.
        upright: (vertex,) whether a vertical edge begins there.
        rings: Where each ring begins among the vertices.
    """
    change = np.zeros(len(values))
    change[:-1] = np.diff(values)
    sums: Floats = np.add.reduceat(np.where(upright, change, 0), rings[:-1])
    return sums


def _offsets(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
