"""Uris as others may read them: without passwords, tokens and signatures, and without users' names.

What is read back to open files is never masked: experiment files stay as they were given. What tells
others of a run is: its record and its report keep the places of files without the secrets in them, and
bundles and exported models keep no places at all. A secret in the path of a uri, such as
`https://host/KEY/a.tif`, looks like a folder and is not found.
"""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath
from typing import Any

from geoseg.placed import is_path

MASK = "***"
"""What stands where a secret was."""

_WORDS = (
    r"sig|token|key|secret|pass|pwd|credential|auth|policy|session|cookie|sas|accessid|bearer|jwt"
)
"""Parts of the names of query parameters that hold secrets: of AWS, Azure, Google and others."""
_NAME = rf"[\w.\-\[\]]*(?:{_WORDS})[\w.\-\[\]]*"
_RULES = (
    # scheme://user:password@host, and the same as the value of a parameter
    (re.compile(r"(://)[^/?\s<>\"]+@"), rf"\1{MASK}@"),
    (re.compile(r"(%3A%2F%2F)(?:(?!%2F|%3F)[^/?&\s<>\"])+?%40", re.IGNORECASE), rf"\1{MASK}%40"),
    # ?name=value&name=value, written in XML or HTML too, and the same as the value of a parameter
    (re.compile(rf"([?&#](?:amp;)?{_NAME}=)[^&#\s<>\"']+", re.IGNORECASE), rf"\1{MASK}"),
    (
        re.compile(rf"(%(?:3F|26|3B|23){_NAME}%3D)(?:(?!%26|%23)[^&#\s<>\"'])+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # of databases: PG:dbname=a password='b'
    (
        re.compile(
            r"((?:^|[\s:,'\"]|(?<!&amp);)(?:password|passwd|pwd)\s*=\s*)('[^']*'|[^\s;,'\"]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)
_HOMES = re.compile(r"(?<![\w.~-])(?<!:/)(?:/home|/Users|[A-Za-z]:[\\/]Users)[\\/][^\\/,;\"]+")


def masked(text: str) -> str:
    """A uri, or any text with uris in it, without the secrets.

    >>> masked("/vsicurl/https://me:pw@host/a.tif?band=1&X-Amz-Signature=5f2e")
    '/vsicurl/https://***@host/a.tif?band=1&X-Amz-Signature=***'
    """
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return text


def masked_values(value: Any, *, keys: bool = False) -> Any:
    """Plain values with all texts masked.

    Args:
        value: As for JSON.
        keys: Whether keys are masked too, where uris stand there.
    """
    if isinstance(value, dict):
        items = {key: masked_values(item, keys=keys) for key, item in value.items()}
        return {masked(str(key)): item for key, item in items.items()} if keys else items
    if isinstance(value, list | tuple):
        return [masked_values(item, keys=keys) for item in value]
    return masked(value) if isinstance(value, str) else value


def told(text: str) -> str:
    """The same as `masked`, with `~` in the place of home folders, whose names are those of users.

    >>> told("/home/anna/maps/a.tif")
    '~/maps/a.tif'
    """
    home = str(Path.home())
    if len(Path(home).parts) > 1:  # not "/", the home of some containers
        text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text)
    return _HOMES.sub("~", masked(text))


def name_of(uri: str) -> str:
    """The name of a local file without its folder; any other uri as `masked` gives it.

    >>> name_of("/home/anna/weights.pth"), name_of("https://host/weights.pth?sig=5f2e")
    ('weights.pth', 'https://host/weights.pth?sig=***')
    """
    return PureWindowsPath(uri).name if is_path(uri) else masked(uri)
