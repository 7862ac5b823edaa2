"""What the directories of a TIFF file tell that GDAL does not, or only page by page and slowly."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

_DESCRIPTION, _DEPTH, _PACKING, _STRIPS = 270, 32997, 259, 273
_PLACE = frozenset((33550, 33922, 34264, 34735, 34736, 34737))
"""Tags of the georeference: scale, tie points, matrix; keys of GeoTIFF, and their numbers and texts."""
_LOOKED_AT = _PLACE | {_DESCRIPTION, _DEPTH, _PACKING, _STRIPS}
_TEXT, _NUMBERS = 2, {3: "H", 4: "I", 16: "Q"}
"""Types of values: text, and whole numbers of 16, 32 and 64 bits."""
_SIZES = {1: (1, 2, 6, 7), 2: (3, 8), 4: (4, 9, 11, 13), 8: (5, 10, 12, 16, 17, 18)}
_BYTES = {dtype: size for size, dtypes in _SIZES.items() for dtype in dtypes}
"""That a value of each type takes."""
_LONGEST = 2**16
"""Bytes of a value that are looked at."""
_MOST = 2**22
"""Entries that are looked at in all directories together: 64 for each of as many pages as GDAL reads."""
_CUT: tuple[type[Exception], ...] = (struct.error, OverflowError)
"""What numbers past the end of the bytes raise, and those past any end."""


@dataclass(frozen=True)
class TiffHead:
    """Of the first page."""

    description: str = ""
    depth: int = 1
    """Planes that lie within a page (SGI's ImageDepth)."""
    room: int = 0
    """Bytes from its first voxel, where it is not packed and in strips, to its directory or the file's end."""


@dataclass(frozen=True)
class _Kind:
    """Where numbers stand in a classic TIFF, and in a BigTIFF."""

    directory: str
    """The place of the first directory, from byte `start`, and of the next one behind each."""
    start: int
    count: str
    """How many entries a directory has."""
    entry: str
    """Tag, type and count of values; the values, or their place, follow."""
    place: str


_CLASSIC, _BIG = _Kind("I", 4, "H", "HHI", "I"), _Kind("Q", 8, "Q", "HHQ", "Q")


@dataclass(frozen=True)
class _Entry:
    """One of a directory."""

    dtype: int
    items: int
    start: int
    """Where its values lie in the file."""


@dataclass(frozen=True)
class _Directory:
    """What a page tells of itself."""

    start: int
    entries: dict[int, _Entry]
    """By tag."""


@dataclass(frozen=True)
class _File:
    """The bytes, and how numbers stand in them."""

    data: memoryview
    end: str
    """Byte order, as struct names it."""
    kind: _Kind

    def numbers(self, form: str, start: int) -> tuple[Any, ...]:
        """Those that stand at a place; struct.error past the end, OverflowError past any."""
        return struct.unpack_from(self.end + form, self.data, start)

    def number(self, entry: _Entry | None, otherwise: int) -> int:
        """The first value of an entry; `otherwise` where there is no whole number."""
        if entry is None or entry.dtype not in _NUMBERS or not entry.items:
            return otherwise
        return int(self.numbers(_NUMBERS[entry.dtype], entry.start)[0])

    def value(self, entry: _Entry) -> bytes:
        """All of a value, or its first bytes where it is very long."""
        size = min(entry.items * _BYTES.get(entry.dtype, 1), _LONGEST)
        return bytes(self.data[entry.start : entry.start + size])

    def directories(self) -> Iterator[_Directory]:
        """One after the other, as each tells where the next one lies; none twice."""
        (start,) = self.numbers(self.kind.directory, self.kind.start)
        seen, left = set[int](), _MOST
        while start and start not in seen:
            seen.add(start)
            (count,) = self.numbers(self.kind.count, start)
            left -= count + 1  # a directory of none is one to look at, too
            if left < 0:
                return
            first = start + struct.calcsize(self.end + self.kind.count)
            yield _Directory(start, self._entries(first, count))
            size = struct.calcsize(self.end + self.kind.entry + self.kind.place)
            (start,) = self.numbers(self.kind.directory, first + count * size)

    def _entries(self, first: int, count: int) -> dict[int, _Entry]:
        form = self.end + self.kind.entry + self.kind.place
        size, value = struct.calcsize(form), struct.calcsize(self.end + self.kind.place)
        found = struct.iter_unpack(form, self.data[first : first + count * size])
        entries: dict[int, _Entry] = {}
        for place, (tag, dtype, items, far) in enumerate(found, start=1):
            if tag in _LOOKED_AT:
                inside = items * _BYTES.get(dtype, 1) <= value
                start = first + place * size - value if inside else far
                entries.setdefault(tag, _Entry(dtype, items, start))
        return entries


def tiff_head(data: Any) -> TiffHead:
    """What is told; nothing where the bytes are damaged or no TIFF: that is for GDAL to say.

    Args:
        data: The whole file: bytes, or an array of them that is loaded as it is looked at.
    """
    try:
        file = _opened(data)
        first = next(file.directories(), None) if file else None
        return _head(file, first) if file and first else TiffHead()
    except _CUT:
        return TiffHead()


def alike_placed(data: Any, pages: Sequence[int]) -> bool:
    """Whether pages tell the same georeference, byte by byte, or all of them none.

    No page is opened for it: GDAL looks for each of them from the first directory on.

    Args:
        data: As for `tiff_head`.
        pages: Places of their directories in the file, from 1, rising.

    Returns:
        False too where a directory is damaged, or georeferences are too long to be compared.
    """
    wanted = set(pages)
    try:
        file = _opened(data)
        if file is None:
            return False
        walked = enumerate(file.directories(), start=1)
        places = (_place(file, page) for number, page in walked if number in wanted)
        first = next(places, None)
        others = islice(places, len(wanted) - 1)
        alike = sum(1 for _ in takewhile(lambda other: other == first, others))
    except _CUT:
        return False
    return first is not None and alike == len(wanted) - 1


def starts(data: Any, pages: Sequence[int]) -> tuple[int | None, ...]:
    """Where the directories of pages begin in the file; None from the first on that is not found.

    Args:
        data: As for `tiff_head`.
        pages: As for `alike_placed`.
    """
    wanted, found = set(pages), list[int]()
    try:
        file = _opened(data)
        walked = enumerate(file.directories() if file else (), start=1)
        for number, page in walked:
            if number in wanted:
                found.append(page.start)
            if len(found) == len(pages):
                break
    except _CUT:
        pass  # what is damaged is for GDAL to say
    return (*found, *[None] * (len(pages) - len(found)))


def _opened(data: Any) -> _File | None:
    """How numbers stand in the bytes; None where they are no TIFF."""
    view = memoryview(data)
    end = {b"II": "<", b"MM": ">"}.get(bytes(view[:2]))
    if end is None:
        return None
    kind = {42: _CLASSIC, 43: _BIG}.get(*struct.unpack_from(f"{end}H", view, 2))
    return _File(view, end, kind) if kind else None


def _head(file: _File, page: _Directory) -> TiffHead:
    told, description = page.entries.get(_DESCRIPTION), ""
    if told and told.dtype == _TEXT:
        description = file.value(told).decode("utf-8", "replace")
    room = 0
    if file.number(page.entries.get(_PACKING), 1) == 1 and _STRIPS in page.entries:
        start = file.number(page.entries[_STRIPS], 0)
        size = len(file.data)
        room = max((page.start if page.start > start else size) - start, 0)
    return TiffHead(description, file.number(page.entries.get(_DEPTH), 1), room)


def _place(file: _File, page: _Directory) -> dict[int, tuple[int, bytes]] | None:
    """The georeference as it stands in the file; None where it is too long."""
    found = {tag: entry for tag, entry in page.entries.items() if tag in _PLACE}
    if any(one.items * _BYTES.get(one.dtype, 1) > _LONGEST for one in found.values()):
        return None
    return {tag: (one.dtype, file.value(one)) for tag, one in found.items()}
