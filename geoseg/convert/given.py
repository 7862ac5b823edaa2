"""What callers may give: paths as text or as pathlib has them, one or several; anything else is a clear error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from operator import index
from typing import Any

from geoseg.errors import ConfigError

AnyPath = str | os.PathLike[str]


def path_of(given: Any, name: str) -> str:
    """A path as text.

    Raises:
        ConfigError: It is none; `name` tells which argument.
    """
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(path, str):
        raise ConfigError(f"`{name}` is {given!r}, expected a path as text or pathlib.Path")
    return path


def paths_of(given: Any, name: str) -> tuple[str, ...]:
    """Paths of one or a sequence; none of None.

    Raises:
        ConfigError: One is no path.
    """
    if given is None:
        return ()
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(path_of(one, name) for one in given)
    return (path_of(given, name),)


def sources_of(given: Any) -> dict[str, str]:
    """{group: folder}.

    Raises:
        ConfigError: It is no mapping, or a folder is no path.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"`sources` is {given!r}, expected {{name of a group: its folder}}, such as {{'s2': 'BigEarthNet-S2'}}"
        )
    return {name: path_of(folder, f"sources[{name!r}]") for name, folder in given.items()}


def shard_of(given: Any) -> tuple[int, int] | None:
    """(number, count) of a shard; None stays None.

    Raises:
        ConfigError: It is something else, or there is no such shard.
    """
    if given is None:
        return None
    try:
        part, count = map(index, given)
    except (TypeError, ValueError):
        raise ConfigError(
            f"`shard` is {given!r}, expected its number from 0 and their count, such as (0, 4)"
        ) from None
    if not 0 <= part < count:
        raise ConfigError(
            f"shard is {part} of {count}, expected 0 to {count - 1} of {count}; shards are counted from 0"
        )
    return part, count
