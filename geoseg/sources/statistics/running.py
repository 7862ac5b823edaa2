"""Mean and standard deviation of bands over valid pixels, in one pass."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from geoseg.errors import SourceError
from geoseg.sources.statistics.fitted import Sources, blocks, kept, listed_sources
from geoseg.spec import Spec
from geoseg.window import sliding

_SIDE = 1024
"""Pixels a side of what is worked on at once, so that wide blocks take no more memory than it does."""


class Statistics(Spec):
    """Mean and standard deviation of each band over valid pixels, in the source's own units."""

    mean: tuple[float, ...]
    """One number a band."""
    std: tuple[float, ...]
    """One number a band, of the population; 0 for a band of one value."""
    count: int = Field(ge=0)
    """Valid pixels that were seen."""

    @classmethod
    def of(cls, source: Sources, *, uri: str | None = None, thin: int = 1) -> Self:
        """Measure a source, or several as one data set; each pixel is read once, in bounded memory.

        Args:
            source: What is measured, after its transforms.
            uri: Where the result is kept as YAML; see `geoseg.sources.statistics.fitted.kept`. None: nowhere.
            thin: Look at every so many-th block of 256 rows only; 1 looks at all.

        Raises:
            SourceError: No pixel is valid, or a valid one is NaN, infinite or too large for sums.
        """
        sources = listed_sources(source)

        def measured() -> Any:
            running = RunningStatistics(len(sources[0].band_names))
            for part in sources:
                for chip in blocks(part, thin=thin):
                    running.update(chip.data, chip.valid)
            return cls.model_validate(running.result().model_dump())

        return kept(uri, cls, measured, sources=sources, options={"thin": thin})


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

        The memory is that of about 1 million pixels of one band, however large the block.
        The sums are joined as in Chan, Golub and LeVeque, "Algorithms for computing the sample
        variance", 1983: no difference of large numbers.
        """
        if not valid.size:
            return
        for window in sliding((valid.shape[0], valid.shape[1]), _SIDE, edge="pad"):
            inside = valid[window.slices]
            count = int(np.count_nonzero(inside))
            if not count:
                continue
            for band, plane in enumerate(data):
                self._join(band, plane[window.slices][inside].astype(np.float64, copy=False))
            self._count += count

    def _join(self, band: int, pixels: NDArray[np.float64]) -> None:
        """Join the sums of a band with those of (pixel,) new ones, which are overwritten."""
        count, seen = len(pixels), self._count
        with np.errstate(over="ignore", invalid="ignore"):  # `result` refuses what is not finite
            mean = pixels.mean()
            pixels -= mean
            squares = np.square(pixels, out=pixels).sum()
            apart = mean - self._mean[band]
            self._squares[band] += squares + np.square(apart) * (seen * count / (seen + count))
            self._mean[band] += apart * (count / (seen + count))

    def result(self) -> Statistics:
        """The statistics of all pixels so far.

        Raises:
            SourceError: No pixel was valid, or a valid one was NaN, infinite or too large for sums.
        """
        if not self._count:
            raise SourceError("no valid pixel to take statistics of; look at nodata and the AOI")
        std = np.sqrt(self._squares / self._count)
        wrong = np.flatnonzero(~np.isfinite(self._mean + std))
        if wrong.size:
            raise SourceError(
                f"band {wrong[0] + 1}: mean {self._mean[wrong[0]]} and standard deviation "
                f"{std[wrong[0]]} are not finite: pixels that are said to be valid are NaN, infinite or "
                "too large; mark them as not valid, e.g. with nodata="
            )
        return Statistics(
            mean=tuple(self._mean.tolist()), std=tuple(std.tolist()), count=self._count
        )
