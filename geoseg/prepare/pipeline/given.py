"""Masks and images as a pipeline names them: files, folders, or an index of windows."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import SourceError
from geoseg.sampling.windowindex import WindowIndex

_TABLES = (".csv", ".parquet", ".geoparquet")
_RASTERS = (".tif", ".tiff")


def files_of_index(uri: str) -> tuple[str, ...]:
    """An index and the masks and images that it names."""
    index = WindowIndex.read(uri)
    images = [path for path in index.image_paths or () if path is not None]
    return tuple(dict.fromkeys((uri, *index.masks, *images)))


def masks_of(given: str | tuple[str, ...]) -> WindowIndex | tuple[str, ...]:
    """The index where a table is named, the masks of a folder in order of their names, or the masks.

    Raises:
        SourceError: A folder holds no mask.
    """
    if not isinstance(given, str):
        return given
    if given.lower().endswith(_TABLES):
        return WindowIndex.read(given)
    if not Path(given).is_dir():
        return (given,)
    found = sorted(p for p in Path(given).rglob("*") if p.suffix.lower() in _RASTERS)
    if not found:
        raise SourceError(f"{given}: holds no mask, expected files that end with .tif")
    return tuple(str(path) for path in found)


def files_of_masks(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """All files that are read where these masks are."""
    if isinstance(given, str) and given.lower().endswith(_TABLES):
        return files_of_index(given)
    found = masks_of(given)
    return found if isinstance(found, tuple) else found.masks
