"""Words that an argument is chosen from: one check and one text for all of them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from geoseg.errors import ConfigError

T = TypeVar("T")


def one_of(value: T, known: Any, *, name: str, also: str = "") -> T:
    """The value, which has to be one of the words that there are.

    Args:
        value: What was given, of any type.
        known: The words, as a Literal type or as an iterable of str; None may be one of them.
        name: The argument, for the error.
        also: What the error says after the words.

    Raises:
        ConfigError: It is none of them; the text lists them and tells a near one.

    >>> one_of("pad", ("drop", "flush", "pad"), name="edge")
    'pad'
    """
    words = tuple(get_args(known) or known)
    # Only texts are compared: an array is compared pixel by pixel, and has no one answer.
    if (value is None or isinstance(value, str)) and value in words:
        return value
    near = get_close_matches(str(value), [word for word in words if word is not None], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(map(str, words))
    raise ConfigError(f"{name} is {value!r}, expected one of: {listed}{also}{hint}")
