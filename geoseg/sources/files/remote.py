"""Files on servers are read in a thread of their own, so that a process may fork in between."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rasterio import Env
from rasterio.env import getenv, hasenv, setenv

from geoseg.rasterpath import is_remote
from geoseg.sources.handles import decoding_thread_count, decoding_threads

T = TypeVar("T")

_local = threading.local()


def apart(uri: str, function: Callable[[], T]) -> T:
    """What a function that opens or reads a file returns, without leaving this thread a connection.

    libcurl keeps connections open for the thread that used them. A forked process would go on with the
    same sockets as its parent, and each read the other's bytes. So what is remote is read in a second
    thread, which a fork leaves behind; a child starts one of its own.

    Args:
        uri: The file; what is local is read in this thread.
        function: Opens and reads with handles of the thread that it runs in.
    """
    if not is_remote(uri) or getattr(_local, "is_reader", False):
        return function()
    options = getenv() if hasenv() else {}
    return _reader().submit(_as_here, function, options, decoding_thread_count()).result()


def _as_here(function: Callable[[], T], options: dict[str, Any], threads: int) -> T:
    """Options of GDAL belong to a thread: those of the one that waits go along."""
    with Env(), decoding_threads(threads):
        setenv(**options)  # not by Env, which refuses credentials
        return function()


def _reader() -> ThreadPoolExecutor:
    """The thread that reads for this one, in this process."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.reader = ThreadPoolExecutor(1, "geoseg-remote", initializer=_mark_reader)
    reader: ThreadPoolExecutor = _local.reader
    return reader


def _mark_reader() -> None:
    _local.is_reader = True
