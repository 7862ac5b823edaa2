"""Predictions that were written, judged by their runs; masks are decoded only where their orders differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.learner.volumes.evaluation import VolumeEvaluation
from geoseg.learner.volumes.overlaps import Overlaps
from geoseg.learner.volumes.validity import finite
from geoseg.volumes.exporting.copying import stem_of, stored_names
from geoseg.volumes.rle import Rle
from geoseg.volumes.volume import Volume
from geoseg.volumes.writing.names import SUFFIX


def judged(truth: Sequence[Volume], predicted: Sequence[Volume]) -> VolumeEvaluation:
    """How good predicted masks are.

    Volumes belong together by their names; else by the names that predictions are stored by; else by names
    without `.npy`; else by those without the ends of image files. The evaluation calls them as `stored_names`
    does those of the truth, which may have more: what it does not name was not predicted. There is no score of
    a background. Voxels where a channel of the truth's image is NaN or infinite are left out; images of whole
    numbers are not read.

    Args:
        truth: Volumes with masks.
        predicted: The same with the masks of a prediction.

    Raises:
        ConfigError: A predicted volume is not in the truth, fits two of it or one that another fits too, or
            classes differ.
        LabelError: Masks are missing, damaged or of another shape.
    """
    known, found = list(truth), list(predicted)
    places = _places(known, found)
    if not found:
        raise ConfigError("there is no predicted volume to compare")
    classes = known[0].classes
    for row in (*known, *found):
        if {*row.classes} != {*classes}:
            raise ConfigError(
                f"volume {row.name!r} has the classes {list(row.classes)}, but the truth begins with "
                f"{list(classes)}; compare volumes of the same classes"
            )
    names = stored_names(row.name for row in known)
    volumes = {
        names[place]: _overlaps(known[place], row, classes)
        for place, row in zip(places, found, strict=True)
    }
    return VolumeEvaluation(ClassMap.of(*classes), volumes)


def _places(known: Sequence[Volume], found: Sequence[Volume]) -> list[int]:
    """Where in the truth each predicted volume is.

    Raises:
        ConfigError: It is nowhere, in two places, or where another is.
    """
    levels = _levels([row.name for row in known])
    places: dict[int, Volume] = {}
    unknown = []
    for row in found:
        fitting = _fitting(row.name, levels)
        if len(fitting) > 1:
            raise _called_alike(*(known[place].name for place in fitting[:2]))
        if not fitting:
            unknown.append(row.name)
        elif fitting[0] in places:
            raise _called_alike(places[fitting[0]].name, row.name)
        else:
            places[fitting[0]] = row
    if unknown:
        raise ConfigError(
            f"{len(unknown)} of {len(found)} predicted volumes are not in the truth, first: {unknown[0]!r}; "
            "give the truth of the same volumes"
        )
    return list(places)


def _levels(names: Sequence[str]) -> list[dict[str, list[int]]]:
    """Places of true volumes by what a prediction may be called, the surest first."""
    stored = stored_names(names)
    levels: list[dict[str, list[int]]] = [{}, {}, {}, {}]
    for place, (name, kept) in enumerate(zip(names, stored, strict=True)):
        keys = (name, kept.removesuffix(SUFFIX), name.removesuffix(SUFFIX), stem_of(name))
        for level, key in zip(levels, keys, strict=True):
            level.setdefault(key, []).append(place)
    return levels


def _fitting(name: str, levels: Sequence[Mapping[str, list[int]]]) -> list[int]:
    """Places of the true volumes that a predicted one fits, at the surest level where there are any."""
    bare = name.removesuffix(SUFFIX)
    keys = (name, bare, bare, stem_of(name))
    return next((level[key] for level, key in zip(levels, keys, strict=True) if key in level), [])


def _called_alike(one: str, other: str) -> ConfigError:
    return ConfigError(f"two volumes are called {stem_of(one)!r}: {one} and {other}; rename one")


def _overlaps(truth: Volume, predicted: Volume, classes: Sequence[str]) -> Overlaps:
    known, found = _runs(truth), _runs(predicted)
    if truth.shape != predicted.shape:
        raise LabelError(
            f"volume {truth.name!r} has the shape {truth.shape} in the truth, but {predicted.shape} in the "
            "prediction; expected the same (depth, height, width)"
        )
    valid = finite(truth.image()) if np.dtype(truth.dtype).kind == "f" else None
    holes = None if valid is None else Rle.encode(~valid)
    counts = [_counted(known[name], found[name], holes) for name in classes]
    return np.array(counts, np.int64)


def _runs(row: Volume) -> dict[str, Rle]:
    rles = row.rles()
    if rles is None:
        raise LabelError(f"volume {row.name!r} has no masks to compare")
    return dict(zip(row.classes, rles, strict=True))


def _counted(truth: Rle, predicted: Rle, holes: Rle | None) -> tuple[int, int, int]:
    predicted = predicted.reordered(truth.order)
    if holes is not None:
        holes = holes.reordered(truth.order)
        truth, predicted = truth - holes, predicted - holes
    return (truth & predicted).area, truth.area, predicted.area
