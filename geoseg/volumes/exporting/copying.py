"""Volumes of a zip into another place: a zip of other axes or classes, or a folder of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Protocol

from affine import Affine
from numpy.typing import ArrayLike

from geoseg.errors import ConfigError
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.scores import read_scores
from geoseg.volumes.writing import Split
from geoseg.volumes.zip import VolumeRow, VolumeZip
from geoseg.volumes.zip.images import SUFFIXES


class VolumeStore(Protocol):
    """An open place for volumes: a VolumeZipWriter, a VolumeFolderWriter, or one of your own."""

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
        channels: Sequence[str] | None = None,
    ) -> None:
        """Write one volume."""

    def write_scores(self, name: str, slabs: Iterable[ArrayLike]) -> None:
        """Write the probabilities of a volume that was written."""


def copy_volumes(
    zip: VolumeZip, store: VolumeStore, *, splits: Sequence[Split] | None = None
) -> Iterator[VolumeRow]:
    """Write the volumes of a zip to a store, one at a time, with all that is known of them.

    Scores go along where the zip has them. Masks and scores of classes that the store does not have are left
    out. Names lose the ends of image files where
    that leaves them different.

    Args:
        zip: Where they come from.
        store: Open; where they go.
        splits: Which frames; None: all there are.

    Yields:
        Each row once it is written.

    Raises:
        ConfigError: The store has a class that the zip has not.
    """
    if unknown := [name for name in store.classes if name not in zip.classes]:
        raise ConfigError(
            f"{zip.uri}: has no class {', '.join(unknown)}; its classes are: "
            f"{', '.join(zip.classes) or 'none'}"
        )
    frames = [zip.frame(split) for split in splits or zip.files]
    stems = Counter(stem_of(row.name) for frame in frames for row in frame)
    for frame in frames:
        for row in frame:
            stem = stem_of(row.name)
            name = stem if stems[stem] == 1 else row.name
            rles = row.rles()
            store.write(
                name,
                row.image(),
                None if rles is None else _kept(row, rles, store.classes),
                frame.split,
                fold=row.fold,
                crs=row.crs,
                transform=row.transform,
                times=row.times,
                channels=row.facts.channels,
            )
            scores = read_scores(row)
            if scores is not None:
                order = [row.classes.index(one) for one in store.classes]
                store.write_scores(name, [scores[order]])
            yield row


def stem_of(name: str) -> str:
    """A file name without the end that tells the format of an image.

    >>> stem_of("brain.nii.gz"), stem_of("v1.0")
    ('brain', 'v1.0')
    """
    found = next((s for s in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(s)), "")
    return PurePosixPath(name[: len(name) - len(found)]).name


def _kept(row: VolumeRow, rles: Sequence[Rle], classes: Sequence[str]) -> dict[str, Rle]:
    return {name: rle for name, rle in zip(row.classes, rles, strict=True) if name in classes}
