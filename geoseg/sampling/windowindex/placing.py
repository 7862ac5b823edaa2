"""The windows that the rows of a table tell, by pixels or by bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Floats
from geoseg.sampling.windowindex.antimeridian import across_antimeridian
from geoseg.sampling.windowindex.boxes import Boxes
from geoseg.sampling.windowindex.columns import (
    CRS,
    OFFSETS,
    bounds_of,
    numbers,
    sizes_of,
    told,
    whole_numbers,
)
from geoseg.sampling.windowindex.masks import Masks
from geoseg.sampling.windowindex.onpixels import OnPixels, RowCRS, on_pixels
from geoseg.window import Size, pair

if TYPE_CHECKING:
    from pandas import DataFrame

_OFF_GRID = 0.01
"""Pixels: bounds so near to the pixel grid are meant to lie on it."""


def boxes_of_pixels(table: DataFrame, *, where: str) -> Boxes:
    """Windows of the columns row_off, col_off and width with height, or patch_size.

    Raises:
        ConfigError: A column holds something else than whole numbers, or a size is below 1.
    """
    offsets = [whole_numbers(table, name, where=where) for name in OFFSETS]
    sizes = sizes_of(table, where=where)
    if sizes is None:  # kind_of has seen the columns
        raise GridError(f"{where}: has no columns width and height, nor patch_size")
    return np.concatenate([np.stack(offsets, axis=1), sizes], axis=1)


def boxes_of_bounds(
    table: DataFrame,
    masks: Masks,
    *,
    patch_size: Size | None,
    snap: bool,
    reproject: bool,
    where: str,
) -> Boxes:
    """Windows of bounds on the ground.

    Bounds lie on the pixel grid of their mask to 0.01 px. Where they are in another CRS than the mask's
    and `reproject` allows it, a window of the size that the table or `patch_size` tells is placed with its
    centre at theirs, to half a pixel; without any size the box that encloses them is taken.

    Args:
        table: With a complete set of bounds, and perhaps `crs`.
        masks: The masks of all rows.
        patch_size: Pixels, for bounds that are reprojected.
        snap: Take the nearest pixels where bounds are off the grid.
        reproject: Allow bounds in another CRS than the mask's.
        where: What errors call the index.

    Raises:
        ConfigError: A column holds text.
        GridError: Bounds are empty, outside their mask, off its grid or in another CRS, or the mask is
            rotated.
    """
    _check_upright(masks, where=where)
    crs = RowCRS.of(table[CRS]) if CRS in table else None
    given = _sorted_bounds(table, masks, crs, where=where)
    found = on_pixels(given, masks, crs, reproject=reproject, where=where)
    _check_apart(found, masks, where=where)
    sizes = _wanted_sizes(table, patch_size, where=where) if found.reprojected.any() else None
    centred = found.reprojected if sizes is not None else np.zeros(len(table), bool)
    _check_enclosed(found.spans, found.reprojected & ~centred, masks, where=where)
    boxes = _on_grid(found.spans, ~centred, masks, snap=snap, where=where)
    if sizes is not None:
        middle = found.centres[centred] - sizes[centred] / 2
        boxes[centred] = np.concatenate([_nearest(middle), sizes[centred]], axis=1)
    return boxes


def _sorted_bounds(table: DataFrame, masks: Masks, crs: RowCRS | None, *, where: str) -> Floats:
    """(row, 4) left, bottom, right, top, whatever their order in the table."""
    names = bounds_of(table.columns)
    if names is None:  # kind_of has seen the columns
        raise GridError(f"{where}: has no bounds")
    values = np.stack([numbers(table, name, where=where) for name in names], axis=1)
    values = across_antimeridian(values, masks, crs)
    low, high = np.minimum(values[:, :2], values[:, 2:]), np.maximum(values[:, :2], values[:, 2:])
    unknown = ~np.isfinite(values).all(axis=1)
    if unknown.any():
        raise GridError(
            f"{where}: {told(unknown)}: the bounds {_listed(values[unknown][0])} are not all finite numbers; "
            "fill them in, or remove the row"
        )
    empty = (low == high).any(axis=1)
    if empty.any():
        raise GridError(
            f"{where}: {told(empty)}: the bounds {_listed(values[empty][0])} are empty: expected "
            f"{names[0]} below {names[2]} and {names[1]} below {names[3]}; correct them, or remove the row"
        )
    return np.concatenate([low, high], axis=1)


def _check_upright(masks: Masks, *, where: str) -> None:
    for number, _ in masks.groups():
        t = masks.grids[number].transform
        if abs(t.b) + abs(t.d) > 1e-9 * (abs(t.a) + abs(t.e)):
            raise GridError(
                f"{where}: the mask {masks.paths[number]} is rotated: bounds along the axes are no windows of "
                "it; write pixel columns (row_off, col_off, width, height), or warp the mask to a grid that "
                "points north"
            )


def _check_apart(found: OnPixels, masks: Masks, *, where: str) -> None:
    """Tell of bounds outside their mask, before what else is wrong with them."""
    shapes = masks.shapes
    start, stop = found.spans[:, :2], found.spans[:, 2:]
    apart = ((stop <= _OFF_GRID) | (start >= shapes - _OFF_GRID)).any(axis=1)
    if apart.any():
        row = int(np.argmax(apart))
        grid = masks.grids[masks.rows[row]]
        raise GridError(
            f"{where}: {told(apart)}: the bounds lie wholly outside the mask {masks.path_of(row)}, which spans "
            f"{_listed(np.array(grid.bounds))}; check which mask the row belongs to, and the CRS of the bounds"
        )


def _check_enclosed(
    spans: Floats, enclosing: NDArray[np.bool_], masks: Masks, *, where: str
) -> None:
    """See that boxes around reprojected bounds stay on their masks."""
    past = (spans[:, :2] < -_OFF_GRID) | (spans[:, 2:] > masks.shapes + _OFF_GRID)
    leaving = enclosing & past.any(axis=1)
    if leaving.any():
        row = int(np.argmax(leaving))
        raise GridError(
            f"{where}: {told(leaving)}: the box around the reprojected bounds leaves the mask "
            f"{masks.path_of(row)}; give patch_size, to place windows of that size by the centre"
        )


def _on_grid(
    spans: Floats, checked: NDArray[np.bool_], masks: Masks, *, snap: bool, where: str
) -> Boxes:
    """Whole pixels of spans; the nearest ones where they are off the grid and may be."""
    off = np.abs(spans - np.rint(spans)).max(axis=1, initial=0.0)
    bad = checked & (off > _OFF_GRID)
    if bad.any() and not snap:
        row = int(np.argmax(bad))
        raise GridError(
            f"{where}: {told(bad)}: the bounds are {off[row]:.3g} px off the pixel grid of the mask "
            f"{masks.path_of(row)}, allowed are {_OFF_GRID} px; correct them, or take the nearest pixels with "
            "snap=True"
        )
    sizes = np.rint(spans[:, 2:] - spans[:, :2]).astype(np.int64)
    small = checked & (sizes < 1).any(axis=1)
    if small.any():
        row = int(np.argmax(small))
        raise GridError(
            f"{where}: {told(small)}: the bounds are empty on the mask {masks.path_of(row)}: less than half a "
            "pixel high or wide; correct them, or remove the row"
        )
    return np.concatenate([_nearest(spans[:, :2]), sizes], axis=1)


def _nearest(pixels: Floats) -> NDArray[np.int64]:
    """Halves go up, so that equal steps stay equal."""
    return np.floor(pixels + 0.5).astype(np.int64)


def _wanted_sizes(
    table: DataFrame, patch_size: Size | None, *, where: str
) -> NDArray[np.int64] | None:
    """(row, 2) heights and widths of windows that are placed by their centre; None where nothing tells."""
    sizes = sizes_of(table, where=where)
    if sizes is None and patch_size is not None:
        return np.tile(np.array(pair(patch_size), np.int64), (len(table), 1))
    return sizes


def _listed(bounds: Floats) -> str:
    return "(" + ", ".join(f"{value:.12g}" for value in bounds) + ")"
