"""Which members a zip has: their names as they are meant, and whether they are safe to have."""

from __future__ import annotations

import re
import stat
import zipfile
from collections import Counter
from unicodedata import normalize

from geoseg.errors import SourceError

_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8, _UNIX = 0x800, (3, 19)
"""The flag of names in UTF-8, and the systems (Unix, macOS) whose tools may leave it out."""


def members_by_name(uri: str, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members of a zip, without folders, by their names, composed (Unicode's NFC) where these differ.

    Raises:
        SourceError: One is not safe to have; it is the first one.
    """
    names = [_name_of(info) for info in infos]
    counts = Counter(names)
    for info, name in zip(infos, names, strict=True):
        why = _why_unsafe(info, info.orig_filename, count=counts[name])
        if why:
            raise SourceError(f"{uri}: the member {info.orig_filename!r} {why}; make the zip again")
    composed = [normalize("NFC", name) for name in names]
    same = Counter(composed)  # two that are one name when composed keep their own
    shown = [one if same[one] == 1 else name for one, name in zip(composed, names, strict=True)]
    return {name: info for name, info in zip(shown, infos, strict=True) if not info.is_dir()}


def _name_of(info: zipfile.ZipInfo) -> str:
    """A member's name; Info-ZIP and macOS write UTF-8 without saying so, which Python takes for cp437."""
    name: str = info.filename
    if info.flag_bits & _UTF8 or info.create_system not in _UNIX or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _why_unsafe(info: zipfile.ZipInfo, name: str, *, count: int) -> str:
    parts = name.removesuffix("/").split("/")
    checks = (
        (not name or "\0" in name, "has no proper name"),
        ("\\" in name, "has a backslash in its name, expected '/' between folders"),
        (name.startswith("/"), "has an absolute name, expected one inside the zip"),
        (_DRIVE.match(name), "names a drive, expected a name inside the zip"),
        (".." in parts, "leads out of its folder, expected a name inside the zip"),
        ("" in parts or "." in parts, "has an empty part in its name"),
        (stat.S_ISLNK(info.external_attr >> 16), "is a symbolic link, expected a file"),
        (info.flag_bits & 0x1, "is encrypted, expected a zip without a password"),
        (count > 1, "is there more than once, expected names that differ"),
    )
    return next((why for unsafe, why in checks if unsafe), "")
