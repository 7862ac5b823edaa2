r"""Patterns of paths as users write them, and the regular expressions that they stand for.

`*` stands for any text within a name, `?` for one letter of it, `**/` for any folders; `{key}`, `{band}`, `{split}`
and `{label}` for the part of the path that tells it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from geoseg.convert.templates import compiled
from geoseg.errors import ConfigError

FIELDS = ("key", "band", "split", "label")
"""Those that a pattern may have."""

_WILD = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
"""{wildcard: expression}; one that begins another comes after it."""
_TOKENS = re.compile(rf"{'|'.join(map(re.escape, _WILD))}|\{{(\w*)\}}|[^*?{{]+|\{{")
_PARTS = re.compile(
    rf"\(\?P<(?P<field>\w+)>[^()]*\)|\(\?P=(?P<again>\w+)\)|{'|'.join(map(re.escape, _WILD.values()))}"
    r"|\\[AZ]|\\(?P<plain>\W)"
)
"""What `path_pattern` puts into an expression beside plain letters."""
_WILDCARD_OF = {expression: wildcard for wildcard, expression in _WILD.items()}


def plain_pattern(pattern: str) -> str:
    """A pattern without the dots that stand for the folder itself.

    >>> plain_pattern("./images/{key}.tif")
    'images/{key}.tif'
    """
    return "/".join(part for part in pattern.split("/") if part != ".")


def path_pattern(pattern: str, *, bands: Sequence[str] | None = None) -> str:
    r"""The regular expression of a pattern of paths.

    >>> path_pattern("{split}/*.tif")
    '\\A(?P<split>[^/]+)/[^/]*\\.tif\\Z'

    Args:
        pattern: As users write it.
        bands: Names that `{band}` may stand for; None: any.

    Raises:
        ConfigError: It has an unknown field or a brace too many.
    """
    seen: set[str] = set()
    parts = [_expression(token, pattern, seen, bands) for token in _TOKENS.finditer(pattern)]
    return rf"\A{''.join(parts)}\Z"


def _expression(
    token: re.Match[str], pattern: str, seen: set[str], bands: Sequence[str] | None
) -> str:
    text, field = token[0], token[1]
    if field is None and text != "{":
        return _WILD.get(text) or re.escape(text)
    if field not in FIELDS:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigError(
            f"{pattern!r}: {text!r} is no field of a pattern; expected one of {known}"
        )
    if field in seen:
        return f"(?P={field})"
    seen.add(field)
    if field == "band":
        return f"(?P<band>{'|'.join(map(re.escape, bands)) if bands else '[^/]+?'})"
    return f"(?P<{field}>[^/]+)"


def expected_path(expression: str, fields: Mapping[str, str | None]) -> str:
    r"""The path that an expression of `path_pattern` would find, with wildcards for what may be anything.

    The expression itself, where it is another one.

    >>> expected_path(path_pattern("{split}/masks/{key}.png"), {"key": "a1"})
    '*/masks/a1.png'
    """

    def filled(part: re.Match[str]) -> str:
        field = part["field"] or part["again"]
        if field is not None:
            return fields.get(field) or "*"
        return part["plain"] or _WILDCARD_OF.get(part[0], "")

    path = _PARTS.sub(filled, expression)
    return path if compiled(expression).search(path) else expression
