"""Probabilities of a volume as the bytes of a `.npy` file, slab by slab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import LabelError
from geoseg.volumes.masked import hidden
from geoseg.volumes.rle import Shape
from geoseg.volumes.writing.arrays import bytes_of, header_of

_DTYPE = np.dtype("<f2")
"""Steps of 0.0005 at most below 1, at half the bytes of what networks give."""
_SLACK = 1e-3
"""By which sums of blended probabilities may leave 0 to 1."""
_AXES = 4


def score_header(shape: tuple[int, int, int, int]) -> tuple[bytes, int]:
    """The first bytes of the file, and how many follow, for (depth, class, height, width)."""
    return header_of(shape, _DTYPE, fortran_order=False), prod(shape) * _DTYPE.itemsize


def score_bytes(
    slabs: Iterable[ArrayLike], *, classes: int, shape: Shape, where: str
) -> Iterator[memoryview]:
    """The numbers of the slabs (class, planes, height, width) as bytes, planes first.

    Raises:
        LabelError: Slabs do not fit the volume, or hold no probabilities.
    """
    for _, slab in checked_scores(slabs, classes=classes, shape=shape, where=where):
        yield bytes_of(slab.transpose(1, 0, 2, 3).astype(_DTYPE))


def checked_scores(
    slabs: Iterable[ArrayLike], *, classes: int, shape: Shape, where: str
) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first plane, slab (class, planes, height, width)), seen to be probabilities that fill the volume.

    Raises:
        LabelError: Slabs do not fit the volume, or hold no probabilities.
    """
    done = 0
    for given in slabs:
        if hidden(given):
            raise LabelError(
                f"{where}: scores are a masked array; give each a value with .filled(0)"
            )
        slab = np.asarray(given)
        planes = slab.shape[1] if slab.ndim == _AXES else 0
        _check_slab(slab, (classes, planes, *shape[1:]), where=f"{where}, planes from {done}")
        if done + planes > shape[0]:
            raise LabelError(
                f"{where}: scores of {done + planes} planes or more came, expected {shape[0]}"
            )
        yield done, slab
        done += planes
    if done != shape[0]:
        raise LabelError(f"{where}: scores of {done} planes came, expected {shape[0]}")


def _check_slab(slab: NDArray[np.generic], expected: tuple[int, ...], *, where: str) -> None:
    if slab.shape != expected or slab.size == 0:
        raise LabelError(
            f"{where}: scores have the shape {slab.shape}, expected (class, planes, height, width) with "
            f"{expected[0]} classes and slices of {expected[-2]} x {expected[-1]}"
        )
    if slab.dtype.kind != "f" or not (slab.min() >= -_SLACK and slab.max() <= 1 + _SLACK):
        raise LabelError(
            f"{where}: scores are {slab.dtype}, {slab.min()} to {slab.max()}, expected probabilities, "
            "floats 0 to 1; apply softmax or sigmoid first"
        )
