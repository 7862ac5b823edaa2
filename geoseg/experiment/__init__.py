"""One YAML file that says what is trained on what: read, looked at before the work, and run."""

from __future__ import annotations

from geoseg.experiment.checking import SceneReport, check
from geoseg.experiment.running import Results, run
from geoseg.experiment.spec import Experiment

__all__ = ["Experiment", "Results", "SceneReport", "check", "run"]
