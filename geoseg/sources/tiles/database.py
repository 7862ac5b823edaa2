"""The SQLite file of an MBTiles: questions to it, and why it does not answer.

As with GDAL's handles, a connection belongs to one process and thread, and lives here only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.rasterpath import why_not_opened
from geoseg.sources.cache import stamp
from geoseg.sources.perthread import PerThread
from geoseg.warn import warn

State = tuple[tuple[int, int] | None, ...]
"""Of the file, and of what SQLite has written beside it but not into it."""

_LIMIT = 16
"""Open files a thread."""
_PATIENCE_S = 2.0
"""How long a writer that holds the file is waited for."""
_AT_ONCE = 32
"""Rows that are fetched together."""
_MAGIC = b"SQLite format 3\0"


def _close(held: tuple[State, sqlite3.Connection]) -> None:
    held[1].close()


# Over a fork SQLite forbids any use of a connection.
_connections: PerThread[tuple[State, sqlite3.Connection]] = PerThread(_close)


def files_of(uri: str) -> tuple[str, str]:
    """The file and its write-ahead log: a change of either may change the tiles."""
    return uri, f"{uri}-wal"


def state_of(uri: str) -> State:
    """Equal as long as the tiles are the same."""
    file, log = (stamp(name) for name in files_of(uri))
    return file, log if log and log[1] else None  # readers leave empty logs


def ask(uri: str, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows that answer a query.

    Raises:
        SourceError: There is no such file, it is no SQLite database, it is damaged or locked.
    """
    return list(stream(uri, sql, values))


def stream(uri: str, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows that answer a query, some tens in memory at a time; see `ask`."""
    try:
        cursor = _execute(uri, sql, values)
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from rows
    except sqlite3.Error as error:
        raise SourceError(_why_no_answer(uri, error)) from error


def close_tiles() -> None:
    """Close this thread's files, so that they can be deleted or replaced (Windows)."""
    _connections.close_mine()


def _connect(uri: str) -> sqlite3.Connection:
    connections = _connections.mine()
    now = state_of(uri)
    if uri in connections:
        then, connection = connections[uri]
        if then == now:
            connections.move_to_end(uri)
            return connection
        _close(connections.pop(uri))
    _refuse_other_files(uri)
    return _keep(uri, _open(uri, "mode=ro"))


def _execute(uri: str, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
    try:
        return _connect(uri).execute(sql, values)
    except sqlite3.OperationalError as error:
        return _as_it_lies(uri, error).execute(sql, values)


def _open(uri: str, options: str) -> sqlite3.Connection:
    # A connection is used by its own thread only, but may be closed by another.
    connection = sqlite3.connect(
        f"{Path(uri).absolute().as_uri()}?{options}",
        uri=True,
        timeout=_PATIENCE_S,
        check_same_thread=False,
    )
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _keep(uri: str, connection: sqlite3.Connection) -> sqlite3.Connection:
    connections = _connections.mine()
    connections[uri] = state_of(uri), connection
    while len(connections) > _LIMIT:
        _close(connections.popitem(last=False)[1])
    return connection


def _as_it_lies(uri: str, error: sqlite3.Error) -> sqlite3.Connection:
    """Open without locks what could not be read with them, where nothing is half written.

    SQLite cannot lock a database with a log on read-only media; a writer may hold a database without
    having changed it.
    """
    locked = "locked" in str(error)
    half_written = any((stamp(f"{uri}-{end}") or (0, 0))[1] for end in ("wal", "journal"))
    if half_written or not (locked or _may_not_write(error)):
        raise error
    if locked:
        warn(f"{uri}: another program holds it for writing; its tiles are read as they are now")
    before = _connections.mine().pop(uri, None)
    if before is not None:
        _close(before)
    return _keep(uri, _open(uri, "mode=ro&immutable=1"))


def _may_not_write(error: sqlite3.Error) -> bool:
    """Whether SQLite wants to write beside the file, as it does to read one that has a log."""
    return any(text in str(error) for text in ("unable to open", "readonly database"))


def _why_no_answer(uri: str, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"{uri}: another program is writing to it ({text}); try again when it is done"
    if _may_not_write(error) and stamp(f"{uri}-wal"):
        return (
            f"{uri}: has changes in {uri}-wal that cannot be read where nothing may be written; copy "
            "both files to a folder of your own"
        )
    if "malformed" in text or "not a database" in text:
        return f"{uri}: the database is truncated or damaged ({text}); copy or download it again"
    return f"{uri}: SQLite cannot read it: {text}; it is damaged, or no MBTiles"


def _refuse_other_files(uri: str) -> None:
    """Errors that name what a file is, if it is no SQLite database."""
    if "://" in uri or uri.startswith("/vsi"):
        raise SourceError(
            f"{uri}: tiles are read with SQLite, which opens local files only; unpack or download the "
            "file first"
        )
    try:
        with Path(uri).open("rb") as file:
            begin = file.read(len(_MAGIC))
    except OSError as error:
        raise SourceError(why_not_opened(uri, error)) from error
    if begin == _MAGIC:
        return
    if not begin:
        raise SourceError(why_not_opened(uri, EOFError()))
    raise SourceError(
        f"{uri}: is {_kind_of(begin)} (it begins with {begin!r}), expected an SQLite database of "
        "tiles; other rasters are read by GeoTIFFSource"
    )


def _kind_of(begin: bytes) -> str:
    known = {
        b"PMTiles": "a PMTiles archive, which is no MBTiles",
        b"PK\x03\x04": "a zip archive: unpack it",
        b"\x1f\x8b": "a gzip file: unpack it",
        b"II": "a TIFF file",
        b"MM": "a TIFF file",
        b"\x89PNG": "one PNG picture",
        b"\xff\xd8": "one JPEG picture",
    }
    for magic, text in known.items():
        if begin.startswith(magic):
            return text
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in begin)  # noqa: PLR2004
    return "a text file" if printable else "no SQLite database"
