"""The texts of a bundle as plain values, read without trust."""

from __future__ import annotations

import json
from typing import Any

import yaml

from geoseg import yamltext
from geoseg.errors import BundleError, ConfigError

_DEEPEST = 50
"""Levels of a YAML; real ones have 6, and PyYAML takes hours for a text of brackets only."""
_OPENS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSES = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def yaml_fields(uri: str, name: str, content: bytes) -> dict[str, Any]:
    """The mapping that a member is as YAML.

    Raises:
        BundleError: It is none, or has what geoseg never writes: tags, aliases (with which a short text can
            stand for a huge one), or many levels.
    """
    try:
        text = content.decode()
        problem = _problem(text)
        found = None if problem else yamltext.load(text, name=f"{uri}: {name}")
    except (UnicodeDecodeError, yaml.YAMLError, ConfigError) as error:
        raise _unread(uri, name, error) from error
    if problem:
        raise BundleError(
            f"{uri}: its {name} has {problem}, which geoseg never writes; do not trust it"
        )
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise BundleError(
            f"{uri}: its {name} is no mapping of keys to values; copy the bundle anew from where it was made"
        )
    return found


def json_value(uri: str, name: str, content: bytes) -> Any:
    """What a member is as JSON.

    Raises:
        BundleError: It is none.
    """
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _unread(uri, name, error) from error


def json_bytes(value: Any) -> bytes:
    """Plain values as JSON for people to read, the same each time."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def shortly(error: Exception) -> str:
    """The text of an error in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _problem(text: str) -> str | None:
    depth = 0
    for token in yaml.scan(text):
        depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
        if depth > _DEEPEST:
            return f"more than {_DEEPEST} levels"
        if isinstance(token, yaml.AliasToken):
            return "YAML aliases"
    return None


def _unread(uri: str, name: str, error: Exception) -> BundleError:
    return BundleError(
        f"{uri}: its {name} cannot be read: {shortly(error)}; copy the bundle anew from where it was made"
    )
