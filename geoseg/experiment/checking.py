"""A look at all scenes of an experiment before the work begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import SceneError
from geoseg.experiment.spec import Experiment
from geoseg.grid import Grid
from geoseg.labels.base import LabelSource
from geoseg.sampling.thinned import Thinned, check_ids, share_of
from geoseg.scene import Scene
from geoseg.warn import warn

_ENOUGH = 64_000_000
"""Pixels of a scene after which `check` has seen enough; larger scenes are thinned out evenly."""


@dataclass(frozen=True, slots=True)
class SceneReport:
    """What `check` found in a scene."""

    id: str
    """The scene."""
    part: str
    """Where the experiment uses it: "train", "valid" or "test"."""
    grid: Grid
    """Its reference grid."""
    band_names: tuple[str, ...]
    """Bands of its image."""
    dtype: str
    """Of its image, as numpy calls it."""
    labelled: float
    """Share of its pixels that have a label that counts: inside the AOI, valid and known."""
    shares: dict[str, float]
    """Class name to share of the labelled pixels."""


def check(experiment: Experiment) -> list[SceneReport]:
    """Open all scenes and read through them once, so that errors come before the work.

    Raises:
        SceneError: Scenes differ in bands or dtype, or a scene has no labelled pixel.
        GeosegError: A file cannot be used; the text says which and why.

    Warns:
        UserWarning: A class does not occur in the training scenes.
    """
    reports = [_look_through(scene, part) for part, scene in experiment.scenes()]
    for report in reports[1:]:
        _check_alike(reports[0], report)
    for name in experiment.classes.names:
        if not any(report.shares[name] for report in reports if report.part == "train"):
            warn(f"the class {name!r} does not occur in the training scenes; no model can learn it")
    return reports


def _labels_of(scene: Scene) -> LabelSource:
    """The labels of a scene that has been given its classes."""
    if scene.labels is None:
        raise SceneError(f"scene {scene.id!r} has no labels; name them")
    return scene.labels


def _look_through(scene: Scene, part: str) -> SceneReport:
    scene.check()
    classes = _labels_of(scene).class_map
    some = Thinned.of(scene, share_of([scene], _ENOUGH))
    known = _counted(some, classes)
    if not some.whole:
        check_ids(scene)
        # Labels may lie between the blocks: only a look at all of them tells that there is none.
        known = known if known.any() else _counted(Thinned.of(scene, 1.0), classes)
    total = int(known.sum())
    if not total:
        raise SceneError(
            f"scene {scene.id!r} ({part}): no pixel has a label that counts; see that image, labels "
            "and AOI overlap and that their nodata is right"
        )
    return SceneReport(
        id=scene.id,
        part=part,
        grid=scene.grid,
        band_names=scene.image.band_names,
        dtype=np.dtype(scene.image.dtype).name,
        labelled=total / (scene.grid.height * scene.grid.width),
        shares=dict(zip(classes.names, (known / total).tolist(), strict=True)),
    )


def _counted(some: Thinned, classes: ClassMap) -> NDArray[np.int64]:
    """(class,) labelled pixels that the blocks of a scene stand for."""
    counts = np.zeros(256, np.int64)
    for window in some:
        ids = some.scene.read(window).labels
        if ids is not None:
            counts += np.bincount(ids.reshape(-1), minlength=256)
    known: NDArray[np.int64] = counts[list(classes.ids)] * some.pixels // some.read
    return known


def _check_alike(first: SceneReport, other: SceneReport) -> None:
    if first.dtype == other.dtype and _same_bands(first.band_names, other.band_names):
        return
    raise SceneError(
        f"scene {other.id!r} has bands ({', '.join(other.band_names)}) of {other.dtype}, but scene "
        f"{first.id!r} has ({', '.join(first.band_names)}) of {first.dtype}; choose the same bands=... "
        "in all images of an experiment"
    )


def _same_bands(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether names agree where both sides have names, and the number in any case."""
    numbered = any(all(name.isdigit() for name in names) for names in (ours, theirs))
    return len(ours) == len(theirs) and (numbered or ours == theirs)
