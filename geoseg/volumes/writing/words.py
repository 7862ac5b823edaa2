"""Words and numbers of a call that stand in the tables: classes, folds, and the name of the file."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from geoseg.errors import ConfigError
from geoseg.volumes.limits import MOST_CLASSES
from geoseg.volumes.writing.frames import Fold

_WORDS = range(-(1 << 63), 1 << 63)
"""Whole numbers that a column of 64 bits holds."""


def path_text(uri: Any, *, what: str = "the output") -> str:
    """The path of a file as text, given so or as a `pathlib.Path`.

    Args:
        uri: As given.
        what: How an error calls it.

    Raises:
        ConfigError: It is no path.
    """
    found = os.fspath(uri) if isinstance(uri, str | os.PathLike) else None
    if not isinstance(found, str):
        raise ConfigError(f"{what} is {uri!r}, expected a path, as text or as a pathlib.Path")
    return found


def inner_path(name: Any, *, what: str) -> str:
    """The path of what lies in a zip, with `/` between folders on every system.

    Args:
        name: As given, as text or as a `pathlib.Path`.
        what: How an error calls it.

    Raises:
        ConfigError: It is no path.
    """
    return name.as_posix() if isinstance(name, PurePath) else path_text(name, what=what)


def check_unicode(text: str, *, what: str) -> None:
    """See that a text can be written as UTF-8.

    Args:
        text: Any.
        what: How an error calls it.

    Raises:
        ConfigError: It holds half of a pair of surrogates, as of a file name in another encoding.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{what} is {text!r}, of which {text[error.start]!r} is no character; name it in Unicode"
        ) from error


def class_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes of an output.

    Raises:
        ConfigError: There are none, or too many, one is named twice, or a name is none.
    """
    names: tuple[Any, ...] = () if isinstance(classes, str) else tuple(classes)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"classes are {classes!r}, expected a list of one or more names")
    if len(names) > MOST_CLASSES:
        raise ConfigError(
            f"there are {len(names)} classes, expected at most {MOST_CLASSES}; write several zips"
        )
    for name in names:
        check_unicode(name, what="the name of a class")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"classes named twice: {', '.join(twice)}; name each once")
    return names


def fold_of(fold: Any, *, where: str) -> Fold:
    """A fold as the table holds it.

    Args:
        fold: As given.
        where: Name of the volume, for errors.

    Raises:
        ConfigError: It is no whole number of 64 bits, and no word.
    """
    if fold is None:
        return None
    if isinstance(fold, str) and fold:
        check_unicode(fold, what=f"{where}: the fold")
        return str(fold)
    try:
        number = None if isinstance(fold, bool | np.bool_) else operator.index(fold)
    except TypeError:
        number = None
    if number is None or number not in _WORDS:
        raise ConfigError(
            f"{where}: the fold is {fold!r}, expected a word or a whole number of at most 64 bits"
        )
    return number
