"""Where a plain TIFF lies on the ground: its transform, as GDAL makes it of the tags (GeoTIFF 1.1)."""

from __future__ import annotations

import math
import struct
from functools import lru_cache

from affine import Affine

from geoseg.convert.tiff.header import NotPlainError

_ONE_TIEPOINT = 6
_RASTER_TYPE = 1025
_PIXEL_IS_POINT = 2
_HEAD, _ENTRY = 4, 4
"""Numbers before the first geo key, and of each."""


@lru_cache(maxsize=256)  # the bands of a patch have few places between them
def transform_of(
    order: str, *, scales: bytes, tiepoints: bytes, matrices: bytes, keys: bytes
) -> Affine | None:
    """The transform from pixel corner to ground; None without one.

    Args:
        order: `<` or `>`.
        scales: The values of the tag ModelPixelScale as they stand in the file; empty without.
        tiepoints: Those of ModelTiepoint.
        matrices: Those of ModelTransformation.
        keys: Those of GeoKeyDirectory.

    Raises:
        NotPlainError: Control points, or numbers of which GDAL makes something of its own.
    """
    scale, tiepoint = _doubles(order, scales), _doubles(order, tiepoints)
    matrix = _doubles(order, matrices)
    if not (scale or tiepoint or matrix):
        return None
    if matrix and not (scale or tiepoint) and len(matrix) == 16:  # noqa: PLR2004
        a, b, _, c, d, e, _, f = matrix[:8]
    elif len(scale) == 3 and len(tiepoint) == _ONE_TIEPOINT and not matrix and min(scale[:2]) > 0:  # noqa: PLR2004
        column, row, _, x, y, _ = tiepoint
        a, b, d, e = scale[0], 0.0, 0.0, -scale[1]
        c, f = x - column * a, y - row * e
    else:
        raise NotPlainError("georeference is not plain")
    if _is_point(order, keys):
        c, f = c - (a * 0.5 + b * 0.5), f - (d * 0.5 + e * 0.5)
    if not all(map(math.isfinite, (a, b, c, d, e, f))):
        raise NotPlainError("georeference is not finite")
    # The identity is what stands for no georeference at all.
    return None if (a, b, c, d, e, f) == (1, 0, 0, 0, 1, 0) else Affine(a, b, c, d, e, f)


def _doubles(order: str, value: bytes) -> tuple[float, ...]:
    return struct.unpack(f"{order}{len(value) // 8}d", value)


def _is_point(order: str, keys: bytes) -> bool:
    """Whether the tags place the centre of the first pixel, not its corner."""
    numbers = struct.unpack(f"{order}{len(keys) // 2}H", keys)
    entries = [numbers[at : at + _ENTRY] for at in range(_HEAD, len(numbers), _ENTRY)]
    return any(entry[0] == _RASTER_TYPE and entry[-1] == _PIXEL_IS_POINT for entry in entries)
