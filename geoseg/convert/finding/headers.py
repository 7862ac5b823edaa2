"""The header of a table: names that are nearly right would be passed over, and nobody told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from geoseg.errors import SourceError

_NEAR = 0.8
"""How alike two names are that are taken for a slip: `Mask`, `label` and `lables`, but not `mask_id`."""


def header_of(table: str, names: Iterable[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The names of a table's columns, without blanks around them.

    Args:
        table: For messages.
        names: As the file has them.
        columns: Those that are read; others may be there, too.

    Raises:
        SourceError: A name is there twice, or is nearly that of a column which is not there.
    """
    header = tuple(name.strip() for name in names)
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise SourceError(
            f"{table}: has the column {twice[0]!r} twice, expected each once; remove or rename one"
        )
    lacking = [name for name in columns if name not in header]
    for name in header:
        near = get_close_matches(name.lower(), lacking, n=1, cutoff=_NEAR)
        if near and name not in columns:
            raise SourceError(
                f"{table}: has the column {name!r}, which is read only where it is called {near[0]!r}; rename it so, "
                "or to something else where it is another thing"
            )
    return header
