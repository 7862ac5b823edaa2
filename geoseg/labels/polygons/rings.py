"""Corners of polygons whose edges run along pixels: added and removed for many polygons at once."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.grid import Floats, apply

Polygons = NDArray[np.object_]
"""(polygon,) shapely Polygons in pixels: (column, row), corners at whole numbers."""
Bools = NDArray[np.bool_]
Offsets = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Where each ring begins among the vertices, and where each polygon begins among the rings; with the ends."""


def flat(polygons: Polygons) -> tuple[Floats, Offsets]:
    """All vertices (vertex, 2), and where rings and polygons begin."""
    _, coords, offsets = shapely.to_ragged_array(polygons)
    return coords, offsets


def unflat(coords: Floats, offsets: Offsets) -> Polygons:
    """The polygons of vertices, see `flat`."""
    polygons: Polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, coords, offsets)
    return polygons


def straightened(polygons: Polygons) -> Polygons:
    """Without the vertices that lie on a straight edge, where a ring begins included.

    Args:
        polygons: Their edges run along rows or columns.
    """
    coords, (rings, parts) = flat(polygons)
    last = np.zeros(len(coords), bool)
    last[rings[1:] - 1] = True
    before, after = np.arange(-1, len(coords) - 1), np.arange(1, len(coords) + 1)
    before[rings[:-1]] = rings[1:] - 2  # the last vertex repeats the first
    after[last] = 0
    turns = ~((coords[before] == coords) & (coords[after] == coords)).any(axis=1) & ~last
    counts = np.add.reduceat(turns, rings[:-1], dtype=np.int64)
    return unflat(*_closed(coords[turns], counts, parts))


def with_pixel_vertices(polygons: Polygons, rows: NDArray[np.integer] | None = None) -> Polygons:
    """With a vertex at every pixel corner of some edges.

    Args:
        polygons: Their edges run along rows or columns.
        rows: Edges that run along these row lines; None: all edges.
    """
    coords, (rings, parts) = flat(polygons)
    ahead = np.zeros_like(coords)
    ahead[:-1] = np.diff(coords, axis=0)
    ahead[rings[1:] - 1] = 0
    lengths = np.abs(ahead).max(axis=1).astype(np.int64)
    if rows is not None:
        lengths[(ahead[:, 1] != 0) | ~np.isin(coords[:, 1], rows)] = 1
    lengths = np.maximum(lengths, 1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    steps = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    dense = np.repeat(coords, lengths, axis=0)
    dense += np.repeat(np.sign(ahead), lengths, axis=0) * steps[:, None]
    return unflat(dense, (starts[rings], parts))


def with_common_vertices(polygons: Polygons) -> Polygons:
    """With a vertex wherever an edge passes a corner of any polygon, so that shared edges are equal."""
    corners = _keys(flat(polygons)[0])
    coords, (rings, parts) = flat(with_pixel_vertices(polygons))
    kept = np.isin(_keys(coords), corners)
    starts = np.concatenate([[0], np.cumsum(np.add.reduceat(kept, rings[:-1], dtype=np.int64))])
    return unflat(coords[kept], (starts, parts))


def moved(polygons: Polygons, transform: Affine) -> Polygons:
    """The polygons on the ground."""
    ground: Polygons = shapely.transform(
        polygons, lambda x, y: apply(transform, x, y), interleaved=False
    )
    return ground


def _closed(
    coords: Floats, counts: NDArray[np.int64], parts: NDArray[np.integer]
) -> tuple[Floats, Offsets]:
    """Rings that end where they begin, from those without their last vertex."""
    ends = np.cumsum(counts)
    closed = np.insert(coords, ends, coords[ends - counts], axis=0)
    return closed, (np.concatenate([[0], np.cumsum(counts + 1)]), parts)


def _keys(coords: Floats) -> NDArray[np.int64]:
    """One number for each pixel corner."""
    whole: NDArray[np.int64] = coords.astype(np.int64)
    return (whole[:, 1] << 32) | whole[:, 0]
