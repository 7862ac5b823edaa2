"""Patterns of file names whose wildcards are remembered, so that other names can be made of them."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from geoseg.errors import ConfigError

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|[^*?\[]+|\[")
_LITERAL = re.compile(r"\[([*?\[])\]")
"""How `glob.escape` writes a character that is no wildcard."""
_HOLE = re.compile(r"\{(\w*)\}")


def find(pattern: str) -> dict[str, dict[str, str]]:
    """Files that a pattern names: path to what its wildcards stand for, sorted by path.

    `*`, `?` and `[abc]` stay within a folder, `**` goes through folders below. They are numbered from
    1; "stem" is the file's name without its suffix.
    """
    wanted = re.compile(_regex(pattern))
    found = {}
    for path in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - keeps `./` and absolute paths
        match = wanted.fullmatch(path)
        if match is not None and Path(path).is_file():
            groups = {str(i): text or "" for i, text in enumerate(match.groups(), start=1)}
            found[path] = {**groups, "stem": Path(path).stem}
    return found


def fill(template: str, values: dict[str, str], name: str) -> str:
    """The template with `{1}`, `{2}` and `{stem}` replaced.

    >>> fill("masks/{1}.tif", {"1": "a", "stem": "a_image"}, name="labels")
    'masks/a.tif'

    Raises:
        ConfigError: It names something that the pattern does not have.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join(f"{{{key}}}" for key in values)
            raise ConfigError(
                f"{name} {template!r}: nothing stands for {match[0]}, expected one of: {known}; they count "
                "the wildcards of `glob` from 1"
            )
        return values[match[1]]

    return _HOLE.sub(value_of, template)


def _regex(pattern: str) -> str:
    """A regular expression for the same paths, with a group for each wildcard."""
    pieces = []
    for part in _PARTS.findall(pattern):
        if literal := _LITERAL.fullmatch(part):
            pieces.append(re.escape(literal[1]))
        elif part == "**/":
            pieces.append("(?:(.*)/)?")
        elif part.startswith("["):
            inner = part[1:-1].replace("\\", "\\\\")
            inner = f"^{inner[1:]}" if inner.startswith("!") else inner
            pieces.append(f"([{inner}])" if len(part) > 1 else re.escape(part))
        else:
            pieces.append({"**": "(.*)", "*": "([^/]*)", "?": "([^/])"}.get(part, re.escape(part)))
    return "".join(pieces)
