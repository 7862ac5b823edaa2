"""Pixels of boxes, as a batch holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.volumetric.boxes import Origin
from geoseg.datasets.volumetric.labels import Box
from geoseg.volumes.rle import Shape
from geoseg.volumes.volume import Volume


def split(origin: Origin, size: Shape, shape: Shape) -> tuple[Box, Box]:
    """What of a box lies in its volume: as slices of the volume, and of the box.

    Args:
        origin: Of the box, within the volume.
        size: Of the box.
        shape: Of the volume.
    """
    spans = [min(span, side - at) for at, span, side in zip(origin, size, shape, strict=True)]
    depth, height, width = spans
    plane, row, col = origin
    inside = slice(plane, plane + depth), slice(row, row + height), slice(col, col + width)
    return inside, (slice(depth), slice(height), slice(width))


def read_box(
    volume: Volume, origin: Origin, image: NDArray[Any], valid: NDArray[np.bool_], *, scale: float
) -> None:
    """Read a box into its place in the batch.

    Args:
        volume: Where to read.
        origin: Of the box, within the volume.
        image: (channel, depth, height, width), overwritten: pixels times `scale`, 0 where not valid.
        valid: (depth, height, width), overwritten: False outside the volume, and where a channel is NaN
            or infinite.
        scale: 1 for pixels as they are.
    """
    inside, within = split(origin, valid.shape, volume.shape)
    if inside_size(within) != valid.shape:
        image[...] = 0
        valid[...] = False
    pixels, known = image[(slice(None), *within)], valid[within]
    data = volume.image_window(inside)
    if scale == 1.0:
        with np.errstate(over="ignore"):  # past float32 is infinite, and so not valid
            np.copyto(pixels, data, casting="unsafe")
    else:
        np.multiply(data, np.float32(scale), out=pixels, dtype=np.float32, casting="unsafe")
    known[...] = True
    if image.dtype.kind == "f" and data.dtype.kind == "f":
        np.isfinite(pixels).all(axis=0, out=known)
        if not known.all():
            pixels[:, ~known] = 0


def inside_size(within: Box) -> Shape:
    """(depth, height, width) of slices that begin at 0."""
    depth, height, width = (part.stop for part in within)
    return depth, height, width
