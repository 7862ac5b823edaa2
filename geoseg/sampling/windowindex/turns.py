"""One writer of an index at a time: the others wait, and a killed one lets go by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from geoseg.drafts import remove_leftovers
from geoseg.errors import StoreError
from geoseg.filelock import locked, opened
from geoseg.outputs import check_names
from geoseg.sampling.windowindex.note import side_note
from geoseg.warn import warn


@contextmanager
def turn(uri: str) -> Iterator[None]:
    """Wait until no other process or thread writes this file; then be the one that may.

    What a writer that was killed has left is removed. On a file system that knows no locks (some network
    ones) it goes on without, with a warning.

    Raises:
        StoreError: Nothing can be written beside the file, or it cannot have this name.
    """
    target, beside = check_names((uri, str(side_note(uri))))
    lock = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = _held(lock, uri)
    except OSError as error:
        raise StoreError(
            f"{uri}: nothing can be written to the folder {target.parent.absolute()}: {error.strerror}; "
            "choose another place or change its permissions"
        ) from error
    try:
        remove_leftovers((target, beside))
        yield
    finally:
        _release(file, lock)


def _held(lock: Path, uri: str) -> FileIO:
    while True:
        file = opened(lock, "a")
        try:
            mine = locked(file, wait=True)
        except OSError as error:
            warn(
                f"{uri}: no lock can be taken beside it ({error.strerror}); see that no other process writes "
                "the same index"
            )
            mine = True
        if mine and _is_there(file, lock):
            return file
        file.close()  # the one before has removed it: what others lock is another file


def _is_there(file: FileIO, lock: Path) -> bool:
    """Whether the locked file is still the one that others find."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), lock.stat())
    except FileNotFoundError:
        return False


def _release(file: FileIO, lock: Path) -> None:
    if file.closed:  # in a forked child
        return
    if sys.platform == "win32":  # there an open file cannot be removed
        file.close()
    with suppress(OSError):
        lock.unlink()  # first: what others lock from here on is a file of their own
    file.close()
