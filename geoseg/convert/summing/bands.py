"""Which bands the patches of a store have, in which dtypes and sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from geoseg.sources.store.bands import natural_order

if TYPE_CHECKING:
    import pandas as pd

Shapes = tuple[tuple[int, ...], ...]


class Kinds:
    """Counts bands by dtype and shape."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, tuple[int, ...]]]] = defaultdict(Counter)
        self._nodata: dict[str, set[float]] = defaultdict(set)

    def add(
        self, names: tuple[str, ...], shapes: Shapes, dtypes: tuple[str, ...], count: int = 1
    ) -> None:
        """So many patches with these bands."""
        for name, shape, dtype in zip(names, shapes, dtypes, strict=True):
            self._counts[name][dtype, shape] += count

    def add_nodata(self, names: tuple[str, ...], numbers: tuple[float | None, ...]) -> None:
        """What patches declare as missing."""
        for name, number in zip(names, numbers, strict=True):
            if number is not None:
                self._nodata[name].add(number)

    @property
    def nodata(self) -> dict[str, list[float | str]]:
        """{band: numbers}; NaN as text, which JSON lacks."""
        return {
            name: sorted({str(n) if n != n else n for n in self._nodata[name]}, key=str)  # noqa: PLR0124
            for name in natural_order(self._nodata)
        }

    def to_dict(self, most: int) -> dict[str, list[dict[str, Any]]]:
        """By band, in natural order; of more than `most` kinds the most frequent ones."""
        return {
            name: [
                {"dtype": dtype, "shape": list(shape), "patches": count}
                for (dtype, shape), count in self._counts[name].most_common(most)
            ]
            for name in natural_order(self._counts)
        }


def bands_and_sizes(kinds: Kinds, table: pd.DataFrame) -> None:
    """Add the rows of a manifest.

    Rows with equal lists share them as one object, so that these are compared once each.
    """
    bands = table["bands"]
    rows = Counter(
        zip(map(id, bands), map(id, table["shapes"]), map(id, table["dtypes"]), strict=True)
    )
    marks = set(zip(map(id, bands), map(id, table["nodata"]), strict=True))
    known = {
        id(value): value
        for name in ("bands", "shapes", "dtypes", "nodata")
        for value in table[name]
    }
    for (names, shapes, dtypes), count in rows.items():
        told = known[names], known[shapes], known[dtypes]
        if None not in told:
            kinds.add(*told, count)
    for names, numbers in marks:
        if known[names] is not None and known[numbers] is not None:
            kinds.add_nodata(known[names], known[numbers])
