"""Axes of stored arrays, and of volumes: (channel, depth, height, width)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.volumes.metadata import ImageAxes

_2D, _3D, _4D = 2, 3, 4


def as_volume(
    stored: NDArray[Any], image_axes: ImageAxes, *, channels: str = "", where: str = ""
) -> NDArray[Any]:
    """A view (channel, depth, height, width) of a stored array.

    Two axes are (height, width), a volume of depth 1 and one channel; three are in the order of
    `image_axes`. A fourth one holds channels: last beside "HWD", (height, width, depth, channel), and
    first beside "DHW", (channel, depth, height, width).

    Args:
        stored: With two to four axes, each at least 1.
        image_axes: Axes of the array, channels left out.
        channels: "first" or "last", whatever `image_axes` says; empty: as above.
        where: What an error begins with.

    Raises:
        SourceError: The array has other axes.
    """
    if stored.ndim not in (_2D, _3D, _4D) or not stored.size:
        raise SourceError(
            f"{where}: holds an array of shape {stored.shape}, expected two axes (height, width), three "
            f"in the order {image_axes}, or four with channels, each at least 1"
        )
    if stored.ndim == _2D:
        return stored[np.newaxis, np.newaxis]
    place = channels or ("last" if image_axes == "HWD" else "first")
    if stored.ndim == _3D:
        stored = stored[np.newaxis]
    elif place == "last":
        stored = np.moveaxis(stored, -1, 0)
    return stored if image_axes == "DHW" else np.moveaxis(stored, -1, 1)


def as_stored(volume: NDArray[Any], image_axes: ImageAxes) -> NDArray[Any]:
    """A view of a volume as it is stored, the other way round than `as_volume`.

    Args:
        volume: (channel, depth, height, width); of one channel, it is stored with three axes.
        image_axes: Axes of the stored array, channels left out.
    """
    if len(volume) == 1:
        return volume[0] if image_axes == "DHW" else np.moveaxis(volume[0], 0, -1)
    return volume if image_axes == "DHW" else volume.transpose(2, 3, 1, 0)
