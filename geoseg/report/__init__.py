"""A page of HTML about a training: all in one file, no network and no script."""

from geoseg.report.facts import TrainingFacts
from geoseg.report.training import write_report

__all__ = ["TrainingFacts", "write_report"]
