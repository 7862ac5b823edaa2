"""Volumes of a zip as scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pydantic import ValidationError

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.errors import LabelError, SourceError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.base import RasterSource
from geoseg.sources.timestack import TimeStackSource
from geoseg.volumes.scenes.classes import background_id, class_map_of
from geoseg.volumes.zip import Split, VolumeRow, VolumeZip

Deep = Literal["error", "collapse", "drop", "split"]
"""What becomes of the labels of a volume of several slices, as a scene has one label map."""


def zip_to_scenes(
    zip: VolumeZip,
    split: Split = "train",
    *,
    classes: ClassMap | None = None,
    label_axis: Deep = "error",
) -> list[Scene]:
    """The volumes of a split as scenes in memory, with CRS, transform and times where the zip tells them.

    A volume with times is a TimeStackSource; another one of several slices has them as bands, slice by
    slice ("0/red", "0/nir", "1/red", ...).

    Args:
        zip: The zip.
        split: Which of its frames.
        classes: The class map of the labels, which has the zip's classes by name; None: "background" and
            they, ids from 0. Voxels in no mask are its background (class 0 if it is named so, or a class
            called "background"), else ignored.
        label_axis: What to do with labels of several slices: "error"; "collapse" to one map where all
            slices are alike, else an error; "drop" them; or "split" the volume into a scene for each
            slice, called ID_0, ID_1 and so on, with its own labels.

    Raises:
        LabelError: A volume of several slices is labelled and `label_axis` does not say what to do, a voxel
            has two classes, or the class map lacks one.
        SourceError: The zip cannot be read, its times are not in order, or two scenes would have one id.
    """
    one_of(label_axis, Deep, name="label_axis")
    class_map = class_map_of(zip.classes, classes) if zip.classes else None
    rows = list(zip.frame(split))
    return [
        scene
        for row, name in _named(rows, label_axis)
        for scene in _scenes_of(row, name, class_map, label_axis)
    ]


def _named(rows: list[VolumeRow], label_axis: Deep) -> list[tuple[VolumeRow, str]]:
    """Volumes with their names: without the end of the file's name, where no two scenes are called the same then."""
    stems = [PurePosixPath(row.name).stem for row in rows]
    ids = [_ids_of(row, stem, label_axis) for row, stem in zip(rows, stems, strict=True)]
    counts = Counter(chain.from_iterable(ids))
    names = [
        stem if all(counts[one] == 1 for one in own) else row.name
        for row, stem, own in zip(rows, stems, ids, strict=True)
    ]
    ids = [_ids_of(row, name, label_axis) for row, name in zip(rows, names, strict=True)]
    counts = Counter(chain.from_iterable(ids))
    for row, own in zip(rows, ids, strict=True):
        if twice := next((one for one in own if counts[one] > 1), None):
            raise SourceError(
                f"{row.where}: a scene of it would be called {twice!r}, as another one; name each volume once, "
                "and so that none is called like a slice of another"
            )
    return list(zip(rows, names, strict=True))


def _ids_of(row: VolumeRow, name: str, label_axis: Deep) -> list[str]:
    """Of the scenes that a volume becomes."""
    depth = row.shape[0] if label_axis == "split" else 1
    return [f"{name}_{plane}" for plane in range(depth)] if depth > 1 else [name]


def _scenes_of(
    row: VolumeRow, name: str, classes: ClassMap | None, label_axis: Deep
) -> Iterator[Scene]:
    image, ids = row.image(), None
    if classes is not None and not (label_axis == "drop" and len(image[0]) > 1):
        ids = _ids(row, classes)
    depth, height, width = image.shape[1:]
    transform = row.transform or Affine.identity()
    grid = Grid(crs=row.crs, transform=transform, height=height, width=width)
    bands = row.facts.channel_names or tuple(str(band + 1) for band in range(len(image)))
    if label_axis == "split" and depth > 1:
        for plane in range(depth):
            pixels = ArraySource(data=image[:, plane], grid=grid, band_names=bands)
            yield _scene(f"{name}_{plane}", pixels, None if ids is None else ids[plane], classes)
        return
    one = None if ids is None else _collapsed(ids, row, label_axis=label_axis)
    yield _scene(name, _source(row, image, grid, bands), one, classes)


def _scene(
    name: str, image: RasterSource, ids: NDArray[np.uint8] | None, classes: ClassMap | None
) -> Scene:
    labels = None
    if ids is not None:
        labels = RasterLabels(source=ArraySource(data=ids, grid=image.grid), classes=classes)
    return Scene(id=name, image=image, labels=labels)


def _source(
    row: VolumeRow, image: NDArray[Any], grid: Grid, bands: tuple[str, ...]
) -> RasterSource:
    """The pixels of a volume as an image."""
    depth = image.shape[1]
    if row.times is None:
        names = [f"{plane}/{band}" for plane in range(depth) for band in bands]
        data = image.transpose(1, 0, 2, 3).reshape(-1, *image.shape[2:])
        return ArraySource(data=data, grid=grid, band_names=tuple(names) if depth > 1 else bands)
    dates = [ArraySource(data=image[:, d], grid=grid, band_names=bands) for d in range(depth)]
    try:
        return TimeStackSource(sources=tuple(dates), times=row.times)
    except ValidationError as error:
        raise SourceError(
            f"{row.where}: its times are no dates of a stack: {error.errors()[0]['msg']}; write the zip "
            "again"
        ) from error


def _ids(row: VolumeRow, classes: ClassMap) -> NDArray[np.uint8] | None:
    """(depth, height, width) class ids; None where the row has no labels."""
    rles = row.rles()
    if rles is None:
        return None
    background = background_id(classes)
    rest = classes.ignore_id if background is None else background
    ids = np.full(row.shape, rest, np.uint8)
    taken = np.zeros(row.shape, bool)
    for name, rle in zip(row.classes, rles, strict=True):
        mask = rle.decode()
        if twice := int(np.count_nonzero(taken & mask)):
            raise LabelError(
                f"{row.where}: {twice} voxels of the class {name!r} are in the mask of another class too; "
                "scenes have one class for each pixel"
            )
        taken |= mask
        ids[mask] = classes.id_of(name)
    return ids


def _collapsed(ids: NDArray[np.uint8], row: VolumeRow, *, label_axis: Deep) -> NDArray[np.uint8]:
    """One label map of a volume."""
    first: NDArray[np.uint8] = ids[0]
    if len(ids) == 1:
        return first
    if label_axis == "collapse":
        differing = int(np.count_nonzero((ids != first).any(axis=0)))
        if not differing:
            return first
        problem = f"differ from slice to slice at {differing} of {first.size} pixels"
    else:
        problem = f"are given slice by slice, {len(ids)} of them"
    raise LabelError(
        f"{row.where}: its labels {problem}, but a scene has one label map; pass label_axis='split' for a "
        "scene of each slice, 'drop' to leave labels out"
        + ("" if label_axis == "collapse" else ", or 'collapse' where all slices are alike")
    )
