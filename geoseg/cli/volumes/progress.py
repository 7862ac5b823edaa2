"""How far a command is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def counted(items: Iterable[T], *, total: int, told: str) -> Iterator[T]:
    """The items, with a bar on stderr where that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=told, unit="volume", disable=None, leave=False)


@contextmanager
def told_of_each(total: int, told: str) -> Iterator[Callable[[object], None]]:
    """What a function calls with each volume that is done, shown as such a bar."""
    from tqdm import tqdm

    with tqdm(total=total, desc=told, unit="volume", disable=None, leave=False) as bar:

        def show(_: object) -> None:
            bar.update()

        yield show


@contextmanager
def told_as_it_goes(told: str) -> Iterator[Callable[[int, int], None]]:
    """What a function calls with (how many are done, how many there are), shown as such a bar."""
    from tqdm import tqdm

    with tqdm(desc=told, unit="volume", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
