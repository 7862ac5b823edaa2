"""Archive and Member: safe access to what a zip holds, without extracting it."""

from __future__ import annotations

import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, KeysView
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError, errors_as
from geoseg.sources.cache import remember, stamp
from geoseg.volumes.zip.members import members_by_name

LARGE = 256 * 2**20
"""Bytes up to which a member may be packed as tightly as it likes."""
RATIO = 200
"""How many bytes one packed byte may stand for in a larger member."""
DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,  # a way of packing that this Python does not know
    RuntimeError,  # a member whose own header says it is encrypted
)
"""What reading a damaged zip raises."""
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_CHUNK = 2**20


def damage_told(where: str) -> AbstractContextManager[None]:
    """Errors of reading damaged bytes as a SourceError that names where they are."""
    return errors_as(
        SourceError,
        f"{where}: cannot be read, it is damaged or cut short",
        cure="make or download it again",
        of=DAMAGE,
    )


def promises_too_much(size: int, *, packed: int) -> bool:
    """Whether a few bytes want to become very many."""
    return size > LARGE and size > RATIO * packed


def check_promise(
    where: str, *, size: int, packed: int, cure: str = "store it in the zip without compression"
) -> None:
    """SourceError for a few bytes that want to become very many; it ends in what to do if they should."""
    if promises_too_much(size, packed=packed):
        raise SourceError(
            f"{where}: {packed} bytes promise to become {size}, expected at most {RATIO} from each beyond "
            f"{LARGE}; if the file is sound, {cure}"
        )


class Member:
    """One file in a zip."""

    def __init__(
        self,
        where: str,
        *,
        holder: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        uri: str | None = None,
        packed: int | None = None,
    ) -> None:
        """Of an open zip.

        Args:
            where: What errors call it.
            holder: The zip.
            info: Its entry.
            uri: The zip's file; None for a zip that is itself inside of another.
            packed: Bytes that it takes in the outermost file; None: as its entry says.

        Raises:
            SourceError: It is encrypted, or promises to become too large.
        """
        self.where = where
        self.size = info.file_size
        """Bytes, unpacked."""
        self.packed = info.compress_size if packed is None else min(packed, info.compress_size)
        """Bytes in the file."""
        self._holder, self._info, self._uri = holder, info, uri
        if info.flag_bits & 0x1:
            raise SourceError(f"{where}: is encrypted; make the zip again without a password")
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise SourceError(
                f"{where}: is stored as it is, but its sizes differ: {info.compress_size} and "
                f"{info.file_size} bytes; the zip is damaged, make it again"
            )
        check_promise(where, size=self.size, packed=self.packed)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes from the first on; damage that is met while they are read is a SourceError."""
        with damage_told(self.where), self._holder.open(self._info) as stream:
            yield stream

    def read(self) -> bytes:
        """All its bytes, checked against the zip's checksum."""
        with self.open() as stream:
            data = stream.read()
        self._check_count(len(data))
        return data

    def check(self) -> None:
        """SourceError unless all its bytes can be read and fit the zip's checksum."""
        count = 0
        with self.open() as stream:
            while data := stream.read(_CHUNK):
                count += len(data)
        self._check_count(count)

    def _check_count(self, count: int) -> None:
        if count != self.size:
            raise SourceError(
                f"{self.where}: holds {count} bytes, its entry promises {self.size}; the zip is damaged"
            )

    def place(self) -> int | None:
        """Where its first byte lies in the zip's file; None where it is packed.

        Raises:
            SourceError: Its own header is not where the list of members says, or it reaches past the end.
        """
        if self._uri is None or self._info.compress_type != zipfile.ZIP_STORED:
            return None
        with damage_told(self.where), Path(self._uri).open("rb") as file:
            file.seek(self._info.header_offset)
            head, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            start: int = self._info.header_offset + _LOCAL_HEADER.size + name + extra
            if head != b"PK\x03\x04" or start + self.size > os.fstat(file.fileno()).st_size:
                raise SourceError(
                    f"{self.where}: does not lie where the zip's list of members says; the zip is damaged"
                )
        return start

    def mapped(self) -> NDArray[np.uint8] | None:
        """Its bytes, read-only, loaded as they are looked at; None where it is packed."""
        start = self.place()
        if start is None or self._uri is None:
            return None
        if not self.size:
            return np.empty(0, np.uint8)
        with damage_told(self.where):
            return np.memmap(self._uri, np.uint8, "r", offset=start, shape=(self.size,))

    def source(self) -> tuple[str, int] | None:
        """The file in which its bytes lie as they are, and where; None where it is packed."""
        start = self.place()
        return None if start is None or self._uri is None else (self._uri, start)


class Archive:
    """An open zip: its members by name, all of them safe to read."""

    def __init__(self, uri: str) -> None:
        """Open a zip.

        Args:
            uri: A local file.

        Raises:
            SourceError: It is missing, no zip, damaged, or has unsafe members.
        """
        self.uri = uri
        self._zip = _opened(uri)
        infos = self._zip.infolist()
        self._infos = members_by_name(uri, infos)

    @property
    def names(self) -> KeysView[str]:
        """Of its members, without folders, in the order of the zip; letters are composed (Unicode's NFC)."""
        return self._infos.keys()

    def find(self, name: str) -> str | None:
        """The name among `names` that is this one, composed or not; None where it is not there."""
        composed = normalize("NFC", name)
        return next((one for one in (name, composed) if one in self._infos), None)

    def member(self, name: str) -> Member:
        """A member by its name, one of `names`.

        Raises:
            SourceError: It is encrypted, or promises to become too large.
        """
        info = self._infos[name]
        return Member(f"{self.uri}: {name}", holder=self._zip, info=info, uri=self.uri)


def open_archive(uri: str) -> Archive:
    """The open zip of a file for this process, opened now or before; opened anew where it has changed.

    A handle is never used by two processes: they would move each other's place in the file.
    """
    return remember(
        ("volume zip", uri, os.getpid()),
        lambda: Archive(uri),
        files=(uri,),
        nbytes=lambda archive: 1000 * len(archive.names),
    )


def zip_in(data: bytes, where: str) -> zipfile.ZipFile:
    """The zip that a member is."""
    with damage_told(where):
        return zipfile.ZipFile(io.BytesIO(data))


def _opened(uri: str) -> zipfile.ZipFile:
    if stamp(uri) is None or not Path(uri).is_file():
        raise SourceError(f"{uri}: there is no such file; name a zip on a local disk")
    try:
        return zipfile.ZipFile(uri)
    except DAMAGE as error:
        raise SourceError(
            f"{uri}: cannot be read as a zip: {error}; it is damaged, cut short, or no zip"
        ) from error
