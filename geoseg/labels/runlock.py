"""One run at a time beside an output: a lock that the system lets go of when its process ends."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from io import FileIO
from pathlib import Path
from weakref import WeakSet

from geoseg.errors import StoreError

LOCK = "lock"
"""The name of the locked file."""

_TRIES = 50
"""How often the folder may vanish while it is being locked, because another run has just ended."""

_HELD: WeakSet[FileIO] = WeakSet()
"""Open files of this process that are, or are being, locked."""


class RunLock:
    """A folder that is one run's own, until it is released or the process ends, by `kill -9` too.

    The lock is `flock`, which also keeps two threads of one process apart; forked children close their
    copy of the file at once, so that they neither hold the lock for a parent that was killed nor release
    it. On Windows it is `msvcrt.locking`. On a file system that knows no locks (some network ones) the
    run goes on without, with a warning.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        """Make the folder where it is missing, and lock it.

        Args:
            folder: What is locked, by a file in it.
            uri: The output that an error names.

        Raises:
            StoreError: Another run has it, or nothing can be written there.

        Warns:
            UserWarning: The file system knows no locks.
        """
        self._path = folder / LOCK
        try:
            self._file = self._acquired(uri)
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(
                f"{uri}: nothing can be written to the folder {folder.parent.absolute()}: "
                f"{error.strerror}; choose another place or change its permissions"
            ) from error

    def release(self) -> None:
        """Let others have it, and remove the file."""
        if self._file.closed:  # released before, or in a forked child
            return
        if sys.platform != "win32":  # there an open file cannot be removed
            self._remove()  # first: what others lock from here on is a file of their own
        self._file.close()
        if sys.platform == "win32":
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    def _acquired(self, uri: str) -> FileIO:
        for _ in range(_TRIES):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = FileIO(str(self._path), "a")
            except FileNotFoundError:
                continue
            _HELD.add(file)
            if not _is_locked(file, uri):
                file.close()
                break
            if self._is_there(file):
                return file
            file.close()
        raise StoreError(
            f"{uri}: another run is writing this map, as {self._path} tells; wait until that has ended, or "
            "write to another place"
        )

    def _is_there(self, file: FileIO) -> bool:
        """Whether the locked file is still the one that others find."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


if sys.platform == "win32":
    import msvcrt

    def _is_locked(file: FileIO, uri: str) -> bool:  # noqa: ARG001
        """Whether the file could be locked."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _is_locked(file: FileIO, uri: str) -> bool:
        """Whether the file could be locked."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            warnings.warn(
                f"{uri}: no lock can be taken beside it ({error.strerror}); see that no other run writes "
                "the same map",
                stacklevel=6,
            )
        return True


def _let_go() -> None:
    """In a forked child: the locks are the parent's."""
    for file in list(_HELD):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
