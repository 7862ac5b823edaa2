"""Names of files made from keys and from names of bands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from geoseg.errors import ConfigError

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\udc80-\udcff]')
"""What some file system does not take in a name."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
"""What Windows takes for a device."""
_SUFFIX = re.compile(r"(?i)(\.tiff?)+$")
_MOST_BYTES = 200
"""Of a name; file systems take 255, with the names of hidden files beside it."""


def file_names(names: Iterable[str], what: str, *, cure: str) -> Mapping[str, str]:
    """{name: the stem of a file that any file system takes}.

    A suffix .tif is left out, what is not safe becomes `_`, and what is too long is cut and told apart by
    the first digits of its sha256.

    Args:
        names: Keys of patches, or names of bands.
        what: They are, for errors.
        cure: What to do where two would be the same.

    Raises:
        ConfigError: Two would be the same; upper and lower case are one to some file systems.
    """
    stems: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        stem = _safe(name)
        other = taken.setdefault(stem.casefold(), name)
        if other != name:
            raise ConfigError(
                f"the {what} {other!r} and {name!r} would both be written as {stem!r}; {cure}"
            )
        stems[name] = stem
    return stems


def _safe(name: str) -> str:
    """One name.

    >>> _safe("a/b:c.tif"), _safe("..")
    ('a_b_c', '_')
    """
    stem = _UNSAFE.sub("_", _SUFFIX.sub("", name)).strip(" .") or "_"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    raw = stem.encode()
    if len(raw) <= _MOST_BYTES:
        return stem
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{raw[:_MOST_BYTES].decode(errors='ignore')}_{digest}"
