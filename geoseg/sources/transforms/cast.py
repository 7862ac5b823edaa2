"""Transforms that change how pixels are held: another dtype, a number in place of NaN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from geoseg.errors import SourceError
from geoseg.sources.base import Chip
from geoseg.sources.statistics.running import Finite
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms.recode import told


def _dtype_name(value: Any) -> Any:
    """A dtype in any of numpy's spellings, by its name."""
    try:
        dtype = np.dtype(value if value is not None else "none")  # to numpy None is float64
    except TypeError:
        raise ValueError(f"there is no dtype {value!r}; write e.g. uint8, int16, float32") from None
    if dtype.kind not in "uif" or dtype.itemsize > 8:  # noqa: PLR2004
        raise ValueError(f"{dtype} is no dtype of whole or floating numbers of up to 64 bits")
    return dtype.newbyteorder("=").name


class FillNaN(Transform):
    """A number in place of NaN.

    Sources say that pixels with NaN are not valid, but a chip does not tell why a pixel is not. So a
    pixel becomes valid here where at least one of its bands is NaN and all others are finite. One that
    holds no NaN, or an infinite number, stays not valid. A pixel that has NaN and is hidden by a mask,
    an alpha band or another band's nodata as well becomes valid too: fill only where such do not occur.
    Fill before a warp: what was NaN in the source is 0 and not valid behind it. Whole numbers know no
    NaN and stay as they are.
    """

    type: Literal["fill_nan"] = "fill_nan"
    value: Finite
    """What NaN becomes."""

    def __call__(self, chip: Chip) -> Chip:
        """The pixels without NaN.

        Raises:
            SourceError: The dtype does not hold the value.
        """
        if chip.data.dtype.kind != "f":
            return chip
        if abs(self.value) > _range(chip.data.dtype)[1]:
            raise SourceError(f"FillNaN: {chip.data.dtype} does not hold {self.value}")
        missing = np.isnan(chip.data)
        if not missing.any():
            return chip
        data = np.where(missing, chip.data.dtype.type(self.value), chip.data)
        filled = missing.any(axis=0) & np.isfinite(data).all(axis=0)
        return Chip(data, chip.valid | filled)


class Cast(Transform):
    """The pixels in another dtype; a valid one that it does not hold is an error unless said otherwise.

    Floating numbers lose digits without a word where the new dtype has fewer: only their range is
    looked at. Where a pixel is not valid its data is 0.
    """

    type: Literal["cast"] = "cast"
    dtype: Annotated[str, BeforeValidator(_dtype_name)]
    """The dtype, as numpy calls it."""
    on_overflow: Literal["raise", "clip"] = "raise"
    """Numbers out of its range: an error, or held to the nearest that it has."""
    on_fraction: Literal["raise", "round"] = "raise"
    """Numbers with a fraction on the way to a whole dtype: an error, or rounded, halves to the even."""

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The one given; SourceError where there are no whole or floating numbers to cast."""
        if np.dtype(dtype).kind not in "uif":
            raise SourceError(f"Cast: pixels are {dtype}, expected whole or floating numbers")
        return np.dtype(self.dtype)

    def __call__(self, chip: Chip) -> Chip:
        """The pixels in the new dtype.

        Raises:
            SourceError: A valid pixel does not fit.
        """
        data, target = chip.data, np.dtype(self.dtype)
        if not chip.valid.all():
            data = np.where(chip.valid, data, data.dtype.type(0))
        if np.can_cast(data.dtype, target, "safe"):
            return Chip(data.astype(target, copy=False), chip.valid)
        if data.dtype.kind == "f" and target.kind in "ui":
            data = self._whole(data)
        return Chip(self._in_range(data, target), chip.valid)

    def _whole(self, data: NDArray[Any]) -> NDArray[Any]:
        """Floating numbers without fractions."""
        whole: NDArray[Any] = np.rint(data)
        wrong = np.isnan(data)
        if wrong.any():
            raise _misfit(self.dtype, data, wrong, "fill them with FillNaN, or mark them as nodata")
        if self.on_fraction == "raise" and (wrong := whole != data).any():
            raise _misfit(self.dtype, data, wrong, 'round them with on_fraction="round"')
        return whole

    def _in_range(self, data: NDArray[Any], target: np.dtype[Any]) -> NDArray[Any]:
        """Numbers without fractions, or those on the way to floats, in the new dtype."""
        low, high = _range(target)
        small, large = _beyond(data, low, high)
        if self.on_overflow == "raise" and (wrong := small | large).any():
            cure = f'they are outside {low}..{high}: hold them to it with on_overflow="clip"'
            raise _misfit(self.dtype, data, wrong, cure)
        with np.errstate(all="ignore"):  # what does not fit is replaced
            cast: NDArray[Any] = data.astype(target)
        cast[small], cast[large] = low, high
        return cast


def _range(dtype: np.dtype[Any]) -> tuple[int, int] | tuple[float, float]:
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _beyond(data: NDArray[Any], low: float, high: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where numbers lie (below, above) a range, whose ends may be too large for their dtype."""
    if data.dtype.kind == "f" and isinstance(high, int):
        # 2 ** 63 - 1 is no float, but the number after it is.
        return data < np.float64(low), data >= np.float64(high + 1)
    own_low, own_high = _range(data.dtype)
    never, number = np.zeros(data.shape, bool), type(own_low)
    small = data < data.dtype.type(number(low)) if own_low < low else never
    large = data > data.dtype.type(number(high)) if own_high > high else never
    return small, large


def _misfit(name: str, data: NDArray[Any], wrong: NDArray[np.bool_], cure: str) -> SourceError:
    values, counts = np.unique(data[wrong], return_counts=True)
    return SourceError(
        f"Cast: {name} does not hold {told([str(value) for value in values], counts)}; {cure}"
    )
