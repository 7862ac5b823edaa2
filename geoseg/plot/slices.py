"""Slices of a volume as colours, its masks over them."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.plot.panels import Color
from geoseg.plot.view import LONGEST, Colors, colored_bands, stretched


class Masked(Protocol):
    """What tells its masks itself, such as what a Learner has predicted."""

    def masks(self) -> NDArray[np.bool_] | Mapping[str, NDArray[np.bool_]] | None:
        """As `Masks`; None where nothing is known of them."""


Masks = NDArray[np.bool_] | Mapping[str, NDArray[np.bool_]] | Masked
"""(class, depth, height, width), (depth, height, width) for one class, or the latter by class name."""

Cut = tuple[slice | int, slice | int, slice | int]
"""What to take of (depth, height, width)."""

_INK = 0.5
"""How much of a voxel's colour is that of its class."""


class Row(Protocol):
    """A volume of a data set: anything with these, such as a row of a VolumeZip."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Of its masks, in order."""

    @property
    def times(self) -> tuple[str, ...] | None:
        """Of its planes."""

    def image(self) -> NDArray[Any]:
        """(channel, depth, height, width)."""

    def masks(self) -> NDArray[np.bool_] | None:
        """(class, depth, height, width)."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is drawn."""

    name: str
    """With a colon and a space, or empty."""
    image: NDArray[Any]
    """(1 or 3, depth, height, width)."""
    masks: dict[str, NDArray[np.bool_]]
    """(depth, height, width) of each class."""
    times: tuple[str, ...]
    """Of the planes, or empty."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(depth, height, width)."""
        depth, height, width = self.image.shape[1:]
        return depth, height, width

    @property
    def entries(self) -> list[tuple[str, Color]]:
        """(class, colour)."""
        return [(info.name, info.color) for info in ClassMap.of(*self.masks).classes]

    def time(self, plane: int) -> str:
        """The time of a plane, to be written behind its number."""
        return f": {self.times[plane]}" if plane < len(self.times) else ""


def shown_of(row: Row | NDArray[Any], masks: Masks | None) -> Shown:
    """See that image and masks fit.

    Raises:
        ConfigError: They do not.
    """
    if not isinstance(row, np.ndarray) and not callable(getattr(row, "image", None)):
        raise ConfigError(
            f"a {type(row).__name__} has no image to draw; pass the volume and beside it the masks, as in "
            "plot.volume(row, prediction.masks())"
        )
    name, image = "", row if isinstance(row, np.ndarray) else row.image()
    times: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    if not isinstance(row, np.ndarray):
        name, times, names = f"{row.name}: ", row.times or (), row.classes
        masks = row.masks() if masks is None else masks
    if image.ndim == 3:  # noqa: PLR2004 - without channels
        image = image[None]
    if image.ndim != 4 or not image.size:  # noqa: PLR2004 - with them
        raise ConfigError(
            f"the image has the shape {image.shape}, expected (channel, depth, height, width) or "
            "(depth, height, width)"
        )
    bands = tuple(str(i + 1) for i in range(len(image)))
    found = _by_name(masks, names)
    for title, mask in found.items():
        if not isinstance(mask, np.ndarray):
            raise _no_masks(f"the mask {title!r}", mask)
        if mask.shape != image.shape[1:] or mask.dtype != bool:
            raise ConfigError(
                f"the mask {title!r} is {mask.dtype} of the shape {mask.shape}, expected bool of "
                f"{image.shape[1:]}, the image's (depth, height, width)"
            )
    return Shown(name, colored_bands(bands, image), found, times)


def _by_name(masks: Any, names: tuple[str, ...]) -> dict[str, NDArray[np.bool_]]:
    """The mask of each class."""
    if callable(getattr(masks, "masks", None)):
        masks = masks.masks()
    if masks is None:
        return {}
    if isinstance(masks, Mapping):
        return dict(masks)
    if not isinstance(masks, np.ndarray) or masks.ndim not in (3, 4):
        raise _no_masks("masks", masks)
    stack = masks[None] if masks.ndim == 3 else masks  # noqa: PLR2004 - one class
    if names and len(names) != len(stack):
        raise ConfigError(
            f"there are {len(stack)} masks for the {len(names)} classes {', '.join(names)}; give them by name"
        )
    if not names:
        names = ("mask",) if len(stack) == 1 else tuple(f"class {i}" for i in range(len(stack)))
    return dict(zip(names, stack, strict=True))


def _no_masks(what: str, given: Any) -> ConfigError:
    name = type(given).__name__
    found = f"an array of the shape {given.shape}" if isinstance(given, np.ndarray) else f"a {name}"
    return ConfigError(
        f"{what}: {found}, expected arrays (depth, height, width) of bool: one, several by the name of their "
        "class or as one array (class, depth, height, width); or what has masks(), such as a prediction"
    )


def whole_numbers(given: Any) -> list[int] | None:
    """A list of whole numbers; None where it is something else."""
    try:
        several = list(given)
        no_bools = not any(isinstance(one, bool | np.bool_) for one in several)
        return [operator.index(one) for one in several] if no_bools else None
    except TypeError:
        return None


def cut_across(axis: int, place: int) -> Cut:
    """A slice across an axis (0 depth, 1 height, 2 width)."""
    parts: list[slice | int] = [slice(None)] * 3
    parts[axis] = place
    return parts[0], parts[1], parts[2]


def pictures_of(shown: Shown, cuts: Sequence[Cut]) -> list[Colors]:
    """Slices as colours of one stretch, their masks over them; long sides are thinned out."""
    data = [_thinned(shown.image[(slice(None), *cut)]) for cut in cuts]
    pixels = np.concatenate([part.reshape(len(part), -1) for part in data], axis=1)[:, None]
    colors = stretched(pixels, np.isfinite(pixels).all(axis=0))[0]
    ends = np.cumsum([part[0].size for part in data])
    pictures = [
        part.reshape(*of.shape[1:], 3)
        for part, of in zip(np.split(colors, ends[:-1]), data, strict=True)
    ]
    inks = [color for _, color in shown.entries] if shown.masks else []
    for picture, cut in zip(pictures, cuts, strict=True):
        for mask, ink in zip(shown.masks.values(), inks, strict=True):
            inside = _thinned(mask[cut][None])[0]
            blended = (1 - _INK) * picture[inside] + _INK * np.array(ink)
            picture[inside] = np.round(blended).astype(np.uint8)
    return pictures


def _thinned(part: NDArray[Any]) -> NDArray[Any]:
    """(band, height, width) with every n-th pixel of a side that is longer than a picture."""
    rows, columns = (-(-side // LONGEST) for side in part.shape[1:])
    thin: NDArray[Any] = part[:, ::rows, ::columns]
    return thin
