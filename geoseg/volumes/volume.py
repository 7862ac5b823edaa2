"""What a volume is to those who read it, wherever it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.sources.base import has_names
from geoseg.volumes.rle import Rle, Shape


class Volume(Protocol):
    """A named image (channel, depth, height, width) with a mask for each class, or without masks."""

    @property
    def name(self) -> str:
        """What errors and items call it."""

    @property
    def fold(self) -> int | str | None:
        """The part of a cross-validation that it belongs to."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the masks."""

    @property
    def shape(self) -> Shape:
        """(depth, height, width), known without reading pixels."""

    @property
    def channels(self) -> int:
        """How many the image has."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the image."""

    @property
    def channel_names(self) -> tuple[str, ...] | None:
        """Of the image, where they are known; a class of one's own may leave this out."""

    @property
    def crs(self) -> CRS | None:
        """Of its slices."""

    @property
    def transform(self) -> Affine | None:
        """Of its slices: pixel corner to ground."""

    @property
    def times(self) -> tuple[str, ...] | None:
        """Of its slices, from the first to the last."""

    def image(self) -> NDArray[Any]:
        """(channel, depth, height, width)."""

    def image_window(self, box: Sequence[slice]) -> NDArray[Any]:
        """A part of the image, from slices of depth, height and width within it."""

    def rles(self) -> tuple[Rle, ...] | None:
        """Runs of each class's mask; None where nothing is known of masks."""

    def masks(self) -> NDArray[np.bool_] | None:
        """(class, depth, height, width); None where nothing is known of masks."""


def channel_names_of(volume: Volume) -> tuple[str, ...] | None:
    """The names of a volume's channels; None where it tells none, or numbers only."""
    names: tuple[str, ...] | None = getattr(volume, "channel_names", None)
    return tuple(names) if names and has_names(tuple(names)) else None
