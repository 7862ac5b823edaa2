"""Whether what a model learns from touches what it is judged by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geoseg.errors import ConfigError, LeakageError
from geoseg.prepare.splitting.footprints import regions_of
from geoseg.prepare.splitting.gap import near_any
from geoseg.sampling.windowindex import WindowIndex

DROPPED = "dropped"
"""The value of the column `split` of windows that no part may use."""

_Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Leak:
    """Windows of one part that overlap another part's, or lie nearer than the buffer."""

    of: str
    others: str
    rows: tuple[int, ...]
    """Of the first part, from 0."""


@dataclass(frozen=True)
class Leakage:
    """What `find_leaks` found."""

    buffer_m: float
    leaks: tuple[Leak, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return asdict(self)

    def check(self, name: str) -> None:
        """Say so loudly where there is a leak.

        Args:
            name: The index, for the text.

        Raises:
            LeakageError: There is one; the text counts and names rows.
        """
        if self.leaks:
            told = "; ".join(
                f"{len(leak.rows)} windows of {leak.of} (row {leak.rows[0]} first) are too near those of {leak.others}"
                for leak in self.leaks[:3]
            )
            raise LeakageError(
                f"{name}: {told}; expected no overlap and at least {self.buffer_m:g} m between parts; split it "
                "anew with geoseg prepare split"
            )


def find_leaks(index: WindowIndex, *, buffer_m: float = 0.0) -> Leakage:
    """Look from its columns at an index that is split, whoever split it.

    With the column `split` all parts but "dropped" are compared with one another; with `fold` each fold's
    validation is compared with its training, which leaves out what `dropped_in_fold` says.

    Args:
        index: The windows.
        buffer_m: Metres of ground that must lie between the edges of windows of two parts; 0: they may touch.

    Raises:
        ConfigError: The index has neither column, or they hold something else.
    """
    regions = regions_of(index, buffer_m=buffer_m)
    leaks = []
    for of, others, mine, theirs in _compared(index.table):
        near = np.flatnonzero(near_any(regions, mine, theirs, buffer_m))
        if len(near):
            leaks.append(Leak(of, others, tuple(near.tolist())))
    return Leakage(buffer_m, tuple(leaks))


def _compared(table: pd.DataFrame) -> Iterator[tuple[str, str, _Flags, _Flags]]:
    """(name, name of the others, windows, windows of the others)."""
    if "split" not in table.columns and "fold" not in table.columns:
        raise ConfigError(
            "the index has no column 'split' and none 'fold'; split it with geoseg prepare split"
        )
    if "split" in table.columns:
        split = table["split"].astype(str).to_numpy()
        names = [name for name in pd.unique(split) if name != DROPPED]
        for i, name in enumerate(names):
            for other in names[i + 1 :]:
                yield name, other, split == name, split == other
    if "fold" in table.columns:
        fold = table["fold"].to_numpy()
        without = _without(table)
        for number in np.unique(fold).tolist():
            training = (fold != number) & np.array([number not in w for w in without], np.bool_)
            yield f"the training of fold {number}", f"fold {number}", training, fold == number


def _without(table: pd.DataFrame) -> Sequence[frozenset[int]]:
    """Of each window the folds whose training does without it."""
    if "dropped_in_fold" not in table.columns:
        return [frozenset()] * len(table)
    try:
        return [frozenset(map(int, json.loads(str(text)))) for text in table["dropped_in_fold"]]
    except (ValueError, TypeError):
        raise ConfigError(
            "column 'dropped_in_fold' holds something else than JSON lists of folds, as '[0, 2]'"
        ) from None
