"""What a Spec reads once (features, edge tables, tile tables), kept until it is too much or its file changes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
Key = tuple[Hashable, ...]

_LIMIT_BYTES = 1 << 30
_ENTRY_BYTES = 1000
"""What an entry counts for besides its value: its key and its place in the tables."""

# Held for a look into the tables only, never while a value is made.
_lock = threading.RLock()
# One lock a value that is being made; it goes with the last thread that makes or awaits the value.
_making: WeakValueDictionary[Key, Any] = WeakValueDictionary()


class Cache:
    """Values by key, those unused for longest dropped where they are too large together.

    Values are made outside all common locks: only those who want the same value wait for it.
    """

    def __init__(self, *, limit_bytes: int, least: int = 1) -> None:
        """Nothing is remembered yet.

        Args:
            limit_bytes: What all values together may take.
            least: So many of the newest values stay, however large they are.
        """
        self._limit, self._least = limit_bytes, least
        self._entries: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return len(self._entries)

    def remember(self, key: Key, make: Callable[[], T], *, nbytes: Callable[[T], int]) -> T:
        """The value of `make`, made once for a key; what failed is tried again.

        Args:
            key: Hashable and complete: whatever changes the value belongs in it.
            make: Makes the value, by one thread at a time; it may remember values of other keys.
            nbytes: The size of the value.
        """
        value: T
        with _lock:
            if key in self._entries:
                value = self._use(key)
                return value
            making = _making.setdefault((self, *key), threading.RLock())
        with making:
            with _lock:
                if key in self._entries:  # another thread has made it meanwhile
                    value = self._use(key)
                    return value
            value = make()
            self._keep(key, value, nbytes(value) + _ENTRY_BYTES)
        return value

    def drop(self, keys: Iterable[Key]) -> None:
        """Drop the values of some keys; those that are not there do not matter."""
        with _lock:
            for key in keys:
                _, size = self._entries.pop(key, (None, 0))
                self._total -= size

    def clear(self) -> None:
        """Drop everything."""
        with _lock:
            self._entries.clear()
            self._total = 0

    def _use(self, key: Key) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def _keep(self, key: Key, value: Any, size: int) -> None:
        with _lock:
            self.drop([key])  # a make that asked for its own key
            self._entries[key] = value, size
            self._total += size
            while self._total > self._limit and len(self._entries) > self._least:
                _, (_, gone) = self._entries.popitem(last=False)
                self._total -= gone


_cache = Cache(limit_bytes=_LIMIT_BYTES)


def stamp(uri: str) -> tuple[int, int] | None:
    """(modification time in ns, size) of a local file; None for what is no local file."""
    try:
        status = os.stat(uri)  # noqa: PTH116 - a Path costs more than the call, and this is asked often
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def remember(
    key: Key, make: Callable[[], T], *, files: tuple[str, ...] = (), nbytes: Callable[[T], int]
) -> T:
    """The value of `make`, made once for a key and the state of the files.

    Args:
        key: What is remembered and of which Spec; hashable and complete: every argument belongs in it.
        make: Makes the value, by one thread at a time; it may remember values of other keys.
        files: Local files whose change makes the value stale.
        nbytes: The size of the value, so that all together stay below 1 GiB.
    """
    return _cache.remember(_stamped(key, files), make, nbytes=nbytes)


def drop(key: Key, *, files: tuple[str, ...] = ()) -> None:
    """Drop what `remember` would give for this key and the files as they are."""
    _cache.drop([_stamped(key, files)])


def forget() -> None:
    """Drop everything that `remember` keeps."""
    _cache.clear()


def _stamped(key: Key, files: tuple[str, ...]) -> Key:
    return (*key, *(stamp(uri) for uri in files))


def _before_fork() -> None:
    _lock.acquire()  # so that no other thread is half way through a table; released on both sides


def _after_fork_in_parent() -> None:
    _lock.release()


def _after_fork_in_child() -> None:
    # The threads that were making values are not in the child; what is made already stays good.
    global _lock, _making
    _lock, _making = threading.RLock(), WeakValueDictionary()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
