"""What a data set tells of the pixels that its items are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch.utils.data import ConcatDataset, Subset

_READERS = ("__getitem__", "__getitems__")


@dataclass(frozen=True)
class Pixels:
    """What the images of a data set are in their files."""

    band_names: tuple[str, ...]
    """Of the bands that items have."""
    dtype: np.dtype[Any]
    """Items are scaled to [0, 1] where it is unsigned."""
    resolution_m: tuple[float, float] | None
    """Ground size of a pixel (x, y) of the first image or mask; None without a place."""


@runtime_checkable
class TellsPixels(Protocol):
    """A data set that knows what its images were before they were scaled."""

    def pixels(self) -> Pixels | None:
        """Bands, dtype and resolution; None where items hold something else than scaled pixels."""


def pixels_of(dataset: object) -> Pixels | None:
    """What a data set tells of its pixels; None where it tells nothing.

    torch's Subset tells what the whole tells, and ConcatDataset what its parts agree on. A class that
    makes items of its own out of another's tells nothing, unless it says so itself.
    """
    if isinstance(dataset, Subset):
        return pixels_of(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        first, *others = [pixels_of(part) for part in dataset.datasets]
        return first if all(_alike(first, other) for other in others) else None
    if not isinstance(dataset, TellsPixels):
        return None
    return dataset.pixels() if _speaks_for_items(type(dataset)) else None


def _alike(one: Pixels | None, other: Pixels | None) -> bool:
    """Whether both tell the same bands and dtype; the resolution is that of the first image anyway."""
    if one is None or other is None:
        return False
    return (one.band_names, one.dtype) == (other.band_names, other.dtype)


def _speaks_for_items(kind: type) -> bool:
    """Whether `pixels` comes from the class that makes the items, or from one derived of it."""
    places = {name: _place_of(kind, name) for name in ("pixels", *_READERS)}
    return all(places["pixels"] <= places[name] for name in _READERS)


def _place_of(kind: type, name: str) -> int:
    """How far up its ancestors a class has a method from."""
    line = kind.__mro__
    return next((i for i, owner in enumerate(line) if name in vars(owner)), len(line))
