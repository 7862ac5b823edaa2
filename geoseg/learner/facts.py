"""What a model must know of the data that it was trained on, and whether another scene is like them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed, scale_of
from geoseg.errors import BundleError, ConfigError, SceneError
from geoseg.learner.standardized import common_standardize, warn_of_hidden, without_standardize
from geoseg.sampling.thinned import Thinned, share_of
from geoseg.scene import Scene
from geoseg.sources.base import has_names
from geoseg.sources.statistics import RunningStatistics, Statistics
from geoseg.sources.statistics.fitted import nothing_valid
from geoseg.sources.transforms.scaling import Standardize
from geoseg.spec import Spec

_ENOUGH = 64_000_000
"""Pixels after which more do not change a mean: larger data sets are thinned out evenly by blocks
of rows."""
_RESOLUTION_SLACK = 1.25
"""A pixel this many times larger or smaller than in training is worth a word."""


class DataFacts(Spec):
    """Bands, dtype, statistics and resolution of training scenes."""

    band_names: tuple[str, ...]
    """In the order of the model's channels; numbers as text where the files name none."""
    dtype: str
    """Of the pixels, as numpy calls it, before `standardize`."""
    statistics: Statistics
    """Over valid pixels inside the AOIs of the training scenes, in the source's units before
    `standardize`."""
    resolution_m: tuple[float, float] | None
    """Ground size (x, y) of a pixel in metres in the first scene; None without georeference."""
    standardize: Standardize | None = None
    """What the images of all training scenes ended with, in place of the model's own normalisation;
    images that come without it get it."""


def facts_of(scenes: Sequence[Scene]) -> DataFacts:
    """Look at the pixels of training scenes, every block near the AOIs once.

    Of more than 64 million pixels only some blocks are looked at, and all where none of those holds a
    valid pixel.

    Raises:
        SourceError: No pixel is valid.
        ConfigError: Some of the scenes end with a Standardize and others not, or with another one.

    Warns:
        UserWarning: A scene has a Standardize elsewhere.
    """
    standardize = common_standardize(scenes)
    warn_of_hidden(scenes)
    scenes = [without_standardize(scene) for scene in scenes]
    first = scenes[0]
    share = share_of(scenes, _ENOUGH)
    statistics = _measured(scenes, share)
    if statistics is None and share < 1:
        statistics = _measured(scenes, 1.0)
    if statistics is None:
        raise nothing_valid()
    return DataFacts(
        band_names=first.image.band_names,
        dtype=np.dtype(first.image.dtype).name,
        statistics=statistics,
        resolution_m=first.grid.ground_resolution,
        standardize=standardize,
    )


def _measured(scenes: Sequence[Scene], share: float) -> Statistics | None:
    """Of a share of the pixels; None where none of them is valid."""
    statistics, seen = RunningStatistics(len(scenes[0].image.band_names)), False
    for number, scene in enumerate(scenes):
        area = scene.area
        for window in Thinned.of(scene, share, seed=number):
            chip, measured = scene.pixels.read_measured(window)
            inside = measured if area is None else measured & area.mask(window)
            statistics.update(chip.data, inside)
            seen = seen or bool(inside.any())
    return statistics.result() if seen else None


def scaled_statistics(facts: DataFacts) -> tuple[list[float], list[float]]:
    """(mean, deviation) of each band for images scaled to [0, 1]; a constant band is not divided.

    (0, 1) where the images themselves end with a Standardize: it is not done twice.
    """
    if facts.standardize is not None:
        return [0.0] * len(facts.band_names), [1.0] * len(facts.band_names)
    scale = scale_of(np.dtype(facts.dtype))
    mean = [value * scale for value in facts.statistics.mean]
    return mean, [value * scale if value > 0 else 1.0 for value in facts.statistics.std]


def check_labels(scenes: Sequence[Scene], classes: ClassMap) -> None:
    """See that scenes have labels of these classes.

    Raises:
        ConfigError: There is no scene, or a scene's class map is another one.
        SceneError: A scene has no labels.
    """
    for scene in listed(scenes):
        if scene.labels is None:
            raise SceneError(f"scene {scene.id!r} has no labels to train on")
        found = scene.labels.class_map
        if (found.ids, found.names) != (classes.ids, classes.names):
            raise ConfigError(
                f"scene {scene.id!r}: its labels have the classes {list(found.names)} with ids "
                f"{list(found.ids)}, but the model has {list(classes.names)} with ids "
                f"{list(classes.ids)}; use one class map"
            )


def check_scene(facts: DataFacts, scene: Scene) -> None:
    """See that a scene is like the training data, both before a Standardize at the end of the image.

    Raises:
        BundleError: Its bands or dtype differ.

    Warns:
        UserWarning: Bands cannot be compared by name, or the resolution differs by more than a quarter.
    """
    scene = without_standardize(scene)
    names = scene.image.band_names
    _check_bands(facts, scene.id, names)
    dtype = np.dtype(scene.image.dtype).name
    if dtype != facts.dtype:
        raise BundleError(
            f"scene {scene.id!r}: pixels are {dtype}, but the model was trained on {facts.dtype}; "
            "convert the image to the training data's dtype and units"
        )
    _compare_resolution(facts, scene)


def _check_bands(facts: DataFacts, scene: str, names: tuple[str, ...]) -> None:
    known, wanted = has_names(names), has_names(facts.band_names)
    listed = f"({', '.join(names)})"
    expected = f"({', '.join(facts.band_names)})"
    if len(names) != len(facts.band_names):
        raise BundleError(
            f"scene {scene!r}: the image has {len(names)} bands {listed}, but the model was trained on "
            f"{len(facts.band_names)} {expected}; choose them with bands=..."
        )
    if known and wanted and names != facts.band_names:
        if [n.partition("/")[2] for n in names] == [n.partition("/")[2] for n in facts.band_names]:
            listed += ' (bands of other dates: train with named_by="step" for any dates)'
        raise BundleError(
            f"scene {scene!r}: the image's bands are {listed}, but the model was trained on {expected}; "
            "choose them by name in that order with bands=..."
        )
    if known != wanted:
        warnings.warn(
            f"scene {scene!r}: bands {listed} cannot be compared by name with the training data's "
            f"{expected}; see that their order is the same",
            stacklevel=4,
        )


def _compare_resolution(facts: DataFacts, scene: Scene) -> None:
    found = scene.grid.ground_resolution
    if found is None or facts.resolution_m is None:
        return
    ratio = max(max(a / b, b / a) for a, b in zip(found, facts.resolution_m, strict=True))
    if ratio > _RESOLUTION_SLACK:
        warnings.warn(
            f"scene {scene.id!r}: a pixel is {found[0]:.3g} x {found[1]:.3g} m, but the model was "
            f"trained on {facts.resolution_m[0]:.3g} x {facts.resolution_m[1]:.3g} m; "
            'resolution="trained" brings it there for a better map (`geoseg predict --resolution trained`)',
            stacklevel=4,
        )
