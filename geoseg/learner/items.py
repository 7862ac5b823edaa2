"""Items of a data set of one's own: pixels, class ids and where they are valid, in the dtypes they come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.classes import ClassMap
from geoseg.datasets.own import seeded
from geoseg.errors import ConfigError, LabelError

_KEYS = ("image", "mask", "valid")
_AXES = 3
_IDS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One item of a data set, seen to be one."""

    image: NDArray[Any]
    """(channel, height, width) pixels."""
    mask: Tensor
    """(height, width) whole numbers; whether they are class ids is not known yet."""
    valid: NDArray[np.bool_]
    """(height, width) where pixels are valid."""


def item_of(dataset: Any, number: int) -> Item:
    """An item of a data set, with random numbers that follow from its number.

    Raises:
        ConfigError: It lacks a key, shapes do not fit, or `valid` is neither bool nor 0 and 1.
        LabelError: Its mask is no whole numbers.
    """
    with seeded(number):
        item: Any = dataset[number]
    where = f"item {number} of the data set"
    lacking = [key for key in _KEYS if not isinstance(item, dict) or key not in item]
    if lacking:
        got = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise ConfigError(
            f"{where} is {got}, expected a dict with the keys image (channel, height, "
            f"width), mask and valid (height, width); it lacks {', '.join(lacking)}"
        )
    image, mask, valid = (torch.as_tensor(item[key]) for key in _KEYS)
    shapes = tuple(image.shape), tuple(mask.shape), tuple(valid.shape)
    if image.ndim != _AXES or shapes[1] != shapes[0][1:] or shapes[2] != shapes[0][1:]:
        raise ConfigError(
            f"{where}: image is {shapes[0]}, mask {shapes[1]} and valid {shapes[2]}, "
            "expected (channel, height, width) and twice (height, width)"
        )
    pixels = image.float() if image.is_floating_point() else image
    return Item(pixels.numpy(), ids_of(mask, where), valid_of(valid, where).numpy())


def ids_of(mask: Tensor, where: str = "a batch") -> Tensor:
    """A mask of any integers or bool as int64.

    Raises:
        LabelError: It holds floats.
    """
    if mask.is_floating_point() or mask.is_complex():
        raise LabelError(
            f"{where}: its mask is {mask.dtype}, expected class ids as integers; give mask.long()"
        )
    return mask.long()


def valid_of(valid: Tensor, where: str = "a batch") -> Tensor:
    """`valid` as bool; 0 and 1 of another dtype stand for it.

    Raises:
        ConfigError: It holds something else.
    """
    if valid.dtype == torch.bool:
        return valid
    found = valid == 1
    if not bool((found | (valid == 0)).all()):
        raise ConfigError(
            f"{where}: its `valid` is {valid.dtype} with other numbers than 0 and 1, expected bool; give "
            "valid > 0 where that is meant"
        )
    return found


def looked_up(table: Tensor, ids: Tensor, *, strange: int) -> Tensor:
    """What a table says of each id; `strange` for ids below 0 or above 255, which it does not know.

    Args:
        table: (256,) numbers.
        ids: Any int64 numbers.
        strange: A number.
    """
    found = table[ids.clamp(0, _IDS - 1)]
    return torch.where((ids < 0) | (ids >= _IDS), torch.full_like(found, strange), found)


def refuse_ids(where: str, ids: list[int], classes: ClassMap) -> None:
    """Tell of ids that are no class.

    Raises:
        LabelError: There are some.
    """
    if not ids:
        return
    raise LabelError(
        f"{where} the ids {ids[:8]}, expected those of {list(classes.names)}: "
        f"{list(classes.ids)}, or {classes.ignore_id} for ignored"
        + (f"; write what is not labelled as {classes.ignore_id}" if ids[0] < 0 else "")
        + ("; ids go up to 255" if ids[-1] >= _IDS else "")
    )
