"""Arrays compared bit by bit: one NaN is not like another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two planes of one shape and dtype differ."""

    row: int
    """Of the first pixel, row by row."""
    col: int
    stored: str
    expected: str
    count: int
    """Pixels."""


def first_difference(stored: NDArray[Any], expected: NDArray[Any]) -> Difference | None:
    """How two planes differ; None where all bits are equal.

    Args:
        stored: (height, width).
        expected: The same shape and dtype.
    """
    one, other = _bits(stored), _bits(expected)
    differ = (one != other).any(axis=-1)
    count = int(differ.sum())
    if not count:
        return None
    row, col = (int(at) for at in np.unravel_index(int(differ.argmax()), differ.shape))
    return Difference(row, col, _shown(stored[row, col]), _shown(expected[row, col]), count)


def _bits(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """(height, width, bytes of a pixel), little-endian."""
    little = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(*plane.shape, plane.dtype.itemsize)


def _shown(pixel: Any) -> str:
    """The number; of a NaN its bits too, as that is where NaNs differ."""
    if np.isnan(pixel):
        return f"{pixel} (0x{pixel.tobytes()[::-1].hex()})"
    return str(pixel)
