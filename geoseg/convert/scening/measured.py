"""Which bands of a pixel are measured, where a file tells that for each band by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.convert.scening.missing import plain_image
from geoseg.scene import Scene
from geoseg.sources.base import Chip
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.files.rasterfile import describe_file
from geoseg.window import Window


class Measured:
    """Tells of a scene's pixels, which are valid where all bands are measured, which bands are."""

    def __init__(self, scene: Scene) -> None:
        """The image's file is opened, if it is one."""
        self._whole = scene.grid.whole
        self._numbers = _numbers_of(scene)

    def of(self, chip: Chip, window: Window) -> NDArray[np.bool_]:
        """(band, height, width), True where a band is measured, also in pixels that are not valid.

        Args:
            chip: As the scene's image gives it; of one plain file pixels that are not valid have the
                numbers in the file.
            window: Its place; it may reach past the scene.
        """
        valid = np.broadcast_to(chip.valid, chip.data.shape)
        inside = window.intersection(self._whole)
        if self._numbers is None or inside is None:
            return valid
        part = inside.relative_to(window).slices
        if chip.valid[part].all():
            return valid
        measured = valid.copy()
        for known, plane, number in zip(measured, chip.data, self._numbers, strict=True):
            known[part] = _known(plane[part], number)
        return measured


def _numbers_of(scene: Scene) -> tuple[float | None, ...] | None:
    """The nodata of each band of one plain file; None where something else hides pixels, or may."""
    image = plain_image(scene)
    if image is None or not isinstance(image.uri, str):
        return None
    given = float("nan") if image.nodata == "nan" else image.nodata
    _, file, *_ = describe_file(image.uri, bands=image.bands, nodata=given, overview=image.overview)
    hides_otherwise = file.masks or file.alpha is not None or file.mixed
    return None if hides_otherwise else file.nodata


def _known(plane: NDArray[Any], number: float | None) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = np.isfinite(plane)
    mark = None if number is None else nodata_in(plane.dtype, number)
    return known if mark is None else known & (plane != mark)
