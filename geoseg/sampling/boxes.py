"""Many windows as one array, and the random numbers that they are drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.int64]
"""(window, 5): scene number, row, col, height, width."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def numbers_of(indices: range, seed: tuple[int, ...]) -> Floats:
    """(4, window) random numbers in [0, 1), the same for an index wherever the range begins."""
    # Of a counter's four numbers each window has its own, wherever one begins to count.
    stream = np.random.Philox(key=key_of(seed), counter=indices.start)
    return np.random.Generator(stream).random((len(indices), 4)).T


def key_of(seed: tuple[int, ...]) -> NDArray[Any]:
    """The key of a Philox generator for a tuple of numbers."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint64)


def whole(numbers: Floats, least: Any, most: Any) -> Ints:
    """Whole numbers from least to most, both included, from numbers in [0, 1)."""
    return least + np.floor(numbers * (most - least + 1)).astype(np.int64)  # type: ignore[no-any-return]


def chosen(numbers: Floats, sums: Floats) -> Ints:
    """Places of a list by weight, from numbers in [0, 1) and the running sums of the weights."""
    found = np.searchsorted(sums, numbers * sums[-1], side="right").astype(np.int64)
    last = int(np.searchsorted(sums, sums[-1]))  # with a weight
    below: Ints = np.minimum(found, last)
    return below


def sizes_of(numbers: Floats, size: tuple[int, int], size_range: tuple[int, int] | None) -> Ints:
    """(window, 2) height and width, from numbers in [0, 1)."""
    if size_range is None:
        return np.tile(np.array(size), (len(numbers), 1))
    heights = whole(numbers, *size_range)
    return np.stack([heights, width_for(heights, size)], axis=1)


def width_for(heights: Any, size: tuple[int, int]) -> Ints:
    """The widths of windows that keep the shape of `size`."""
    return np.maximum(np.rint(heights * size[1] / size[0]).astype(int), 1)  # type: ignore[no-any-return]


def least_size(size: tuple[int, int], size_range: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of the smallest windows."""
    if size_range is None:
        return size
    return size_range[0], int(width_for(size_range[0], size))
