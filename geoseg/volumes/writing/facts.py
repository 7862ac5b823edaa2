"""What is told of a volume beside its voxels, checked against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from affine import Affine
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
    times: Sequence[str | date] | None,
    channels: Sequence[str] | None,
) -> VolumeFacts | None:
    """The facts of a volume; None where there are none.

    Raises:
        ConfigError: There are not as many times as slices, or names as channels, a value is none, or the
            transform cannot be turned back.
        GridError: The CRS is none.
    """
    moments = None if times is None else tuple(_iso(time, volume.where) for time in times)
    names = None if channels is None else tuple(map(str, channels))
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
    try:
        facts = VolumeFacts(
            crs=None if crs is None else to_crs(crs),
            transform=transform,
            times=moments,
            channels=names,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigError(
            f"{volume.where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error
    _check_transform(facts.transform, volume.where)
    return None if facts == VolumeFacts() else facts


def _check_transform(transform: Affine | None, where: str) -> None:
    if transform is None:
        return
    area = abs(transform.determinant)
    if not (all(map(math.isfinite, transform)) and 0 < area < math.inf):
        raise ConfigError(
            f"{where}: the transform is {tuple(transform)[:6]}, expected finite numbers that give a pixel "
            "an area; without a place leave it out"
        )


def _iso(time: str | date, where: str) -> str:
    try:
        return to_iso(time)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
