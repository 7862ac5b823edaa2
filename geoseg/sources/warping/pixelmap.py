"""PixelMap: where the pixels of one grid lie among the pixels of another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from affine import Affine
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pyproj import Transformer

from geoseg.errors import GridError
from geoseg.grid import Floats, Grid, apply, compose, transformer
from geoseg.sources.warping.seam import is_whole_turn, turn_of
from geoseg.window import Window

_STEPS = (32, 16, 8, 4, 2)
"""Pixels between nodes; the first that is dense enough nearly everywhere is taken."""
_TOLERANCE = 2e-3
"""Source pixels by which a block may bend, measured over two node distances; over one, which is what
is interpolated, it bends a quarter of that."""
_TIE = 1e-3
"""Source pixels: nearer than this to a pixel edge the exact mapping decides."""
_BENT_SHARE = 0.05
"""Share of blocks that may be too bent at a step; their pixels are mapped one by one."""
_PAST = 3
"""Pixels past the source's edge that a kernel may look at."""
_SAMPLE = 9
"""Blocks on each side of the grid on which the step is decided."""
_HALVES = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
"""Two corners to the three nodes of an edge, were it straight."""

Coordinates = tuple[Floats, Floats]
"""(columns, rows) in pixels of the source, from the corner of its first pixel (a centre is at +0.5)."""


@dataclass(frozen=True)
class PixelMap:
    """Pixels of a target grid to pixels of a source grid.

    Within one CRS this is one affine transform. Between two, nodes at fixed places of the target
    (multiples of the step from its origin, so that every window sees the same ones) go through
    pyproj, and pixel centres are interpolated between them. Where the mapping bends too much for
    that, breaks (the antimeridian) or ends (the edge of a CRS), pixels go through pyproj one by one.

    Columns of a source in degrees or a cylindrical projection are those less than half a turn from its
    middle: a raster of 0..360 degrees, or one across the antimeridian, is found from both sides.
    """

    to_ground: Affine
    """Target pixel to ground; within one CRS, target pixel to source pixel."""
    from_ground: Affine
    """Ground of the source to source pixel."""
    projection: Transformer | None
    """Ground of the target to ground of the source; None within one CRS."""
    step: int = _STEPS[0]
    """Target pixels between nodes."""
    turn: float | None = None
    """Columns of the source once round the Earth; None where they do not count longitude."""
    whole_turn: bool = False
    """Whether the column after the source's last is its first."""
    middle: float = 0.0
    """The source's middle column."""

    @classmethod
    def between(cls, target: Grid, source: Grid) -> Self:
        """The map from one grid to another.

        Raises:
            GridError: One grid has a CRS and the other has none.
        """
        if (target.crs is None) != (source.crs is None):
            which, other = ("target", "source") if target.crs is None else ("source", "target")
            raise GridError(
                f"the {which} grid has no CRS, but the {other} grid has ({target.describe()} from "
                f"{source.describe()}); give the file of the {which} its CRS (rio edit-info --crs "
                "EPSG:... FILE)"
            )
        if target.crs is None or source.crs is None or target.crs == source.crs:
            pixels = cls(compose(~source.transform, target.transform), Affine.identity(), None)
        else:
            projection = transformer(target.crs.to_string(), source.crs.to_string())
            pixels = cls(target.transform, ~source.transform, projection)
        turn, whole = turn_of(source), is_whole_turn(source)
        pixels = replace(pixels, turn=turn, whole_turn=whole, middle=source.width / 2)
        return (
            pixels
            if pixels.projection is None
            else replace(pixels, step=_dense_enough(pixels, target))
        )

    def exact(self, cols: Floats, rows: Floats) -> Coordinates:
        """Source coordinates of target coordinates; NaN where a CRS does not reach."""
        x, y = apply(self.to_ground, cols, rows)
        if self.projection is None:
            return self._folded(x), y
        x, y = self.projection.transform(x, y)
        lost = ~(np.isfinite(x) & np.isfinite(y))
        if lost.any():
            x[lost] = y[lost] = np.nan
        cols, rows = apply(self.from_ground, x, y)
        return self._folded(cols), rows

    def sizes(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Source coordinates of scattered target places, and what a target pixel measures there.

        Returns:
            (columns, rows, width, height), the last two in source pixels; NaN where a CRS ends.
        """
        u, v = self.exact(cols, rows)
        steps = self.exact(cols + 1, rows), self.exact(cols, rows + 1)
        wide, high = (
            np.hypot(*(step[axis] - here for step in steps)) for axis, here in enumerate((u, v))
        )
        return u, v, wide, high

    def nodes(self, blocks: Window, step: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Source coordinates of the nodes in and around whole blocks, and which blocks are bent.

        Args:
            blocks: Of the target, a multiple of two steps on both sides.
            step: Target pixels from node to node.
        """
        cols = np.arange(blocks.col, blocks.col_stop + 1, step, dtype=np.float64)
        rows = np.arange(blocks.row, blocks.row_stop + 1, step, dtype=np.float64)
        u, v = self.exact(*np.meshgrid(cols, rows))
        return u, v, _bent(u) | _bent(v)

    def centres(self, window: Window) -> Coordinates:
        """Source coordinates of the pixel centres of a target window, (height, width) each.

        Off by less than about 5e-4 source pixels; the same for a pixel whatever the window.
        """
        if self.projection is None:
            cols, rows = _centres(window)
            return self.exact(cols[None], rows[:, None])
        block = 2 * self.step
        blocks = _blocks_over(window, block)
        *nodes, bent = self.nodes(blocks, self.step)
        part = window.relative_to(blocks).slices
        u, v = (_between_nodes(node, self.step, part) for node in nodes)
        if bent.any():
            where = np.nonzero(bent.repeat(block, axis=0).repeat(block, axis=1)[part])
            self._redo(window, (u, v), where)
        return u, v

    def boxes(self, window: Window) -> tuple[Floats, Floats, Floats, Floats]:
        """Centres as above, and width and height in source pixels of each target pixel there.

        From the steps to the neighbours, of the two on either side the smaller, so that a break in
        the mapping (the antimeridian) makes no box.
        """
        around = Window(window.row - 1, window.col - 1, window.height + 2, window.width + 2)
        cols, rows = self.centres(around)
        inner = (slice(1, -1), slice(1, -1))
        wide, high = (np.nan_to_num(_steps(values), nan=1.0) for values in (cols, rows))
        return cols[inner], rows[inner], wide, high

    def settle_ties(self, window: Window, coordinates: Coordinates) -> None:
        """Map pixels next to the edge of a source pixel exactly, in place.

        With this `floor` gives the same source pixel as pyproj does for every target pixel.
        """
        if self.projection is None:
            return
        near = np.zeros(window.shape, bool)
        for values in coordinates:
            near |= np.abs(values - np.rint(values)) < _TIE
        self._redo(window, coordinates, np.nonzero(near))

    def _folded(self, cols: Floats) -> Floats:
        """Columns less than half a turn from the source's middle."""
        if self.turn is None:
            return cols
        return cols - self.turn * np.floor((cols - self.middle) / self.turn + 0.5)

    def _redo(
        self,
        window: Window,
        coordinates: Coordinates,
        where: tuple[NDArray[np.intp], ...],
    ) -> None:
        """Map the pixels at (rows, columns) of a window exactly, in place."""
        cols, rows = _centres(window)
        u, v = coordinates
        u[where], v[where] = self.exact(cols[where[1]], rows[where[0]])


def covering(
    source: Grid,
    places: Coordinates,
    reach: tuple[Floats | float, Floats | float],
    *,
    round_the_earth: bool = False,
) -> Window | None:
    """The source rectangle with all pixels that lie within reach of a place.

    Args:
        source: The source's grid; the rectangle goes at most 3 pixels past its edge.
        places: (columns, rows); NaN is no place.
        reach: Source pixels to each side along (columns, rows).
        round_the_earth: The columns go on past the source's edge, see `seam.read_round`.

    Returns:
        The rectangle, or None where it holds no pixel of the source.
    """
    spans = []
    lengths = math.inf if round_the_earth else source.width, source.height
    for values, far, length in zip(places, reach, lengths, strict=True):
        low, high = np.fmin.reduce(values - far, axis=None), np.fmax.reduce(values + far, axis=None)
        first = -math.inf if length == math.inf else 0
        if not (high > first and low < length):  # NaN too
            return None
        low, high = max(np.floor(low), first - _PAST), min(np.ceil(high), length + _PAST)
        spans.append((int(low), int(high)))
    (col, col_stop), (row, row_stop) = spans
    return Window(row, col, row_stop - row, col_stop - col)


def _centres(window: Window) -> tuple[Floats, Floats]:
    """Target coordinates of the pixel centres along the window's columns and rows."""
    cols = np.arange(window.col, window.col_stop, dtype=np.float64) + 0.5
    return cols, np.arange(window.row, window.row_stop, dtype=np.float64) + 0.5


def _steps(values: Floats) -> Floats:
    """Change of the values over one pixel in any direction; one pixel less on every side."""
    across, down = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    across = np.fmin(across[1:-1, :-1], across[1:-1, 1:])
    down = np.fmin(down[:-1, 1:-1], down[1:, 1:-1])
    return np.hypot(across, down)


def _blocks_over(window: Window, block: int) -> Window:
    """The smallest window of whole blocks around a window."""
    row, col = window.row // block * block, window.col // block * block
    height = -(-(window.row_stop - row) // block) * block
    return Window(row, col, height, -(-(window.col_stop - col) // block) * block)


def _dense_enough(pixels: PixelMap, target: Grid) -> int:
    """The widest step at which nearly all blocks of a target grid are straight.

    Two blocks at least along its longer side: with fewer, what a CRS reaches may lie between the nodes.
    """
    for step in (step for step in _STEPS if 4 * step <= max(target.shape)):
        bent = [pixels.nodes(block, step)[2] for block in _sample_blocks(target, 2 * step)]
        if np.mean(bent) <= _BENT_SHARE:
            return step
    return _STEPS[-1]


def _sample_blocks(grid: Grid, block: int) -> Iterator[Window]:
    """Blocks spread evenly over a grid, the same ones every time."""
    rows, cols = (
        np.unique(np.linspace(0, (length - 1) // block, _SAMPLE).astype(int)) * block
        for length in grid.shape
    )
    return (Window(int(row), int(col), block, block) for row in rows for col in cols)


def _bent(nodes: Floats) -> NDArray[np.bool_]:
    """Which blocks (2 x 2 cells, 3 x 3 nodes) are too bent to be interpolated.

    Looks at the middle of the edges as well as of the block: a conformal mapping (most pairs of map
    projections) bends up along one axis what it bends down along the other, so that the middle of
    the block shows no error at all. A block without any finite node is not bent but nowhere.
    """
    blocks = sliding_window_view(nodes, (3, 3))[::2, ::2]
    flat = _HALVES @ blocks[..., ::2, ::2] @ _HALVES.T
    error = np.abs(flat - blocks).max(axis=(-2, -1))
    bent: NDArray[np.bool_] = ~(error <= _TOLERANCE) & np.isfinite(blocks).any(axis=(-2, -1))
    return bent


def _between_nodes(nodes: Floats, step: int, part: tuple[slice, slice]) -> Floats:
    """Values at pixel centres from values at nodes, bilinear; only the rows and columns of a part."""
    rows, cols = part
    along = (np.arange(step) + 0.5) / step
    across = nodes[:, :-1, None] + np.diff(nodes, axis=1)[:, :, None] * along
    across = across.reshape(len(nodes), -1)[:, cols]
    down = np.diff(across, axis=0)[:, None, :] * along[:, None]
    down += across[:-1, None, :]
    return down.reshape(-1, across.shape[1])[rows]
