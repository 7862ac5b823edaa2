"""The header of a table: names that are nearly right would be passed over, and nobody told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from geoseg.errors import SourceError

_SHORT = 4
"""Letters of a name below which one letter more or less makes another word."""


def header_of(table: str, names: Iterable[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The names of a table's columns, without blanks around them.

    Args:
        table: For messages.
        names: As the file has them.
        columns: Those that are read; others may be there, too.

    Raises:
        SourceError: One of those that are read is there twice; or one is not there, and another name is nearly
            its own.
    """
    header = tuple(name.strip() for name in names)
    counts = Counter(header)
    twice = [name for name in columns if counts[name] > 1]
    if twice:
        raise SourceError(
            f"{table}: has the column {twice[0]!r} twice, expected each once; remove or rename one"
        )
    lacking = [name for name in columns if name not in header]
    for name in header:
        near = [right for right in lacking if _is_nearly(name, right)]
        if near and name not in columns:
            raise SourceError(
                f"{table}: has the column {name!r}, which is read only where it is called {near[0]!r}; rename it so, "
                "or to something else where it is another thing"
            )
    return header


def _is_nearly(name: str, right: str) -> bool:
    """Whether a name is another but for capitals, a plural and one slip: `Mask`, `label`, `spilt`; not `mask_2`."""
    one, other = _singular(name), _singular(right)
    return one == other or (len(other) >= _SHORT and _is_slip(one, other))


def _singular(name: str) -> str:
    return name.lower().removesuffix("s")


def _is_slip(name: str, right: str) -> bool:
    """Whether one letter is too many, missing or another, or two are swapped; not the first, as in `task`, `bmask`.

    Names with another number, or with a part more, are no slips: somebody meant them.
    """
    start = _same_letters(name, right)
    name, right = name[start:], right[start:]
    end = _same_letters(name[::-1], right[::-1])
    wrong, expected = name[: len(name) - end], right[: len(right) - end]
    if not start or "_" in wrong or any(sign.isdigit() for sign in wrong + expected):
        return False
    swapped = len(wrong) == 2 and wrong == expected[::-1]  # noqa: PLR2004 - a pair
    return swapped or max(len(wrong), len(expected)) == 1


def _same_letters(one: str, other: str) -> int:
    """How many letters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
