"""Patterns of file names whose wildcards are remembered, so that other names can be made of them."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from pathlib import Path

from geoseg.errors import ConfigError, SceneError

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?+\]?+[^\]/]*\]|[^*?\[]+|\[")
_LITERAL = re.compile(r"\[([*?\[])\]")
"""How `glob.escape` writes a character that is no wildcard."""
_HOLE = re.compile(r"\{\{|\}\}|\{(\w*)\}")
_SEPARATOR = os.sep
_CASE = re.IGNORECASE if os.path.normcase("A") == "a" else re.NOFLAG
"""Windows takes capital letters for small ones, as `glob` does there."""


def find(pattern: str) -> dict[str, dict[str, str]]:
    """Files that a pattern names: path, with slashes, to what its wildcards stand for, sorted by path.

    `*`, `?` and `[abc]` stay within a folder, `**` goes through folders below; `[!abc]` is any other
    character. They are numbered from 1; "stem" is the file's name without its suffix.

    Raises:
        SceneError: What the wildcards of a file stand for cannot be told.
    """
    wanted = re.compile(_regex(_single(_slashed(pattern))), re.DOTALL | _CASE)
    found = {}
    for path in sorted(map(_slashed, glob.glob(pattern, recursive=True))):  # noqa: PTH207 - keeps `./` and absolute paths
        if not Path(path).is_file():
            continue
        match = wanted.fullmatch(_single(path))
        if match is None:
            raise SceneError(
                f"{path}: has a name like {pattern!r}, but what its wildcards stand for cannot be told; "
                "write the pattern more simply, or list the files in a table"
            )
        groups = {str(i): text or "" for i, text in enumerate(match.groups(), start=1)}
        found[path] = {**groups, "stem": Path(path).stem}
    return found


def fill(template: str, values: dict[str, str], name: str) -> str:
    """The template with `{1}`, `{2}` and `{stem}` replaced; `{{` and `}}` become single braces.

    >>> fill("masks/{1}.tif", {"1": "a", "stem": "a_image"}, name="labels")
    'masks/a.tif'

    Raises:
        ConfigError: It names something that the pattern does not have.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if match[1] not in values:
            known = ", ".join(f"{{{key}}}" for key in values)
            raise ConfigError(
                f"{name} {template!r}: nothing stands for {match[0]}, expected one of: {known}; they count "
                "the wildcards of `glob` from 1"
            )
        return values[match[1]]

    return _HOLE.sub(value_of, template)


def unfilled(text: str) -> str:
    """A template of which `fill` makes this text.

    >>> unfilled("/data/{proj}")
    '/data/{{proj}}'
    """
    return text.replace("{", "{{").replace("}", "}}")


def _slashed(path: str) -> str:
    return path.replace(_SEPARATOR, "/")


def _single(path: str) -> str:
    """Slashes that follow one another are one: `glob` leaves some of them out."""
    return re.sub("/+", "/", path)


def _regex(pattern: str) -> str:
    """A regular expression for the same paths, with a group for each wildcard."""
    pieces = []
    for part in _PARTS.findall(pattern):
        if literal := _LITERAL.fullmatch(part):
            pieces.append(re.escape(literal[1]))
        elif part == "**/":
            pieces.append("(?:(.*)/)?")
        elif part.startswith("[") and len(part) > 1:
            pieces.append(f"((?!/){_one_of(part)})")
        else:
            pieces.append({"**": "(.*)", "*": "([^/]*)", "?": "([^/])"}.get(part, re.escape(part)))
    return "".join(pieces)


def _one_of(brackets: str) -> str:
    """A regular expression for `[abc]` as `glob` reads it: only `!` negates."""
    whole = fnmatch.translate(brackets)  # "(?s:[abc])\\Z"
    return whole[: whole.rindex(")") + 1]
