"""A zip written member after member, whose arrays can be mapped where they lie."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from geoseg.errors import StoreError, errors_as

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that equal content gives equal bytes; the earliest that a zip can hold."""
_UNIX, _MODE = 3, 0o100644
"""The system that members say they come from, whatever this one is, and what it may do with them."""
_ALIGNED = 64
"""Bytes: numpy pads the header of an array to it, so that the numbers begin at a multiple too."""
_FILLER, _FILLER_HEAD = 0xD935, struct.Struct("<HHH")
"""The extra field that aligns a member, as Android's tools write it: its id, its size, the alignment."""
_CHUNK = 1 << 20
_LOCAL_HEADER, _LARGE_FIELD = 30, 20
"""Bytes before the name of a member, and of the field with sizes past 4 GB."""


def cannot_be_written(name: str) -> AbstractContextManager[None]:
    """StoreError for what the file system refuses."""
    return errors_as(
        StoreError, f"{name}: cannot be written", cure="make room or choose another place"
    )


class Archive:
    """A zip of members that are not compressed, each at a multiple of 64 bytes."""

    def __init__(self, path: Path) -> None:
        """Open a file for writing; what it held is lost."""
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)

    def close(self) -> None:
        """Write the list of members and close the file; nothing more once it is closed."""
        self._zip.close()

    def add(self, name: str, size: int, parts: Iterable[bytes | memoryview]) -> None:
        """Write a member.

        Args:
            name: Its path in the zip, with `/`.
            size: Bytes that the parts have together.
            parts: Its content, one after the other.

        Raises:
            StoreError: There is no room.
            ValueError: The parts have more or fewer bytes.
        """
        member = zipfile.ZipInfo(name, _DATE)
        member.create_system, member.external_attr = _UNIX, _MODE << 16
        member.file_size = size
        large = size > zipfile.ZIP64_LIMIT
        member.extra = self._filler(name, large=large)
        written = 0
        with cannot_be_written(name):
            file = self._zip.open(member, "w", force_zip64=large)
        try:
            for part in parts:
                with cannot_be_written(name):
                    written += file.write(part)
        finally:
            with cannot_be_written(name):
                file.close()
        if written != size:
            raise ValueError(f"{name}: {written} bytes were written, expected {size}")

    def add_file(self, name: str, path: Path) -> None:
        """Write a member with the content of a file."""
        with path.open("rb") as file:
            self.add(name, path.stat().st_size, iter(lambda: file.read(_CHUNK), b""))

    def _filler(self, name: str, *, large: bool) -> bytes:
        """The extra field by which the content of the next member begins at a multiple of 64 bytes."""
        begin = self._zip.start_dir + _LOCAL_HEADER + len(name.encode())
        begin += _FILLER_HEAD.size + (_LARGE_FIELD if large else 0)
        padding = -begin % _ALIGNED
        head = _FILLER_HEAD.pack(_FILLER, padding + 2, _ALIGNED)  # 2: of the alignment itself
        return head + bytes(padding)
