"""Stores of LMDB + safetensors: named patches, each a value of named bands.

A store is a folder with `data.mdb`, or a single LMDB file. Key: name of a patch; value: safetensors, plain
or compressed, each value for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.sources.store.bands import array_names, choose_bands
from geoseg.sources.store.bandsize import nearest_into
from geoseg.sources.store.compression import plain
from geoseg.sources.store.environments import Opened, data_path, enter, leave
from geoseg.sources.store.safetensors_format import Layout, aligned, layout_of, view, views
from geoseg.window import Window

MOST_KEY_BYTES = 511
"""LMDB's longest key."""
_AROUND = 64
"""Keys before and after a missing one, among which near ones are looked for."""
_KEYS_AT_ONCE = 1000


class StoreReader:
    """Reads patches of a store; cheap to make, to copy and to pickle.

    Nothing is opened before the first use. A process opens a store once for all readers and threads;
    child processes, forked or spawned, open it for themselves. The store may lie on read-only media.
    A store that was written anew is read anew.

    All methods raise SourceError: the store is missing or damaged, or has no such patch or band.
    """

    def __init__(self, uri: str) -> None:
        """Nothing is opened yet.

        Args:
            uri: A folder with `data.mdb`, or a single LMDB file.
        """
        self.uri = uri
        self._path: str | None = None

    def __getstate__(self) -> str:
        return self.uri

    def __setstate__(self, state: str) -> None:
        self.uri, self._path = state, None

    def __repr__(self) -> str:
        return f"StoreReader({self.uri!r})"

    @property
    def path(self) -> str:
        """The file that holds the data, by its true name."""
        if self._path is None:
            self._path = data_path(self.uri)
        return self._path

    def __len__(self) -> int:
        with _Look(self) as transaction:
            count: int = transaction.stat()["entries"]
            return count

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str) or not 0 < len(raw := _raw(key)) <= MOST_KEY_BYTES:
            return False
        with _Look(self) as transaction:
            return transaction.get(raw) is not None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """All keys, sorted by their bytes; the store may be used meanwhile.

        LMDB trusts its tree of keys: where that is damaged, walking it may end the process (an
        assertion in C) in place of an error. `mdb_copy -c` walks a file that is not trusted in a process
        of its own.
        """
        last = b""
        while found := self._keys_after(last, _KEYS_AT_ONCE):
            yield from map(_text, found)
            last = found[-1]

    def layout(self, key: str) -> Layout:
        """Names, dtypes and shapes of a patch's arrays."""
        with _Look(self) as transaction:
            return self._value(transaction, key)[1]

    def value(self, key: str) -> bytes:
        """A patch as plain safetensors, whether it is stored so or compressed."""
        with _Look(self) as transaction:
            return bytes(self._value(transaction, key)[0])

    def stored(self, key: str) -> bytes:
        """The bytes that are stored for a patch, as they are: nothing is decompressed or checked."""
        with _Look(self) as transaction:
            return bytes(self._stored(transaction, key))

    def read(self, key: str, bands: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Copies of a patch's arrays by name.

        Args:
            key: The patch.
            bands: Names of arrays, in the order wanted; None: all, in natural order (B2 before B10), as
                views of one piece of memory.
        """
        with _Look(self) as transaction:
            value, layout = self._value(transaction, key)
            if bands is None:
                whole = np.frombuffer(value, np.uint8)
                if not whole.flags.writeable:  # the store's own memory
                    whole = whole.copy()
                return views(whole, layout, array_names(layout))
            found = views(value, layout, self._known(layout, bands, key))
            return {name: array.copy() for name, array in found.items()}

    @contextmanager
    def views(
        self, key: str, bands: Sequence[str] | None = None
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Arrays over the store's own memory, without a copy; use them within the `with` only.

        They are read-only. After the block they are dead: touching one then may crash the process.
        Arrays that are not aligned in memory are copies; those of compressed values lie in memory of their
        own.

        Args:
            key: The patch.
            bands: As in `read`.
        """
        with _Look(self) as transaction:
            value, layout = self._value(transaction, key)
            names = array_names(layout) if bands is None else self._known(layout, bands, key)
            yield views(value, layout, names)

    @contextmanager
    def planes(self, key: str, bands: Sequence[str]) -> Iterator[tuple[NDArray[Any], ...]]:
        """Bands as planes (height, width), each in its own size and dtype; otherwise as `views`.

        Args:
            key: The patch.
            bands: Names of bands, in the order wanted; also x_2 for the second channel of an array x of
                (channel, height, width), or x for all of them.
        """
        with _Look(self) as transaction:
            value, layout = self._value(transaction, key)
            planes = choose_bands(layout, tuple(bands), f"{self.uri}: {key}")
            yield tuple(aligned(view(value, plane)) for plane in planes)

    def read_into(self, key: str, bands: Sequence[str], out: NDArray[Any]) -> None:
        """Fill an array with bands straight from the store's memory, without a copy on the way.

        Bands of another size are brought to that of `out`: nearest, by pixel centre.

        Args:
            key: The patch.
            bands: As in `planes`.
            out: (band, height, width), of a dtype that takes the values of all bands.
        """
        with self.planes(key, bands) as planes:
            self._fits(key, planes, out)
            size: tuple[int, int] = out.shape[1:]
            for target, band in zip(out, planes, strict=True):
                if band.shape == size:
                    target[...] = band
                else:
                    nearest_into(target, band, size=size, window=Window(0, 0, *size))

    def _fits(self, key: str, planes: Sequence[NDArray[Any]], out: NDArray[Any]) -> None:
        """See that each band has its place, and no value is wrapped or cut: anything goes into floats."""
        where, count = f"{self.uri}: {key}", len(planes)
        if out.ndim != 3 or len(out) != count or not out.size:  # noqa: PLR2004
            raise SourceError(
                f"{where}: `out` has shape {out.shape}, expected ({count}, height, width) for {count} bands"
            )
        for dtype in {plane.dtype for plane in planes}:
            if out.dtype.kind != "f" and not np.can_cast(dtype, out.dtype, "safe"):
                raise SourceError(
                    f"{where}: `out` is {out.dtype} and does not hold all values of {dtype}; make it of a "
                    "larger dtype"
                )

    def _value(self, transaction: Any, key: str) -> tuple[memoryview, Layout]:
        """The plain value of a patch, and what it holds."""
        where = f"{self.uri}: {key}"
        value = plain(self._stored(transaction, key), where=where)
        return value, layout_of(value, where=where)

    def _stored(self, transaction: Any, key: str) -> memoryview:
        raw = _raw(key)
        value: memoryview | None = None
        if 0 < len(raw) <= MOST_KEY_BYTES:
            value = transaction.get(raw)
        if value is None:
            raise SourceError(f"{self.uri}: has no patch {key!r}; {self.near(key)}")
        return value

    def _known(self, layout: Layout, names: Sequence[str], key: str) -> Sequence[str]:
        for name in names:
            if name not in layout.tensors:
                raise SourceError(
                    f"{self.uri}: {key}: has no array {name!r}, expected one of: "
                    f"{', '.join(array_names(layout))}"
                )
        return names

    def _keys_after(self, last: bytes, most: int) -> list[bytes]:
        with _Look(self) as transaction:
            cursor = transaction.cursor()
            there = cursor.set_range(last) if last else cursor.first()
            if there and bytes(cursor.key()) == last:
                there = cursor.next()
            return [bytes(k) for k in islice(cursor.iternext(values=False), most)] if there else []

    def near(self, key: str) -> str:
        """Tells of keys like one that is missing: neighbours in the order of keys, and the first ones."""
        raw = _raw(key)
        look = _Look(self)
        with look as transaction:
            if look.found_damaged:  # walking on could end the process
                return "the store is damaged: write or copy it again"
            first = [bytes(k) for k in islice(transaction.cursor().iternext(values=False), _AROUND)]
            around = []
            for walk in ("iternext", "iterprev"):
                cursor = transaction.cursor()
                cursor.set_range(raw[:MOST_KEY_BYTES] or b"\0") or cursor.last()
                around += [bytes(k) for k in islice(getattr(cursor, walk)(values=False), _AROUND)]
        names = sorted({_text(k) for k in (*first, *around)})
        if not names:
            return "the store is empty"
        near = get_close_matches(_text(raw), names, n=3) or names[:3]
        return f"near keys: {', '.join(near)}"


class _Look:
    """A transaction that reads: what LMDB gives within is the state of the store at one moment."""

    __slots__ = ("_opened", "_reader", "_transaction")
    _opened: Opened
    _transaction: Any

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def __enter__(self) -> Any:
        self._opened = enter(self._reader.path, self._reader.uri)
        try:
            self._transaction = self._opened.env.begin(buffers=True)
        except BaseException as error:
            leave(self._opened)
            self._tell(error)
            raise
        return self._transaction

    @property
    def found_damaged(self) -> bool:
        """Whether any look into the store since it was opened met damage."""
        return self._opened.damaged

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._transaction.abort()
        leave(self._opened)
        if error is not None:
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        import lmdb

        if isinstance(error, lmdb.Error):
            self._opened.damaged |= isinstance(error, _damage())
            raise SourceError(
                f"{self._reader.uri}: cannot be read: {error}; {self._reader.path} is damaged, or is "
                "being written by a process with a larger map: write or copy it again"
            ) from error


def _damage() -> tuple[type[Exception], ...]:
    """LMDB's errors for pages that are not what they should be."""
    import lmdb

    return lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError


def _raw(key: str) -> bytes:
    """Keys that others wrote need be no UTF-8."""
    return key.encode("utf-8", "surrogateescape")


def _text(raw: bytes | memoryview) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")
