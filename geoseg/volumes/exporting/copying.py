"""Volumes of a zip into another place: a zip of other axes or classes, or a folder of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.scores import read_scores
from geoseg.volumes.writing import Split
from geoseg.volumes.writing.names import key_of
from geoseg.volumes.zip import VolumeRow, VolumeZip
from geoseg.volumes.zip.images import SUFFIXES


class VolumeStore(Protocol):
    """An open place for volumes: a VolumeZipWriter, a VolumeFolderWriter, or one of your own.

    It may have a `check` like theirs: then all volumes are checked by it before any work is done.
    """

    uri: str
    """Where it is."""
    classes: tuple[str, ...]
    """Names, in the order of masks and scores."""
    rle_order: Order
    """Of runs that need not be turned."""

    def write(
        self,
        name: str,
        image: Any,
        masks: Mapping[str, ArrayLike | Rle] | None,
        split: Split = "train",
        *,
        fold: int | str | None = None,
        crs: Any = None,
        transform: Affine | None = None,
        times: Sequence[str | date] | None = None,
        channel_names: Sequence[str] | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write one volume; `valid` is True where there is an image, None: everywhere."""

    def write_scores(self, name: str, slabs: Iterable[ArrayLike]) -> None:
        """Write the probabilities of a volume that was written."""


def copy_volumes(
    volumes: VolumeZip, store: VolumeStore, *, splits: Sequence[Split] | None = None
) -> Iterator[VolumeRow]:
    """Write the volumes of a zip to a store, one at a time, with all that is known of them.

    Scores go along where the zip has them. Masks and scores of classes that the store does not have are left
    out. Names lose the ends of image files where that leaves them different.

    Args:
        volumes: Where they come from.
        store: Open; where they go.
        splits: Which frames; None: all there are.

    Yields:
        Each row once it is written.

    Raises:
        ConfigError: The store has a class that the zip has not.
        StoreError: The store does not take a volume; told before any is written where that is known.
    """
    if unknown := [name for name in store.classes if name not in volumes.classes]:
        raise ConfigError(
            f"{volumes.uri}: has no class {', '.join(unknown)}; its classes are: "
            f"{', '.join(volumes.classes) or 'none'}"
        )
    frames = [volumes.frame(split) for split in splits or volumes.files]
    pairs = [(row, frame.split) for frame in frames for row in frame]
    names = stored_names(row.name for row, _ in pairs)
    if check := getattr(store, "check", None):
        for name, (row, split) in zip(names, pairs, strict=True):
            check(name, split, fold=row.fold, crs=row.crs, transform=row.transform)
    for name, (row, split) in zip(names, pairs, strict=True):
        _copy(row, store, name=name, split=split)
        yield row


def stored_names(names: Iterable[str]) -> list[str]:
    """What volumes are called in a store: their names without the ends of image files.

    A name keeps its end where another is the same as what is left, with its end or without, on some file
    system.

    >>> stored_names(["a.nii.gz", "b.tif", "B.npy"])
    ['a', 'b.tif', 'B.npy']
    """
    given = list(names)
    counts = Counter(key for name in given for key in {key_of(name), key_of(stem_of(name))})
    return [name if counts[key_of(stem_of(name))] > 1 else stem_of(name) for name in given]


def stem_of(name: str) -> str:
    """A file name without the end that tells the format of an image.

    >>> stem_of("brain.nii.gz"), stem_of("v1.0")
    ('brain', 'v1.0')
    """
    found = next((s for s in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(s)), "")
    return PurePosixPath(name[: len(name) - len(found)]).name


def _copy(row: VolumeRow, store: VolumeStore, *, name: str, split: Split) -> None:
    rles = row.rles()
    store.write(
        name,
        row.image(),
        None if rles is None else _kept(row, rles, store.classes),
        split,
        fold=row.fold,
        crs=row.crs,
        transform=row.transform,
        times=row.times,
        channel_names=row.channel_names,
    )
    scores = read_scores(row)
    if scores is not None:
        order = [row.classes.index(one) for one in store.classes]
        store.write_scores(name, [scores[order]])


def _kept(row: VolumeRow, rles: Sequence[Rle], classes: Sequence[str]) -> dict[str, Rle]:
    return {name: rle for name, rle in zip(row.classes, rles, strict=True) if name in classes}
