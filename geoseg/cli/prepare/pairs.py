"""`a:1,b:2` on a command line."""

from __future__ import annotations

from geoseg.errors import ConfigError


def pairs_of(text: str, option: str) -> dict[str, str]:
    """`road:1,path:2` as {"road": "1", "path": "2"}.

    Args:
        text: As it was written.
        option: Which one, for the text of the error.

    Raises:
        ConfigError: It is written in another way, or names something twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, colon, value = (piece.strip() for piece in part.rpartition(":"))
        if not (name and colon and value):
            raise ConfigError(f"{option} {text}: expected pairs as road:1,path:2; got {part!r}")
        if name in found:
            raise ConfigError(f"{option} {text}: {name!r} is given twice; keep one of them")
        found[name] = value
    return found


def class_of(text: str) -> int | str:
    """An id where it is a number, else a name."""
    return int(text) if text.removeprefix("-").isdecimal() else text
