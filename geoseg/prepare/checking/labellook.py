"""What one window of a mask holds: classes, values that are none, boundaries, islands."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_HIGHEST = 255
"""The largest id that geoseg knows."""
_FEW = 12
"""Values that are counted one by one: ten times as fast as a histogram."""
_TOOTH = 3
"""Of four neighbours, so many with another label make a tooth."""


@dataclass(frozen=True, slots=True)
class Known:
    """Which values of masks mean what."""

    ids: tuple[int, ...] | None
    """Of the classes; None: every whole number from 0 to 255."""
    ignored: tuple[int, ...]
    """Ids of pixels that are not labelled, beside what masks declare as nodata."""

    def is_class(self, value: float) -> bool:
        """Whether a value, which is not ignored, is that of a class."""
        if not float(value).is_integer():  # neither are NaN and infinity
            return False
        return 0 <= value <= _HIGHEST if self.ids is None else int(value) in self.ids


@dataclass(frozen=True, slots=True)
class LabelLook:
    """What is in a window of a mask."""

    counts: dict[int, int]
    """{id of a class: pixels}."""
    unknown: dict[float, int]
    """{value that is neither a class nor ignored: pixels}."""
    edges: int
    """Length of the boundaries between labels in pixels."""
    islands: int
    """Pixels whose eight neighbours all have other labels."""
    teeth: int
    """Pixels of which three or four of the four neighbours have other labels."""
    digest: bytes
    """Equal for equal labels."""

    @property
    def labelled(self) -> int:
        """Pixels of classes."""
        return sum(self.counts.values())


def look_at_labels(data: NDArray[Any], valid: Mask, known: Known) -> LabelLook:
    """Look at a window of a mask.

    Args:
        data: (height, width) of any real dtype.
        valid: (height, width), False where the mask has nodata.
        known: What values mean.
    """
    whole = bool(valid.all())
    counts, unknown = _tally(data if whole else data[valid], known)
    digest = (
        digest_of(data) if whole else digest_of(np.where(valid, data, data.dtype.type(0)), valid)
    )
    if len(counts) + len(unknown) < 2:  # noqa: PLR2004 - no boundary
        return LabelLook(counts, unknown, edges=0, islands=0, teeth=0, digest=digest)
    labelled = labelled_of(data, valid, known.ignored)
    edges, islands, teeth = _outlines(data, labelled)
    return LabelLook(counts, unknown, edges=edges, islands=islands, teeth=teeth, digest=digest)


def labelled_of(data: NDArray[Any], valid: Mask, ignored: Sequence[int]) -> Mask:
    """(height, width) where pixels are valid and not ignored."""
    found = valid
    for value in ignored:
        found = found & (data != value)
    return found


def digest_of(*arrays: NDArray[Any]) -> bytes:
    """16 bytes that are equal for arrays of equal shape, dtype and values, and hardly ever for others."""
    digest = hashlib.sha256()  # processors have instructions for it
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.digest()[:16]


def _tally(values: NDArray[Any], known: Known) -> tuple[dict[int, int], dict[float, int]]:
    """{class: pixels} and {other value: pixels}."""
    distinct, pixels = _distinct(values)
    counts: dict[int, int] = {}
    unknown: dict[float, int] = {}
    for value, count in zip(distinct.tolist(), pixels.tolist(), strict=True):
        if value in known.ignored:
            continue
        if known.is_class(value):
            counts[int(value)] = count
        else:
            unknown[value] = count
    return counts, unknown


def _distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Values that occur, and how often each does; bytes are counted faster than by sorting."""
    if values.dtype != np.uint8 or not values.size:
        return np.unique(values, return_counts=True)
    low, high = int(values.min()), int(values.max())
    if high - low < _FEW:
        distinct = np.arange(low, high + 1)
        pixels = np.array([np.count_nonzero(values == value) for value in distinct.tolist()])
    else:
        distinct = np.arange(256)
        pixels = np.bincount(values.ravel(), minlength=256)
    there = pixels > 0
    return distinct[there], pixels[there]


def _outlines(ids: NDArray[Any], labelled: Mask) -> tuple[int, int, int]:
    """Length of boundaries, islands and teeth; what is not labelled bounds nothing."""
    down, right = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    if not labelled.all():
        down &= labelled[1:] & labelled[:-1]
        right &= labelled[:, 1:] & labelled[:, :-1]
    length = int(np.count_nonzero(down)) + int(np.count_nonzero(right))
    if not length or min(ids.shape) < 3:  # noqa: PLR2004 - no pixel has all its neighbours
        return length, 0, 0
    others = down[:-1, 1:-1].view(np.uint8) + down[1:, 1:-1].view(np.uint8)
    others += right[1:-1, :-1].view(np.uint8)
    others += right[1:-1, 1:].view(np.uint8)
    teeth = int(np.count_nonzero(others >= _TOOTH))
    if not teeth:
        return length, 0, 0
    rows, cols = np.nonzero(others > _TOOTH)
    return length, _alone(ids, labelled, rows + 1, cols + 1), teeth


def _alone(
    ids: NDArray[Any], labelled: Mask, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> int:
    """Of pixels whose four neighbours differ, how many have no like neighbour at a corner either."""
    alone = np.ones(len(rows), bool)
    for down, right in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        corner = rows + down, cols + right
        alone &= labelled[corner] & (ids[corner] != ids[rows, cols])
    return int(np.count_nonzero(alone))
