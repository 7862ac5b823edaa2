"""Open raster files: one handle for each process, thread and file, kept until it is too many.

GDAL handles must not be shared: a handle carried over a fork gives wrong pixels, one used by two
threads crashes. So handles live here and nowhere else: never on a Spec, never in a pickle.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import RasterioError

from geoseg.errors import SourceError
from geoseg.rasterpath import georeference_optional, to_gdal, why_not_opened
from geoseg.sources.cache import stamp
from geoseg.sources.perthread import PerThread

GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, CPLE_BaseError)
"""What reading a damaged file raises: rasterio lets some errors of GDAL through as they are."""

_LIMIT = 64
"""Open files a thread."""

_Stamp = tuple[int, int] | None
_Key = tuple[str, int | None, int]
"""Uri, overview, threads."""

_local = threading.local()

_bounds: list[tuple[int, int]] = []
"""(thread, bytes) of each `block_cache` that is entered."""
_unbounded: Any = None
"""GDAL's own size of the block cache, while some are."""
_bounding = threading.Lock()


def _close(held: tuple[_Stamp, Any]) -> None:
    held[1].close()


_handles: PerThread[tuple[_Stamp, Any]] = PerThread(_close)


def open_raster(uri: str, *, overview: int | None = None) -> Any:
    """The rasterio data set of a file for this thread, open already or opened now.

    A local file that has changed since is opened anew. Do not close what you get.

    Args:
        uri: The file.
        overview: Open this overview, from 0 (the finest), in place of the full resolution.

    Raises:
        SourceError: The file is missing, GDAL does not know it as a raster, or it has no such overview.
    """
    handles = _handles.mine()
    key = uri, overview, decoding_thread_count()
    now = stamp(uri)
    if key in handles:
        then, dataset = handles[key]
        if then == now:
            handles.move_to_end(key)
            return dataset
        _close(handles.pop(key))
    dataset = _open(*key)
    handles[key] = now, dataset
    while len(handles) > _LIMIT:
        _close(handles.popitem(last=False)[1])
    return dataset


def close_all() -> None:
    """Close this thread's handles, so that files can be deleted or replaced (Windows)."""
    _handles.close_mine()


@contextmanager
def decoding_threads(count: int) -> Iterator[None]:
    """Let GDAL decode the blocks of one read in so many threads, for what this thread reads within."""
    before = decoding_thread_count()
    _local.threads = count
    try:
        yield
    finally:
        _local.threads = before


def decoding_thread_count() -> int:
    """In how many threads this thread lets a read be decoded, see `decoding_threads`."""
    return getattr(_local, "threads", 1)


@contextmanager
def block_cache(nbytes: int) -> Iterator[None]:
    """Bound GDAL's cache of decoded blocks while a scene is read from top to bottom.

    A scan needs two rows of blocks; the default of 5 % of the machine's memory buys nothing there.
    The cache is one for the whole process: of contexts that overlap, in one thread or in several, the
    largest bound holds, and the last to leave brings back what was before the first.
    """
    bound = threading.get_ident(), nbytes
    with _bounding:
        _bounds.append(bound)
        _bound_blocks()
    try:
        yield
    finally:
        with _bounding:
            _bounds.remove(bound)
            _bound_blocks()


def block_cache_limit() -> int:
    """Bytes of decoded blocks that GDAL keeps in this process as it is set now."""
    return int(get_gdal_config("GDAL_CACHEMAX"))


def _bound_blocks() -> None:
    """Give GDAL the largest bound that is wanted, or what it had before any was."""
    global _unbounded  # noqa: PLW0603
    if _unbounded is None:
        _unbounded = get_gdal_config("GDAL_CACHEMAX")
    if _bounds:
        set_gdal_config("GDAL_CACHEMAX", max(nbytes for _, nbytes in _bounds))
    else:
        set_gdal_config("GDAL_CACHEMAX", _unbounded)
        _unbounded = None


def _open(uri: str, overview: int | None, threads: int) -> Any:
    level = {} if overview is None else {"OVERVIEW_LEVEL": str(overview)}
    path = to_gdal(uri)
    try:
        with georeference_optional():
            if threads == 1:
                return rasterio.open(path, **level)
            with rasterio.Env(GDAL_NUM_THREADS=threads):  # drivers look at it when they open
                return rasterio.open(path, **level)
    except GDAL_ERRORS as error:
        if overview is not None:
            count = len(open_raster(uri).overviews(1))
            raise SourceError(
                f"{uri}: has no overview {overview}, it has {count}; expected a number from 0 to "
                f"{count - 1}, or None for the full resolution"
            ) from error
        raise SourceError(why_not_opened(uri, error)) from error


def _after_fork() -> None:
    global _bounds, _bounding  # noqa: PLW0603
    # Of the threads only this one is in the child.
    _bounds = [bound for bound in _bounds if bound[0] == threading.get_ident()]
    _bounding = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
