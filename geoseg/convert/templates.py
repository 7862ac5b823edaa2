"""Patterns that find patches, and templates that name them.

A pattern is a regular expression in Python's notation, searched for anywhere in a name. Its case is smart:
a pattern without a capital letter does not mind upper and lower case. A template is text with fields in
braces, such as `{parent}_{name}`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import Formatter

PATH_FIELDS = frozenset({"name", "stem", "parent", "grandparent"})
"""What every path has: its last part, that without its ending, and the folders above it (those above the
source folder, too)."""

_NO_LETTERS = re.compile(r"\\.|\(\?P<\w+>|\(\?P=\w+\)")
"""What stands in a pattern and is no letter of a name: `\\S`, and names of groups."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with smart case, ready to search."""
    letters = _NO_LETTERS.sub("", pattern)
    sensitive = any(letter.isupper() for letter in letters)
    return re.compile(pattern, 0 if sensitive else re.IGNORECASE)


@lru_cache(maxsize=256)
def fields_of(template: str) -> tuple[str, ...]:
    """The names in braces, in order.

    >>> fields_of("{parent}_{name}")
    ('parent', 'name')

    Raises:
        ValueError: A brace is not closed, or a field is more than a name.
    """
    fields = []
    for _, field, form, conversion in Formatter().parse(template):
        if field is None:
            continue
        if not field.isidentifier() or form or conversion:
            raise ValueError(f"{template!r}: a field is a name in braces, got {field!r}")
        fields.append(field)
    return tuple(fields)


def stem_of(name: str) -> str:
    """A name without its last ending, as pathlib takes it; for folders, too.

    >>> stem_of("a.b.tif"), stem_of(".hidden"), stem_of("end.")
    ('a.b', '.hidden', 'end.')
    """
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name
