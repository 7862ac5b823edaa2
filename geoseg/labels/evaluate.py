"""evaluate: a prediction against the truth, block by block, in one pooled confusion matrix."""

from __future__ import annotations

from dataclasses import replace

from geoseg.errors import LabelError
from geoseg.labels.base import Labels, LabelSource
from geoseg.labels.evaluation.errormap import ErrorKind
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.judging import judging
from geoseg.labels.vector import PolygonLabels
from geoseg.sources.base import VectorSource
from geoseg.sources.handles import block_cache
from geoseg.warn import warn

__all__ = ["Evaluation", "evaluate"]

_CACHE_BYTES = 16 << 20
"""GDAL's decoded blocks while files are read from top to bottom, unless the rows are very wide."""


def evaluate(
    truth: Labels,
    prediction: Labels,
    aoi: VectorSource | None = None,
    *,
    name: str = "scene",
    boundary_px: int | None = None,
    object_iou: float | None = None,
    bootstrap: int = 0,
    block_px: int = 512,
    seed: int = 0,
    error_map: str | None = None,
    error_kind: ErrorKind = "right",
) -> Evaluation:
    """Compare two labels block by block; memory grows with the width only.

    Left out are the pixels that the truth ignores or whose centre is outside the AOI (`ignored`), and
    of the others those that the prediction ignores (`unpredicted`). A truth on another grid is brought
    onto that of the prediction, each pixel taking the id at its centre; `Evaluation.notes` says so, and how
    many pixels have their true class only because no polygon lies there. Polygons that a VectorLabelStore
    wrote of some classes or large regions only are no whole prediction: a warning, and a note, says that.

    Args:
        truth: What is right.
        prediction: What is judged.
        aoi: Where to compare; None: everywhere.
        name: What the result calls the scene.
        boundary_px: Boundary IoU too, of pixels this near to a class boundary; see `BoundaryCounter`.
        object_iou: Precision, recall and F1 of objects (4-connected regions) too, which are the same from
            this IoU on, such as 0.5; see `ObjectCounter`.
        bootstrap: Resamples of blocks for 95 % intervals, such as 1000, 20 at least; see `Blocks`.
        block_px: Pixels a side of such a block.
        seed: The resamples follow from it.
        error_map: A local path (.tif) for a GeoTIFF of errors: 0 right, 1 wrong, 255 left out.
        error_kind: "pairs": that map tells true and predicted class; see `error_classes`.

    Raises:
        ConfigError: A number is out of range, pairs of classes are too many for a map, or that map has
            the name of another format.
        GridError: The grids differ and one has no CRS, or they share no ground.
        LabelError: The class maps differ, ids are outside them, or something else than labels is given.
        StoreError: The map of errors cannot be written.
    """
    _check_labels(truth, what="truth", other="prediction")
    _check_labels(prediction, what="prediction", other="truth")
    # Checked where they are used, with an error of the arguments' own.
    scoring = Scoring.model_construct(
        boundary_px=boundary_px,
        object_iou=object_iou,
        bootstrap=bootstrap,
        block_px=block_px,
        seed=seed,
    )
    with (
        judging(
            truth,
            prediction.grid,
            prediction.classes,
            aoi,
            name=name,
            scoring=scoring,
            error_map=error_map,
            error_kind=error_kind,
        ) as judge,
        block_cache(max(_CACHE_BYTES, 4 * 512 * prediction.grid.width)),
    ):
        for window in prediction.blocks():
            judge(window, prediction.read(window))
    found = judge.evaluation()
    if not isinstance(prediction, PolygonLabels):
        return found
    drawn, uri = prediction.drawn, prediction.uri
    notes = drawn.notes(uri, judged=True)
    if drawn.left_out is not None:
        warn(notes[0])
    return replace(found, notes=(*notes, *found.notes))


def _check_labels(given: object, *, what: str, other: str) -> None:
    """See that labels lie on a grid.

    Raises:
        LabelError: They do not, as a LabelSource, or this is something else.
    """
    if isinstance(given, Labels):
        return
    name = type(given).__name__
    if isinstance(given, LabelSource):
        raise LabelError(
            f"the {what} is a {name}, which has ids on any grid; name one, as in {what}.on({other}.grid)"
        )
    raise LabelError(
        f"the {what} is a {name}, expected labels on a grid, such as Learner.predict gives, ArrayLabels, or "
        "labels.on(grid) of RasterLabels"
    )
