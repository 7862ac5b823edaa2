"""What predictions are called in a store, and whether it takes them: known before anything is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from geoseg.choices import one_of
from geoseg.errors import ConfigError, StoreError
from geoseg.learner.volumes.module import VolumeModule
from geoseg.volumes.exporting.copying import VolumeStore, stored_names
from geoseg.volumes.volume import Volume
from geoseg.volumes.writing.names import key_of

LabelledSplit = Literal["train", "validation"]
"""Frames that have masks, and so can hold predictions."""
_OF_STORES = ("classes", "rle_order", "uri", "write", "write_scores")


@dataclass(frozen=True)
class Planned:
    """How the prediction of a volume is written."""

    row: Volume
    name: str
    """The volume's, without the end of an image file unless only that tells two apart."""
    split: LabelledSplit
    fold: int | str | None
    """The volume's; None where others of its frame have none or of another kind, as a table has all or none."""


def check_classes(store: Any, module: VolumeModule) -> None:
    """See that a store takes the classes of a model.

    Raises:
        ConfigError: It does not, or is none for volumes.
    """
    if not all(hasattr(store, name) for name in _OF_STORES):
        raise ConfigError(
            "volumes are written by a VolumeZipWriter or a VolumeFolderWriter, got "
            f"{type(store).__name__} as the store"
        )
    names = module.foreground
    if {*names} != {*store.classes}:
        raise ConfigError(
            f"{store.uri}: is written with the classes {list(store.classes)}, but the model tells apart "
            f"{list(names)}; give the writer these"
        )


def planned(
    rows: Sequence[Volume], store: VolumeStore, *, split: LabelledSplit | None
) -> list[Planned]:
    """What is written of each volume, seen to be taken by the store.

    Args:
        rows: The volumes.
        store: Open; what it refuses is found by its `check`, which one of your own may lack.
        split: The frame that lists them; None: that of each row, tests as training rows.

    Raises:
        StoreError: Names are taken, unsafe or given twice, or the store needs what a volume does not have.
        ConfigError: A fold or a place is none, or the frame has no masks.
    """
    if split is not None:
        no_test = "; a test frame has no masks, and so cannot hold predictions"
        one_of(split, LabelledSplit, name="split", also=no_test)
    splits = [split or _own_split(row) for row in rows]
    folds: dict[str, set[type | None]] = {one: set() for one in splits}
    for row, one in zip(rows, splits, strict=True):
        folds[one].add(_kind(row.fold))
    plans = [
        Planned(row, name, one, row.fold if len(folds[one]) == 1 else None)
        for row, name, one in zip(rows, stored_names(row.name for row in rows), splits, strict=True)
    ]
    _check(plans, store)
    return plans


def _check(plans: Sequence[Planned], store: Any) -> None:
    check = getattr(store, "check", None)
    if check is None:
        return
    known: dict[str, str] = {}
    for plan in plans:
        row = plan.row
        file = check(plan.name, plan.split, fold=plan.fold, crs=row.crs, transform=row.transform)
        if (other := known.get(key_of(file))) is not None:
            raise StoreError(
                f"{store.uri}: the volumes {other!r} and {row.name!r} would both be written as {file!r}, or "
                "as names that are one on some systems; give each volume a name of its own"
            )
        known[key_of(file)] = row.name


def _own_split(row: Volume) -> LabelledSplit:
    return "validation" if getattr(row, "split", None) == "validation" else "train"


def _kind(fold: int | str | None) -> type | None:
    """Of a column that holds it."""
    return None if fold is None else str if isinstance(fold, str) else int
