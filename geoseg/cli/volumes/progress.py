"""How far a command is, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def counted(items: Iterable[T], *, total: int, told: str) -> Iterator[T]:
    """The items, with a bar on stderr where that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=told, unit="volume", disable=None, leave=False)
