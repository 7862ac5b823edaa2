"""Formats of images by the endings of their names: of files that hold all of their pixels themselves."""

from __future__ import annotations

_TIFF, _JPEG = frozenset({"GTiff", "COG", "LIBERTIFF"}), frozenset({"JPEG"})
DRIVERS = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": frozenset({"PNG"}),
    ".jp2": frozenset({"JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "JPEG2000", "JP2Lura"}),
}
"""{ending in small letters: formats that it promises, by GDAL's names of them}; a VRT names other files, and ENVI has
its header beside it."""
ALONE = frozenset[str]().union(*DRIVERS.values())
"""All of these formats."""
