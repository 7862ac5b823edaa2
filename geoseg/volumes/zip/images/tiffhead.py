"""What the first directory of a TIFF file tells that GDAL does not: its description, and planes within a page."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

_DESCRIPTION, _DEPTH = 270, 32997
_TEXT, _NUMBERS = 2, {3: "H", 4: "I"}
"""Types of values: text, and whole numbers of 16 and 32 bits."""
_LONGEST = 2**16
"""Bytes of a description that are looked at."""
_MOST = 4096
"""Entries of a directory that are looked at."""


@dataclass(frozen=True)
class TiffHead:
    """Of the first page."""

    description: str = ""
    depth: int = 1
    """Planes that lie within a page (SGI's ImageDepth)."""


@dataclass(frozen=True)
class _Kind:
    """Where numbers stand in a classic TIFF, and in a BigTIFF."""

    directory: str
    """The place of the first directory, from byte `start`."""
    start: int
    count: str
    """How many entries a directory has."""
    entry: str
    """Tag, type and count of values; the values, or their place, follow."""
    place: str


_CLASSIC, _BIG = _Kind("I", 4, "H", "HHI", "I"), _Kind("Q", 8, "Q", "HHQ", "Q")


def tiff_head(data: Any) -> TiffHead:
    """What is told; nothing where the bytes are damaged or no TIFF: that is for GDAL to say.

    Args:
        data: The whole file: bytes, or an array of them that is loaded as it is looked at.
    """
    try:
        return _read(data)
    except struct.error:
        return TiffHead()


def _read(data: Any) -> TiffHead:
    end = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
    kind = {42: _CLASSIC, 43: _BIG}.get(*struct.unpack_from(f"{end or '<'}H", data, 2))
    if not end or kind is None:
        return TiffHead()
    (place,) = struct.unpack_from(end + kind.directory, data, kind.start)
    (count,) = struct.unpack_from(end + kind.count, data, place)
    place += struct.calcsize(end + kind.count)
    head, value = struct.calcsize(end + kind.entry), struct.calcsize(end + kind.place)
    description, depth = "", 1
    for at in range(place, place + min(count, _MOST) * (head + value), head + value):
        tag, dtype, items = struct.unpack_from(end + kind.entry, data, at)
        if tag == _DESCRIPTION and dtype == _TEXT:
            (far,) = struct.unpack_from(end + kind.place, data, at + head)
            start = at + head if items <= value else far
            text = bytes(data[start : start + min(items, _LONGEST)])
            description = text.decode("utf-8", "replace")
        elif tag == _DEPTH and dtype in _NUMBERS:
            (depth,) = struct.unpack_from(end + _NUMBERS[dtype], data, at + head)
    return TiffHead(description, depth)
