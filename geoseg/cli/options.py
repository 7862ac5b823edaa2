"""Arguments that several commands share, and how their text is read."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from geoseg.errors import ConfigError

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value of the file, such as training.epochs=3, train.0.image=b.tif or train.0.labels=b_ids.tif "
        "(from 0 in lists); values are YAML, null takes back to the default, paths in them are meant from the "
        "working directory. May be given several times.",
    ),
]
AoiFile = Annotated[
    str | None,
    typer.Option(
        "--aoi",
        metavar="FILE",
        help="Polygons (any vector file) outside which pixels do not count.",
    ),
]


def bands_of(text: str | None) -> tuple[int | str, ...] | None:
    """`red,green,4` as names and numbers; None stays None."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    return tuple(int(part) if part.isdecimal() else part for part in parts if part)


def shard_of(text: str | None) -> tuple[int, int] | None:
    """`0/4` as (0, 4); None stays None.

    Raises:
        ConfigError: It is written in another way.
    """
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.strip().isdecimal() and count.strip().isdecimal()):
        raise ConfigError(
            f"--shard {text}: expected the shard's number from 0 and their count, such as 0/4"
        )
    return int(number), int(count)


def bytes_of(text: str | None) -> int | None:
    """`500MB`, `2GiB` or a plain number as bytes, in capitals or not; None stays None.

    Raises:
        ConfigError: It is written in another way.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?", text.strip().lower())
    if found is None:
        raise ConfigError(f"--max-memory {text}: expected bytes, as 500MB, 2GB, 1GiB or 300000000")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(unit or " "))


def refuse_unless(needed: str, given: dict[str, object]) -> None:
    """Refuse options that mean nothing without another one.

    Args:
        needed: The option that is missing, as it may be written.
        given: Options and their values; None where they were not given.

    Raises:
        ConfigError: One was given.
    """
    if wrong := [flag for flag, value in given.items() if value is not None]:
        raise ConfigError(
            f"{', '.join(wrong)}: changes nothing without {needed}; add that, or leave it out"
        )


def mapping_of(text: str | None) -> dict[int, int] | None:
    """`1:0,2:1` as {value in the file: class id}; None stays None.

    Raises:
        ConfigError: It is written in another way.
    """
    if text is None:
        return None
    try:
        pairs = [part.split(":") for part in text.split(",")]
        mapping = {int(value): int(class_id) for value, class_id in pairs}
    except ValueError as error:
        raise ConfigError(
            f"--mapping {text}: expected pairs of value in the file and class id, such as 1:0,2:1"
        ) from error
    if len(mapping) < len(pairs):
        raise ConfigError(f"--mapping {text}: a value is given twice; keep one of them")
    return mapping
