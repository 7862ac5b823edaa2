"""Transforms that bring pixels to a common scale: with the numbers of a data set, never of a chip."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.base import Chip
from geoseg.sources.statistics import Statistics
from geoseg.sources.statistics.fitted import Sources, kept, listed_sources
from geoseg.sources.statistics.percentiles import extremes_of, percentiles_of
from geoseg.sources.statistics.running import Finite, PerBand, Spreads, same_length
from geoseg.sources.transformed import Transform

_FLOAT32 = np.dtype("float32")


class ScaledTransform(Transform):
    """Between the head and the kinds here: numbers in, float32 out."""

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """float32.

        Raises:
            SourceError: The pixels are neither whole nor floating numbers.
        """
        if np.dtype(dtype).kind not in "uif":
            raise SourceError(
                f"{type(self).__name__}: pixels are {dtype}, expected whole or floating numbers"
            )
        return _FLOAT32

    def categorical_of(self, categorical: bool) -> bool:  # noqa: ARG002
        """False: between what comes out may be interpolated."""
        return False


class Standardize(ScaledTransform):
    """`(x - mean) / std` for each band, as float32; a band with std 0 is not divided.

    As the last transform of a scene's image it takes the place of the normalisation in a model: the
    bundle records it, and an image that comes without it gets it at prediction.
    """

    type: Literal["standardize"] = "standardize"
    mean: PerBand
    """One number a band, in units of the pixels."""
    std: Spreads
    """One number a band."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        same_length(self.mean, self.std, "mean", "std")
        return self

    @classmethod
    def of(cls, source: Sources, *, uri: str | None = None, thin: int = 1) -> Self:
        """With the Statistics of a source, or of several; see `Statistics.of` for the arguments."""
        found = Statistics.of(source, uri=uri, thin=thin)
        return cls(mean=found.mean, std=found.std)

    @property
    def keeps_means(self) -> bool:
        """True."""
        return True

    def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The same; SourceError where they are not as many as the means."""
        return _checked(self, names, len(self.mean))

    def __call__(self, chip: Chip) -> Chip:
        """The pixels in deviations from the mean."""
        divisors = [std or 1.0 for std in self.std]
        return Chip(_shifted(self, chip.data, self.mean, divisors), chip.valid)


class RangeTransform(ScaledTransform):
    """Between the head and two kinds: each band from `low`..`high` to 0..1 as float32, clipped outside.

    A band with low = high becomes 0, and 1 above that value.
    """

    low: PerBand
    """The pixel value that becomes 0, one number a band."""
    high: PerBand
    """The pixel value that becomes 1, one number a band, not below `low`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.low, self.high)
        return self

    @classmethod
    @abstractmethod
    def of(cls, source: Sources, *, uri: str | None = None, thin: int = 1) -> Self:
        """With a range that is measured on a source, or on several."""

    def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The same; SourceError where they are not as many as `low`."""
        return _checked(self, names, len(self.low))

    def __call__(self, chip: Chip) -> Chip:
        """The pixels as parts of the range."""
        return Chip(_stretched(self, chip.data, self.low, self.high), chip.valid)


class MinMax(RangeTransform):
    """Each band from `low`..`high` to 0..1 as float32; what lies outside is clipped."""

    type: Literal["minmax"] = "minmax"

    @classmethod
    def of(cls, source: Sources, *, uri: str | None = None, thin: int = 1) -> Self:
        """With the least and the greatest valid value of each band of a source, or of several.

        Args:
            source: What is measured, after its transforms; each pixel is read once.
            uri: Where the result is kept as YAML; see `geoseg.sources.statistics.fitted.kept`. None: nowhere.
            thin: Look at every so many-th block of 256 rows only; 1 looks at all.

        Raises:
            SourceError: No pixel is valid, or a valid one is not finite.
        """
        sources = listed_sources(source)

        def measured() -> Any:
            low, high = extremes_of(sources, thin=thin)
            return cls(low=low, high=high)

        return kept(uri, cls, measured, sources=sources, options={"thin": thin})


class Percentile(RangeTransform):
    """Each band from a low to a high percentile of the data set to 0..1 as float32, clipped outside."""

    type: Literal["percentile"] = "percentile"

    @classmethod
    def of(
        cls,
        source: Sources,
        *,
        lower: float = 2,
        upper: float = 98,
        uri: str | None = None,
        thin: int = 1,
    ) -> Self:
        """With percentiles over the valid pixels of a source, or of several; exact for every dtype.

        Args:
            source: What is measured, after its transforms; read once where pixels have 8 or 16 bits,
                twice for 32 and four times for 64.
            lower: The percentage that becomes 0.
            upper: The percentage that becomes 1.
            uri: Where the result is kept as YAML; see `geoseg.sources.statistics.fitted.kept`. None: nowhere.
            thin: Look at every so many-th block of 256 rows only; 1 looks at all.

        Raises:
            ConfigError: A percentage lies outside 0..100, or the lower is not below the upper.
            SourceError: No pixel is valid, or a valid one is not finite.
        """
        if lower >= upper:
            raise ConfigError(f"lower is {lower}, expected less than upper, {upper}; swap them")
        sources = listed_sources(source)

        def measured() -> Any:
            low, high = percentiles_of(sources, (lower, upper), thin=thin)
            return cls(low=low, high=high)

        options = {"lower": float(lower), "upper": float(upper), "thin": thin}
        return kept(uri, cls, measured, sources=sources, options=options)


class Log(ScaledTransform):
    """The natural logarithm of `offset + x` as float32.

    A pixel is not valid any more, and 0, where that has no logarithm in some band: x <= -offset.
    """

    type: Literal["log"] = "log"
    offset: Finite = 1.0
    """Added before: 1 leaves 0 at 0."""

    def __call__(self, chip: Chip) -> Chip:
        """The logarithm of the pixels."""
        valid = chip.valid & (chip.data > -self.offset).all(axis=0)
        data = _log(chip.data, self.offset)
        # Else the NaN of a number below would look like one of the file.
        np.copyto(data, 0, where=~valid)
        return Chip(data, valid)


def _log(data: NDArray[Any], offset: float) -> NDArray[Any]:
    """float32, computed in float64 where the pixels need it; NaN and infinity are no matter here."""
    work = data.astype(np.promote_types(data.dtype, _FLOAT32))
    with np.errstate(all="ignore"):
        if offset == 1:
            np.log1p(work, out=work)
        else:
            work += offset
            np.log(work, out=work)
        return work.astype(_FLOAT32, copy=False)


def _shifted(
    transform: Transform, data: NDArray[Any], offsets: tuple[float, ...], divisors: list[float]
) -> NDArray[Any]:
    """`(x - offset) / divisor` of each band as float32, computed in float64 where the pixels need it."""
    _checked(transform, ("?",) * len(data), len(offsets))
    work = data.astype(np.promote_types(data.dtype, _FLOAT32))
    with np.errstate(all="ignore"):  # what is not valid may be anything
        work -= np.array(offsets).astype(work.dtype)[:, None, None]
        work /= np.array(divisors).astype(work.dtype)[:, None, None]
        return work.astype(_FLOAT32, copy=False)


def _stretched(
    transform: Transform, data: NDArray[Any], low: tuple[float, ...], high: tuple[float, ...]
) -> NDArray[Any]:
    """0..1 from low..high."""
    tiny = float(np.finfo(_FLOAT32).tiny)
    divisors = [max(most - least, tiny) for least, most in zip(low, high, strict=True)]
    parts = _shifted(transform, data, low, divisors)
    return np.clip(parts, 0, 1, out=parts)


def _checked(transform: Transform, names: tuple[str, ...], expected: int) -> tuple[str, ...]:
    if len(names) != expected:
        raise SourceError(
            f"{type(transform).__name__}: got {len(names)} bands ({', '.join(names)}), expected "
            f"{expected}, one for each of its numbers; choose them with bands=..., or measure this "
            f"source with {type(transform).__name__}.of(source)"
        )
    return names


def _ordered(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    same_length(low, high, "low", "high")
    for band, (least, most) in enumerate(zip(low, high, strict=True)):
        if least > most:
            raise ValueError(f"band {band + 1}: low is {least}, above high, {most}")
