"""Whether files beside a TIFF may tell GDAL another place, CRS or nodata than the TIFF itself."""

from __future__ import annotations

import os
import time

_SUFFIXES = ("aux", "tab", "wld", "xml")
"""Of auxiliary files, MapInfo's, world files and ESRI's; other world files end in w (`.tfw`)."""
_SETTLED_NS = 2_000_000_000
"""A folder that has changed since is listed anew: two changes may have the same time."""
_LIMIT = 256
"""Folders that are remembered."""

_NEVER: tuple[int, int, frozenset[str]] = (-1, 0, frozenset())
_listed: dict[tuple[int, int], tuple[int, int, frozenset[str]]] = {}
"""{(device, inode) of a folder: (its time of change, when it was listed, images with sidecars)}, in ns."""


def has_sidecar(path: str) -> bool:
    """Whether a file beside a local image may change what GDAL tells of it.

    Each folder is listed once, and again when it has changed.

    Raises:
        OSError: The folder cannot be listed.
    """
    folder, name = os.path.split(path)
    folder = folder or "."
    state = os.stat(folder)  # noqa: PTH116 - called for every image
    key, changed = (state.st_dev, state.st_ino), state.st_mtime_ns
    then, when, images = _listed.get(key, _NEVER)
    if then != changed or when - changed < _SETTLED_NS:
        when = time.time_ns()
        images = _with_sidecars(folder)
        if len(_listed) >= _LIMIT:
            _listed.clear()
        _listed[key] = changed, when, images
    if not images:
        return False
    name = name.lower()
    return name in images or name.rpartition(".")[0] in images


def _with_sidecars(folder: str) -> frozenset[str]:
    """The names before the suffix of a sidecar, in small letters."""
    return frozenset(sidecars_in(folder))


def sidecars_in(folder: str) -> dict[str, list[str]]:
    """Names of sidecars, by what stands before their suffix in small letters: an image's name, or its stem.

    Raises:
        OSError: The folder cannot be listed.
    """
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):  # noqa: PTH208 - names only, of folders with many files
        image, _, suffix = name.lower().rpartition(".")
        if suffix.endswith("w") or suffix in _SUFFIXES:
            found.setdefault(image.removesuffix(".aux"), []).append(name)
    return found
