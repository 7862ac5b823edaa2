"""VolumeLabels: which voxels are of which class, from the runs of masks that are never decoded whole."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.shortlist import some
from geoseg.sources.cache import Cache
from geoseg.volumes.rle import Rle
from geoseg.volumes.volume import Volume

Overlap = Literal["error", "priority", "multilabel"]
"""What becomes of voxels in the masks of several classes: an error, the first class, or all of them."""
Box = tuple[slice, slice, slice]
"""Of depth, height and width, within the volume."""

_LIMIT_BYTES = 1 << 28
_RUN_BYTES = 40
"""What a run takes in memory: its start, length and end, and counts for the choice of voxels."""
_MOST = 255
_SHOWN = 3


def is_multilabel(overlap: Overlap) -> bool:
    """Whether a voxel may be of several classes.

    Raises:
        ConfigError: There is no such option.
    """
    return one_of(overlap, Overlap, name="overlap") == "multilabel"


class VolumeLabels:
    """Masks of volumes that share one list of classes.

    Runs that were read are kept, up to 256 MiB in each process; they are not pickled.
    """

    def __init__(self, rows: Sequence[Volume], overlap: Overlap, *, ignore_id: int) -> None:
        """Read the runs of all volumes once, to count voxels and see whether classes overlap.

        Args:
            rows: The volumes.
            overlap: See `Overlap`.
            ignore_id: Of the class map.

        Raises:
            ConfigError: Volumes have no masks, there are too many classes, or an argument is wrong.
            LabelError: Volumes have other classes than the first, or masks that do not fit; or classes
                overlap and may not.
        """
        self.rows, self.overlap = rows, overlap
        self.exclusive = not is_multilabel(overlap)
        self.classes = _class_map(rows, exclusive=self.exclusive, ignore_id=ignore_id)
        self._cache = Cache(limit_bytes=_LIMIT_BYTES)
        _check_masks(rows, [self.runs(number) is None for number in range(len(rows))])
        self.counts = np.array([self._counted(number) for number in range(len(rows))], np.int64)
        """(volume, class) voxels, in the order of `classes`."""

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_cache"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache = Cache(limit_bytes=_LIMIT_BYTES)

    def runs(self, number: int) -> tuple[Rle, ...] | None:
        """Of each class but the background; of exclusive classes no voxel is in two. None: no masks."""
        return self._cache.remember((number,), lambda: self._read(number), nbytes=_nbytes)

    def voxel(self, number: int, channel: int, rng: np.random.Generator) -> tuple[int, int, int]:
        """(d, h, w) of a voxel of a class, each as likely as the other; there must be one.

        Args:
            number: Of the volume.
            channel: Place of the class in `classes`.
            rng: Where the random number comes from.
        """
        if not self.exclusive:
            rle = self._known(number)[channel]
        elif channel:
            rle = self._known(number)[channel - 1]
        else:
            rle = self._cache.remember(
                (number, "background"),
                lambda: self._background(number),
                nbytes=lambda r: _nbytes((r,)),
            )
        return rle.voxel(int(rng.integers(rle.area)))

    def paint(self, number: int, box: Box, out: NDArray[Any]) -> None:
        """Write the labels of a box.

        Args:
            number: Of the volume.
            box: Which part of it.
            out: (depth, height, width) of class ids, or (class, depth, height, width) of 0 and 1 where
                classes are not exclusive; overwritten.
        """
        out[...] = 0
        for channel, rle in enumerate(self._known(number)):
            if rle.box is None or not _meet(rle.box, box):
                continue
            inside = rle.window(box)
            if self.exclusive:
                np.copyto(out, self.classes.ids[channel + 1], where=inside)
            else:
                out[channel] = inside

    def _known(self, number: int) -> tuple[Rle, ...]:
        rles = self.runs(number)
        _check_masks(self.rows[number : number + 1], [rles is None])
        return rles or ()

    def _read(self, number: int) -> tuple[Rle, ...] | None:
        row = self.rows[number]
        rles = row.rles()
        if rles is None:
            return None
        if [rle.shape for rle in rles] != [row.shape] * len(row.classes):
            raise LabelError(
                f"volume {row.name!r} has masks of the shapes {[rle.shape for rle in rles]}, expected "
                f"{len(row.classes)} of {row.shape}"
            )
        if not self.exclusive:
            return rles
        return _apart(rles, row, may_overlap=self.overlap == "priority")

    def _background(self, number: int) -> Rle:
        row, rles = self.rows[number], self._known(number)
        order = rles[0].order if rles else "dhw"
        free = Rle(np.array([0]), np.array([prod(row.shape)]), row.shape, order)
        for rle in rles:
            free -= rle
        return free

    def _counted(self, number: int) -> list[int]:
        """(class,) voxels of a volume."""
        areas = [rle.area for rle in self._known(number)]
        free = prod(self.rows[number].shape) - sum(areas)
        return [free, *areas] if self.exclusive else areas


def _class_map(rows: Sequence[Volume], *, exclusive: bool, ignore_id: int) -> ClassMap:
    """The classes of all volumes, with a background before them where they are exclusive."""
    first = rows[0]
    for row in rows:
        if row.classes != first.classes:
            raise LabelError(
                f"volume {row.name!r} has the classes ({', '.join(row.classes)}), but volume "
                f"{first.name!r} has ({', '.join(first.classes)}); the volumes of one data set share one "
                "list of classes"
            )
    names = first.classes
    if exclusive:
        names = ("background" if "background" not in names else "no class", *names)
    if not 1 <= len(names) <= _MOST:
        raise ConfigError(f"there are {len(names)} classes, expected 1 to {_MOST}")
    return ClassMap.of(*names, ignore_id=ignore_id)


def _check_masks(rows: Sequence[Volume], missing: list[bool]) -> None:
    """ConfigError that names volumes without masks, if any."""
    names = [repr(row.name) for row, lacks in zip(rows, missing, strict=True) if lacks]
    if names:
        raise ConfigError(
            f"{len(names)} of {len(rows)} volumes have no masks: {some(names, _SHOWN, counted=False)}; leave "
            "them out, or give labels=False to read images alone"
        )


def _apart(rles: tuple[Rle, ...], row: Volume, *, may_overlap: bool) -> tuple[Rle, ...]:
    """Masks of which no voxel is in two: it stays in the first; LabelError where none may overlap."""
    found = list(rles[:1])
    taken = rles[0] if rles else None
    for rle in rles[1:]:
        own = rle - taken if taken is not None else rle
        if own.area < rle.area and not may_overlap:
            raise LabelError(_overlaps(rles, row))
        found.append(own if own.area < rle.area else rle)
        taken = own if taken is None else taken | own
    return tuple(found)


def _overlaps(rles: tuple[Rle, ...], row: Volume) -> str:
    """Which classes overlap where, and what to do."""
    total = prod(row.shape)
    pairs = [
        f"{row.classes[i]!r} and {row.classes[j]!r} in {common} of {total} voxels"
        for i in range(len(rles))
        for j in range(i + 1, len(rles))
        if (common := (rles[i] & rles[j]).area)
    ]
    more = f" and {len(pairs) - _SHOWN} more pairs" if len(pairs) > _SHOWN else ""
    return (
        f'volume {row.name!r}: classes overlap: {", ".join(pairs[:_SHOWN])}{more}; overlap="priority" gives '
        'such voxels to the first class, overlap="multilabel" keeps all'
    )


def _meet(one: Box, other: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _nbytes(rles: tuple[Rle, ...] | None) -> int:
    return _RUN_BYTES * sum(len(rle.starts) for rle in rles or ())
