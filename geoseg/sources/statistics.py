"""Mean and standard deviation of bands over valid pixels, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.spec import Spec


class BandStatistics(Spec):
    """Mean and standard deviation of each band, in the source's own units."""

    mean: tuple[float, ...]
    """One number a band."""
    std: tuple[float, ...]
    """One number a band, of the population; 0 for a band of one value."""
    count: int
    """Valid pixels that were seen."""


class RunningStatistics:
    """Statistics of pixels that come block by block; exact however they are cut."""

    def __init__(self, bands: int) -> None:
        """Nothing is seen yet."""
        self._count = 0
        self._mean = np.zeros(bands)
        self._squares = np.zeros(bands)

    def update(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Add the valid pixels of a block.

        Args:
            data: (band, height, width).
            valid: (height, width).

        The sums are joined as in Chan, Golub and LeVeque, "Algorithms for computing the sample
        variance", 1983: no difference of large numbers.
        """
        pixels = data[:, valid].astype(np.float64)
        count = pixels.shape[1]
        if not count:
            return
        mean = pixels.mean(axis=1)
        squares = np.square(pixels - mean[:, None]).sum(axis=1)
        total = self._count + count
        apart = mean - self._mean
        self._squares += squares + np.square(apart) * (self._count * count / total)
        self._mean += apart * (count / total)
        self._count = total

    def result(self) -> BandStatistics:
        """The statistics of all pixels so far.

        Raises:
            SourceError: No pixel was valid.
        """
        if not self._count:
            raise SourceError("no valid pixel to take statistics of; look at nodata and the AOI")
        std = np.sqrt(self._squares / self._count)
        return BandStatistics(
            mean=tuple(self._mean.tolist()), std=tuple(std.tolist()), count=self._count
        )
