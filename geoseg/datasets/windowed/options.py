"""Arguments as scripts and configuration files give them."""

from __future__ import annotations

import inspect
import logging
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.choices import one_of
from geoseg.errors import ConfigError
from geoseg.placed import PlacedText, placed
from geoseg.window import Size, pair

_log = logging.getLogger("geoseg")


class UnknownKeywordError(ConfigError, TypeError):
    """A keyword that there is not."""


def refuse_keywords(owner: type, unknown: Mapping[str, Any]) -> None:
    """Refuse keywords that no parameter of a class has.

    Args:
        owner: The class; parameters are those of its `__init__`.
        unknown: What was given beside them.

    Raises:
        UnknownKeywordError: There are any; the nearest name is told for each.
    """
    if not unknown:
        return
    parameters = inspect.signature(owner.__init__).parameters.values()  # type: ignore[misc]
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"]
    told = "; ".join(
        f"{name!r} (nearest: {get_close_matches(name, known, n=1, cutoff=0.0)[0]!r})"
        for name in unknown
    )
    raise UnknownKeywordError(
        f"{owner.__name__} has no parameter {told}; rename it or leave it out"
    )


def plain(value: Any) -> Any:
    """Mappings and sequences of any kind, such as Hydra's, as dicts and lists; all else as it is."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def paths_of(given: Any, *, name: str) -> list[str]:
    """One path or several as absolute ones; URLs and `/vsi...` stay as they are.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(given, str | os.PathLike):
        return [absolute(os.fspath(given))]
    if isinstance(given, Iterable):
        items = list(given)
        if all(isinstance(item, str | os.PathLike) for item in items):
            return [absolute(os.fspath(item)) for item in items]
    raise ConfigError(f"{name} is {given!r}, expected paths")


def path_of(given: Any, *, name: str) -> str | None:
    """A path as an absolute one, None as it is.

    Raises:
        ConfigError: It is something else.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        return absolute(str(os.fspath(given)))
    raise ConfigError(f"{name} is {given!r}, expected a path")


def absolute(uri: str) -> str:
    """A relative path as one below the working directory of now, which may change; all else as it is."""
    return placed(uri, uri.folder if isinstance(uri, PlacedText) else str(Path.cwd()))


def size_of(given: Any, *, name: str) -> tuple[int, int]:
    """(height, width) in pixels of a number or of two.

    Raises:
        ConfigError: It is something else, or below 1.
    """
    try:
        several = tuple(given) if isinstance(given, Sequence) else (given,)
        if any(isinstance(side, bool) for side in several):
            raise TypeError
        size = pair(tuple(given) if isinstance(given, Sequence) else given)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{name} is {given!r}, expected pixels: a whole number or (height, width)"
        ) from error
    if min(size) < 1:
        raise ConfigError(f"{name} is {given!r}, expected at least 1 pixel")
    return size


def stride_of(given: Any) -> Size | None:
    """(height, width) from one window to the next; None means side by side."""
    return None if given is None else size_of(given, name="stride")


def word_of(value: Any, words: Sequence[str], *, name: str) -> str:
    """The one of some words in lower case that a text is, in whatever case it is written.

    Raises:
        ConfigError: It is none of them; a near one is told.
    """
    if isinstance(value, str) and value.lower() in words:
        return value.lower()
    return str(one_of(value, words, name=name))


def flag_of(value: Any, *, name: str) -> bool:
    """A yes or no.

    Raises:
        ConfigError: It is something else, as the text "no", which Python takes for true.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ConfigError(f"{name} is {value!r}, expected one of: True, False")


def whole_of(value: Any, *, name: str, least: int | None = None) -> int:
    """A whole number; True and False are none.

    Raises:
        ConfigError: It is something else, or too small.
    """
    try:
        found = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        found = None
    if found is None or (least is not None and found < least):
        more = "" if least is None else f" from {least}"
        raise ConfigError(f"{name} is {value!r}, expected a whole number{more}")
    return found


def tell_no_reset(*, wanted: Any) -> None:
    """Log that there is nothing to reset in callables.

    Raises:
        ConfigError: It is neither True nor False.
    """
    if flag_of(wanted, name="reset_augmentation_function"):
        _log.warning("reset_augmentation_function has no effect: callables are used as they are")
