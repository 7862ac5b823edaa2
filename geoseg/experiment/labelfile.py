"""A file named in place of labels: labels have no text of their own, but a change of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoseg.errors import ConfigError
from geoseg.scene import VECTOR_SUFFIXES

_LABELS = "labels"
_MANY = ("glob", "table")
"""Keys of entries that stand for several scenes, whose `labels` is text."""


def label_file(path: str, node: Mapping[Any, Any], value: Any) -> Any:
    """What `train.0.labels=x.tif` means: the same labels from another file, or those of its kind.

    Args:
        path: Where the value is set.
        node: The scene.
        value: What is set there.

    Returns:
        Labels with the file in place of theirs; where the scene has none, "raster" or "vector" by the
        suffix. Any other value, and one set elsewhere, as it is.

    Raises:
        ConfigError: The labels there are of the other kind, or name no single file.
    """
    named = path.rpartition(".")[2] == _LABELS and "." in path
    if not named or not isinstance(value, str) or any(key in node for key in _MANY):
        return value
    kind = "vector" if value.lower().endswith(VECTOR_SUFFIXES) else "raster"
    known = node.get(_LABELS)
    if not isinstance(known, dict):
        return {"type": kind, "source": value}
    if (known.get("type") == "vector") != (kind == "vector"):
        column = ", class_by: COLUMN" if kind == "vector" else ""
        raise ConfigError(
            f"--set {path}={value}: the labels there are of type {known.get('type')!r}, but this is a {kind} "
            f"file; set them as a whole, such as {path}='{{type: {kind}, source: {value}{column}}}'"
        )
    return {**known, "source": _with_file(path, known.get("source"), value)}


def _with_file(path: str, source: Any, file: str) -> Any:
    """A source that reads another file; the rest of it, such as its bands, stays."""
    if source is None or isinstance(source, str):
        return file
    for key in ("source", "uri"):
        if isinstance(source, dict) and key in source and not isinstance(source[key], list):
            return {**source, key: _with_file(path, source[key], file)}
    raise ConfigError(
        f"--set {path}={file}: the labels there name no single file that it could stand for; set "
        f"{path}.source as a whole"
    )
