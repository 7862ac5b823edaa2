"""Regular windows over masks, and the columns that tell their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.sampling.windowindex.boxes import Boxes, bounds_of
from geoseg.sampling.windowindex.columns import BOUNDS, CRS, PIXELS
from geoseg.sampling.windowindex.coverage import Coverage, coverage_of
from geoseg.sampling.windowindex.masks import Grids, Masks, crs_text
from geoseg.sampling.windowindex.note import Recipe
from geoseg.sampling.windowindex.paths import identity
from geoseg.sampling.windowindex.rows import Rows
from geoseg.warn import warn
from geoseg.window import Edge, Size, Sized2D, sliding

if TYPE_CHECKING:
    from pandas import DataFrame


def build_rows(
    masks: Sequence[str],
    *,
    patch_size: Size,
    stride: Size | None,
    edge: Edge,
    key: str,
    grids: Grids | None = None,
) -> Rows:
    """Regular windows over masks; see `WindowIndex.build`."""
    _check_once(masks)
    grids = grids or Grids()
    found = [grids.of(mask) for mask in masks]
    parts = [regular_boxes(grid, size=patch_size, stride=stride, edge=edge) for grid in found]
    boxes = np.concatenate([np.empty((0, 4), np.int64), *parts])
    numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int64)
    placed = Masks(tuple(masks), tuple(found), numbers)
    warn_of_uncovered(placed, coverage_of(boxes, placed), edge=edge)
    return Rows(
        table=built_table(masks, boxes, placed, key=key),
        boxes=boxes,
        masks=placed,
        key=key,
        outside="error" if edge == "drop" else "pad",
        recipe=Recipe.of(patch_size, stride, edge),
    )


def _check_once(masks: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for mask in masks:
        before = first.setdefault(identity(mask), mask)
        if before is not mask:
            other = "" if before == mask else f" (the first time as {before!r})"
            raise ConfigError(f"{mask!r} is named twice{other}; give every mask once")
    if not masks:
        raise ConfigError("no masks are given; give every mask once, at least one")


def regular_boxes(grid: Sized2D, *, size: Size, stride: Size | None, edge: Edge) -> Boxes:
    """The windows of `sliding` as an array, row by row."""
    windows = sliding(grid, size=size, stride=stride, edge=edge)
    rows, cols = np.meshgrid(windows.rows, windows.cols, indexing="ij")
    boxes = np.empty((rows.size, 4), np.int64)
    boxes[:, 0], boxes[:, 1] = rows.ravel(), cols.ravel()
    boxes[:, 2:] = windows.size
    return boxes


def place_columns(boxes: Boxes, masks: Masks) -> dict[str, Any]:
    """Pixels, bounds and CRS of all windows, as columns in the order in which they are written."""
    row, col, height, width = boxes.T
    columns: dict[str, Any] = dict(zip(PIXELS, (row, col, width, height), strict=True))
    columns |= dict(zip(BOUNDS, bounds_of(boxes, masks).T, strict=True))
    texts = np.array([crs_text(grid) for grid in masks.grids], object)
    columns[CRS] = texts[masks.rows]
    return columns


def built_table(paths: Sequence[str], boxes: Boxes, masks: Masks, *, key: str) -> DataFrame:
    """The table of an index that is built: the mask as it was given, and where the windows are."""
    import pandas as pd

    named = np.array(paths, object)[masks.rows]
    return pd.DataFrame({key: named, **place_columns(boxes, masks)})


def warn_of_uncovered(masks: Masks, coverage: Coverage, *, edge: Edge) -> None:
    """Tell how many pixels of masks no window holds."""
    if coverage.covered == coverage.pixels:
        return
    counts = np.bincount(masks.rows, minlength=len(masks.paths))
    empty: NDArray[np.intp] = np.flatnonzero(counts == 0)
    none = (
        f"; {len(empty)} masks have no window, the first is {masks.paths[empty[0]]}"
        if len(empty)
        else ""
    )
    cure = (
        'edge="flush" or edge="pad" covers them'
        if edge == "drop"
        else "a smaller stride covers them"
    )
    warn(
        f"{coverage.pixels - coverage.covered} of {coverage.pixels} pixels of the masks "
        f"({coverage.uncovered_share:.2%}) are in no window{none}; {cure}"
    )
