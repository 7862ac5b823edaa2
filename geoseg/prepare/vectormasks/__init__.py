"""Vector layers to masks on the pixels of a reference, with a report and a manifest."""

from geoseg.prepare.vectormasks.report import ClassBurnt, MaskFile, MasksReport
from geoseg.prepare.vectormasks.verb import masks

__all__ = ["ClassBurnt", "MaskFile", "MasksReport", "masks"]
