"""What a model must know of the data that it was trained on, and whether another scene is like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed, scale_of
from geoseg.errors import BundleError, ConfigError, SceneError
from geoseg.learner.standardized import (
    common_standardize,
    warn_of_hidden,
    with_standardize,
    without_standardize,
)
from geoseg.sampling.thinned import Thinned, share_of
from geoseg.scene import Scene
from geoseg.sources.base import has_names
from geoseg.sources.statistics import RunningStatistics, Statistics
from geoseg.sources.statistics.fitted import nothing_valid
from geoseg.sources.transforms.scaling import Standardize
from geoseg.spec import Spec
from geoseg.warn import warn

_ENOUGH = 64_000_000
"""Pixels after which more do not change a mean: larger data sets are thinned out evenly by blocks
of rows."""
_HALF = 0.5 + 1e-6
"""The largest deviation of numbers from 0 to 1, and a little more."""
_RESOLUTION_SLACK = 1.25
"""A pixel this many times larger or smaller than in training is worth a word."""


class DataFacts(Spec):
    """Bands, dtype, statistics and resolution of training scenes."""

    band_names: tuple[str, ...]
    """In the order of the model's channels; numbers as text where the files name none."""
    dtype: str
    """Of the pixels, as numpy calls it, before `standardize`; of a data set of one's own that of the
    images in its items."""
    statistics: Statistics
    """Over valid pixels inside the AOIs of the training scenes, in the source's units before
    `standardize`."""
    resolution_m: tuple[float, float] | None
    """Ground size (x, y) of a pixel in metres in the first scene; None without georeference."""
    standardize: Standardize | None = None
    """What the images of all training scenes ended with, in place of the model's own normalisation;
    images that come without it get it."""
    origin: Literal["scenes", "items", "volumes"] = "scenes"
    """What was looked at; "items": those of a data set of one's own, of which nobody knows what was done
    to their pixels before, so that their bands have numbers only; those of volumes have the names that
    their metadata tell."""


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


def as_trained(facts: DataFacts, scene: Scene) -> Scene:
    """The scene as the model reads it, once it is seen to be like the training data.

    Of a data set of one's own nobody knows what its images ended with: the scene is read as it is.

    Raises:
        BundleError: Its bands, dtype or Standardize differ.

    Warns:
        UserWarning: As `check_scene` does.
    """
    check_scene(facts, scene)
    return scene if facts.origin == "items" else with_standardize(scene, facts.standardize)


def check_scene(facts: DataFacts, scene: Scene) -> None:
    """See that a scene is like the training data, both before a Standardize at the end of the image.

    Raises:
        BundleError: Its bands or dtype differ.

    Warns:
        UserWarning: Bands cannot be compared by name, the resolution differs by more than a quarter, or
            the scene's whole numbers are scaled and nobody knows whether those of training were.
    """
    if facts.origin == "items":
        check_bands(facts, scene.id, scene.image.band_names)
        check_meaning(facts, np.dtype(scene.image.dtype).name, f"scene {scene.id!r}: pixels are")
        return
    scene = without_standardize(scene)
    check_bands(facts, scene.id, scene.image.band_names)
    dtype = np.dtype(scene.image.dtype).name
    if dtype != facts.dtype:
        raise BundleError(
            f"scene {scene.id!r}: pixels are {dtype}, but the model was trained on {facts.dtype}; "
            "convert the image to the training data's dtype and units"
        )
    _compare_resolution(facts, scene)


def check_meaning(facts: DataFacts, dtype: str, what: str) -> None:
    """See that pixels reach the network as the items of a data set of one's own did.

    Unsigned integers are scaled to [0, 1], other numbers reach it as they are.

    Args:
        facts: With the origin "items".
        dtype: Of the pixels to come.
        what: How the text begins, such as "scene 'a': pixels are".

    Raises:
        BundleError: They would come in other units.

    Warns:
        UserWarning: They are scaled, and the items may have been so too.
    """
    if dtype == facts.dtype or {np.dtype(dtype).kind, np.dtype(facts.dtype).kind}.isdisjoint("u"):
        return
    if np.dtype(facts.dtype).kind == "u":
        raise BundleError(
            f"{what} {dtype}, but the model was trained on a data set of {facts.dtype}, which it scales to "
            f"[0, 1]; convert the image to {facts.dtype}, in the units of the data set"
        )
    most, trained = np.iinfo(dtype).max, f"a data set of {facts.dtype}"
    if not _within_one(facts):
        raise BundleError(
            f"{what} {dtype}, which the model scales to [0, 1], but it was trained on {trained} with "
            f"other numbers ({_described(facts)}); if these are the pixels as they are, give the image "
            f"transforms: [{{type: cast, dtype: float32}}], else convert it to what the data set gives"
        )
    warn(
        f"{what} {dtype}, but the model was trained on {trained} ({_described(facts)}): it is assumed that "
        f"the data set divides the same pixels by {most}; if it does anything else to them, do that to the "
        f"image and save it as float32, or train on scenes, whose units a bundle knows"
    )


def _within_one(facts: DataFacts) -> bool:
    """Whether all numbers of the training data may have lain in [0, 1]."""
    known = facts.statistics
    return all(0 <= mean <= 1 for mean in known.mean) and max(known.std) <= _HALF


def _described(facts: DataFacts) -> str:
    known = facts.statistics
    return f"band 1 has the mean {known.mean[0]:.4g} and the deviation {known.std[0]:.4g}"


def check_bands(facts: DataFacts, scene: str, names: tuple[str, ...]) -> None:
    """See that bands are those of the training data, by name where both have names.

    Raises:
        BundleError: They are not.

    Warns:
        UserWarning: They cannot be compared by name.
    """
    known, wanted = has_names(names), has_names(facts.band_names)
    listed = f"({', '.join(names)})"
    expected = f"({', '.join(facts.band_names)})"
    if len(names) != len(facts.band_names):
        raise BundleError(
            f"scene {scene!r}: the image has {len(names)} bands {listed}, but the model was trained on "
            f"{len(facts.band_names)} {expected}; choose them with bands=..."
        )
    if known and wanted and names != facts.band_names:
        undated = [name.partition("/")[2] for name in names]
        if all(undated) and undated == [name.partition("/")[2] for name in facts.band_names]:
            listed += ' (bands of other dates: train with named_by="step" for any dates)'
        raise BundleError(
            f"scene {scene!r}: the image's bands are {listed}, but the model was trained on {expected}; "
            "choose them by name in that order with bands=..."
        )
    if known != wanted:
        warn(
            f"scene {scene!r}: bands {listed} cannot be compared by name with the training data's "
            f"{expected}; see that their order is the same"
        )


def _compare_resolution(facts: DataFacts, scene: Scene) -> None:
    found = scene.grid.ground_resolution
    if found is None or facts.resolution_m is None:
        return
    ratio = max(max(a / b, b / a) for a, b in zip(found, facts.resolution_m, strict=True))
    if ratio > _RESOLUTION_SLACK:
        warn(
            f"scene {scene.id!r}: a pixel is {found[0]:.3g} x {found[1]:.3g} m, but the model was "
            f"trained on {facts.resolution_m[0]:.3g} x {facts.resolution_m[1]:.3g} m; "
            'resolution="trained" brings it there for a better map (`geoseg predict --resolution trained`)'
        )
