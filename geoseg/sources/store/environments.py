"""Open LMDB environments: one for each store in a process; a forked child opens its own.

LMDB forbids to open one file twice in a process, so all readers and threads share an environment; every
look into it is a transaction of its own. Environments live here and nowhere else: never in a pickle.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.shortlist import some

DATA_FILE = "data.mdb"
"""The file of a store that is a folder."""

OLD = "old"
"""In the `convert_folder`: the finished store while another takes its place."""

_LIMIT = 64
"""Open stores that nobody looks into; more are closed."""
_FRESH = 1e-3
"""Seconds for which a look at a file's state holds; file systems tell times no finer."""
_SPARE = 16
"""Transactions kept for use again: as many as threads that read at once."""
_META = struct.Struct("<I4x8x8xI")
"""Of a meta page: magic, (version, address, size of the map), size of a page."""
_META_AT, _LAST_PAGE_AT, _META_BYTES = 16, 136, 152
_MAGIC = 0xBEEFC0DE

_State = tuple[int, int, int]


@dataclass(slots=True, eq=False)
class Opened:
    """An environment and who looks into it."""

    env: Any
    path: str
    state: _State
    """(inode, modification time, size) of the file when it was opened."""
    seen: float
    """When that was last looked at, in seconds."""
    users: int = 0
    damaged: bool = False
    """Whether LMDB found a page that is none."""
    old: bool = False
    """Whether the file was replaced: it is closed when the last user leaves."""


_opened: dict[str, Opened] = {}
_lock = threading.RLock()


def convert_folder(store: Path) -> Path:
    """The hidden folder beside a store, in which a conversion writes what takes its place."""
    return store.with_name(f".{store.name}.convert")


def data_path(uri: str) -> str:
    """The file that holds a store's data, by its true name.

    Args:
        uri: A folder with `data.mdb`, or a single file.

    Raises:
        SourceError: There is none.
    """
    path = Path(uri)
    if path.is_dir():
        path = path / DATA_FILE
        if not path.is_file():
            raise SourceError(
                f"{uri}: is no LMDB store: the folder has no {DATA_FILE}, {_content(path.parent)}; "
                "name the folder that has one"
            )
    elif not path.is_file():
        raise SourceError(f"{uri}: no such store; {_hint(path)}")
    return os.path.realpath(path)


def enter(path: str, uri: str) -> Opened:
    """The environment of a store's data file, open already or opened now; `leave` it afterwards.

    A file that has changed since is opened anew as soon as nobody looks into it, at once where it was
    replaced by another.

    Raises:
        SourceError: The file is missing, is no LMDB database, or is truncated.
    """
    now = time.monotonic()
    with _lock:
        opened = _opened.get(path)
        if opened is None or now - opened.seen > _FRESH:
            opened = _looked_at(opened, path, uri)
            opened.seen = now
        opened.users += 1
        return opened


def leave(opened: Opened) -> None:
    """The look is over: views of it are dead."""
    with _lock:
        opened.users -= 1
        if opened.old and not opened.users:
            opened.env.close()


def close_stores(*paths: str) -> None:
    """Close stores that nobody looks into, so that their files can be deleted, replaced or opened by others.

    Args:
        paths: Their data files, see `data_path`; without any, all stores are closed.
    """
    with _lock:
        if not paths:
            _close_unused(0)
        for path in paths:
            if (opened := _opened.get(path)) is not None and not opened.users:
                _opened.pop(path).env.close()


def _looked_at(opened: Opened | None, path: str, uri: str) -> Opened:
    """The environment for the file as it is now."""
    state = _state(path, uri)
    if opened is not None and opened.state != state:
        opened = _renew(opened, state)
    if opened is None:
        _close_unused(_LIMIT - 1)
        opened = _opened[path] = Opened(_open(path, uri, state), path, state, seen=0.0)
    return opened


def _renew(opened: Opened, state: _State) -> Opened | None:
    """What to use of an environment whose file has changed; None: open it anew."""
    replaced = opened.state[0] != state[0]
    if opened.users and not replaced:
        return opened  # it sees what was added; the file may not be opened twice
    del _opened[opened.path]
    opened.old = True
    if not opened.users:
        opened.env.close()
    return None


def _close_unused(kept: int) -> None:
    unused = [path for path, opened in _opened.items() if not opened.users]
    for path in unused[: max(len(_opened) - kept, 0)]:
        _opened.pop(path).env.close()


def _state(path: str, uri: str) -> _State:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    except OSError as error:
        raise SourceError(
            f"{uri}: {path} cannot be read: {error.strerror}; check path and permissions"
        ) from error
    return status.st_ino, status.st_mtime_ns, status.st_size


def _open(path: str, uri: str, state: _State) -> Any:
    import lmdb

    _look_at_meta_pages(path, uri, state[2])
    try:
        # No lock file: that is what lets many processes read a store on read-only media.
        return lmdb.open(
            path,
            subdir=False,
            readonly=True,
            lock=False,
            readahead=False,
            meminit=False,
            max_spare_txns=_SPARE,
        )
    except lmdb.Error as error:
        cure = "write the store again"
        if "already open" in str(error):
            cure = "close the lmdb.Environment that this process has open on it"
        raise SourceError(f"{uri}: cannot be opened as an LMDB store: {error}; {cure}") from error


def _look_at_meta_pages(path: str, uri: str, size: int) -> None:
    """See that the file is LMDB's and whole: LMDB itself would crash the process on a truncated one."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_META_BYTES)
            magic, page_size = _meta(head)
            file.seek(page_size)
            pages = [head, file.read(_META_BYTES)]
    except OSError as error:
        raise SourceError(
            f"{uri}: {path} cannot be read: {error.strerror}; check its permissions"
        ) from error
    if not size:
        raise SourceError(f"{uri}: {path} is empty (0 bytes); write or copy the store again")
    if magic != _MAGIC:
        raise SourceError(
            f"{uri}: {path} is no LMDB database, or its first page is damaged; expected a file that "
            "lmdb has written; copy or write the store again"
        )
    # The younger of the two pages counts; LMDB writes them in turn.
    last_page, _ = max((_last_page(page) for page in pages), key=lambda found: found[1])
    expected = (last_page + 1) * page_size
    if size < expected:
        raise SourceError(
            f"{uri}: {path} is truncated: it has {size} bytes, expected {expected}; copy it again (if "
            "it is the original, from which values were deleted, `mdb_copy -c` makes it whole)"
        )


def _meta(page: bytes) -> tuple[int, int]:
    """(magic, size of a page)."""
    if len(page) < _META_BYTES:
        return 0, 0
    magic, size = _META.unpack_from(page, _META_AT)
    return magic, size


def _last_page(page: bytes) -> tuple[int, int]:
    """(number of the last page, number of the transaction) of a meta page; zeros if it is damaged."""
    if _meta(page)[0] != _MAGIC:
        return 0, -1
    last, transaction = struct.unpack_from("<QQ", page, _LAST_PAGE_AT)
    return last, transaction


def _content(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return f"it holds {some(names, 5)}" if names else "it is empty"


def _hint(path: Path) -> str:
    old = convert_folder(path) / OLD if path.name else path
    if (old / DATA_FILE).is_file():
        return (
            f"a run that was killed while it replaced the store has left it as {old}: convert again with "
            "`--resume`, or rename that folder"
        )
    try:
        names = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return f"check the folder {path.parent}; a store is a local folder or file"
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {near[0]}?" if near else "check the path"


def _before_fork() -> None:
    _lock.acquire()


def _after_fork_in_parent() -> None:
    _lock.release()


def _after_fork_in_child() -> None:
    """Let go of what the parent has open, so that the child opens it for itself.

    What was looked into at the fork cannot be closed (views of this thread live on, an operation of
    another was under way) nor opened a second time: the child goes on with it. Without locks and writing
    that is a private map of memory and nothing else.
    """
    global _opened, _lock  # noqa: PLW0603
    for opened in _opened.values():
        if not opened.users:
            opened.env.close()
    _opened = {path: opened for path, opened in _opened.items() if opened.users}
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
