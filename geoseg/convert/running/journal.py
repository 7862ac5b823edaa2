"""What a conversion notes of its values before they are committed, so that another run can go on with it.

A segment is a file for each transaction: a line for each row of the manifest, after the digest that tells
the state of its sources; or for a key that was removed. It is on the disk before its transaction is
committed: no value is ever without a row, and of a killed run the last segment alone may tell of values
that are not there. Rows that the finished store had already are read from its own manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from geoseg.convert.running.segments import (
    GONE,
    SUFFIX,
    Line,
    is_gone,
    lines_of,
    segments,
    text_of,
)
from geoseg.convert.running.syncing import sync
from geoseg.errors import StoreError
from geoseg.sources.store.compression import compressed

_BASE = 0
"""The number that stands for the manifest of the finished store; segments count from 1."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Where the row of a key is, and what decides whether its value holds."""

    segment: int
    place: int
    """In the segment, from 0."""
    state: str
    """The digest of the sources' state; empty where it is not known."""
    sha256: str
    """Of the value as it is stored."""
    told: bytes
    """A digest of the row."""


class Journal:
    """The rows of a store that is being written."""

    def __init__(
        self,
        folder: Path,
        *,
        uri: str,
        base: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
    ) -> None:
        """Read what is there; segments that are damaged count as if their patches were not written.

        Args:
            folder: Is made where it is missing.
            uri: The store, for error texts.
            base: Gives the rows of the finished store that this one began as a copy of.
        """
        self._folder, self._uri, self._base = folder, uri, base
        self.noted: dict[str, Noted] = {}
        """By key."""
        self.removed: set[str] = set()
        """Keys that were noted, and are not any more."""
        self.damaged: list[Path] = []
        """Segments that cannot be read, or before which one is missing."""
        folder.mkdir(exist_ok=True)
        self._read()

    @property
    def written(self) -> int:
        """Patches that were noted here, and not taken from the finished store."""
        return sum(noted.segment != _BASE for noted in self.noted.values())

    def is_of_base(self, key: str) -> bool:
        """Whether the finished store has this key."""
        return key in self._of_base

    def add(
        self, rows: Sequence[tuple[Mapping[str, Any], str]], *, commit: Callable[[], None]
    ) -> None:
        """Note (row, state) pairs of values, then commit these; a later one of a key replaces the earlier.

        Raises:
            StoreError: The disk is full.
        """
        told = [(row, state, text_of(row)) for row, state in rows]
        self._write([b"%b %b" % (state.encode(), text) for _, state, text in told])
        commit()
        for place, (row, state, text) in enumerate(told):
            self._note(place, row, state, text)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget keys whose values are about to be removed.

        Raises:
            StoreError: The disk is full.
        """
        gone = [key for key in keys if key in self.noted]
        if gone:
            self._write([b"%b %b" % (GONE, json.dumps(key).encode()) for key in gone])
        for key in gone:
            self._forget(key)

    def settle(self, holds: Callable[[str], bool]) -> None:
        """Take back what the last segment of a killed run tells of values that were not committed.

        Args:
            holds: Whether the value of a key is the one that is noted.

        Raises:
            StoreError: The disk is full.
        """
        path = self._path(self._last)
        lines = (lines_of(path) or []) if path.is_file() else []
        kept = [b"%b %b" % line[:2] for line in lines if is_gone(line) or holds(line[2]["key"])]
        if len(kept) == len(lines):
            return
        self._last -= 1
        if kept:
            self._write(kept)
        else:
            path.unlink()
        self._read()

    def is_told(self, row: Mapping[str, Any]) -> bool:
        """Whether this is the very row that is noted."""
        noted = self.noted.get(row["key"])
        return noted is not None and noted.told == _digest(text_of(row))

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows that hold, in the order in which they were noted."""
        for place, row in enumerate(self._base()):
            if self._is_at(row, _BASE, place):
                yield row
        for segment, path in segments(self._folder):
            for place, line in enumerate(lines_of(path) or []):
                if not is_gone(line) and self._is_at(line[2], segment, place):
                    yield line[2]

    def _is_at(self, row: Mapping[str, Any], segment: int, place: int) -> bool:
        noted = self.noted.get(row["key"])
        return noted is not None and (noted.segment, noted.place) == (segment, place)

    def _read(self) -> None:
        self._last = _BASE
        self.noted.clear()
        self.removed.clear()
        self.damaged.clear()
        for place, row in enumerate(self._base()):
            self._note(place, row, "", text_of(row))
        self._of_base = frozenset(self.noted)
        for segment, path in segments(self._folder):
            lines = lines_of(path)
            if lines is None or segment != self._last + 1:
                self.damaged.append(path)
            self._last = segment
            for place, line in enumerate(lines or []):
                self._note_again(place, line)

    def _write(self, lines: Sequence[bytes]) -> None:
        self._last += 1
        path = self._path(self._last)
        draft = path.with_suffix(".new")
        try:
            draft.write_bytes(compressed(b"\n".join(lines)))
            sync(draft)
            draft.replace(path)
            sync(self._folder)
        except OSError as error:
            raise StoreError(
                f"{self._uri}: cannot be written: {error.strerror or error}; make room on the disk of "
                f"{self._folder.absolute()}"
            ) from error

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:09d}{SUFFIX}"

    def _note_again(self, place: int, line: Line) -> None:
        """Do what a line of the last segment has noted."""
        state, text, found = line
        if is_gone(line):
            self._forget(found)
        else:
            self._note(place, found, state.decode(), text)

    def _note(self, place: int, row: Mapping[str, Any], state: str, text: bytes) -> None:
        """Note a row of the last segment."""
        self.noted[row["key"]] = Noted(self._last, place, state, row["sha256"], _digest(text))
        self.removed.discard(row["key"])

    def _forget(self, key: str) -> None:
        self.noted.pop(key, None)
        self.removed.add(key)


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=8).digest()
