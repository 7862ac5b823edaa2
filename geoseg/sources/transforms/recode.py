"""Transforms from numbers or colours in a file to class ids."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from geoseg.classes import Color
from geoseg.errors import SourceError
from geoseg.sources.base import Chip
from geoseg.sources.transformed import Transform
from geoseg.spec import FrozenMap

_TABLED = ("uint8", "int8", "uint16", "int16")
"""Dtypes for which a table of all their numbers pays."""
_TOLD = 5
"""Values that an error names."""
_WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64")
_AT_ONCE = 1 << 16
"""Colours that are compared with all of the map at once."""


class Reclass(Transform):
    """Other numbers for the numbers in a file, in every band; what comes out are class ids.

    The dtype stays where it is a whole one that holds all new numbers; else it is the smallest that
    does.
    """

    type: Literal["reclass"] = "reclass"
    mapping: FrozenMap[int, int]
    """{number in the file: number wanted}."""
    default: int | None = None
    """For all other numbers; None: a valid pixel with one is an error."""

    @field_validator("mapping")
    @classmethod
    def _some(cls, mapping: FrozenMap[int, int]) -> FrozenMap[int, int]:
        if not mapping:
            raise ValueError("no number is mapped; give {number in the file: number wanted}")
        for number in (*mapping, *mapping.values()):
            if not -(1 << 63) <= number < 1 << 64:
                raise ValueError(f"no pixel holds {number}: it has more than 64 bits")
        return mapping

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The same where it holds the new numbers, else the smallest whole dtype that does."""
        return _dtype_for(self, np.dtype(dtype))

    def categorical_of(self, categorical: bool) -> bool:  # noqa: ARG002
        """True."""
        return True

    def __call__(self, chip: Chip) -> Chip:
        """The pixels with their new numbers.

        Raises:
            SourceError: A valid pixel holds a number that is not mapped, and there is no default.
        """
        wanted = _dtype_for(self, chip.data.dtype)
        small = _as_small(chip)
        if small is None:
            data, hit = _searched(self, chip.data, wanted)
        else:
            table, known = _tables(self, small.dtype, wanted)
            data, hit = _looked_up(small, table), _looked_up(small, known)
        if self.default is None:
            _refuse_unknown(chip, hit)
        return Chip(data, chip.valid)


class RGBToClass(Transform):
    """Class ids (uint8, one band called "class") from the colours of a picture.

    Of several colours within the tolerance the nearest counts (least sum of differences), of equally
    near ones the least id.
    """

    type: Literal["rgb_to_class"] = "rgb_to_class"
    colors: FrozenMap[int, Color]
    """{class id: (red, green, blue) or "#rrggbb"}."""
    tolerance: int = Field(default=0, ge=0, le=255)
    """How far red, green and blue may each be from a colour, for pictures out of a lossy format."""
    default: int | None = Field(default=None, ge=0, le=255)
    """The id of all other colours; None: a valid pixel with one is an error."""

    @field_validator("colors")
    @classmethod
    def _distinct(cls, colors: FrozenMap[int, Color]) -> FrozenMap[int, Color]:
        if not colors:
            raise ValueError('no colour is given; give {class id: "#rrggbb"}')
        seen: dict[Color, int] = {}
        for number, color in colors.items():
            if not 0 <= number <= 255:  # noqa: PLR2004
                raise ValueError(f"class id {number} is outside 0..255")
            if color in seen:
                raise ValueError(f"{_hex(color)} is the colour of {seen[color]} and {number}")
            seen[color] = number
        return colors

    def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """("class",); SourceError where there are not three bands."""
        if len(names) != 3:  # noqa: PLR2004
            raise SourceError(
                f"RGBToClass: got {len(names)} bands ({', '.join(names)}), expected red, green and "
                "blue; choose them with bands=(1, 2, 3)"
            )
        return ("class",)

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """uint8, in and out; SourceError for others."""
        if np.dtype(dtype) != np.uint8:
            raise SourceError(
                f"RGBToClass: pixels are {np.dtype(dtype)}, expected uint8 colours, 0..255"
            )
        return np.dtype("uint8")

    def categorical_of(self, categorical: bool) -> bool:  # noqa: ARG002
        """True."""
        return True

    def __call__(self, chip: Chip) -> Chip:
        """The ids of the colours.

        Raises:
            SourceError: A valid pixel has a colour that is not in the map, and there is no default.
        """
        palette = _palette(tuple(sorted(self.colors.items())))
        ids, known = palette.exact(chip.data)
        other = ~known & chip.valid
        if other.any():
            ids[other] = self._inexact(chip.data[:, other], palette)
        return Chip(ids[None], chip.valid)

    def _inexact(self, pixels: NDArray[np.uint8], palette: _Palette) -> NDArray[np.uint8]:
        """(pixel,) ids of (3, pixel) colours that are not in the map."""
        packed, place, counts = np.unique(_packed(pixels), return_inverse=True, return_counts=True)
        ids, near = palette.nearest(_unpacked(packed), tolerance=self.tolerance)
        if self.default is not None:
            ids[~near] = self.default
        elif not near.all():
            texts = [_hex(tuple(color)) for color in _unpacked(packed[~near]).tolist()]
            raise SourceError(
                f"RGBToClass: colours that no class has: {told(texts, counts[~near])}; add them to "
                "`colors`, or give a `default` (or a `tolerance`, for lossy pictures)"
            )
        found: NDArray[np.uint8] = ids[place.reshape(-1)]
        return found


class _Palette:
    """The colours of a map, ready to be looked up."""

    def __init__(self, items: tuple[tuple[int, Color], ...]) -> None:
        self._ids = np.array([number for number, _ in items], np.uint8)
        self._colors = np.array([color for _, color in items], np.int64)
        # Each channel's few values are numbered from 1; three numbers together make a small table.
        values = [np.unique(channel) for channel in self._colors.T]
        sizes = [len(known) + 1 for known in values]
        steps = (sizes[1] * sizes[2], sizes[2], 1)
        self._numbers = np.zeros((3, 256), np.uint32)
        for number, known, step in zip(self._numbers, values, steps, strict=True):
            number[known] = np.arange(1, len(known) + 1) * step
        self._table = np.zeros(sizes[0] * sizes[1] * sizes[2], np.uint8)
        self._known = np.zeros(len(self._table), bool)
        places = sum(self._numbers[i, self._colors[:, i]] for i in range(3))
        self._table[places], self._known[places] = self._ids, True

    def exact(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(ids, whether the colour is in the map) of (3, ...) colours; the id is 0 where it is not."""
        place = self._numbers[0][data[0]]
        place += self._numbers[1][data[1]]
        place += self._numbers[2][data[2]]
        return self._table[place], self._known[place]

    def nearest(
        self, colors: NDArray[np.int64], *, tolerance: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(ids, whether within the tolerance) of (color, 3)."""
        ids, near = np.zeros(len(colors), np.uint8), np.zeros(len(colors), bool)
        if not tolerance:
            return ids, near
        step = max(_AT_ONCE // len(self._ids), 1)
        for first in range(0, len(colors), step):
            part = slice(first, first + step)
            apart = np.abs(colors[part, None] - self._colors)
            within = (apart <= tolerance).all(axis=2)
            best = np.where(within, apart.sum(axis=2), 1000).argmin(axis=1)
            ids[part], near[part] = self._ids[best], within.any(axis=1)
        return ids, near


@lru_cache(maxsize=16)
def _palette(items: tuple[tuple[int, Color], ...]) -> _Palette:
    return _Palette(items)


@lru_cache(maxsize=64)
def _dtype_for(transform: Reclass, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Of all numbers that can come out."""
    if dtype.kind not in "uif":
        raise SourceError(f"Reclass: pixels are {dtype}, expected whole or floating numbers")
    wanted = list(transform.mapping.values())
    if transform.default is not None:
        wanted.append(transform.default)
    for name in (dtype.name, *_WHOLE):
        if name in _WHOLE and all(_holds(np.dtype(name), number) for number in wanted):
            return np.dtype(name)
    raise SourceError(f"Reclass: no dtype holds {min(wanted)} and {max(wanted)}; map to class ids")


def _as_small(chip: Chip) -> NDArray[Any] | None:
    """The valid pixels in a dtype that a table serves; None where they do not fit in."""
    if chip.data.dtype.name in _TABLED:
        return chip.data
    known = np.where(chip.valid, chip.data, chip.data.dtype.type(0))
    with np.errstate(all="ignore"):
        small = known.astype(np.uint16)
    return small if np.array_equal(small, known) else None


def _looked_up(data: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """What a table of all its dtype's numbers, in the order of their bytes, holds for an array."""
    found: NDArray[Any] = table[data.view(f"u{data.dtype.itemsize}")]
    return found


@lru_cache(maxsize=16)
def _tables(
    transform: Reclass, dtype: np.dtype[Any], wanted: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(new number, whether it is mapped) of every number of a small dtype, for `_looked_up`."""
    numbers = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)
    return _searched(transform, numbers, wanted)


def _searched(
    transform: Reclass, data: NDArray[Any], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(new numbers, whether mapped) by looking among the sorted numbers of the map."""
    fitting = sorted(n for n in transform.mapping if _holds(data.dtype, n))
    default = transform.default or 0
    if not fitting:
        return np.full(data.shape, default, dtype), np.zeros(data.shape, bool)
    keys = np.array(fitting, data.dtype)
    values = np.array([transform.mapping[number] for number in fitting], dtype)
    place = np.minimum(np.searchsorted(keys, data), len(keys) - 1)
    hit = keys[place] == data
    return np.where(hit, values[place], dtype.type(default)), hit


def _holds(dtype: np.dtype[Any], number: int) -> bool:
    """Whether a dtype has this very number."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool(abs(number) <= np.finfo(dtype).max) and int(dtype.type(number)) == number
    limits = np.iinfo(dtype)
    return bool(limits.min <= number <= limits.max)


def _refuse_unknown(chip: Chip, hit: NDArray[np.bool_]) -> None:
    wrong = ~hit & chip.valid
    if not wrong.any():
        return
    values, counts = np.unique(chip.data[wrong], return_counts=True)
    raise SourceError(
        f"Reclass: values that are not mapped: {told([str(value) for value in values], counts)}; add "
        "them to `mapping`, or give a `default`"
    )


def told(texts: list[str], counts: NDArray[Any]) -> str:
    """`7 (12 pixels), 9 (1 pixel) and 3 more`, the most frequent first."""
    order = np.argsort(-counts, kind="stable")
    named = [
        f"{texts[i]} ({counts[i]} pixel{'s' if counts[i] != 1 else ''})" for i in order[:_TOLD]
    ]
    more = f" and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
    return ", ".join(named) + more


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """One number a colour, from (3, pixel)."""
    red, green, blue = pixels.astype(np.int64)
    packed: NDArray[np.int64] = red << 16 | green << 8 | blue
    return packed


def _unpacked(packed: NDArray[np.int64]) -> NDArray[np.int64]:
    """(color, 3)."""
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)


def _hex(color: Any) -> str:
    red, green, blue = color
    return f"#{red:02x}{green:02x}{blue:02x}"
