"""What a Spec reads once (features, edge tables, tile tables), kept until it is too much or its file changes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[Hashable, ...]

_LIMIT_BYTES = 1 << 30
_LIMIT_ENTRIES = 512

_entries: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
_lock = threading.RLock()


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
        make: Makes the value; called by one thread at a time.
        files: Local files whose change makes the value stale.
        nbytes: The size of the value, so that the cache stays below 1 GiB.
    """
    full = (*key, *(stamp(uri) for uri in files))
    with _lock:
        if full in _entries:
            _entries.move_to_end(full)
            kept: T = _entries[full][0]
            return kept
        value = make()
        _entries[full] = value, nbytes(value)
        _shrink()
        return value


def forget() -> None:
    """Drop everything that is remembered."""
    with _lock:
        _entries.clear()


def _shrink() -> None:
    """Drop the values unused for longest until both limits hold; the newest always stays."""
    total = sum(size for _, size in _entries.values())
    while len(_entries) > 1 and (total > _LIMIT_BYTES or len(_entries) > _LIMIT_ENTRIES):
        _, (_, size) = _entries.popitem(last=False)
        total -= size


def _after_fork() -> None:
    # Another thread may have held the lock; the values are plain memory and stay good.
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
