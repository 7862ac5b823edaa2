"""judging: a prediction compared with the truth while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from geoseg.classes import ClassMap
from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels
from geoseg.labels.evaluation.errormap import ErrorKind, check_kind
from geoseg.labels.evaluation.errormap import error_map as written_errors
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.evaluation.filled import Filled, filled_in
from geoseg.labels.evaluation.nearest import brought_onto, placed
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.vector import PolygonLabels
from geoseg.sources.base import VectorSource
from geoseg.window import Window


class Judge:
    """Takes a prediction block by block; `judging` makes it."""

    def __init__(
        self,
        evaluator: Evaluator,
        compare: Callable[[Window, Ids], None],
        *,
        filled: Filled | None,
        notes: tuple[str, ...],
    ) -> None:
        """Begin with nothing seen."""
        self._evaluator, self._compare = evaluator, compare
        self._filled, self._notes = filled, notes

    def __call__(self, window: Window, ids: Ids) -> None:
        """Compare the predicted ids (height, width) of a window with the truth."""
        self._compare(window, ids)
        if self._filled is not None:
            self._filled.see(window, ids)

    def evaluation(self) -> Evaluation:
        """What was found; nothing can be added afterwards."""
        found = self._evaluator.evaluation()
        note = None if self._filled is None else self._filled.note(found.overall.confusion)
        return replace(found, notes=(*self._notes, *_given(note)))


@contextmanager
def judging(
    truth: Labels,
    grid: Grid,
    classes: ClassMap | None = None,
    aoi: VectorSource | None = None,
    *,
    name: str = "scene",
    scoring: Scoring | None = None,
    error_map: str | None = None,
    error_kind: ErrorKind = "right",
) -> Iterator[Judge]:
    """Compare a prediction with the truth while it is made; see `evaluate` for the arguments.

    >>> import numpy as np
    >>> from geoseg.labels.array import ArrayLabels
    >>> grid, classes = Grid(height=1, width=3), ClassMap.of("background", "building")
    >>> truth = ArrayLabels(grid, classes, np.array([[0, 1, 1]], np.uint8))
    >>> with judging(truth, grid) as judge:
    ...     judge(grid.whole, np.array([[0, 1, 0]], np.uint8))
    >>> judge.evaluation().mean_iou
    0.5

    Args:
        truth: What is right.
        grid: Of the prediction.
        classes: Of the prediction; None: those of the truth.
        aoi: Where to compare.
        name: What the result calls the scene.
        scoring: What is measured beside the confusion matrix; for boundaries and objects whole rows are to
            come in order. None: nothing.
        error_map: As for `evaluate`; the file appears when the block ends.
        error_kind: As for `evaluate`.
    """
    check_kind(error_kind)
    options = scoring or Scoring()
    _check_crs(truth.grid, grid, name)
    notes = truth.drawn.notes(truth.uri, judged=False) if isinstance(truth, PolygonLabels) else ()
    truth, note = brought_onto(truth, grid)
    with ExitStack() as stack:
        errors = None
        if error_map is not None:
            written = written_errors(error_map, grid, truth.classes, error_kind)
            errors = stack.enter_context(written)
        evaluator = Evaluator(
            grid,
            truth.classes,
            predicted_classes=classes,
            name=name,
            boundary_px=options.boundary_px,
            object_iou=options.object_iou,
            bootstrap=options.bootstrap,
            block_px=options.block_px,
            seed=options.seed,
            errors=errors,
        )
        compare = evaluator.against(truth, aoi)
        filled = filled_in(truth, aoi)
        yield Judge(evaluator, compare, filled=filled, notes=(*_given(note), *notes))


def _given(note: str | None) -> tuple[str, ...]:
    return () if note is None else (note,)


def _check_crs(truth: Grid, prediction: Grid, name: str) -> None:
    same = truth.shape == prediction.shape and truth.offset_of(prediction) == (0, 0)
    if same or (truth.crs is not None and prediction.crs is not None):
        return
    raise GridError(
        f"scene {name!r}: the truth is on another grid than the prediction, and cannot be brought onto it "
        f"without a CRS of both: {placed(truth)}; and {placed(prediction)}"
    )
