"""Several stores read as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from heapq import merge
from typing import Any

from numpy.typing import NDArray

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.safetensors_format import Layout
from geoseg.sources.store.sharding import shard_of_key

_SHOWN = 3
"""Stores whose keys an error tells of."""


class ShardedStore:
    """Reads patches of several stores as if they were one; cheap to make, to copy and to pickle.

    A key is in one store only, which is seen to before the first patch is read: once, child processes
    need not see to it again. The stores of a conversion in shards are told apart by the hash of the key, in
    whatever order they are given, so that a patch is looked for in one store; others are asked in turn.

    All methods are those of `StoreReader`, and raise SourceError: also where a key is in two stores.
    """

    def __init__(self, uris: Sequence[str]) -> None:
        """Nothing is opened yet.

        Args:
            uris: The stores: folders with `data.mdb`, or single LMDB files.

        Raises:
            ConfigError: There is none, or one is there twice.
        """
        self.uris = (uris,) if isinstance(uris, str) else tuple(uris)
        if not self.uris:
            raise ConfigError("there are no stores to read; name one or more")
        if double := next((uri for uri in self.uris if self.uris.count(uri) > 1), None):
            raise ConfigError(f"the store {double} is given twice; name each store once")
        self._start(checked=False)

    def _start(self, *, checked: bool) -> None:
        self._readers = tuple(StoreReader(uri) for uri in self.uris)
        self._likely = list(self._readers)
        self._checked = checked or len(self._readers) == 1

    def __getstate__(self) -> tuple[tuple[str, ...], bool]:
        return self.uris, self._checked

    def __setstate__(self, state: tuple[tuple[str, ...], bool]) -> None:
        self.uris, checked = state
        self._start(checked=checked)

    def __repr__(self) -> str:
        return f"ShardedStore({list(self.uris)!r})"

    def __len__(self) -> int:
        return sum(map(len, self._readers))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(key) is not None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self) -> Iterator[str]:
        """All keys, sorted by their bytes; see `StoreReader.keys`."""
        self.check()
        return merge(*(reader.keys() for reader in self._readers), key=_bytes)

    def check(self) -> None:
        """See that no key is in two stores."""
        if self._checked:
            return
        seen: set[str] = set()
        for number, reader in enumerate(self._readers):
            keys = set(reader.keys())
            if common := keys & seen:
                key = min(common)
                other = next(o for o in self._readers[:number] if key in o)
                raise SourceError(
                    f"{reader.uri}: has the key {key!r}, and so has {other.uri} ({len(common)} keys are in "
                    "two stores); leave one of them out, or write the stores anew with keys of their own"
                )
            seen |= keys
        self._checked = True

    def reader_of(self, key: str) -> StoreReader:
        """The reader of the store that a patch is in."""
        reader = self._find(key)
        if reader is None:
            near = "; ".join(
                f"{reader.uri}: {reader.near(key)}" for reader in self._readers[:_SHOWN]
            )
            raise SourceError(
                f"none of the {len(self.uris)} stores has the patch {key!r}; in {near}"
            )
        return reader

    def layout(self, key: str) -> Layout:
        """Names, dtypes and shapes of a patch's arrays."""
        return self.reader_of(key).layout(key)

    def value(self, key: str) -> bytes:
        """A patch as plain safetensors."""
        return self.reader_of(key).value(key)

    def stored(self, key: str) -> bytes:
        """The bytes that are stored for a patch."""
        return self.reader_of(key).stored(key)

    def read(self, key: str, bands: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Copies of a patch's arrays by name; see `StoreReader.read`."""
        return self.reader_of(key).read(key, bands)

    def views(
        self, key: str, bands: Sequence[str] | None = None
    ) -> AbstractContextManager[dict[str, NDArray[Any]]]:
        """Arrays over the store's own memory; see `StoreReader.views`."""
        return self.reader_of(key).views(key, bands)

    def planes(
        self, key: str, bands: Sequence[str]
    ) -> AbstractContextManager[tuple[NDArray[Any], ...]]:
        """Bands as planes (height, width); see `StoreReader.planes`."""
        return self.reader_of(key).planes(key, bands)

    def read_into(self, key: str, bands: Sequence[str], out: NDArray[Any]) -> None:
        """Fill an array with bands; see `StoreReader.read_into`."""
        self.reader_of(key).read_into(key, bands, out)

    def _find(self, key: str) -> StoreReader | None:
        """The store that has the key: first where the last key of the same shard was."""
        self.check()
        shard = shard_of_key(key, len(self._readers))
        likely = self._likely[shard]
        if key in likely:
            return likely
        for reader in self._readers:
            if reader is not likely and key in reader:
                self._likely[shard] = reader
                return reader
        return None


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
