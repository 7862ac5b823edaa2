"""Uris as they are written, and the folder against which a relative one is meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

_DRIVER = re.compile(r"[A-Za-z][A-Za-z0-9_]+:")
"""How GDAL names a driver before a path, as in `netcdf:a.nc:red` or `GTIFF_DIR:2:a.tif`."""


class PlacedText(str):
    """Text that knows the folder against which it is meant, should it be a uri.

    Texts of one tree may come from files of several folders.
    """

    __slots__ = ("folder",)
    folder: str
    """An absolute path."""

    def __new__(cls, text: str, folder: str) -> Self:
        """The text, and the folder."""
        made = super().__new__(cls, text)
        made.folder = folder
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return PlacedText, (str(self), self.folder)


def is_path(uri: str) -> bool:
    """Whether it is a plain local path: no URL, no `/vsi...` and no driver's `NAME:...`."""
    return not (_DRIVER.match(uri) or "://" in uri or uri.startswith("/vsi"))


def placed(uri: str, folder: str) -> str:
    """The uri; a relative path as one below the folder."""
    if not is_path(uri) or uri.startswith("/") or Path(uri).is_absolute():
        return uri
    return str(Path(folder) / uri)


def place_texts(value: Any, folder: str) -> Any:
    """Plain values with every text a PlacedText of this folder; keys and PlacedTexts stay as they are."""
    if isinstance(value, dict):
        return {key: place_texts(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [place_texts(item, folder) for item in value]
    return PlacedText(value, folder) if type(value) is str else value
