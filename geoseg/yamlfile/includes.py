"""A YAML file with all that it includes, as one tree of plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.placed import place_texts

INCLUDE = "include"
"""The key at the top of a file that names others."""


def read_whole(path: Path) -> Any:
    """The values of a YAML file and of the files that it includes.

    `include: base.yaml` or a list of files stands at the top. Of two files with the same key the later
    one counts, and the including file most of all: mappings are merged, key by key; lists and single
    values are replaced, and so is a mapping by one with another `type`. Null replaces too: an experiment
    takes it for the default of a key that cannot be null (see `geoseg.spec.NULL_IS_DEFAULT`).

    Returns:
        Plain values. Texts of included files are PlacedTexts, meant against the folder of that file;
        those of the file itself are plain.

    Raises:
        ConfigError: A file cannot be read, is not YAML, includes itself by any way, or is included
            and holds no keys and values.
    """
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{_chain(path, above)}: cannot read this YAML file: {reason}") from error
    values = yamltext.load(text, name=str(path))
    if above and not isinstance(values, dict):
        raise ConfigError(
            f"{_chain(path, above)}: an included file holds keys and values, this one "
            f"{_told(values)}; write `key: value`"
        )
    if not isinstance(values, dict):
        return values
    names = _names(values.get(INCLUDE), path)
    own = {key: value for key, value in values.items() if key != INCLUDE}
    folder = path.resolve().parent
    merged: Any = {}
    for name in names:
        merged = _merged(merged, _included(folder / name, (*above, path)))
    return _merged(merged, place_texts(own, str(folder)) if above else own)


def _included(path: Path, above: tuple[Path, ...]) -> Any:
    if path.resolve() in [other.resolve() for other in above]:
        raise ConfigError(
            f"{_chain(path, above)}: a file cannot include itself; take out one `{INCLUDE}`"
        )
    return _read(path, above)


def _names(value: Any, path: Path) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{path}: {INCLUDE}: {_told(value)}, expected the name of a YAML file or a list of names"
        )
    return names


def _merged(base: Any, over: Any) -> Any:
    """Two trees as one, the second before the first."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    if "type" in over and over["type"] != base.get("type"):
        return over  # the keys of one kind mean nothing to another
    both = {key: _merged(base[key], value) for key, value in over.items() if key in base}
    return base | over | both


def _chain(path: Path, above: tuple[Path, ...]) -> str:
    """The file, and by which others it came to be read."""
    by = ", which is included by ".join(str(other) for other in reversed(above))
    return f"{path} (included by {by})" if by else str(path)


def _told(value: Any) -> str:
    return "is empty" if value is None else f"is a {type(value).__name__}"
