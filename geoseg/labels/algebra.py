"""Labels made of labels: predictions averaged, and classes by thresholds of their own.

Nothing is computed before it is read, and nothing is changed: what comes out reads the windows that it
is asked for from what went in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.accumulate import highest
from geoseg.labels.base import Ids, Labels, Scores
from geoseg.window import Window

_COLS = 1024
"""Columns whose scores are held at once: two tiles of a file."""


def combine(labels: Sequence[Labels], weights: Sequence[float] | None = None) -> Labels:
    """Several predictions of one grid as one: the mean of their scores, and its highest class.

    Of classes with equal scores the first of the class map is taken. Where some of the labels are
    ignored, the mean is of the others; where all are, the result is.

    Args:
        labels: Each with scores, on one grid, with one class map.
        weights: A number above 0 for each of the labels; None: they count the same.

    Raises:
        ConfigError: There are no labels, or the weights do not fit them.
        GridError: The grids differ.
        LabelError: The class maps differ. Labels without scores are told of when they are read.
    """
    if not labels:
        raise ConfigError("there are no labels to combine; give at least one")
    given = (1.0,) * len(labels) if weights is None else tuple(float(w) for w in weights)
    if len(given) != len(labels) or not all(0 < w < math.inf for w in given):
        raise ConfigError(
            f"weights are {given}, expected {len(labels)} finite numbers above 0, one for each of the "
            "labels"
        )
    for i, other in enumerate(labels[1:], start=2):
        _check_same(labels[0], other, i)
    return CombinedLabels(tuple(labels), given)


def threshold(
    labels: Labels,
    minimum: Mapping[int | str, float],
    otherwise: int | str | None = None,
) -> Labels:
    """Classes only where their scores reach a least value.

    A pixel takes the class with the highest score among those that reach theirs; a class without a
    least value always does. Of equal scores the first class of the class map is taken. Where none
    reaches it, the pixel is `otherwise`. Where the labels are ignored, the result is. Scores stay as
    they are.

    >>> grid, classes = Grid(height=1, width=3), ClassMap.of("land", "water")
    >>> scores = np.array([[[0.9, 0.6, 0.2]], [[0.1, 0.4, 0.8]]], np.float32)
    >>> from geoseg.labels.array import ArrayLabels
    >>> labels = ArrayLabels(grid, classes, np.array([[0, 0, 1]], np.uint8), scores)
    >>> threshold(labels, {"land": 0.5, "water": 0.9}).to_array()
    array([[  0,   0, 255]], dtype=uint8)

    Args:
        labels: With scores.
        minimum: {class id or name: least score, 0 to 1}.
        otherwise: The class, by id or name, of pixels where no class reaches its score; None: they are
            `ignore_id`.

    Raises:
        ConfigError: A least score lies outside 0 to 1.
        LabelError: A class is not in the class map. Labels without scores are told of when they are
            read.
    """
    classes = labels.classes
    least = np.zeros(len(classes), np.float32)
    named: set[int] = set()
    for key, value in minimum.items():
        place = _place_of(key, classes)
        if not 0 <= value <= 1:
            raise ConfigError(f"the least score of {key!r} is {value}, expected 0 to 1")
        if place in named:
            raise ConfigError(f"class {key!r} has two least scores, by its name and by its id")
        named.add(place)
        least[place] = value
    fill = classes.ignore_id
    if otherwise is not None and otherwise != classes.ignore_id:
        fill = classes.ids[_place_of(otherwise, classes)]
    return ThresholdLabels(labels, least, fill)


class CombinedLabels(Labels):
    """The mean of several predictions; see `combine`."""

    def __init__(self, parts: tuple[Labels, ...], weights: tuple[float, ...]) -> None:
        """Read lazily from labels on one grid with one class map."""
        self.grid, self.classes = parts[0].grid, parts[0].classes
        self._parts, self._weights = parts, weights

    def read(self, window: Window) -> Ids:
        """(height, width) class ids of the highest mean score; see Labels."""
        table = self.classes.id_table()

        def ids_of(piece: Window) -> Ids:
            scores, weight = self._mean(piece)
            ids: Ids = np.where(
                weight > 0, table[highest(scores)], np.uint8(self.classes.ignore_id)
            )
            return ids

        return _by_pieces(window, self, ids_of)

    def scores(self, window: Window) -> Scores:
        """The mean scores, 0 where all labels are ignored; see Labels."""
        return self._mean(window)[0]

    def _mean(self, window: Window) -> tuple[Scores, NDArray[np.float32]]:
        """The mean scores, and the weights of those that are known."""
        total = np.zeros((len(self.classes), *window.shape), np.float32)
        weights = np.zeros(window.shape, np.float32)
        for part, weight in zip(self._parts, self._weights, strict=True):
            known = part.read(window) != part.classes.ignore_id
            scores = part.scores(window)
            np.add(total, scores * np.float32(weight), out=total, where=known)
            np.add(weights, np.float32(weight), out=weights, where=known)
        np.divide(total, weights, out=total, where=weights > 0)
        return total, weights


class ThresholdLabels(Labels):
    """Classes whose scores reach a least value; see `threshold`."""

    def __init__(self, labels: Labels, least: Scores, otherwise: int) -> None:
        """Read lazily.

        Args:
            labels: With scores.
            least: (class,) least scores.
            otherwise: The id where none is reached.
        """
        self.grid, self.classes = labels.grid, labels.classes
        self._labels, self._least, self._otherwise = labels, least, otherwise

    def read(self, window: Window) -> Ids:
        """(height, width) class ids; see `threshold` and Labels."""
        table = self.classes.id_table()
        ignored = np.uint8(self.classes.ignore_id)

        def ids_of(piece: Window) -> Ids:
            scores = self._labels.scores(piece)
            reached = scores >= self._least[:, None, None]
            best = highest(np.where(reached, scores, np.float32(-1)), row=piece.row)
            ids = np.where(reached.any(axis=0), table[best], np.uint8(self._otherwise))
            found: Ids = np.where(self._labels.read(piece) == ignored, ignored, ids)
            return found

        return _by_pieces(window, self, ids_of)

    def scores(self, window: Window) -> Scores:
        """The scores of the labels, as they are; see Labels."""
        return self._labels.scores(window)


def _by_pieces(window: Window, labels: Labels, ids_of: Callable[[Window], Ids]) -> Ids:
    """Ids of a window, made of pieces that are few columns wide, so that their scores are small."""
    ids = np.full(window.shape, labels.classes.ignore_id, np.uint8)
    inside = window.intersection(labels.grid.whole)
    for piece in () if inside is None else _pieces(inside):
        ids[piece.relative_to(window).slices] = ids_of(piece)
    return ids


def _pieces(window: Window) -> Iterator[Window]:
    """Columns of a window, cut where tiles of files begin."""
    col = window.col
    while col < window.col_stop:
        stop = min(window.col_stop, (col // _COLS + 1) * _COLS)
        yield Window(window.row, col, window.height, stop - col)
        col = stop


def _place_of(key: int | str, classes: ClassMap) -> int:
    """The channel of a class given by id or name."""
    class_id = classes.id_of(key) if isinstance(key, str) else key
    if class_id not in classes.ids:
        raise LabelError(f"no class has the id {class_id}; there are: {classes.ids}")
    return classes.ids.index(class_id)


def _check_same(first: Labels, other: Labels, number: int) -> None:
    if other.grid.shape != first.grid.shape or first.grid.offset_of(other.grid) != (0, 0):
        raise GridError(
            f"labels 1 and {number} lie on different grids: {_placed(first.grid)}; and "
            f"{_placed(other.grid)}; predict both on one grid, or bring one there: "
            "RasterLabels(source=..., classes=...).on(grid) holds ids only"
        )
    if other.classes != first.classes:
        raise LabelError(
            f"labels 1 and {number} have different class maps: {_told(first.classes)}; and "
            f"{_told(other.classes)}; only equal ones can be averaged"
        )


def _placed(grid: Grid) -> str:
    return f"{grid.describe()} from ({grid.transform.c:.10g}, {grid.transform.f:.10g})"


def _told(classes: ClassMap) -> str:
    named = ", ".join(f"{c.id} {c.name} {c.color}" for c in classes.classes)
    return f"{named}, ignored {classes.ignore_id}"
