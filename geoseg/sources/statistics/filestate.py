"""The state of files that were measured, by which a change is noticed."""

from __future__ import annotations

import os
from pathlib import Path

from geoseg.sources.cache import stamp
from geoseg.sources.store.manifest import manifest_path

_LOCK = "lock.mdb"
"""Changes with every reader of an LMDB store."""
_BESIDE = (".aux.xml", ".msk", ".msk.ovr", ".ovr", ".aux", ".wld", "-wal")
"""What follows the name of a file in those of others that tell of its pixels: GDAL's and SQLite's."""
_IN_PLACE = (".aux", ".wld", ".prj")
"""What stands there in place of its suffix."""


def state_of(uri: str) -> list[tuple[str, tuple[int, int] | None]]:
    """The state of a file and those beside it, or of those in a folder, which itself stays as it is."""
    path = Path(uri)
    if path.is_dir():
        names = sorted(part.name for part in path.iterdir() if part.name != _LOCK)
        return [(uri, None), *((name, stamp(str(path / name))) for name in names)]
    found = [(uri, stamp(uri))]
    # GDAL looks beside a link, SQLite and a store beside what it leads to.
    for name in (uri, os.path.realpath(uri)) if path.is_file() else ():
        states = [(Path(other).name, stamp(other)) for other in _beside(name)]
        # SQLite makes and removes an empty `-wal` as it reads.
        found += [(other, state) for other, state in states if state is not None and state[1]]
    return found


def _beside(uri: str) -> list[str]:
    """The files that may lie beside one and tell of its pixels, or where these are."""
    path = Path(uri)
    suffix = path.suffix
    world = (f"{suffix}w", f"{suffix[:2]}{suffix[-1:]}w") if suffix else ()  # .tifw and .tfw
    in_place = [str(path.with_suffix(end)) for end in (*_IN_PLACE, *world)]
    return [*(f"{uri}{end}" for end in _BESIDE), *in_place, manifest_path(uri)]
