"""How pixels that are not valid are told apart in a store, where an array has no mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from geoseg.errors import ConfigError, SourceError
from geoseg.scene import Scene
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands for pixels that are not valid."""

    marks: tuple[Any, ...] | None
    """The pixel that means "missing", for each band; None: no value does."""
    array: bool = False
    """Whether an array of its own tells; with neither of both all pixels are valid."""


def missing_in(scenes: Sequence[Scene], nodata: float | None, *, inside: bool) -> Missing:
    """What to write where pixels are not valid, the same in all scenes.

    Args:
        scenes: With the same bands and dtype.
        nodata: The number wanted; None: NaN in floats, else what the files declare.
        inside: Whether all windows lie inside their scenes.

    Raises:
        ConfigError: The number is no pixel of the scenes.
    """
    dtype, bands = scenes[0].image.dtype, len(scenes[0].image.band_names)
    if nodata is not None:
        mark = dtype.type(nodata) if math.isnan(nodata) and dtype.kind in "fc" else None
        mark = nodata_in(dtype, nodata) if mark is None else mark
        if mark is None:
            raise ConfigError(
                f"nodata is {nodata}, which no pixel of {dtype} can be; give a number that is, or none"
            )
        return Missing((mark,) * bands)
    if dtype.kind in "fc":
        return Missing((dtype.type(np.nan),) * bands)
    if inside and all(map(_always_valid, scenes)):
        return Missing(None)
    found = {_declared(scene) for scene in scenes}
    mark = found.pop() if len(found) == 1 else None
    return Missing(None, array=True) if mark is None else Missing((mark,) * bands)


def plain_image(scene: Scene) -> GeoTIFFSource | None:
    """The image, if it is a file as it is, on its own grid."""
    image = scene.image
    plain = isinstance(image, GeoTIFFSource) and not image.transforms and image.grid == scene.grid
    return image if plain and isinstance(image, GeoTIFFSource) else None


def _always_valid(scene: Scene) -> bool:
    """Whether the image is one plain file that declares nothing as missing."""
    image = plain_image(scene)
    if image is None or not isinstance(image.uri, str) or image.nodata is not None:
        return False
    return all(flags == [MaskFlags.all_valid] for flags in open_raster(image.uri).mask_flag_enums)


def _declared(scene: Scene) -> Any:
    """The nodata of plain files, in which no valid pixel has it; None of all else."""
    image = plain_image(scene)
    if image is None:
        return None
    if image.nodata is not None:
        numbers = {image.nodata}
    else:
        uris = (image.uri,) if isinstance(image.uri, str) else image.uri
        # Of all bands: those with the same number are the common case, another one gets an array.
        numbers = {number for uri in uris for number in open_raster(uri).nodatavals}
    if len(numbers) != 1 or (number := numbers.pop()) is None:
        return None
    return nodata_in(image.dtype, float(number))


def mark_missing(
    data: NDArray[Any], measured: NDArray[np.bool_], marks: tuple[Any, ...], where: str
) -> None:
    """Write the marks into the pixels that are not measured.

    Args:
        data: (band, height, width); changed in place.
        measured: (band, height, width).
        marks: For each band.
        where: Begins the error text.

    Raises:
        SourceError: A pixel that is measured has the number that is to mean "missing".
    """
    for plane, known, mark in zip(data, measured, marks, strict=True):
        if (count := int(((plane == mark) & known).sum())) > 0:
            raise SourceError(
                f"{where}: {count} valid pixels have the value {mark}, which is to mean that they are missing; "
                "give nodata= a number that no pixel has"
            )
        plane[~known] = mark
