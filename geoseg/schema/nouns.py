"""What has a schema, by the name that `geoseg schema` takes."""

from __future__ import annotations

import json

import geoseg.labels
import geoseg.sources
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.experiment import Experiment
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.learner.training import Prediction, Training
from geoseg.sampling import Sampling
from geoseg.scene import Scene
from geoseg.schema.make import schema_of
from geoseg.spec import Spec


def nouns() -> dict[str, type[Spec]]:
    """Name to class; the first is the whole, the others are parts of it."""
    return {
        "experiment": Experiment,
        "scene": Scene,
        "classes": ClassMap,
        "source": geoseg.sources.RasterSource,
        "vectors": geoseg.sources.VectorSource,
        "labels": geoseg.labels.LabelSource,
        "store": geoseg.labels.LabelStore,
        "training": Training,
        "sampling": Sampling,
        "prediction": Prediction,
        "scoring": Scoring,
    }


def schema_text(name: str) -> str:
    """The JSON Schema of a noun as text, always the same for the same code.

    Raises:
        ConfigError: There is no such noun.
    """
    known = nouns()
    if name not in known:
        raise ConfigError(f"there is no schema of {name!r}; expected one of: {', '.join(known)}")
    return json.dumps(schema_of(known[name]), indent=2, ensure_ascii=False) + "\n"
