"""Pieces of regions, strip after strip, to whole regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.labels.polygons.rings import Polygons, flat, straightened, with_pixel_vertices
from geoseg.labels.polygons.trace import Regions

_Columns = NDArray[np.int64]
"""(width,) the number of what owns each pixel beside a seam, -1 where nothing does."""


@dataclass(slots=True)
class _Open:
    """A region that reaches the last seam: it may go on."""

    id: int
    polygons: list[shapely.Polygon]
    pixels: float
    score: float


class SeamUnion:
    """Joins the pieces of consecutive strips where equal classes meet at a seam.

    A region is joined once, when it has ended. Memory: the pieces of the regions that reach the last seam.
    """

    def __init__(self, width: int) -> None:
        """Begin above the first strip.

        Args:
            width: Pixels of a row.
        """
        self._open: list[_Open] = []
        self._above: _Columns = np.full(width, -1)
        self._seams: list[int] = []

    def push(self, pieces: Regions, *, top: int, bottom: int, last: bool) -> list[Regions]:
        """The regions that have ended, once the pieces of the next strip are known.

        Args:
            pieces: What `trace` found in the strip.
            top: The first row of the strip.
            bottom: The row after its last.
            last: Whether no strip follows.
        """
        width, before = len(self._above), len(self._open)
        roots = np.array(self._components(pieces, owners(pieces.polygons, top, width)), np.int64)
        below = np.full(width, -1) if last else owners(pieces.polygons, bottom, width)
        reaching = np.zeros(len(roots), bool)  # by root: whether it may go on
        reaching[roots[before + np.unique(below[below >= 0])]] = True
        alone = (np.bincount(roots, minlength=1)[roots] == 1) & ~reaching[roots]
        groups = self._grouped(pieces, roots, alone[before:])
        self._open = [group for root, group in groups.items() if reaching[root]]
        number = np.full(len(roots) + 1, -1)  # one more, for the -1 of a pixel without owner
        number[[root for root in groups if reaching[root]]] = np.arange(len(self._open))
        self._above = np.where(below >= 0, number[np.append(roots, -1)[before + below]], -1)
        ended = [group for root, group in groups.items() if not reaching[root]]
        found = [pieces.take(alone[before:])]
        if ended:
            found.append(_joined(ended, self._seams, scored=pieces.scores is not None))
        self._seams.append(bottom)
        return [regions for regions in found if len(regions)]

    def _components(self, pieces: Regions, below: _Columns) -> list[int]:
        """The root of each open region and of each piece, in this order: equal where they are one."""
        before = len(self._open)
        parents = list(range(before + len(pieces)))
        both = (self._above >= 0) & (below >= 0)
        pairs = np.unique(np.stack([self._above[both], below[both]], axis=1), axis=0)
        open_ids = np.array([group.id for group in self._open], np.int64)
        same = open_ids[pairs[:, 0]] == pieces.ids[pairs[:, 1]]
        for upper, lower in pairs[same].tolist():
            first, second = sorted((_root(parents, upper), _root(parents, before + lower)))
            parents[second] = first
        return [_root(parents, i) for i in range(len(parents))]

    def _grouped(
        self, pieces: Regions, roots: NDArray[np.int64], alone: NDArray[np.bool_]
    ) -> dict[int, _Open]:
        """Root to what is open or ends here, but for pieces that are whole regions themselves."""
        groups: dict[int, _Open] = {}
        parts = list(self._open)
        kept = np.flatnonzero(~alone)
        for i in kept:
            score = 0.0 if pieces.scores is None else float(pieces.scores[i])
            parts.append(
                _Open(int(pieces.ids[i]), [pieces.polygons[i]], float(pieces.pixels[i]), score)
            )
        of_parts = [*roots[: len(self._open)], *roots[len(self._open) + kept]]
        for root, part in zip(map(int, of_parts), parts, strict=True):
            group = groups.setdefault(root, part)
            if group is not part:
                group.polygons += part.polygons
                group.pixels += part.pixels
                group.score += part.score
        return groups


def owners(polygons: Polygons, row: int, width: int) -> _Columns:
    """(width,) the number of the polygon with an edge along a row line, for each column; -1 for none.

    Args:
        polygons: All on one side of the line.
        row: The line above this row.
        width: Columns.
    """
    owner = np.full(width, -1)
    if not len(polygons):
        return owner
    boxes = shapely.bounds(polygons)
    near = np.flatnonzero((boxes[:, 1] == row) | (boxes[:, 3] == row))
    if not len(near):
        return owner
    coords, (rings, parts) = flat(polygons[near])
    on = coords[:, 1] == row
    edges = np.flatnonzero(on[:-1] & on[1:])
    edges = edges[~np.isin(edges, rings[1:] - 1)]
    ring = np.searchsorted(rings, edges, side="right") - 1
    polygon = near[np.searchsorted(parts, ring, side="right") - 1]
    ends = np.sort(np.stack([coords[edges, 0], coords[edges + 1, 0]]).astype(np.int64), axis=0)
    lengths = ends[1] - ends[0]
    skipped = np.repeat(np.cumsum(lengths) - lengths, lengths)
    owner[np.repeat(ends[0], lengths) + np.arange(lengths.sum()) - skipped] = np.repeat(
        polygon, lengths
    )
    return owner


def _joined(groups: list[_Open], seams: list[int], *, scored: bool) -> Regions:
    """Regions from their pieces, without a trace of the seams."""
    polygons = np.array([group.polygons[0] for group in groups], object)
    several = [i for i, group in enumerate(groups) if len(group.polygons) > 1]
    if several:
        pieces = np.array([p for i in several for p in groups[i].polygons], object)
        # Equal vertices on both sides of a seam: what a union of a coverage needs.
        pieces = with_pixel_vertices(pieces, np.array(seams))
        ends = np.cumsum([len(groups[i].polygons) for i in several])
        unions = [shapely.coverage_union_all(part) for part in np.split(pieces, ends[:-1])]
        polygons[several] = straightened(np.array(unions, object))
    return Regions(
        polygons,
        np.array([group.id for group in groups], np.uint8),
        np.array([group.pixels for group in groups]),
        np.array([group.score for group in groups]) if scored else None,
    )


def _root(parents: list[int], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i
