"""ArrayVolume: a volume in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS

from geoseg.errors import ConfigError, LabelError
from geoseg.volumes.masked import hidden
from geoseg.volumes.rle import Rle, Shape
from geoseg.volumes.zip.region import region_of

_3D, _4D = 3, 4


class ArrayVolume:
    """A volume in memory, with the members that a row of a zip has.

    The image is kept as it is given, and not copied; masks are kept as runs.

    >>> import numpy as np
    >>> cube = np.zeros((4, 6, 5), np.uint8)
    >>> volume = ArrayVolume("a", cube, {"high": cube > 9, "low": cube < 3})
    >>> volume.classes, volume.shape, volume.channels, [rle.area for rle in volume.rles()]
    (('high', 'low'), (4, 6, 5), 1, [0, 120])
    """

    def __init__(
        self,
        name: str,
        image: ArrayLike,
        masks: Mapping[str, ArrayLike | Rle] | Sequence[ArrayLike | Rle] | ArrayLike | None = None,
        classes: Sequence[str] | None = None,
        *,
        fold: int | str | None = None,
        crs: CRS | None = None,
        transform: Affine | None = None,
        times: Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        """Take the arrays; masks become runs here.

        Args:
            name: What errors and items call it.
            image: (channel, depth, height, width), or (depth, height, width) for one channel.
            masks: Of each class, (depth, height, width) of bool, or of 0 and one other, or runs: by the
                name of the class (those not named are empty), or in the order of `classes`, such as one
                array (class, depth, height, width). None: nothing is known.
            classes: Names; None: the keys of `masks`.
            fold: The part of a cross-validation that it belongs to.
            crs: Of its slices.
            transform: Of its slices: pixel corner to ground.
            times: Of its slices, one for each.
            channel_names: Of the image, one for each channel.

        Raises:
            ConfigError: The image has other axes, there are not as many times as slices or names as
                channels, or masks have no names.
            LabelError: Masks do not fit the image or the classes, or are no masks.
        """
        if count := hidden(image):
            raise ConfigError(
                f"volume {name!r}: its image is a masked array, {count} of its values are "
                "masked; give each a value: image.filled(value)"
            )
        pixels = np.asarray(image)
        if pixels.ndim not in (_3D, _4D) or not pixels.size:
            raise ConfigError(
                f"volume {name!r}: its image has the shape {pixels.shape}, expected (channel, depth, height, "
                "width) or (depth, height, width), each at least 1"
            )
        self._image: NDArray[Any] = pixels if pixels.ndim == _4D else pixels[np.newaxis]
        self.name, self.fold, self.crs, self.transform = name, fold, crs, transform
        self.times = None if times is None else tuple(times)
        if self.times is not None and len(self.times) != self.shape[0]:
            raise ConfigError(
                f"volume {name!r}: {len(self.times)} times for {self.shape[0]} slices, expected one for each"
            )
        self.channel_names = None if channel_names is None else tuple(channel_names)
        if self.channel_names is not None and len(self.channel_names) != self.channels:
            raise ConfigError(
                f"volume {name!r}: {len(self.channel_names)} names for {self.channels} channels, expected one "
                "for each"
            )
        named = tuple(masks) if isinstance(masks, Mapping) else ()
        self.classes = named if classes is None else tuple(classes)
        self._rles = None if masks is None else self._encoded(masks)

    def __repr__(self) -> str:
        return f"ArrayVolume({self.name!r}, {self.channels} channels of {self.dtype}, shape={self.shape})"

    @property
    def shape(self) -> Shape:
        """(depth, height, width)."""
        depth, height, width = self._image.shape[1:]
        return depth, height, width

    @property
    def channels(self) -> int:
        """How many the image has."""
        return len(self._image)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the image."""
        return self._image.dtype

    def image(self) -> NDArray[Any]:
        """(channel, depth, height, width), the array itself."""
        return self._image

    def image_window(self, box: Sequence[slice]) -> NDArray[Any]:
        """A part of the image, (channel, depth, height, width), as of `VolumeRow`.

        Args:
            box: Slices of depth, height and width, as for `Rle.window`: negative numbers lie before the
                volume, and outside of it the image is 0.

        Raises:
            GridError: There are not three slices, or one is empty or has a step.
        """
        inside, around, shape = region_of(box, self.shape)
        if inside is None:
            return np.zeros((self.channels, *shape), self.dtype)
        data = self._image[(slice(None), *(slice(*span) for span in inside))]
        if data.shape[1:] == shape:
            return data
        out = np.zeros((self.channels, *shape), self.dtype)
        out[(slice(None), *around)] = data
        return out

    def rles(self) -> tuple[Rle, ...] | None:
        """Runs of each class's mask; None where nothing is known of masks."""
        return self._rles

    def masks(self) -> NDArray[np.bool_] | None:
        """(class, depth, height, width); None where nothing is known of masks."""
        if self._rles is None:
            return None
        found = np.empty((len(self._rles), *self.shape), bool)
        for mask, rle in zip(found, self._rles, strict=True):
            mask[...] = rle.decode()
        return found

    def _encoded(self, masks: Any) -> tuple[Rle, ...]:
        """Runs of each class."""
        if isinstance(masks, Mapping):
            unknown = [key for key in masks if key not in self.classes]
            if unknown:
                raise LabelError(
                    f"volume {self.name!r} has a mask of {unknown[0]!r}, which is none of its classes: "
                    + ", ".join(self.classes)
                )
            nothing = Rle(np.zeros(0, np.int64), np.zeros(0, np.int64), self.shape)
            masks = [masks.get(name, nothing) for name in self.classes]
        elif not self.classes:
            raise ConfigError(
                f"volume {self.name!r} has masks without names; give classes=..., or masks by name"
            )
        if len(masks) != len(self.classes):
            raise LabelError(
                f"volume {self.name!r} has {len(masks)} masks for the {len(self.classes)} classes "
                f"{', '.join(self.classes)}; expected one for each"
            )
        return tuple(map(self._runs, self.classes, masks))

    def _runs(self, name: str, mask: ArrayLike | Rle) -> Rle:
        """The runs of one mask, in the one order that all have here."""
        where = f"volume {self.name!r}, class {name!r}"
        shape = mask.shape if isinstance(mask, Rle) else np.shape(mask)
        if shape != self.shape:
            raise LabelError(
                f"{where}: its mask has the shape {shape}, expected that of the image: {self.shape}"
            )
        try:
            return mask.reordered("dhw") if isinstance(mask, Rle) else Rle.encode(mask)
        except LabelError as error:
            raise LabelError(f"{where}: {error}") from error
