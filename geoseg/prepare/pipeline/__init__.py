"""The steps of the preparation as one file, done again only where something changed."""

from geoseg.prepare.pipeline.cuts import ExportStep, TileStep
from geoseg.prepare.pipeline.kinds import AlignStep, CheckStep, MasksStep, SplitStep
from geoseg.prepare.pipeline.running import PipelineReport, StepDone, run
from geoseg.prepare.pipeline.spec import Pipeline
from geoseg.prepare.pipeline.step import Step

__all__ = [
    "AlignStep",
    "CheckStep",
    "ExportStep",
    "MasksStep",
    "Pipeline",
    "PipelineReport",
    "SplitStep",
    "Step",
    "StepDone",
    "TileStep",
    "run",
]
