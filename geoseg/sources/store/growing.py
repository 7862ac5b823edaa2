"""An LMDB environment that is written, whose map grows as it must.

LMDB maps its whole file into memory, and the size of that map is a limit that it asks for beforehand. A
large one fails where address space is limited, so this begins small, and doubles the map and repeats a
transaction where that did not fit. The file is as large as what it holds, not as the map.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geoseg.errors import StoreError
from geoseg.sources.store.environments import DATA_FILE
from geoseg.sources.store.keys import key_twice

_PAGE = 4096
_LEAST_PAGES = 16
"""Of a map: what LMDB needs to begin with."""
_GROWTHS = (2, 1.5, 1.1)
"""What a map is multiplied by; the smaller ones where address space is short."""
_MAP_SIZE_AT, _PAGE_SIZE_AT = 32, 40
"""Bytes from the start of a meta page, of which a file has two, to what it notes."""


class GrowingEnvironment:
    """A folder with `data.mdb`, open for writing by this process alone."""

    def __init__(self, folder: Path, *, uri: str, map_bytes: int) -> None:
        """Open what is there, or make it.

        Args:
            folder: Must be there.
            uri: The store, for error texts.
            map_bytes: The size of the map at first; see `affordable`.

        Raises:
            StoreError: It cannot be made or opened.
        """
        import lmdb

        self._uri, self._folder = uri, folder
        self._map = whole_pages(map_bytes)
        try:
            # As a folder, which LMDB notes in the file; without a lock file: nobody else knows of it.
            self._env = lmdb.open(str(folder), lock=False, map_size=self._map, mode=0o666)
        except (OSError, MemoryError, lmdb.Error) as error:
            raise StoreError(
                f"{uri}: cannot be made with a map of {self._map} bytes: {error}; make room, or "
                "give a smaller `map_bytes`"
            ) from error
        self._map = self._env.info()["map_size"]  # more where the file is larger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """What is committed stays; a second time does nothing."""
        self._env.close()

    @property
    def nbytes(self) -> int:
        """Of the file."""
        return (self._folder / DATA_FILE).stat().st_size

    def put(self, values: Mapping[str, bytes], *, replacing: bool = False) -> None:
        """Write values in one transaction, in the order given: all of them or none.

        Args:
            values: By key.
            replacing: Whether a key that is there already gets the new value.

        Raises:
            StoreError: A key is there already, or the disk is full.
        """
        need = sum(len(value) + _PAGE for value in values.values())
        self._commit(lambda transaction: self._put(transaction, values, replacing), need)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove values in one transaction; a key that is not there is no error.

        Raises:
            StoreError: The disk is full.
        """
        names = [key.encode() for key in keys]

        def remove(transaction: Any) -> None:
            for name in names:
                transaction.delete(name)

        self._commit(remove, _LEAST_PAGES * _PAGE)

    def get(self, key: str) -> bytes | None:
        """A value as it is stored."""
        with self._env.begin() as transaction:
            value: bytes | None = transaction.get(key.encode())
            return value

    def all_keys(self) -> list[str]:
        """Sorted by their bytes."""
        with self._env.begin() as transaction:
            return [raw.decode() for raw in transaction.cursor().iternext(values=False)]

    def _put(self, transaction: Any, values: Mapping[str, bytes], replacing: bool) -> None:
        for key, value in values.items():
            if not transaction.put(key.encode(), value, overwrite=replacing):
                raise key_twice(key, self._uri)

    def _commit(self, write: Any, need: int) -> None:
        import lmdb

        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    write(transaction)
            except lmdb.MapFullError:
                self._grow(need)
            except StoreError:
                raise
            except (lmdb.Error, OSError, MemoryError) as error:
                raise StoreError(
                    f"{self._uri}: cannot be written: {error}. Is the disk full? Make room on the disk of "
                    f"{self._folder.parent.parent.absolute()} or choose another place"
                ) from error
            else:
                return

    def _grow(self, need: int) -> None:
        # LMDB gives the old map back before it takes the new one: only the difference must be there.
        wanted = [whole_pages(int(factor * self._map) + need) for factor in _GROWTHS]
        size = next((size for size in wanted if _has_address_space(size - self._map)), None)
        if size is None:
            raise StoreError(
                f"{self._uri}: the address space of the process does not take a map of {wanted[-1]} "
                "bytes; raise the limit (`ulimit -v`), or write several smaller stores"
            )
        self._map = size
        self._env.set_mapsize(size)


def whole_pages(nbytes: int) -> int:
    """A size of map: at least what LMDB needs to begin with."""
    return max(-(-nbytes // _PAGE), _LEAST_PAGES) * _PAGE


def affordable(nbytes: int) -> int:
    """A size of map to begin with: `nbytes`, halved until the process has the address space for it."""
    size = whole_pages(nbytes)
    while size > whole_pages(0) and not _has_address_space(2 * size):  # room for all else, too
        size = whole_pages(size // 2)
    return size


def note_map_size(data_file: Path, size: int | None = None) -> None:
    """Write the size of the map into a closed file; nothing else in it tells of how the map grew.

    Args:
        data_file: `data.mdb`.
        size: Bytes; None: as many as the file has.
    """
    with data_file.open("r+b") as file:
        number = os.fstat(file.fileno()).st_size if size is None else size
        file.seek(_PAGE_SIZE_AT)
        (page,) = struct.unpack("<I", file.read(4))
        for start in (0, page):
            file.seek(start + _MAP_SIZE_AT)
            file.write(struct.pack("<Q", number))
        file.flush()
        os.fsync(file.fileno())


def _has_address_space(nbytes: int) -> bool:
    """Whether so much could be mapped now."""
    if sys.platform == "win32":
        return True
    try:
        mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True
