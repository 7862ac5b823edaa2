"""TrainingFacts: what a report of a training tells of, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from geoseg.classes import ClassMap
from geoseg.labels.base import Labels
from geoseg.labels.evaluate import Evaluation
from geoseg.learner.training import Prediction, Training
from geoseg.scene import Scene


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingFacts:
    """What was trained on what, and what came of it; what is not known is left out of the report."""

    classes: ClassMap
    """What is told apart."""
    training: Training
    """How the model was trained."""
    title: str = "Training report"
    """The heading of the page."""
    train: Sequence[Scene] = ()
    """Scenes that were learned from."""
    valid: Sequence[Scene] = ()
    """Scenes that were measured on after each epoch."""
    test: Sequence[Scene] = ()
    """Scenes that were predicted and scored at the end."""
    prediction: Prediction | None = None
    """How they were predicted."""
    history: Sequence[Mapping[str, float]] = ()
    """The numbers of each epoch (`Learner.history`)."""
    histogram: Mapping[str, int] | None = None
    """Class name to labelled pixels of the training scenes."""
    evaluation: Evaluation | None = None
    """The scores on the test scenes."""
    predictions: Mapping[str, Labels] = field(default_factory=dict)
    """Id of a test scene to what was predicted there."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package to version."""
    notes: Sequence[str] = ()
    """What a reader should know, such as warnings of the training."""

    def scenes(self) -> Iterator[tuple[str, Scene]]:
        """(part, scene) of all scenes."""
        for part, scenes in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            for scene in scenes:
                yield part, scene
