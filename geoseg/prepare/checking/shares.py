"""How often classes occur, in all windows and in the parts of a split, and how they may weigh."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassInfo, ClassMap
from geoseg.classweights import ClassWeights, class_weights
from geoseg.errors import GeosegError
from geoseg.prepare.checking.findings import Example, Findings
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.repeats import parts_of
from geoseg.prepare.counts import WindowCounts
from geoseg.prepare.splitting.leakage import DROPPED, find_leaks

RULES: tuple[ClassWeights, ...] = tuple(rule for rule in get_args(ClassWeights) if rule != "none")
"""Rules of weights that are suggested."""
_RARE = 0.01
"""A class with a smaller share of the labelled pixels is worth a word."""

_PARTS = {"train": "train on", "val": "choose the best epoch by", "test": "judge the model by"}
"""Parts of an ordinary split, and what they are for."""


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How often a class occurs, and what it may weigh in a loss."""

    id: int
    name: str
    """The number as text where classes have no names."""
    pixels: int
    """In all windows; pixels that several windows share count in each."""
    windows: int
    """That hold it."""
    share: float
    """Of the labelled pixels, 0 to 1."""
    weights: Mapping[str, float]
    """{rule of geoseg.classweights: weight}; empty where no pixel is labelled."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "pixels": self.pixels,
            "windows": self.windows,
            "share": self.share,
            "weights": dict(self.weights),
        }


@dataclass(frozen=True, slots=True)
class PartShare:
    """What a part of the split, or a fold, holds."""

    windows: int
    pixels: Mapping[int, int]
    """{class: pixels}."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pixels = {str(number): pixels for number, pixels in self.pixels.items()}
        return {"windows": self.windows, "pixels": pixels}


def class_infos(
    classes: ClassMap | tuple[int, ...] | None, counts: WindowCounts
) -> tuple[ClassInfo, ...]:
    """The classes that are known, or those that occur."""
    if isinstance(classes, ClassMap):
        return classes.classes
    ids = counts.ids if classes is None else tuple(sorted(set(classes)))
    colors = ClassMap.of(*(str(i) for i in ids)).classes if ids else ()
    return tuple(
        ClassInfo.model_construct(id=i, name=str(i), color=info.color)
        for i, info in zip(ids, colors, strict=True)
    )


def class_shares(
    infos: Sequence[ClassInfo], counts: WindowCounts, found: Findings
) -> tuple[ClassShare, ...]:
    """How often classes occur; rare and missing ones are told.

    Args:
        infos: The classes.
        counts: Pixels of each window.
        found: Takes classes that are missing or rare.
    """
    table = np.stack([_pixels_of(counts, info.id) for info in infos], 1) if infos else None
    if table is None:
        return ()
    pixels = table.sum(axis=0)
    total = int(pixels.sum())
    weights = _weights(table) if total else {}
    shares = []
    for place, info in enumerate(infos):
        share = float(pixels[place] / total) if total else 0.0
        detail = (
            f"class {info.name} (id {info.id})" if info.name != str(info.id) else f"class {info.id}"
        )
        if not pixels[place]:
            found.add("class-missing", Example(detail=detail))
        elif share < _RARE:
            found.add(
                "imbalance", Example(detail=f"{detail} has {share:.3%} of the labelled pixels")
            )
        shares.append(
            ClassShare(
                id=info.id,
                name=info.name,
                pixels=int(pixels[place]),
                windows=int(np.count_nonzero(table[:, place])),
                share=share,
                weights={rule: weight[place] for rule, weight in weights.items()},
            )
        )
    return tuple(shares)


def _weights(table: NDArray[np.int64]) -> dict[str, tuple[float, ...]]:
    with warnings.catch_warnings():
        # A class without a pixel is a finding of its own.
        warnings.filterwarnings("ignore", ".*no labelled pixel", UserWarning)
        return {rule: class_weights(rule, table) for rule in RULES}


def _pixels_of(counts: WindowCounts, number: int) -> NDArray[np.int64]:
    if number not in counts.ids:
        return np.zeros(len(counts.pixels), np.int64)
    return counts.pixels[:, counts.ids.index(number)]


def find_leakage(opened: Opened, found: Findings, *, buffer_m: float) -> None:
    """Tell windows of one part that touch another part's, where the index is split."""
    table = opened.index.table
    if "split" not in table and "fold" not in table:
        return
    try:
        leaks = find_leaks(opened.index, buffer_m=buffer_m).leaks
    except (GeosegError, ValueError, TypeError) as error:
        found.add("columns-unusable", Example(opened.index.uri, detail=str(error)))
        return
    for leak in leaks:
        for row in leak.rows:
            path, window = opened.index.mask_paths[row], opened.index.windows[row]
            detail = f"of {leak.of}, too near {leak.others}"
            found.add("leakage", Example(path, int(opened.rows[row]), window, detail))


def part_shares(
    opened: Opened, counts: WindowCounts, infos: Sequence[ClassInfo], found: Findings
) -> dict[str, PartShare]:
    """What the parts hold; classes that occur, but not in a part, are told."""
    parts = parts_of(opened)
    _tell_empty_parts(opened, found)
    names = sorted({part for part in parts if part is not None})
    ids = [info.id for info in infos if _pixels_of(counts, info.id).any()]
    shares = {}
    for name in names:
        rows = np.array([part == name for part in parts], np.bool_)
        pixels = {i: int(_pixels_of(counts, i)[rows].sum()) for i in ids}
        shares[name] = PartShare(int(rows.sum()), pixels)
        for number in (i for i in ids if not pixels[i]):
            found.add("part-lacks-class", Example(detail=f"{name} has no pixel of class {number}"))
    return shares


def _tell_empty_parts(opened: Opened, found: Findings) -> None:
    """Say which of train, val and test has no window, where a split names others of them or drops all.

    Train and one more are an ordinary split: the third is only a note, where as many windows were dropped as
    one of the two holds.
    """
    if "split" not in opened.index.table:
        return
    windows = Counter(opened.index.table["split"].astype(str).tolist())
    there = [part for part in _PARTS if windows[part]]
    if not there and set(windows) != {DROPPED}:
        return  # other names, of which nothing is known, or no windows
    usual = "train" in there and len(there) > 1
    if usual and windows[DROPPED] < min(windows[part] for part in there):
        return
    for part, use in _PARTS.items():
        if part not in there:
            detail = f"{part} has no window: nothing is left to {use}"
            found.add("part-empty", Example(detail=detail), severity="note" if usual else None)
