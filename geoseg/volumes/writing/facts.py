"""What is told of a volume beside its voxels, checked against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pydantic import ValidationError

from geoseg.errors import ConfigError
from geoseg.grid import to_crs
from geoseg.sources.stacks.times import to_iso
from geoseg.volumes.metadata import VolumeFacts
from geoseg.volumes.writing.arrays import Volume
from geoseg.volumes.writing.words import check_unicode


def facts_of(
    volume: Volume,
    *,
    crs: Any,
    transform: Affine | None,
    times: Sequence[str | date] | NDArray[np.datetime64] | None,
    channel_names: Sequence[str] | None,
) -> VolumeFacts | None:
    """The facts of a volume; None where there are none.

    Raises:
        ConfigError: There are not as many times as slices, or names as channels, a value is none, or the
            transform cannot be turned back.
        GridError: The CRS is none.
    """
    moments = None if times is None else tuple(_iso(time, volume.where) for time in times)
    names = None if channel_names is None else tuple(map(str, channel_names))
    for name in names or ():
        check_unicode(name, what=f"{volume.where}: the name of a channel")
    for what, given, count in (
        ("times", moments, volume.shape[0]),
        ("names of channels", names, volume.channels),
    ):
        if given is not None and len(given) != count:
            raise ConfigError(
                f"{volume.where}: {len(given)} {what} are given, expected {count} as the image has"
            )
    place = place_of(crs=crs, transform=transform, where=volume.where)
    facts = VolumeFacts(crs=place.crs, transform=place.transform, times=moments, channels=names)
    return None if facts == VolumeFacts() else facts


def place_of(*, crs: Any, transform: Affine | None, where: str) -> VolumeFacts:
    """The facts that tell where slices lie, and no others.

    Raises:
        ConfigError: The transform is none, or cannot be turned back.
        GridError: The CRS is none.
    """
    if transform is not None and not isinstance(transform, Affine):
        raise ConfigError(
            f"{where}: transform is {transform!r}, expected an affine.Affine; make one of GDAL's six numbers with "
            "Affine.from_gdal(*numbers), of rasterio's with Affine(*numbers)"
        )
    try:
        facts = VolumeFacts(crs=None if crs is None else to_crs(crs), transform=transform)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigError(
            f"{where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error
    _check_transform(facts.transform, where)
    return facts


def _check_transform(transform: Affine | None, where: str) -> None:
    if transform is None:
        return
    area = abs(transform.determinant)
    if not (all(map(math.isfinite, transform)) and 0 < area < math.inf):
        raise ConfigError(
            f"{where}: the transform is {tuple(transform)[:6]}, expected finite numbers that give a pixel "
            "an area; without a place leave it out"
        )


def _iso(time: str | date | np.datetime64, where: str) -> str:
    try:
        return to_iso(_of_numpy(time) if isinstance(time, np.datetime64) else time)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _of_numpy(time: np.datetime64) -> date:
    """A date where the unit is days or more, else a moment; ValueError for none, and for what Python cannot hold."""
    unit = "D" if np.datetime_data(time.dtype)[0] in ("Y", "M", "W", "D") else "us"
    exact = time.astype(f"M8[{unit}]")
    found = exact.item()
    if not isinstance(found, date) or exact != time:
        raise ValueError(f"{time!r} is no time of the years 1 to 9999 in whole microseconds")
    return found
