"""Row bands: the pieces in which a scene is finished, kept on disk and shared between machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from geoseg.errors import ConfigError
from geoseg.labels.base import Ids, Scores
from geoseg.labels.tiff import TILE
from geoseg.window import Window

BAND_ROWS = TILE
"""Rows in a band: a row of tiles of the file that they end up in."""

Shard = tuple[int, int]
"""(i, n): number i, from 0, of n that a scene is shared between."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelRows:
    """Whole rows of labels that are ready to be written."""

    row: int
    """The first of the rows, counted in the scene."""
    ids: Ids
    """(rows, width) class ids."""
    scores: Scores | None
    """(class, rows, width), or None where nobody wants them."""

    @property
    def window(self) -> Window:
        """Where the rows lie."""
        return Window(self.row, 0, *self.ids.shape)

    def cut(self, first: int, stop: int) -> LabelRows:
        """Rows `first` to `stop`, counted in the scene, as views."""
        place = slice(first - self.row, stop - self.row)
        scores = None if self.scores is None else self.scores[:, place]
        return LabelRows(first, self.ids[place], scores)


def row_bands(rows: range) -> Iterator[range]:
    """Rows cut where bands begin.

    >>> list(row_bands(range(500, 1100)))
    [range(500, 512), range(512, 1024), range(1024, 1100)]
    """
    first = rows.start
    while first < rows.stop:
        stop = min(rows.stop, (first // BAND_ROWS + 1) * BAND_ROWS)
        yield range(first, stop)
        first = stop


def by_bands(pieces: Iterable[LabelRows]) -> Iterator[tuple[int, Iterator[LabelRows]]]:
    """(number of a band, its rows) of rows that come in order; take each band's before the next."""
    cut = (
        piece.cut(rows.start, rows.stop)
        for piece in pieces
        for rows in row_bands(range(piece.row, piece.row + len(piece.ids)))
    )
    return groupby(cut, key=lambda piece: piece.row // BAND_ROWS)


def in_bands(pieces: Iterable[LabelRows]) -> Iterator[LabelRows]:
    """The same rows in pieces that do not depend on the windows they come from: whole bands.

    Rows with scores stay in the pieces in which they come, since a band of scores would be large.
    """
    for _, group in by_bands(pieces):
        first = next(group)
        if first.scores is not None:
            yield first
            yield from group
        else:
            ids = np.concatenate([piece.ids for piece in (first, *group)])
            yield LabelRows(first.row, ids, None)


def shard_rows(height: int, shard: Shard) -> range:
    """The rows of one shard: bands as evenly as they go, the first shard at the top.

    Raises:
        ConfigError: There is no such shard, or there are fewer bands than shards.

    >>> [shard_rows(2000, (i, 3)) for i in range(3)]
    [range(0, 512), range(512, 1024), range(1024, 2000)]
    """
    number, count = shard
    if not 0 <= number < count:
        raise ConfigError(
            f"shard is {number} of {count}, expected a number from 0 to one less than their count, as "
            "in (0, 4)"
        )
    bands = -(-height // BAND_ROWS)
    if count > bands:
        raise ConfigError(
            f"{count} shards of a scene of {height} rows: it has {bands} bands of {BAND_ROWS} rows; use "
            f"{bands} shards at most"
        )
    first, stop = (bands * i // count * BAND_ROWS for i in (number, number + 1))
    return range(first, min(stop, height))
