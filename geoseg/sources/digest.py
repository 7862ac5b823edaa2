"""A digest of arrays, so that Specs that hold them have hashes that differ where their numbers do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES = 16
_BLOCK = 1 << 22
"""Numbers that are looked at together, so that a large array needs no second one."""


def array_digest(array: NDArray[Any]) -> bytes:
    """16 bytes that are the same for arrays of one dtype and shape that are equal, all NaN being equal.

    It does not change from process to process.
    """
    digest = hashlib.blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=_BYTES)
    for rows in _blocks(array):
        digest.update(_plain(rows).data)
    return digest.digest()


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """All of it in order; an array with its axes in any order is not copied."""
    if array.ndim > 2:  # noqa: PLR2004
        for part in array:
            yield from _blocks(part)
        return
    count = max(1, _BLOCK // max(1, array[:1].size))
    for start in range(0, len(array), count):
        yield array[start : start + count]


def _plain(numbers: NDArray[Any]) -> NDArray[Any]:
    """Equal numbers in equal bytes, viewed as bytes."""
    if np.issubdtype(numbers.dtype, np.inexact):
        numbers = numbers + numbers.dtype.type(0)  # -0.0 becomes 0.0
        numbers[np.isnan(numbers)] = np.nan  # there are many kinds of NaN
        wide = np.complex128 if np.iscomplexobj(numbers) else np.float64
        if numbers.dtype.itemsize > np.dtype(wide).itemsize:  # long doubles hold unused bytes
            with np.errstate(over="ignore"):
                numbers = numbers.astype(wide)
    return np.ascontiguousarray(numbers).view(np.uint8)
