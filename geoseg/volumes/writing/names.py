"""Names of volumes that are names of files everywhere."""

from __future__ import annotations

import re
import unicodedata

from geoseg.errors import StoreError

_SAFE = re.compile(r"\w(?:[\w .,+=@()-]*[\w,+=@()-])?")
"""Letters and digits of any script, a few marks; neither hidden, nor with blanks or dots at an end."""
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
"""Names that Windows keeps for itself, whatever follows a dot."""
_LONGEST = 200
"""Bytes, so that folders and suffixes have room."""
SUFFIX = ".npy"


def file_name(name: str) -> str:
    """The file name of a volume's image: its name, with `.npy` where it does not end so.

    Raises:
        StoreError: The name cannot be that of a file on every system.
    """
    if not _SAFE.fullmatch(name):
        raise StoreError(
            f"a volume is named {name!r}, expected the name of a file without folders, made of letters, "
            "digits and _-.,+=@() or blanks within; rename it"
        )
    if _DEVICES.fullmatch(name.lower()):
        raise StoreError(f"a volume is named {name!r}, which Windows keeps for a device; rename it")
    if len(name.encode()) > _LONGEST:
        raise StoreError(
            f"a volume is named {name[:40]!r}..., {len(name.encode())} bytes, expected at most "
            f"{_LONGEST}; shorten it"
        )
    return name if name.endswith(SUFFIX) else name + SUFFIX


def key_of(name: str) -> str:
    """The same for names that are one name on some file system: of other case, or composed otherwise."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
