"""How far a long run over patches is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import Protocol


class _Count(Protocol):
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...


class Seen(Protocol):
    """Takes how far a run is, after each patch."""

    def __call__(self, progress: _Count, /) -> None:
        """Show it."""


@contextmanager
def patch_bar(told: str) -> Iterator[Seen]:
    """A bar with rate and time left; it goes when the run is over."""
    from tqdm import tqdm

    # Some terminals say that they have no columns, and tqdm would take their word.
    width = get_terminal_size().columns
    with tqdm(desc=told, unit="patch", disable=None, leave=False, ncols=width) as bar:

        def seen(progress: _Count) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        yield seen
