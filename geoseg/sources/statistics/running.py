"""Mean and standard deviation of bands over valid pixels, in one pass."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AllowInfNan, Field, model_validator

from geoseg.errors import SourceError
from geoseg.sources.statistics.fitted import Sources, blocks, kept, listed_sources, nothing_valid
from geoseg.spec import Spec
from geoseg.window import sliding

_SIDE = 1024
"""Pixels a side of what is worked on at once, so that wide blocks take no more memory than it does."""

Finite = Annotated[float, AllowInfNan(False)]
PerBand = Annotated[tuple[Finite, ...], Field(min_length=1)]
Spreads = Annotated[tuple[Annotated[Finite, Field(ge=0)], ...], Field(min_length=1)]


class Statistics(Spec):
    """Mean and standard deviation of each band over valid pixels, in the source's own units."""

    mean: PerBand
    """One number a band."""
    std: Spreads
    """One number a band, of the population; 0 for a band of one value, or without a valid pixel."""
    count: int = Field(ge=1)
    """Valid pixels that were seen, of the band with most."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        same_length(self.mean, self.std, "mean", "std")
        return self

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
                for block in blocks(part, thin=thin):
                    running.update(block.data, block.measured)
            return cls.model_validate(running.result().model_dump())

        return kept(uri, cls, measured, sources=sources, options={"thin": thin})


def same_length(one: tuple[float, ...], other: tuple[float, ...], *names: str) -> None:
    """See that two fields tell of equally many bands.

    Raises:
        ValueError: They do not.
    """
    if len(one) != len(other):
        raise ValueError(
            f"{names[0]} has {len(one)} numbers and {names[1]} {len(other)}; give one a band"
        )


class RunningStatistics:
    """Statistics of pixels that come block by block; exact however they are cut."""

    def __init__(self, bands: int) -> None:
        """Nothing is seen yet."""
        self._count = np.zeros(bands, np.int64)
        self._mean = np.zeros(bands)
        self._squares = np.zeros(bands)

    def update(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Add the valid pixels of a block.

        Args:
            data: (band, height, width).
            valid: (height, width), or (band, height, width) where bands differ.

        The memory is that of about 1 million pixels of one band, however large the block.
        The sums are joined as in Chan, Golub and LeVeque, "Algorithms for computing the sample
        variance", 1983: no difference of large numbers.
        """
        if not valid.size:
            return
        measured = np.broadcast_to(valid, data.shape)
        for window in sliding((data.shape[1], data.shape[2]), _SIDE, edge="pad"):
            for band, (plane, inside) in enumerate(zip(data, measured, strict=True)):
                pixels = plane[window.slices][inside[window.slices]]
                if pixels.size:
                    self._join(band, pixels.astype(np.float64, copy=False))

    def _join(self, band: int, pixels: NDArray[np.float64]) -> None:
        """Join the sums of a band with those of (pixel,) new ones, which are overwritten."""
        count, seen = len(pixels), int(self._count[band])
        self._count[band] += count
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
        if not self._count.any():
            raise nothing_valid()
        std = np.sqrt(self._squares / np.maximum(self._count, 1))
        wrong = np.flatnonzero(~np.isfinite(self._mean + std))
        if wrong.size:
            raise SourceError(
                f"band {wrong[0] + 1}: mean {self._mean[wrong[0]]} and standard deviation "
                f"{std[wrong[0]]} are not finite: pixels that are said to be valid are NaN, infinite or "
                "too large; mark them as not valid, e.g. with nodata="
            )
        return Statistics(
            mean=tuple(self._mean.tolist()), std=tuple(std.tolist()), count=int(self._count.max())
        )
