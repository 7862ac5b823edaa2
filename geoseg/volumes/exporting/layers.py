"""Masks as the planes of a file: ids of one layer, or a layer for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.volumes.rle import Rle, Shape

Kind = Literal["npy", "tiff", "geotiff"]
"""Arrays of numpy, TIFF files with a page for each plane, or a GeoTIFF for each plane."""
Layers = Literal["ids", "masks"]
"""Class ids, 0 being background and 255 what has no image, or a layer of 0 and 1 for each class: these may
overlap."""

NO_ID = 255
"""The id of voxels without an image."""
_SLAB = 1 << 24
"""Voxels that are decoded at once."""


def classes_of(names: Sequence[str]) -> ClassMap:
    """Ids of classes in a layer of ids: background is 0, classes follow from 1.

    >>> classes_of(["water", "ice"]).names
    ('background', 'water', 'ice')
    """
    background = next(n for n in ("background", "no class", "none") if n not in names)
    return ClassMap.of(background, *names)


def slabs_of(
    runs: Mapping[str, Rle],
    names: Sequence[str],
    *,
    shape: Shape,
    layers: Layers,
    holes: Rle | None,
    where: str,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first plane, uint8 (layer, planes, height, width)), from the first plane to the last.

    Args:
        runs: Masks by the name of the class; one that is left out is nowhere.
        names: Of all classes, in order.
        shape: (depth, height, width) of the volume.
        layers: What a layer holds; "ids" makes one.
        holes: Where there is no image, and so no id; None: nowhere.
        where: Name of the volume, for errors.

    Raises:
        LabelError: Classes overlap in a layer of ids.
    """
    depth, height, width = shape
    step = max(_SLAB // (height * width * max(len(names), 1)), 1)
    for first in range(0, depth, step):
        last = min(first + step, depth)
        slab = np.zeros((len(names), last - first, height, width), np.uint8)
        for layer, name in zip(slab, names, strict=True):
            if name in runs:
                layer[...] = _planes(runs[name], first, last)
        if layers == "ids":
            slab = _ids(slab, names, first=first, where=where)
            if holes is not None:
                slab[:, _planes(holes, first, last)] = NO_ID
        yield first, slab


def scores_of(
    slabs: Iterable[tuple[int, NDArray[Any]]], holes: Rle | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Scores (first plane, (class, planes, height, width)) as float32, NaN where there is no image."""
    for first, slab in slabs:
        scores = slab.astype(np.float32)
        if holes is not None:
            scores[:, _planes(holes, first, first + scores.shape[1])] = np.nan
        yield first, scores


def _planes(runs: Rle, first: int, last: int) -> NDArray[np.bool_]:
    """The planes `first` up to, not including, `last` of a mask."""
    _, height, width = runs.shape
    return runs.window((slice(first, last), slice(0, height), slice(0, width)))


def _ids(
    slab: NDArray[np.uint8], names: Sequence[str], *, first: int, where: str
) -> NDArray[np.uint8]:
    """(1, planes, height, width): the number of the class from 1, 0 where there is none."""
    over = np.argwhere(slab.sum(axis=0, dtype=np.uint16) > 1)
    if len(over):
        plane, row, column = map(int, over[0])
        both = [name for name, layer in zip(names, slab, strict=True) if layer[plane, row, column]]
        raise LabelError(
            f"{where}: {' and '.join(both)} overlap at plane {first + plane}, row {row}, column {column}, "
            'but a layer of ids holds one class a voxel; write a layer for each class (layers="masks")'
        )
    numbers = np.arange(1, len(names) + 1, dtype=np.uint8)
    ids: NDArray[np.uint8] = (slab * numbers[:, None, None, None]).sum(axis=0, dtype=np.uint8)
    return ids[None]
