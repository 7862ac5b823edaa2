"""Bands by a name for all of them: "rgb" and what publishers of data sets recommend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_HYSPECNET_WET: Final = {*range(127, 142), *range(161, 168)}
"""Numbers of the bands in which water vapour absorbs nearly all light."""
_ENMAP: Final = frozenset(
    frozenset(f"B{number}" for number in range(1, count + 1)) for count in (224, 202)
)
"""What HySpecNet-11k and SpectralEarth call all the bands of EnMAP, with those of water vapour and without."""
_SENTINEL_2: Final = 13
"""Bands that it has."""

BANDSETS: Final = ("rgb", "hyspecnet-202")
"""The names. "rgb" is red, green, blue by name, bands 4, 3 and 2 of Sentinel-2 or Landsat 8 (where a patch has 13
bands at most, or B8A), bands 43, 28 and 10 of EnMAP (635, 551 and 464 nm; the bands that water vapour takes out
come after these), or 1, 2 and 3 of pictures: three or four bands of bytes that have numbers only.
"hyspecnet-202": the 202 of 224 bands of EnMAP that HySpecNet-11k is used with (M. H. P. Fuchs and B. Demir,
"HySpecNet-11k: A Large-Scale Hyperspectral Dataset for Benchmarking Learning-Based Hyperspectral Image Compression
Methods", IGARSS 2023): without 127 to 141 and 161 to 167."""


def bandsets(name: str, arrays: Iterable[str], *, bytes_only: bool) -> list[tuple[str, ...]]:
    """What a name of `BANDSETS` may stand for, given what a patch holds; the first that it has all of is meant.

    Args:
        name: One of the names.
        arrays: The names of all that patches hold but class ids.
        bytes_only: Whether all of that is uint8.
    """
    held = frozenset(arrays)
    if name == "hyspecnet-202":
        return [tuple(f"B{n}" for n in range(1, 225) if n not in _HYSPECNET_WET)]
    found: list[tuple[str, ...]] = [
        ("Red", "Green", "Blue"),
        ("red", "green", "blue"),
        ("B04", "B03", "B02"),
    ]
    if held in _ENMAP:
        found.append(("B43", "B28", "B10"))
    elif "B8A" in held or len(held) <= _SENTINEL_2:
        found.append(("B4", "B3", "B2"))
    if bytes_only and held in ({"1", "2", "3"}, {"1", "2", "3", "4"}):
        found.append(("1", "2", "3"))
    return found
