"""Pictures as functions: each gives a matplotlib Figure (extra `plot`), or writes a PNG without it."""

from geoseg.plot.figures import batch, comparison, evaluation, history, polygons, scene
from geoseg.plot.preview import preview_png

__all__ = ["batch", "comparison", "evaluation", "history", "polygons", "preview_png", "scene"]
