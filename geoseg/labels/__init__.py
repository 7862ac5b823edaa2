"""Class ids in and out: every kind of label source and store is known once this package is imported."""

from geoseg.labels.accumulate import ScoreAccumulator
from geoseg.labels.algebra import combine, threshold
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels, LabelSource, LabelStore
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.evaluation.polygons import match_polygons
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.judging import judging
from geoseg.labels.parts import merge
from geoseg.labels.pixels import PixelLabels
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.labels.vector import VectorLabelStore

__all__ = [
    "ArrayLabels",
    "Evaluation",
    "Evaluator",
    "GeoTIFFLabelStore",
    "LabelSource",
    "LabelStore",
    "Labels",
    "PixelLabels",
    "RasterLabels",
    "ScoreAccumulator",
    "Scoring",
    "VectorLabelStore",
    "VectorLabels",
    "combine",
    "evaluate",
    "judging",
    "match_polygons",
    "merge",
    "threshold",
]
