"""What is measured of windows while they are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from geoseg.prepare.tiling.ids import IdRule
from geoseg.prepare.tiling.pixels import Part


@dataclass(slots=True)
class Tally:
    """Pixels of one window."""

    pixels: int = 0
    valid: int = 0
    """Valid in the image."""
    labelled: int = 0
    """Not ignored in the mask."""
    counts: Counter[int] = field(default_factory=Counter)
    """{id: pixels}, as they are written."""

    def watch(self, parts: Iterable[Part], rule: IdRule) -> Iterator[Part]:
        """The same parts, counted as they pass."""
        for part in parts:
            self.pixels += part.valid.size
            self.valid += int(part.valid.sum())
            self.labelled += int(part.known.sum())
            self.counts.update(rule.counts(part.ids, part.known))
            yield part


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one window."""

    number: int
    """Its row."""
    left: str | None
    """Why it was left out; None where it was written."""
    pixels: int
    valid: int
    labelled: int
    counts: dict[int, int]

    @classmethod
    def of(cls, number: int, left: str | None, tally: Tally) -> Record:
        """From what was counted."""
        counts = dict(sorted(tally.counts.items()))
        return cls(number, left, tally.pixels, tally.valid, tally.labelled, counts)

    @property
    def valid_share(self) -> float:
        """Valid pixels of all."""
        return self.valid / self.pixels if self.pixels else 0.0

    @property
    def labelled_share(self) -> float:
        """Pixels that are not ignored, of all."""
        return self.labelled / self.pixels if self.pixels else 0.0

    def to_list(self) -> list[Any]:
        """Plain values for JSON."""
        counts = [[i, n] for i, n in self.counts.items()]
        return [self.number, self.left, self.pixels, self.valid, self.labelled, counts]

    @classmethod
    def from_list(cls, values: list[Any]) -> Record:
        """From these."""
        number, left, pixels, valid, labelled, counts = values
        return cls(number, left, pixels, valid, labelled, {int(i): int(n) for i, n in counts})
