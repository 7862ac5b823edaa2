"""BundleInfo: everything about a model but its weights."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from geoseg.classes import ClassMap
from geoseg.learner.facts import DataFacts
from geoseg.learner.training import Training
from geoseg.spec import FrozenMap, Spec
from geoseg.urimask import name_of

Format = Literal["geoseg-bundle/1", "geoseg-bundle/2"]
"""1 has neither a manifest nor a history."""


def _none_where_no_number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _without_places(training: Training) -> Training:
    """Without what is of the machine only: the folder of the first weights' file, and the cache."""
    weights, sampling = training.weights, training.sampling
    changes: dict[str, object] = {}
    if weights is not None and (name := name_of(weights)) != weights:
        changes["weights"] = name
    if sampling.cache is not None:
        changes["sampling"] = sampling.model_copy(update={"cache": None})
    return training.model_copy(update=changes)


Measured = Annotated[float | None, AfterValidator(_none_where_no_number)]
"""A number, or None where there was none: NaN and infinity have no place in JSON."""


class BundleInfo(Spec):
    """Everything about a model but its weights."""

    format: Format = "geoseg-bundle/2"
    """What this file is."""
    classes: ClassMap
    """The classes, in the order of the model's channels."""
    training: Annotated[Training, AfterValidator(_without_places)]
    """How it was trained; tells how its network is built. Of a file of weights that it began with the
    name only, without folder and secrets, and no cache: others read it on other machines."""
    network: str | None = None
    """The class of a network that was given in Python, `module.Name`; None for one by name."""
    in_channels: Annotated[int, Field(ge=1)]
    """Channels of the image."""
    data: DataFacts | None
    """The data it was trained on; None for a model that was never fitted, and in bundles
    of data sets that older versions wrote."""
    histogram: FrozenMap[str, Annotated[int, Field(ge=0)]] | None = None
    """Labelled pixels of each class in the training scenes; None where they were not counted."""
    versions: FrozenMap[str, str] = FrozenMap()
    """Of the packages that wrote this bundle."""
    history: tuple[FrozenMap[str, Measured], ...] = ()
    """The logged numbers of each epoch of the training."""

    @property
    def epochs(self) -> list[dict[str, float]]:
        """The history as a Learner has it: NaN where there was no number."""
        return [
            {key: math.nan if value is None else value for key, value in row.items()}
            for row in self.history
        ]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bands = self.in_channels if self.data is None else len(self.data.band_names)
        if bands != self.in_channels:
            raise ValueError(f"in_channels is {self.in_channels}, but the data have {bands} bands")
        if self.data is not None and len(self.data.statistics.mean) != bands:
            raise ValueError(f"the statistics are not those of {bands} bands")
        strange = sorted({*(self.histogram or ())} - {*self.classes.names})
        if strange:
            raise ValueError(f"the histogram counts what is no class: {', '.join(strange)}")
        return self
