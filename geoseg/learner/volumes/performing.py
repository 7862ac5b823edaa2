"""Volumes predicted, written and judged, one in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.learner.volumes.evaluation import VolumeEvaluation, compared, truth_of
from geoseg.learner.volumes.module import VolumeModule
from geoseg.learner.volumes.overlaps import Overlaps
from geoseg.learner.volumes.planning import LabelledSplit, Planned, check_classes, planned
from geoseg.learner.volumes.predict import VolumeOptions, predicted
from geoseg.learner.volumes.predicted import PredictedVolume
from geoseg.volumes.exporting.copying import VolumeStore
from geoseg.volumes.volume import Volume


def predict_volumes(
    module: VolumeModule, rows: Sequence[Volume], options: VolumeOptions, *, scores: bool
) -> tuple[PredictedVolume, ...]:
    """The classes of the voxels of volumes, all in memory.

    Args:
        module: On the device on which it computes, in `eval` mode.
        rows: The volumes.
        options: Windows and how they are joined.
        scores: Whether to keep these too.
    """
    maker = _in_memory if scores else None
    return tuple(predicted(module, row, row.image(), options, scores=maker) for row in rows)


def write_volumes(
    module: VolumeModule,
    rows: Sequence[Volume],
    options: VolumeOptions,
    store: VolumeStore,
    *,
    scores: bool,
    split: LabelledSplit | None,
    seen: Callable[[Volume], None] | None,
) -> None:
    """The same into a store; what it would refuse is told before anything is predicted.

    Args:
        module: As for `predict_volumes`.
        rows: The volumes.
        options: Windows and how they are joined.
        store: Open.
        scores: Whether to write these too.
        split: The frame that lists them; None: that of each row, tests as training rows.
        seen: Is given each volume once it is written.

    Raises:
        ConfigError: The store is none for volumes, or takes other classes.
        StoreError: Names are taken, unsafe or given twice, or the store needs what a volume does not have.
    """
    check_classes(store, module)
    for plan in planned(rows, store, split=split):
        _write(module, plan, options, store, scores=scores)
        if seen is not None:
            seen(plan.row)


def evaluate_volumes(
    module: VolumeModule, rows: Sequence[Volume], options: VolumeOptions
) -> VolumeEvaluation:
    """How good predictions are; volumes that cannot be compared are told before anything is predicted.

    Args:
        module: As for `predict_volumes`.
        rows: Volumes with masks.
        options: Windows and how they are joined.

    Raises:
        ConfigError: Two volumes have one name.
        LabelError: A volume has no masks, or of other classes.
    """
    for name, count in Counter(row.name for row in rows).items():
        if count > 1:
            raise ConfigError(f"two volumes are called {name!r}; give each a name of its own")
    for row in rows:
        truth_of(row, module.foreground)
    found: dict[str, Overlaps] = {
        row.name: compared(predicted(module, row, row.image(), options), row) for row in rows
    }
    return VolumeEvaluation(module.classes, found)


def _write(
    module: VolumeModule, plan: Planned, options: VolumeOptions, store: VolumeStore, *, scores: bool
) -> None:
    """Predict one volume and write it; scores wait in a file until the volume is there."""
    row, image = plan.row, plan.row.image()
    with TemporaryDirectory(prefix="geoseg-") as folder:
        found = predicted(module, row, image, options, scores=_in_file(folder) if scores else None)
        store.write(
            plan.name,
            image,
            found.rles(store.rle_order),
            plan.split,
            fold=plan.fold,
            crs=row.crs,
            transform=row.transform,
            times=row.times,
            channel_names=getattr(row, "channel_names", None),
            valid=found.valid,
        )
        if found.scores is not None:
            channels = [found.classes.names.index(name) for name in store.classes]
            slabs = (
                np.asarray(found.scores[channels, plane : plane + 1])
                for plane in range(row.shape[0])
            )
            store.write_scores(plan.name, slabs)
            del found  # Windows cannot remove a file that is mapped


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.empty(shape, np.float32)


def _in_file(folder: str) -> Any:
    def make(shape: tuple[int, ...]) -> NDArray[Any]:
        return np.memmap(Path(folder) / "scores", np.float16, "w+", shape=shape)

    return make
