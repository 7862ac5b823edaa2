"""Reading and writing beside the model, in threads of their own, a few pieces ahead or behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_WAIT = 0.1
"""Seconds after which one side looks whether the other is still there."""


class _End:
    """Nothing comes after this."""


def ahead(items: Iterable[T], *, depth: int = 1) -> Iterator[T]:
    """The same items, got in a thread while the receiver works on those before.

    An exception of the items is raised here in its place. When the receiver stops early, the thread has
    ended before this generator is closed.

    Args:
        items: Used in the thread only.
        depth: Items that may wait.
    """
    line: Queue[T | _End] = Queue(depth)
    stopped, failed = threading.Event(), list[BaseException]()

    def fill() -> None:
        try:
            for item in items:
                if not _put(line, item, unless=stopped.is_set):
                    return
        except BaseException as error:
            failed.append(error)
        finally:
            if isinstance(items, Generator):
                items.close()  # here, where its files were opened
        _put(line, _End(), unless=stopped.is_set)

    thread = threading.Thread(target=fill, name="geoseg-reader", daemon=True)
    thread.start()
    try:
        while not isinstance(item := line.get(), _End):
            yield item
    finally:
        stopped.set()
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def behind(work: Callable[[T], None], *, depth: int = 1) -> Iterator[Callable[[T], None]]:
    """A function that hands items to `work`, which is called in a thread, in order.

    At the end of the block all of them have been worked on; where the block ends by an exception, no
    more than the one at hand. An exception of `work` is raised from the function, or at the end.

    Args:
        work: Called in the thread only.
        depth: Items that may wait.
    """
    worker = _Worker(work, depth)
    try:
        yield worker.give
        worker.finish()
    finally:
        worker.stop()


class _Worker(Generic[T]):
    def __init__(self, work: Callable[[T], None], depth: int) -> None:
        self._work, self._line = work, Queue[T | _End](depth)
        self._stopped, self._failed = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, name="geoseg-writer", daemon=True)
        self._thread.start()

    def give(self, item: T | _End) -> None:
        if not _put(self._line, item, unless=lambda: bool(self._failed)):
            raise self._failed[0]

    def finish(self) -> None:
        self.give(_End())
        self._thread.join()
        if self._failed:
            raise self._failed[0]

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    item = self._line.get(timeout=_WAIT)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                self._work(item)
        except BaseException as error:
            self._failed.append(error)


def _put(line: Queue[T | _End], item: T | _End, *, unless: Callable[[], bool]) -> bool:
    """Whether an item got its place in the line before nobody wanted it any more."""
    while not unless():
        try:
            line.put(item, timeout=_WAIT)
        except Full:
            continue
        return True
    return False
