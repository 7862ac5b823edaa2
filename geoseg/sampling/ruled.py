"""RuledWindows: random windows that hold what a Sampling asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from geoseg.errors import SceneError
from geoseg.sampling.anywhere import Anywhere
from geoseg.sampling.boxes import Boxes, Ints, least_size, numbers_of, sizes_of, whole
from geoseg.sampling.cells import CellChoice, Cells
from geoseg.sampling.found import Found, find, keeps
from geoseg.sampling.histogram import histograms_of
from geoseg.sampling.kinds import Kind, Turns, kinds_of
from geoseg.sampling.occupied import around
from geoseg.sampling.rules import Sampling
from geoseg.scene import Scene
from geoseg.sources.cache import Cache

_TRIES = 8
"""Times that a window is proposed before all that keep the rules are looked for."""
_SHIFTS = 3
"""Times that a window of those is moved off the cells' edges at most."""
_FOR_PROPOSALS, _FOR_FOUND, _FOR_SHIFTS = 3, 4, 5
"""Set random numbers apart from each other."""
_FOUND_BYTES = 256 << 20
_CHECKED = 256
"""Windows that are drawn at once to see that there are any."""


class RuledWindows:
    """Random windows of several kinds, each of which holds what it must by the counts of cells.

    A window is proposed some times: anywhere in the scenes, or around a cell of its class, each cell
    as likely as it holds pixels of the class. The first proposal that is sure to keep the rules is
    taken. For what is left all windows of its size that begin at a cell are looked through, those
    that keep the rules are equally likely, and the one that is chosen is moved within a cell's side.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        sampling: Sampling,
        anywhere: Anywhere,
        *,
        size: tuple[int, int],
        size_range: tuple[int, int] | None,
        length: int,
        seed: int,
    ) -> None:
        """Count the pixels of the scenes, and draw some windows to see that there are any.

        Raises:
            ConfigError: No window keeps the rules.
            SceneError: A scene has no labels, and the rules ask for them.
        """
        self._scenes, self._anywhere = tuple(scenes), anywhere
        self._size, self._size_range, self._seed = size, size_range, seed
        self._length = length
        self._equal_scenes = sampling.scene_weights == "equal"
        _check_labels(scenes, sampling)
        least = least_size(size, size_range)
        histograms = histograms_of(scenes, size=least, cache=sampling.cache)
        totals = np.sum([histogram.totals for histogram in histograms], axis=0)
        labels = scenes[0].labels
        classes = None if labels is None else labels.class_map
        self.kinds = kinds_of(sampling, classes, totals)
        self._turns = Turns([kind.share for kind in self.kinds], length, seed)
        self._cells = Cells(
            [histogram.counts for histogram in histograms],
            [histogram.shape for histogram in histograms],
            histograms[0].side,
            [quantity for kind in self.kinds for quantity in kind.quantities],
        )
        self._forget()
        self.draw_many(range(min(length, _CHECKED)), 0)

    def _forget(self) -> None:
        """Drop what is made again when it is wanted."""
        self._choices: dict[int, CellChoice] = {}
        self._found = Cache(limit_bytes=_FOUND_BYTES)

    def __getstate__(self) -> dict[str, Any]:
        """With the counts, so that a worker need not read the scenes, but without all that is quick."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_choices", "_found")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def draw_many(self, indices: range, epoch: int) -> Boxes:
        """Windows of consecutive numbers; see RandomWindows."""
        numbers = numbers_of(indices, (self._seed, epoch))
        drawn = _Drawn(
            indices=indices,
            epoch=epoch,
            kinds=self._turns.of(indices, epoch),
            sizes=sizes_of(numbers[1], self._size, self._size_range),
            boxes=np.zeros((len(indices), 5), np.int64),
        )
        left = np.arange(len(indices))
        for again in range(1, _TRIES + 1):
            left = self._propose(drawn, left, again)
            if not len(left):
                return drawn.boxes
        self._search(drawn, left)
        return drawn.boxes

    def _propose(self, drawn: _Drawn, left: Ints, again: int) -> Ints:
        """Lay the windows that are left once more, and give those that are no good."""
        seed = (self._seed, drawn.epoch, again, _FOR_PROPOSALS)
        numbers = numbers_of(drawn.indices, seed)
        good = np.zeros(len(left), bool)
        for number in np.unique(drawn.kinds[left]).tolist():
            mine = drawn.kinds[left] == number
            which, kind = left[mine], self.kinds[number]
            sizes = drawn.sizes[which]
            if kind.around is None:
                names = which + drawn.indices.start
                boxes = self._anywhere.draw(numbers[:, which], sizes, names, seed)
            else:
                cells = self._cells.boxes_at(self._choice(number).draw(numbers[0, which]))
                shapes = self._cells.shapes[cells[:, 0]]
                boxes = around(cells, sizes, shapes, numbers[2:, which])
            drawn.boxes[which] = boxes
            good[mine] = keeps(kind, self._cells, boxes)
        return left[~good]

    def _choice(self, number: int) -> CellChoice:
        """The cells around which windows of a kind are laid."""
        found = self._choices.get(number)
        if found is None:
            quantity = self.kinds[number].around or ()
            found = CellChoice(self._cells, quantity, equal_scenes=self._equal_scenes)
            self._choices[number] = found
        return found

    def _search(self, drawn: _Drawn, left: Ints) -> None:
        """Choose among all windows that keep the rules."""
        numbers = numbers_of(drawn.indices, (self._seed, drawn.epoch, 1, _FOR_FOUND))
        groups = np.column_stack([drawn.kinds, drawn.sizes])[left]
        for group in np.unique(groups, axis=0):
            which = left[(groups == group).all(axis=1)]
            number, height, width = group.tolist()
            kind, size = self.kinds[number], (height, width)
            found: Found = self._found.remember(
                (number, *size),
                partial(find, kind, size, self._cells, self._scenes, length=self._length),
                nbytes=lambda made: made.nbytes,
            )
            drawn.boxes[which] = found.draw(numbers[0, which], equal_scenes=self._equal_scenes)
            self._shift(drawn, which, kind)

    def _shift(self, drawn: _Drawn, which: Ints, kind: Kind) -> None:
        """Move windows within a cell's side, if they stay good."""
        reach = self._cells.side - 1
        for again in range(1, _SHIFTS + 1):
            seed = (self._seed, drawn.epoch, again, _FOR_SHIFTS)
            numbers = numbers_of(drawn.indices, seed)[2:, which]
            moved = drawn.boxes[which]
            lasts = np.maximum(self._cells.shapes[moved[:, 0]] - moved[:, 3:], 0)
            corners = moved[:, 1:3] + whole(numbers.T, -reach, reach)
            moved[:, 1:3] = np.clip(corners, 0, lasts)
            good = keeps(kind, self._cells, moved)
            drawn.boxes[which[good]] = moved[good]
            which = which[~good]
            if not len(which):
                return


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Windows that are being drawn."""

    indices: range
    epoch: int
    kinds: Ints
    sizes: Ints
    boxes: Boxes
    """Filled bit by bit."""


def _check_labels(scenes: Sequence[Scene], sampling: Sampling) -> None:
    """See that there are labels where the rules ask for them."""
    asks = (
        sampling.class_balance is not None
        or sampling.negative_share is not None
        or sampling.min_labelled > 0
    )
    bare = [scene.id for scene in scenes if scene.labels is None]
    if asks and bare:
        raise SceneError(
            f"scene {bare[0]!r} has no labels, but the sampling asks for classes; give it labels, or leave "
            "out class_balance, negative_share and min_labelled"
        )
