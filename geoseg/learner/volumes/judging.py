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


def judged(truth: Sequence[Volume], predicted: Sequence[Volume]) -> VolumeEvaluation:
    """How good predicted masks are.

    Volumes belong together by their names without the ends of image files, and with them where only those
    tell two apart. The truth may have more; what
    the evaluation does not name was not predicted. There is no score of a background. Voxels where a channel
    of the truth's image is NaN or infinite are left out; images of whole numbers are not read.

    Args:
        truth: Volumes with masks.
        predicted: The same with the masks of a prediction.

    Raises:
        ConfigError: A predicted volume is not in the truth, two have one name, or classes differ.
        LabelError: Masks are missing, damaged or of another shape.
    """
    known = _by_name(truth)
    found = _by_name(predicted)
    _check_known(found, known)
    if not found:
        raise ConfigError("there is no predicted volume to compare")
    classes = next(iter(known.values())).classes
    for row in (*known.values(), *found.values()):
        if {*row.classes} != {*classes}:
            raise ConfigError(
                f"volume {row.name!r} has the classes {list(row.classes)}, but the truth begins with "
                f"{list(classes)}; compare volumes of the same classes"
            )
    volumes = {name: _overlaps(known[name], row, classes) for name, row in found.items()}
    return VolumeEvaluation(ClassMap.of(*classes), volumes)


def _by_name(rows: Sequence[Volume]) -> dict[str, Volume]:
    found: dict[str, Volume] = {}
    for name, row in zip(stored_names(row.name for row in rows), rows, strict=True):
        if name in found:
            raise _called_alike(found[name].name, row.name)
        found[name] = row
    return found


def _check_known(found: Mapping[str, Volume], known: Mapping[str, Volume]) -> None:
    """See that the truth holds every predicted volume.

    Raises:
        ConfigError: It does not, or it is not clear which it is.
    """
    unknown = [name for name in found if name not in known]
    if not unknown:
        return
    for volumes in (found, known):
        alike = [r.name for r in volumes.values() if stem_of(r.name) == stem_of(unknown[0])]
        if len(alike) > 1:
            raise _called_alike(*alike[:2])
    raise ConfigError(
        f"{len(unknown)} of {len(found)} predicted volumes are not in the truth, first: {unknown[0]!r}; "
        "give the truth of the same volumes"
    )


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
