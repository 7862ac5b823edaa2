"""Class ids in and out: every kind of label source and store is known once this package is imported."""

from geoseg.labels.accumulate import ScoreAccumulator
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels, LabelSource, LabelStore
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels, VectorLabels

__all__ = [
    "ArrayLabels",
    "Evaluation",
    "GeoTIFFLabelStore",
    "LabelSource",
    "LabelStore",
    "Labels",
    "RasterLabels",
    "ScoreAccumulator",
    "VectorLabels",
    "evaluate",
]
