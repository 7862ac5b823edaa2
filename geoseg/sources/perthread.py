"""What each thread has open: closed when the thread ends, forgotten in a forked child."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

V = TypeVar("V")

_tables: list[PerThread[Any]] = []


class _ThreadEnd:
    """Lives as long as its thread."""


class PerThread(Generic[V]):
    """Open things by key, apart for each thread of this process; for the whole life of the process."""

    def __init__(self, close: Callable[[V], None]) -> None:
        """Nothing is open yet; `close` ends one thing, in any thread."""
        self._close = close
        self._of_thread: dict[int, OrderedDict[Any, V]] = {}
        self._left_behind: list[Any] = []
        self._local = threading.local()
        _tables.append(self)

    def __len__(self) -> int:
        """Threads that have, or had, something open."""
        return len(self._of_thread)

    def mine(self) -> OrderedDict[Any, V]:
        """What this thread has open, by key, that used last at the end; the caller keeps it so."""
        ident = threading.get_ident()
        if ident not in self._of_thread:
            self._of_thread[ident] = OrderedDict()
            self._local.end = _ThreadEnd()
            weakref.finalize(self._local.end, self._close_of, ident, os.getpid())
        return self._of_thread[ident]

    def close_mine(self) -> None:
        """Close what this thread has open, so that files can be deleted or replaced (Windows)."""
        mine = self.mine()
        for thing in mine.values():
            self._close(thing)
        mine.clear()

    def forget(self) -> None:
        """After a fork: forget without closing, which would touch what the parent still uses."""
        self._left_behind.append(self._of_thread)
        self._of_thread = {}

    def _close_of(self, ident: int, pid: int) -> None:
        """A thread has ended: close what it had open (but never in a forked child)."""
        if os.getpid() == pid:
            for thing in self._of_thread.pop(ident, OrderedDict()).values():
                self._close(thing)


def _after_fork() -> None:
    for table in _tables:
        table.forget()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
