"""Errors of the library in the words of a command line: `--stride`, where it says `stride`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import ValidationError

from geoseg.cli.told import lines_of
from geoseg.errors import ConfigError, GeosegError

_OF_TRAINING = re.compile(r'Training\((\w+)="([^"]*)"\)')


@contextmanager
def named_as_flags(*names: str) -> Iterator[None]:
    """Errors within name options as they are typed.

    Args:
        names: Of the options, as the library calls them.
    """
    try:
        yield
    except GeosegError as error:
        error.args = (as_flags(str(error), names),)
        raise
    except ValidationError as error:
        told = "; ".join(lines_of(error, ""))
        if (text := as_flags(told, names)) == told:
            raise
        raise ConfigError(text) from error


def as_flags(text: str, names: Sequence[str]) -> str:
    """A text in which options stand as they are typed.

    Args:
        text: Of an error, or a warning.
        names: Of the options, as the library calls them.

    >>> as_flags('stride 9 is longer; overlap="priority" helps', ["stride", "overlap"])
    '--stride 9 is longer; --overlap priority helps'
    """
    text = _OF_TRAINING.sub(
        lambda found: f"`geoseg volumes train {_flag(found[1])} {found[2]}`", text
    )
    for name in names:
        text = re.sub(rf'\b{name}="([^"]*)"', rf"{_flag(name)} \1", text)
        text = re.sub(rf"(^|[:;] ){name}(?= is | \d)", rf"\1{_flag(name)}", text)
    return text


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
