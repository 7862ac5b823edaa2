"""Pictures as functions: each gives a matplotlib Figure (extra `plot`), or writes a PNG without it."""

from geoseg.plot.curves import history
from geoseg.plot.figures import batch, comparison, polygons, scene
from geoseg.plot.preview import preview_png
from geoseg.plot.samplingmap import sampling
from geoseg.plot.scores import evaluation, histogram
from geoseg.plot.splitmap import split_map
from geoseg.plot.volumes import montage, volume

__all__ = [
    "batch",
    "comparison",
    "evaluation",
    "histogram",
    "history",
    "montage",
    "polygons",
    "preview_png",
    "sampling",
    "scene",
    "split_map",
    "volume",
]
