"""Evaluator: counts truth against prediction while blocks come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from geoseg.aoi import AOI
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.grid import Grid
from geoseg.labels import metrics
from geoseg.labels.base import Ids, Labels
from geoseg.labels.evaluation.areas import row_areas, rows_alike
from geoseg.labels.evaluation.bootstrap import Blocks, check_resamples
from geoseg.labels.evaluation.boundary import BoundaryCounter
from geoseg.labels.evaluation.counts import Areas, Boundary, SceneCounts
from geoseg.labels.evaluation.errormap import PutErrors
from geoseg.labels.evaluation.matching import check_iou
from geoseg.labels.evaluation.objects import ObjectCounter
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.ids import check_ids
from geoseg.sources.base import VectorSource
from geoseg.window import Window

_PIXELS = 1 << 20
"""Pixels compared at once: what is derived from them stays small beside the block."""

Codes = tuple[Ids, Ids]
"""(height, width) places of the true and the predicted class; one past the last means left out."""


class Evaluator:
    """Compares truth and prediction block by block, so that neither has to be there as a whole.

    For use where a prediction is made anyway; `evaluate` does it for labels. Memory grows with the
    width only.

    >>> grid, classes = Grid(height=2, width=3), ClassMap.of("background", "building")
    >>> judge = Evaluator(grid, classes)
    >>> truth, predicted = np.array([[[0, 1, 1], [1, 0, 255]], [[0, 1, 0], [1, 0, 0]]], np.uint8)
    >>> judge.update(grid.whole, truth, predicted)
    >>> judge.result().confusion.tolist()
    [[2, 0], [1, 2]]

    Scores, tables and JSON are those of an `Evaluation`:

    >>> round(judge.evaluation().mean_iou, 3)
    0.667
    """

    def __init__(
        self,
        grid: Grid,
        classes: ClassMap,
        *,
        predicted_classes: ClassMap | None = None,
        name: str = "scene",
        boundary_px: int | None = None,
        object_iou: float | None = None,
        bootstrap: int = 0,
        block_px: int = 512,
        seed: int = 0,
        errors: PutErrors | None = None,
    ) -> None:
        """Begin with nothing counted.

        Args:
            grid: Of truth and prediction.
            classes: Of the truth; their order is that of all results.
            predicted_classes: Of the prediction: the same ids and names, in any order; None: `classes`.
            name: What errors call the scene.
            boundary_px: Count boundary IoU, this near to the boundaries: see `BoundaryCounter`.
            object_iou: Match objects from this IoU on: see `ObjectCounter`. 0.5 is usual.
            bootstrap: Resamples for 95 % intervals, 1000 is usual: see `Blocks`; 0: no intervals.
            block_px: Pixels a side of the blocks that are resampled.
            seed: The resamples follow from it.
            errors: What `error_map` gives, to have a map of errors written.

        Raises:
            ConfigError: A number is none, or out of range.
            LabelError: The class maps differ.
        """
        predicted_classes = predicted_classes or classes
        _check_classes(classes, predicted_classes, name)
        if boundary_px is not None:
            boundary_px = _whole("boundary_px", boundary_px, least=1, unit="pixels")
        if object_iou is not None:
            check_iou(object_iou)
        block_px = _whole("block_px", block_px, least=1, unit="pixels")
        bootstrap = _whole("bootstrap", bootstrap, least=0, unit="resamples")
        check_resamples(bootstrap)
        seed = _whole("seed", seed, least=0)
        self._grid, self._name = grid, name
        self._sides = {"truth": classes, "prediction": predicted_classes}
        self._tables = {side: _table(own, classes) for side, own in self._sides.items()}
        self._slots = len(classes) + 1
        self._counts = np.zeros((self._slots, self._slots), np.int64)
        self._alike, self._row_areas = rows_alike(row_areas(grid))
        self._areas = np.zeros((self._slots, self._slots))
        self._block_px = block_px if bootstrap else 0
        self._resampling = (block_px, bootstrap, seed)
        self._blocks: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._boundary_px = boundary_px
        width, slots = grid.width, self._slots
        self._boundary = self._objects = None
        if boundary_px is not None:
            self._boundary = BoundaryCounter(width, slots=slots, distance=boundary_px)
        if object_iou is not None:
            self._objects = ObjectCounter(width, slots=slots, iou=object_iou)
        self._errors = errors
        self._next_row = 0
        self._result: SceneCounts | None = None

    def update(
        self,
        window: Window,
        truth: Ids,
        prediction: Ids,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count a block; pixels that are never given count nowhere.

        Args:
            window: It lies in the grid. With boundaries or objects: whole rows, from top to bottom.
            truth: (height, width) uint8 ids.
            prediction: (height, width) uint8 ids.
            inside: (height, width) False where pixels are left out; None: nowhere.

        Raises:
            ConfigError: The window reaches past the grid, or its rows are not whole or not the next.
            LabelError: Shapes or dtypes do not fit, or ids are outside the class map.
        """
        self._check_place(window)
        self._check_ids("truth", truth, window)
        self._check_ids("prediction", prediction, window)
        for rows in self._row_groups(window):
            within = None if inside is None else inside[rows]
            codes = (
                self._codes("truth", truth[rows], within),
                self._codes("prediction", prediction[rows], within),
            )
            part = Window(window.row + rows.start, window.col, len(codes[0]), window.width)
            self._count(part, codes)
            if self._boundary is not None or self._objects is not None:
                self._follow(codes)
            if self._errors is not None:
                self._errors(part, *codes)
        self._next_row = window.row_stop

    def against(
        self, truth: Labels, aoi: VectorSource | None = None
    ) -> Callable[[Window, Ids], None]:
        """What takes the prediction's blocks and counts each against a truth.

        Handed to whoever makes them, a prediction is judged while it is written, without being read
        again.

        Args:
            truth: On the grid of the prediction.
            aoi: Where to compare; None: everywhere.

        Returns:
            A function of a window and the predicted ids (height, width).

        Raises:
            SceneError: The AOI holds no polygon on the grid.
        """
        area = None if aoi is None else AOI.of(aoi, self._grid)

        def compare(window: Window, prediction: Ids) -> None:
            inside = None if area is None else area.mask(window)
            self.update(window, truth.read(window), prediction, inside)

        return compare

    def result(self) -> SceneCounts:
        """All that was counted; nothing can be added afterwards."""
        if self._result is None:
            self._result = self._counted()
        return self._result

    def evaluation(self) -> Evaluation:
        """The result with its scores, as `evaluate` gives it; nothing can be added afterwards."""
        return Evaluation(self._sides["truth"], {self._name: self.result()})

    def _counted(self) -> SceneCounts:
        last = self._slots - 1
        areas = boundary = objects = blocks = None
        if self._row_areas is not None:
            known = self._areas[:last, :last]
            areas = Areas(known.copy(), self._areas[:, :last].sum(axis=0))
        if self._boundary is not None and self._boundary_px is not None:
            boundary = Boundary(self._boundary_px, self._boundary.finish())
        if self._objects is not None:
            objects = self._objects.finish()
        if self._block_px:
            totals = [self._blocks[place] for place in sorted(self._blocks)]
            blocks = Blocks(np.array(totals, np.int64).reshape(-1, 3, last), *self._resampling)
        return SceneCounts(
            confusion=self._counts[:last, :last].copy(),
            ignored=int(self._counts[last].sum()),
            unpredicted=int(self._counts[:last, last].sum()),
            areas=areas,
            boundary=boundary,
            objects=objects,
            blocks=blocks,
        )

    def _check_place(self, window: Window) -> None:
        if self._result is not None:
            raise ConfigError(
                f"{self._name}: the result has been taken, {window} comes too late; make a new Evaluator"
            )
        if not self._grid.whole.contains(window):
            raise ConfigError(
                f"{self._name}: {window} reaches past the grid of {self._grid.height} x "
                f"{self._grid.width} px; cut it, and its ids, to the grid"
            )
        if self._boundary is None and self._objects is None:
            return
        if window.row != self._next_row or window.width != self._grid.width:
            raise ConfigError(
                f"{self._name}: boundaries and objects are counted from whole rows in order: expected "
                f"row {self._next_row} and {self._grid.width} columns next, got {window}"
            )

    def _check_ids(self, side: str, ids: Ids, window: Window) -> None:
        what = f"{side} of {self._name!r} in {window}"
        if ids.shape != window.shape:
            raise LabelError(f"{what}: ids have shape {ids.shape}, expected {window.shape}")
        check_ids(ids, self._sides[side], what)

    def _codes(self, side: str, ids: Ids, inside: NDArray[np.bool_] | None) -> Ids:
        """Places of classes in the truth's order, one past the last where left out."""
        # Several times faster than an index by an array.
        places = np.frombuffer(ids.tobytes().translate(self._tables[side]), np.uint8)
        places = places.reshape(ids.shape)
        return places if inside is None else np.where(inside, places, np.uint8(self._slots - 1))

    def _row_groups(self, window: Window) -> Iterator[slice]:
        """Rows of a window that are counted together: of one block, and with pixels of one area."""
        most = max(_PIXELS // window.width, 1)
        groups = [size for size in (self._alike, self._block_px) if size]
        row = window.row
        while row < window.row_stop:
            stop = min(row + most, window.row_stop, *(row - row % size + size for size in groups))
            yield slice(row - window.row, stop - window.row)
            row = stop

    def _count(self, part: Window, codes: Codes) -> None:
        if self._block_px:
            counts = self._count_blocks(part, codes)
        else:
            counts = metrics.confusion(*codes, self._slots)
        self._counts += counts
        if self._row_areas is not None:
            self._areas += counts * self._row_areas[part.row]

    def _count_blocks(self, part: Window, codes: Codes) -> metrics.Confusion:
        """The counts of rows that lie in one row of blocks, kept for each block too."""
        total = np.zeros_like(self._counts)
        last, size = self._slots - 1, self._block_px
        for across in range(part.col // size, -(-part.col_stop // size)):
            start = max(across * size, part.col) - part.col
            cols = slice(start, (across + 1) * size - part.col)
            counts = metrics.confusion(codes[0][:, cols], codes[1][:, cols], self._slots)
            total += counts
            known = counts[:last, :last]
            if known.any():
                sums = np.stack([np.diagonal(known), known.sum(axis=1), known.sum(axis=0)])
                place = (part.row // size, across)
                self._blocks[place] = self._blocks.get(place, 0) + sums
        return total

    def _follow(self, codes: Codes) -> None:
        """Let boundaries and objects go on; what either side does not know, both do not."""
        unknown = np.maximum(*codes) == self._slots - 1
        truth, prediction = (np.where(unknown, np.uint8(self._slots - 1), side) for side in codes)
        if self._boundary is not None:
            self._boundary.update(truth, prediction)
        if self._objects is not None:
            self._objects.update(truth, prediction)


def _table(own: ClassMap, order: ClassMap) -> bytes:
    """The place in `order` of each of 256 ids; ignored ids come after the last."""
    table = order.channel_table()
    table[own.ignore_id] = len(order)
    return table.tobytes()


def _check_classes(truth: ClassMap, prediction: ClassMap, name: str) -> None:
    true, predicted = (dict(zip(c.ids, c.names, strict=True)) for c in (truth, prediction))
    if true != predicted:
        raise LabelError(
            f"scene {name!r}: the truth has the classes {true}, but the prediction {predicted}; ids "
            "and names must agree: map the truth with RasterLabels(mapping=...)"
        )


def _whole(name: str, value: object, *, least: int, unit: str = "") -> int:
    """A number as Python's own int, which no sum overflows and which JSON takes."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least:
        return int(value)
    of_what = f" of {unit}" if unit else ""
    raise ConfigError(f"{name} is {value!r}, expected a whole number{of_what} from {least} on")
