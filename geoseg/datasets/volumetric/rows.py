"""Rows of volumes, told from all else by what they can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoseg.errors import ConfigError
from geoseg.volumes.volume import Volume

_MEMBERS = ("image", "image_window", "rles", "shape", "classes")


def is_volume(given: Any) -> bool:
    """Whether this is a volume: a row of a `VolumeZip`, an `ArrayVolume`, or one's own with their members."""
    return all(hasattr(type(given), name) or hasattr(given, name) for name in _MEMBERS)


def has_volumes(given: Any) -> bool:
    """Whether this is a volume, or a list that begins with one."""
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    return is_volume(given[0] if listed and len(given) else given)


def volumes_of(given: Any) -> Sequence[Volume]:
    """A list of volumes, as it is: that of a zip is quicker to pickle than its rows; of a single one a list.

    Raises:
        ConfigError: It is something else.
    """
    if is_volume(given):
        return [given]
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    if not listed or not given or not is_volume(given[0]):
        found = given[0] if listed and given else given
        empty = listed and not given
        raise ConfigError(
            f"expected volumes, such as VolumeZip(...).frame('train') or ArrayVolume(...), got "
            f"{'none' if empty else type(found).__name__}"
        )
    for number, row in enumerate(given):
        if not is_volume(row):
            raise ConfigError(
                f"number {number} of the {len(given)} volumes, from 0, is a {type(row).__name__}; give "
                "volumes only, such as rows of a VolumeZip or ArrayVolumes"
            )
    rows: Sequence[Volume] = given
    return rows
