"""Where the uri of a raster leads, and in plain words why GDAL cannot open it or place it."""

from __future__ import annotations

import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import SourceError
from geoseg.warn import warn

_ARCHIVES = ("zip", "tar", "gzip")
_SUFFIXES = {".zip": "zip", ".tar": "tar", ".tgz": "tar", ".gz": "gzip"}
_REMOTE = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(_streaming)?[/?]")
_SCHEMES = ("http", "https", "ftp", "s3", "gs", "az", "oss")
_CURES = {
    "code: 404": "there is no such file on the server; check the address",
    "code: 403": "the server refuses it; check the address, the credentials or the signature in it",
    "Access Denied": "the server refuses it; check the credentials, and that they may read this file",
    "Range downloading not supported": (
        "the server gives whole files only, expected one that answers range requests; download the file first"
    ),
    "AWS_SECRET_ACCESS_KEY": (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES for public data"
    ),
    "GS_SECRET_ACCESS_KEY": (
        "set GOOGLE_APPLICATION_CREDENTIALS, or GS_NO_SIGN_REQUEST=YES for public data"
    ),
    "AZURE_": "set AZURE_STORAGE_ACCOUNT and a key, or AZURE_NO_SIGN_REQUEST=YES for public data",
    ".blob.core.windows.net": "set AZURE_STORAGE_ACCOUNT, and check the network",
    "CURL error": "check the address and the network",
    "not recognized": (
        "it is no raster, or the server was too busy to send it: set GDAL_HTTP_MAX_RETRY=5 to ask again"
    ),
}
"""What to do, by a part of GDAL's reason."""

_WARPS = {
    "ground control points": "gdalwarp IN OUT",
    "camera model (RPC)": "gdalwarp -rpc -to RPC_DEM=DEM IN OUT",
}


_filters = threading.Lock()
"""Filters of warnings belong to the whole process: threads change them one at a time."""


@contextmanager
def georeference_optional() -> Iterator[None]:
    """Open or make a raster without georeference, such as a PNG, without a warning of rasterio.

    Nothing else than that belongs inside: other threads wait.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _after_fork() -> None:
    global _filters  # noqa: PLW0603 - the thread that held it is not in the child
    _filters = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def to_gdal(uri: str) -> str:
    """What to give to rasterio for a uri: the uri, but for archives, whose relative paths it loses.

    Raises:
        SourceError: The uri leads to a pipe or a device; opening a pipe would wait for ever.
    """
    try:
        mode = os.stat(uri).st_mode  # noqa: PTH116 - a uri is no Path
    except (OSError, ValueError):
        mode = None
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceError(f"{uri}: is a pipe or a device, expected a raster file; name a file")
    scheme, found, rest = uri.partition("://")
    if not found or scheme not in _ARCHIVES:
        return uri
    archive, _, inner = rest.partition("!")
    return f"/vsi{scheme}/{archive}" + ("/" + inner.lstrip("/") if inner else "")


def is_remote(uri: str) -> bool:
    """Whether a uri is read over the network."""
    scheme, found, _ = uri.partition("://")
    if found and scheme.split("+")[-1] in _SCHEMES:
        return True
    return uri.startswith("/vsi") and _REMOTE.search(uri) is not None


def why_not_opened(uri: str, error: Exception) -> str:
    """The text of an error, for a uri that GDAL did not open."""
    path = Path(uri)
    if "://" in uri or uri.startswith("/vsi") or ":" in path.name:
        cure = cure_of(error) if is_remote(uri) else ""
        return f"{uri}: cannot be opened as a raster: {error}" + (f"; {cure}" if cure else "")
    try:
        size = path.stat().st_size
    except (OSError, RuntimeError):  # a link to itself
        return f"{uri}: {_why_missing(path)}"
    return f"{uri}: {_why_no_raster(uri, size)}"


def _why_missing(path: Path) -> str:
    with suppress(OSError):  # not a link, or no path at all
        return f"is a link to {path.readlink()}, which is not there; mend the link"
    return f"no such file; {_hint_at_neighbour(path)}"


def _why_no_raster(uri: str, size: int) -> str:
    path = Path(uri)
    archive = _SUFFIXES.get(path.suffix.lower())
    if path.is_dir():
        return "is a folder, expected a raster file; name the file in it"
    if not os.access(uri, os.R_OK):
        return "may not be read; check its permissions"
    if not size:
        return "is empty (0 bytes), expected a raster; copy or download it again"
    if archive:
        inside = "" if archive == "gzip" else "/NAME"
        return f"is an archive, expected a raster; name the file in it: /vsi{archive}/{uri}{inside}"
    return (
        "is no raster that GDAL can open, or its header is damaged; expected e.g. GeoTIFF, "
        "PNG or JPEG2000; try gdalinfo on it"
    )


def cure_of(error: BaseException) -> str:
    """What to do where the network does not give what GDAL asks for."""
    text = str(error)
    return next((cure for part, cure in _CURES.items() if part in text), "")


def placed_by(dataset: Any) -> str:
    """What tells the place of an open raster: a transform, control points, a camera model or nothing."""
    if not dataset.transform.is_identity:
        return "transform"
    if dataset.gcps[0]:
        return "ground control points"
    return "none" if dataset.rpcs is None else "camera model (RPC)"


def check_placed(uri: str, dataset: Any) -> None:
    """Refuse a raster whose place is told by other means than a transform.

    A CRS without a transform is warned of: ground coordinates are then pixels.

    Raises:
        SourceError: There are ground control points or a camera model only.
    """
    means = placed_by(dataset)
    if means in _WARPS:
        raise SourceError(
            f"{uri}: is georeferenced by {means} only, expected a transform; warp it first: {_WARPS[means]}"
        )
    if means == "none" and dataset.crs:
        warn(
            f"{uri}: has a CRS but no transform; its pixels count as coordinates of that CRS; write "
            "the transform into the file, or take the CRS out"
        )


def _hint_at_neighbour(path: Path) -> str:
    try:
        names = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return f"check the folder {path.parent}"
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {near[0]}?" if near else "check the path"
