"""Names of volumes that are names of files everywhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

from geoseg.errors import ConfigError, StoreError

_RESERVED = frozenset('<>:"/\\|?*')
"""Between folders, or kept by Windows."""
_UNSEEN = ("C", "Zl", "Zp")
"""Categories of Unicode: controls, marks that turn the direction of writing, halves of characters, ends of
lines."""
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]|conin\$|conout\$) *(?:\..*)?")
"""Names that Windows keeps for itself, whatever follows a dot."""
_LONGEST = 200
"""Bytes, so that folders and suffixes have room."""
SUFFIX = ".npy"


def file_name(name: str | PurePath) -> str:
    """The file name of a volume's image: its name, with `.npy` where it does not end so.

    Raises:
        StoreError: The name cannot be that of a file on every system.
        ConfigError: It is no text.
    """
    if isinstance(name, PurePath):
        name = str(name)
    if not isinstance(name, str):
        raise ConfigError(f"a volume is named {name!r}, expected a text; name it str(...)")
    if not name or (wrong := _wrong_in(name)):
        raise StoreError(
            f"a volume is named {name!r}, expected the name of a file without folders"
            f"{f', {wrong}' if name else ''}; rename it"
        )
    if _DEVICES.fullmatch(name.lower()):
        raise StoreError(f"a volume is named {name!r}, which Windows keeps for a device; rename it")
    if len(name.encode()) > _LONGEST:
        raise StoreError(
            f"a volume is named {name[:40]!r}..., {len(name.encode())} bytes, expected at most "
            f"{_LONGEST}; shorten it"
        )
    return name if name.endswith(SUFFIX) else name + SUFFIX


def _wrong_in(name: str) -> str:
    """What a name must not have, but has; empty where it is that of a file everywhere."""
    if name.startswith(".") or name.endswith(".") or name != name.strip():
        return "with neither dots nor blanks at its ends"
    if wrong := sorted(_RESERVED.intersection(name)):
        return f"without {' '.join(wrong)}"
    unseen = [one for one in name if unicodedata.category(one).startswith(_UNSEEN)]
    return f"without {unseen[0]!r}, which cannot be seen" if unseen else ""


def key_of(name: str) -> str:
    """The same for names that are one name on some file system: of other case, or composed otherwise."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
