"""One run at a time beside an output: a lock that the system lets go of when its process ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path

from geoseg.errors import StoreError, errors_as
from geoseg.filelock import locked, opened
from geoseg.warn import warn

LOCK = "lock"
"""The name of the locked file."""

_TRIES = 50
"""How often the folder may vanish while it is being locked, because another run has just ended."""


class RunLock:
    """A folder that is one run's own, until it is released or the process ends, by `kill -9` too.

    See `geoseg.filelock`. On a file system that knows no locks (some network ones) the run goes on
    without, with a warning.
    """

    def __init__(self, folder: Path, uri: str, *, what: str = "map") -> None:
        """Make the folder where it is missing, and lock it.

        Args:
            folder: What is locked, by a file in it.
            uri: The output that an error names.
            what: What that is.

        Raises:
            StoreError: Another run has it, or nothing can be written there.

        Warns:
            UserWarning: The file system knows no locks.
        """
        self._path, self._what = folder / LOCK, what
        with errors_as(
            StoreError,
            f"{uri}: nothing can be written to the folder {folder.parent.absolute()}",
            cure="choose another place or change its permissions",
        ):
            self._file = self._acquired(uri)

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
                file = opened(self._path, "a")
            except FileNotFoundError:
                continue
            if not _is_locked(file, uri):
                file.close()
                break
            if self._is_there(file):
                return file
            file.close()
        raise StoreError(
            f"{uri}: another run is writing this {self._what}, as {self._path} tells; wait until that has ended, or "
            "write to another place"
        )

    def _is_there(self, file: FileIO) -> bool:
        """Whether the locked file is still the one that others find."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _is_locked(file: FileIO, uri: str) -> bool:
    """Whether the file could be locked."""
    try:
        return locked(file)
    except OSError as error:
        warn(
            f"{uri}: no lock can be taken beside it ({error.strerror}); see that no other run writes "
            "it too"
        )
        return True
