"""Which windows become patches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from geoseg.errors import ConfigError
from geoseg.prepare.tiling.cutting import Rules
from geoseg.prepare.tiling.ids import all_background
from geoseg.prepare.tiling.tally import Record
from geoseg.sampling.windowindex import WindowIndex

DROPPED, EXCLUDED = "split: dropped", "excluded"
"""Why rows of an index are left out without looking at them."""


@dataclass(frozen=True)
class Wanted:
    """Which windows are wanted."""

    min_valid: float
    min_labelled: float
    empty: Literal["keep", "drop"] | float
    background: tuple[int, ...]
    seed: int

    def __post_init__(self) -> None:
        for name in ("min_valid", "min_labelled"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        if self.empty not in ("keep", "drop") and not _is_share(self.empty):
            raise ConfigError(
                f'empty is {self.empty!r}, expected "keep", "drop" or the share to keep, 0 to 1'
            )

    @property
    def all_kept(self) -> bool:
        """Whether no patch is looked at before it is written."""
        return not (self.min_valid or self.min_labelled) and self.empty in ("keep", 1)

    def rules(self, index: WindowIndex) -> Rules:
        """As the loop needs them."""
        if self.all_kept:
            return Rules(beforehand=left_out(index), judge=None)
        share = {"keep": 1.0, "drop": 0.0}.get(str(self.empty), self.empty)
        lucky = np.random.default_rng(self.seed).random(len(index)) < float(share)

        def judge(record: Record) -> str | None:
            if record.valid_share < self.min_valid:
                return "min_valid"
            if record.labelled_share < self.min_labelled:
                return "min_labelled"
            if not lucky[record.number] and all_background(record.counts, self.background):
                return "empty"
            return None

        return Rules(beforehand=left_out(index), judge=judge, min_valid=self.min_valid)


def left_out(index: WindowIndex) -> list[str | None]:
    """(row,) why an index's row is left out."""
    columns = index.table
    left: list[str | None] = [None] * len(index)
    if "excluded" in columns:
        for row, flag in enumerate(columns["excluded"]):
            left[row] = EXCLUDED if _is_true(flag) else None
    if "split" in columns:
        for row, part in enumerate(columns["split"]):
            left[row] = DROPPED if part == "dropped" else left[row]
    return left


def _is_true(flag: Any) -> bool:
    """Of a column as tables have them: bool, 0 and 1, or text; an empty cell is no."""
    if isinstance(flag, str):
        return flag.strip().lower() in ("true", "1", "yes")
    return flag is not None and flag == flag and bool(flag)  # noqa: PLR0124 - NaN is not itself


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def as_ids(background: int | Collection[int]) -> tuple[int, ...]:
    """One id or several as a tuple."""
    return (background,) if isinstance(background, int) else tuple(sorted(background))
