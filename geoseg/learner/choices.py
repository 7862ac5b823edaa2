"""Names that a user chooses by, and the options that go with them: one wording for what is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from geoseg.errors import ConfigError

T = TypeVar("T")


def chosen(what: str, name: str, known: Mapping[str, T]) -> T:
    """The entry of a table by its name.

    Args:
        what: What is being chosen, for the error: "loss".
        name: The name that was given.
        known: All entries by name.

    Raises:
        ConfigError: There is no such name; the text lists the known ones.
    """
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"there is no {what} {name!r}; known: {', '.join(sorted(known))}{hint}")


def refuse_unknown(what: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Check the names of options.

    Raises:
        ConfigError: An option is not known; the text lists the known ones.
    """
    names = sorted(known)
    for option in options:
        if option not in names:
            listed = ", ".join(names) if names else "none"
            raise ConfigError(f"{what} has no option {option!r}; its options: {listed}")
