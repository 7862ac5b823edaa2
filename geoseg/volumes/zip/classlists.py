"""The lists of classes of a table: which classes its rows agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from geoseg.errors import SourceError
from geoseg.volumes.zip.archive import Archive
from geoseg.volumes.zip.parquet import parquet
from geoseg.volumes.zip.texts import list_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_KEY = "class_id"
_LISTS = 16
"""Rows whose lists are looked at together."""


def class_lists(file: pq.ParquetFile, *, where: str, packed: int) -> Iterator[tuple[str, ...]]:
    """The lists that are sound, row by row: each class once, and by name.

    Args:
        file: The table.
        where: What an error begins with.
        packed: Bytes that the table takes in the zip.

    Raises:
        SourceError: One has very many items, or holds very much.
    """
    for group in range(file.num_row_groups):  # pyarrow cannot read dictionaries of two at once
        batches = file.iter_batches(_LISTS, row_groups=[group], columns=[_KEY], use_threads=False)
        for batch in batches:
            lists = [list_of(one, where=where, packed=packed) for one in batch.column(_KEY)]
            for names in lists:
                if names and None not in names and len(set(names)) == len(names):
                    yield tuple(name for name in names if name is not None)


def agreed_classes(archive: Archive, files: Iterable[str]) -> tuple[str, ...]:
    """The classes that most rows list, whatever their order.

    One row that is wrong is not believed, be it the first one. Of lists that are as frequent it is the first
    one, or one that has all its classes and more: a class is rather left out than made up.

    Args:
        archive: The open zip.
        files: Names of the tables whose lists can be read; one that is damaged tells what it can.

    Returns:
        Them in the order of the first row that lists them; empty where no row does.
    """
    counts: Counter[frozenset[str]] = Counter()
    orders: dict[frozenset[str], tuple[str, ...]] = {}
    for name in files:
        with suppress(SourceError), parquet(archive, name) as file:
            packed = archive.member(name).packed
            for names in class_lists(file, where=name, packed=packed):
                counts[frozenset(names)] += 1
                orders.setdefault(frozenset(names), names)
    best: frozenset[str] = frozenset()
    for found, count in counts.items():
        if count > counts[best] or (count == counts[best] and found > best):
            best = found
    return orders.get(best, ())
