"""split: an index of windows dealt into training, validation and test, or into folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from types import MappingProxyType
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.outputs import refuse_inputs, written_whole
from geoseg.prepare.counts import WindowCounts, window_counts
from geoseg.prepare.splitting.apart import groups_apart
from geoseg.prepare.splitting.blocks import blocks_of
from geoseg.prepare.splitting.deal import deal_folds, deal_parts
from geoseg.prepare.splitting.footprints import Region, regions_of
from geoseg.prepare.splitting.gap import as_texts, dropped_in_folds, dropped_parts
from geoseg.prepare.splitting.kept import check_kept, check_trainings
from geoseg.prepare.splitting.leakage import DROPPED, find_leaks
from geoseg.prepare.splitting.strata import strata_of
from geoseg.sampling.windowindex import WindowIndex

SHARES: Mapping[str, float] = MappingProxyType({"train": 0.7, "val": 0.15, "test": 0.15})
"""The parts and their shares of the windows, where nothing else is asked for."""

_GAP = 10
"""Sides of the largest window: wider gaps than this begin another panel of the map."""


@dataclass(frozen=True)
class SplitReport:
    """What a split came to."""

    uri: str
    """The index that was written."""
    blocks: int
    windows: Mapping[str, int]
    """{part, or "fold 0" ..., or "dropped": windows}; of folds "dropped" counts windows that some training lacks."""
    pixels: Mapping[str, Mapping[int, int]]
    """{part: {class id: pixels}}; empty where classes were not looked at."""
    missing: Mapping[str, tuple[int, ...]]
    """{part: ids of classes that occur elsewhere but not in it}; parts with all classes are left out."""
    buffer_m: float
    seed: int
    map_png: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {
            "uri": self.uri,
            "blocks": self.blocks,
            "windows": dict(self.windows),
            "pixels": {p: {str(i): n for i, n in c.items()} for p, c in self.pixels.items()},
            "missing": {part: list(ids) for part, ids in self.missing.items()},
            "buffer_m": self.buffer_m,
            "seed": self.seed,
            "map_png": self.map_png,
        }


def split(
    index: WindowIndex | str | PathLike[str],
    out: str | PathLike[str],
    *,
    folds: int | None = None,
    shares: Mapping[str, float] | None = None,
    block_m: float | None = None,
    blocks: Any = None,
    buffer_m: float = 0.0,
    balance: bool = True,
    ignore_id: int | None = 255,
    seed: int = 0,
    map_png: str | PathLike[str] | None = None,
) -> SplitReport:
    """Deal windows into parts by blocks of ground, with a gap between parts, and write the index.

    Windows of one block are never parted; blocks are dealt so that the classes come out alike in the parts
    (scikit-learn's StratifiedGroupKFold over the rarest class with 1 % of a window's pixels). No window is
    kept in a part that overlaps another part's windows or lies nearer than `buffer_m`: of two that do, that of the
    earlier part (train first) becomes "dropped". With folds every window validates once: the column `fold` says
    where, and `dropped_in_fold` lists the folds whose training must do without it. The file is read back and its
    parts are compared before this returns.

    Args:
        index: The windows, or the file of an index.
        out: The index to write, .csv or .parquet, with the columns `split`, or `fold` and `dropped_in_fold`.
        folds: How many folds instead of parts.
        shares: {part: share of the windows}, in the order in which windows are dropped; None: 70 % train, 15 % val,
            15 % test.
        block_m: Metres of ground of the side of a square block; None: a block is a whole mask, or as `blocks` says.
        blocks: Polygons as blocks: a file, a VectorSource or a GeoDataFrame; a window belongs to that over its centre.
        buffer_m: Metres of ground between the edges of windows of two parts; 0: they may touch.
        balance: False deals by the number of windows alone, and does not look into the masks.
        ignore_id: A value of masks that is no class, beside what they declare as nodata.
        seed: Another seed, another deal.
        map_png: Where to draw a map of the split (extra `plot`); None: none is drawn.

    Raises:
        ConfigError: Arguments are wrong, there are fewer blocks than parts or folds, or the buffer leaves a
            part without windows.
        LeakageError: The written parts are too near one another, which would be an error of geoseg.

    Warns:
        UserWarning: The buffer drops more than half of the windows, or a part has less than half of its share
            or more than twice of it; or each window is a mask, and so a block, of its own.
    """
    windows = index if isinstance(index, WindowIndex) else WindowIndex.read(fspath(index))
    _check(windows, folds, shares, buffer_m)
    regions = regions_of(windows, buffer_m=buffer_m)
    block = blocks_of(windows, regions, block_m=block_m, polygons=blocks)
    counts = window_counts(windows, ignore_id=ignore_id) if balance else None
    strata = None if counts is None else strata_of(windows, counts)
    if folds is None:
        wanted = shares or SHARES
        columns, kinds = _parted(regions, block, strata, wanted, buffer_m=buffer_m, seed=seed)
        check_kept(columns["split"], wanted, buffer_m=buffer_m)
    else:
        columns, kinds = _folded(regions, block, strata, folds, buffer_m=buffer_m, seed=seed)
    left = [c for c in ("split", "fold", "dropped_in_fold") if c in windows.table.columns]
    found = windows.without_columns(left).with_columns(columns)
    refuse_inputs([fspath(out)], [] if windows.uri is None else [windows.uri])
    uri = found.write(fspath(out))
    find_leaks(WindowIndex.read(uri, key=windows.key), buffer_m=buffer_m).check(uri)
    png = None if map_png is None else _drawn(regions, kinds, fspath(map_png))
    return _report(
        uri, block, kinds, counts, columns=columns, buffer_m=buffer_m, seed=seed, png=png
    )


def _check(
    index: WindowIndex, folds: int | None, shares: Mapping[str, float] | None, buffer_m: float
) -> None:
    if not len(index):
        raise ConfigError("the index has no windows; there is nothing to split")
    if folds is not None and shares is not None:
        raise ConfigError("both folds and shares are given; pass one of the two")
    if shares is not None and DROPPED in shares:
        raise ConfigError(f"shares name a part {DROPPED!r}, which means windows that none may use")
    if not 0 <= buffer_m < math.inf:
        raise ConfigError(f"buffer_m is {buffer_m:g}, expected metres from 0")


def _parted(
    regions: list[Region],
    block: NDArray[np.int64],
    strata: NDArray[np.int64] | None,
    shares: Mapping[str, float],
    *,
    buffer_m: float,
    seed: int,
) -> tuple[dict[str, Any], NDArray[np.object_]]:
    """The column of the parts, and the same for the report."""
    part = deal_parts(block, strata, shares=shares, seed=seed)
    dropped = dropped_parts(regions, part, order=list(shares), buffer_m=buffer_m)
    names = np.where(dropped, DROPPED, part).astype(object)
    return {"split": names}, names


def _folded(
    regions: list[Region],
    block: NDArray[np.int64],
    strata: NDArray[np.int64] | None,
    folds: int,
    *,
    buffer_m: float,
    seed: int,
) -> tuple[dict[str, Any], NDArray[np.object_]]:
    fold = deal_folds(block, strata, folds=folds, seed=seed)
    without = dropped_in_folds(regions, fold, buffer_m=buffer_m)
    check_trainings(fold, without, buffer_m=buffer_m)
    names = np.array([f"fold {number}" for number in fold.tolist()], object)
    return {"fold": fold, "dropped_in_fold": as_texts(without)}, names


def _drawn(regions: list[Region], kinds: NDArray[np.object_], uri: str) -> str:
    from geoseg.plot import split_map

    panels = [
        (region.boxes[places], kinds[region.rows[places]])
        for region in regions
        for places in _near_one_another(region)
    ]
    with written_whole(uri) as path:
        split_map(panels).savefig(path, format="png", dpi=100)
    return uri


def _near_one_another(region: Region) -> list[NDArray[np.int64]]:
    """Places of windows in groups, so that no panel of a map is mostly empty ground."""
    corners = shapely.bounds(region.boxes).reshape(-1, 2, 2)
    side = float((corners[:, 1] - corners[:, 0]).max())
    flat = np.concatenate([corners, np.zeros((len(corners), 2, 1))], axis=2)
    return groups_apart(flat, cell=_GAP * side)


def _report(
    uri: str,
    block: NDArray[np.int64],
    kinds: NDArray[np.object_],
    counts: WindowCounts | None,
    *,
    columns: Mapping[str, Any],
    buffer_m: float,
    seed: int,
    png: str | None,
) -> SplitReport:
    names = sorted(set(kinds.tolist()))
    windows = {name: int((kinds == name).sum()) for name in names}
    if "dropped_in_fold" in columns:
        windows[DROPPED] = sum(text != "[]" for text in columns["dropped_in_fold"])
    pixels = {} if counts is None else {n: _pixels(counts, kinds == n) for n in names}
    missing = {
        name: lacking
        for name, found in pixels.items()
        if name != DROPPED and (lacking := tuple(i for i, n in found.items() if not n))
    }
    return SplitReport(
        uri=uri,
        blocks=len(np.unique(block)),
        windows=windows,
        pixels=pixels,
        missing=missing,
        buffer_m=buffer_m,
        seed=seed,
        map_png=png,
    )


def _pixels(counts: WindowCounts, rows: NDArray[np.bool_]) -> dict[int, int]:
    return dict(zip(counts.ids, counts.pixels[rows].sum(axis=0).tolist(), strict=True))
