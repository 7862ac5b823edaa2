"""Pixels and class ids of a scene, read once, as one volume."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import LabelError, StoreError
from geoseg.labels.base import LabelSource
from geoseg.scene import Scene
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.scenes.planes import Planes


@dataclass
class Gathered:
    """A scene as a volume."""

    image: NDArray[Any]
    """(channel, depth, height, width), in a file that goes at the end."""
    ids: NDArray[np.uint8] | None
    """(depth, height, width), `ignore_id` where nothing is known; None without labels."""
    invalid: int = 0
    """Voxels that are not valid in the image."""
    ignored: int = 0
    """Voxels whose class is not known."""

    def masks(self, classes: Sequence[str], class_map: ClassMap, order: Order) -> dict[str, Rle]:
        """The mask of each class as runs."""
        return {
            name: Rle.encode(self.ids == class_map.id_of(name), order=order) for name in classes
        }


@contextmanager
def gathered(
    scene: Scene, planes: Planes, labels: Sequence[LabelSource] | None, *, folder: Path
) -> Iterator[Gathered]:
    """Read a scene, block by block, each once.

    Args:
        scene: Tells the AOI, outside which labels are ignored.
        planes: Its slices.
        labels: Of each slice; None: none are read.
        folder: Where the pixels may lie for the time being.

    Raises:
        SourceError: Pixels cannot be read.
        LabelError: Labels do not fit their class map.
        StoreError: There is no room.
    """
    shape = (len(planes.channels), *planes.shape)
    with tempfile.TemporaryFile(dir=folder) as file:
        _reserve(file, prod(shape) * planes.dtype.itemsize, folder)
        image = np.memmap(file, planes.dtype, "r+", shape=shape)
        ids = None if labels is None else np.empty(planes.shape, np.uint8)
        volume = Gathered(image, ids)
        for plane in range(planes.shape[0]):
            _gather_plane(
                volume, scene, planes, None if labels is None else labels[plane], plane=plane
            )
        yield volume


def _reserve(file: IO[bytes], size: int, folder: Path) -> None:
    """Take room for a file now: where there is none, writing to mapped memory would kill the process."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        raise StoreError(
            f"{folder}: there is no room for the {size / 1e6:.0f} MB of a scene's pixels: "
            f"{error.strerror}; make room or choose another place"
        ) from error


def _gather_plane(
    volume: Gathered, scene: Scene, planes: Planes, labels: LabelSource | None, *, plane: int
) -> None:
    area = scene.area if labels is not None else None
    for window in planes.windows():
        chip = planes.read(plane, window)
        volume.image[(slice(None), plane, *window.slices)] = chip.data
        volume.invalid += int(np.count_nonzero(~chip.valid))
        if labels is None or volume.ids is None:
            continue
        known = chip.valid if area is None else chip.valid & area.mask(window)
        ignore = np.uint8(labels.class_map.ignore_id)
        ids = np.where(known, labels.read(planes.grid, window), ignore)
        volume.ignored += int(np.count_nonzero(ids == ignore))
        volume.ids[(plane, *window.slices)] = ids


def refuse_ignored(volume: Gathered, *, where: str) -> None:
    """See that the class of every voxel is known.

    Raises:
        LabelError: It is not: the format has no mark for that.
    """
    if volume.ids is not None and volume.ignored:
        raise LabelError(
            f"{where}: {volume.ignored} of {volume.ids.size} voxels are ignored (outside labels or AOI, or "
            'not valid in the image), which the zip cannot tell from background; pass ignored="background" '
            "to write them so, or cut the scene"
        )
