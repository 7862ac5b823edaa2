"""Locks on open files, which the system lets go of when their process ends, by `kill -9` too."""

from __future__ import annotations

import os
import sys
from io import FileIO
from pathlib import Path
from typing import Literal
from weakref import WeakSet

_OPEN: WeakSet[FileIO] = WeakSet()
"""Open files of this process that are, or are being, locked."""


def opened(path: Path, mode: Literal["a", "x", "r+"]) -> FileIO:
    """A file to be locked; forked children close their copy of it at once.

    So they neither hold the lock for a parent that was killed nor let go of it.

    Raises:
        OSError: It cannot be opened.
    """
    file = FileIO(str(path), mode)
    _OPEN.add(file)
    return file


if sys.platform == "win32":
    import msvcrt

    def locked(file: FileIO, *, wait: bool = False) -> bool:
        """Whether the file could be locked by `msvcrt.locking`; see the other."""
        file.seek(0)  # there a lock is of the byte where the file stands
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def locked(file: FileIO, *, wait: bool = False) -> bool:
        """Whether the file could be locked, by `flock`, which keeps two threads of a process apart too.

        Args:
            file: As `opened` gives it; closing it lets go.
            wait: Until whoever has it lets go.

        Raises:
            OSError: The file system knows no locks.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _let_go() -> None:
    """In a forked child: the locks are the parent's."""
    for file in list(_OPEN):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
