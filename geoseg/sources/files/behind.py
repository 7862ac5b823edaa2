"""The files that are read with one: those beside it, those that a VRT names, the archive it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from geoseg.errors import SourceError
from geoseg.rasterpath import is_remote, to_gdal
from geoseg.sources.handles import GDAL_ERRORS, open_raster

_PLAIN = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
"""Ends of names of files that name no others: what lies beside them is found without opening them."""
_BESIDE = (".aux.xml", ".ovr", ".ovr.aux.xml", ".msk", ".msk.ovr")
"""What follows the name of a raster in those of files that tell of its pixels."""
_IN_PLACE = (".aux", ".wld", ".prj", ".tab")
"""What stands there in place of its suffix."""
_VECTORS = {
    ".shp": (".shx", ".dbf", ".prj", ".cpg"),
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
    ".csv": (".csvt", ".prj"),
    ".gml": (".gfs", ".xsd"),
}
"""The same for vector files, by their suffix."""


def behind_raster(uri: str) -> tuple[str, ...]:
    """The files that GDAL reads with a raster, but for itself; those of the VRTs among them too.

    A GeoTIFF, PNG or JPEG is not opened, and nothing is asked of a server. What is not there or cannot
    be read names nothing.
    """
    found: dict[str, None] = {}
    waiting = [uri]
    while waiting:
        name = waiting.pop()
        for other in _read_with(name):
            if other != uri and other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)


def behind_vector(uri: str) -> tuple[str, ...]:
    """The files that OGR reads with a vector file, but for itself, by their names."""
    path = Path(uri)
    if not path.is_file():
        return _archive_of(uri)
    log = Path(f"{uri}-wal")
    # SQLite makes and removes an empty one as it reads.
    logs = (str(log),) if log.is_file() and log.stat().st_size else ()
    return (*logs, *_in_place(path, _VECTORS.get(path.suffix.lower(), ())))


def _read_with(uri: str) -> Iterator[str]:
    """What is read with one file, itself not unless it is named otherwise."""
    if is_remote(uri):
        return
    path = Path(uri)
    there = path.is_file()
    if there:
        yield from _beside(path)
    if there and path.suffix.lower() in _PLAIN:
        return
    if (
        there or ":" in uri or uri.startswith("/vsi")
    ):  # the connection texts of drivers lead to files
        yield from _archive_of(uri)
        yield from _listed_by_gdal(uri)


def _listed_by_gdal(uri: str) -> tuple[str, ...]:
    try:
        listed = tuple(open_raster(uri).files)
    except SourceError:
        return ()
    except GDAL_ERRORS:
        return ()
    return tuple(name for name in listed if name not in (uri, to_gdal(uri)))


def _beside(path: Path) -> Iterator[str]:
    suffix = path.suffix
    for end in _BESIDE:
        if (name := Path(f"{path}{end}")).is_file():
            yield str(name)
    world = (f"{suffix}w", f"{suffix[:2]}{suffix[-1:]}w") if suffix else ()  # .tifw and .tfw
    yield from _in_place(path, (*_IN_PLACE, *world))


def _in_place(path: Path, ends: tuple[str, ...]) -> tuple[str, ...]:
    """The files of another suffix that are there; GDAL takes capital letters too."""
    written = dict.fromkeys(case for end in ends for case in (end, end.lower(), end.upper()))
    names = (path.with_suffix(end) for end in written if end != path.suffix)
    return tuple(str(name) for name in names if name.is_file())


def _archive_of(uri: str) -> tuple[str, ...]:
    """The local archive that a file lies in."""
    try:
        head, _, inner = to_gdal(uri).removeprefix("/vsi").partition("/")
    except SourceError:
        return ()
    if head not in ("zip", "tar", "gzip", "7z", "rar") or is_remote(uri) or is_remote(f"/{inner}"):
        return ()
    path = Path(inner[1:].partition("}")[0] if inner.startswith("{") else inner)
    return tuple(str(part) for part in (path, *path.parents) if part.is_file())[:1]
