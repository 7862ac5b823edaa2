"""The file of one finished band: rows as arrays one after another, with a checksum."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from geoseg.labels.rows import LabelRows

Told = tuple[int, int]
"""(bytes, checksum) of a file."""

_BLOCK = 1 << 20


class BandDraft:
    """A band's file while its rows come in; it gets its name when it is whole."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file under another name.

        Args:
            path: What it is called at the end.

        Raises:
            OSError: It cannot be written.
        """
        self._path, self._draft = path, path.with_suffix(".new")
        self._file, self._size, self._crc = self._draft.open("wb"), 0, 0

    def add(self, piece: LabelRows) -> None:
        """Write the next rows."""
        np.save(self, piece.ids, allow_pickle=False)
        if piece.scores is not None:
            np.save(self, piece.scores, allow_pickle=False)

    def write(self, data: Any) -> int:
        """What numpy writes with; keeps count."""
        self._size += memoryview(data).nbytes
        self._crc = zlib.crc32(data, self._crc)
        return self._file.write(data)

    def finish(self) -> Told:
        """Give the file its name."""
        self._file.close()
        self._draft.replace(self._path)
        return self._size, self._crc

    def discard(self) -> None:
        """Remove what is there of it."""
        with suppress(OSError):  # a full disk takes nothing that is still to be written
            self._file.close()
        self._draft.unlink(missing_ok=True)


def read_band(path: Path, rows: range, *, scores: bool) -> Generator[LabelRows]:
    """The rows of a band, as they were written.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged.
    """
    row = rows.start
    with path.open("rb") as file:
        while row < rows.stop:
            piece = LabelRows(row, _loaded(file), _loaded(file) if scores else None)
            _check_rows(piece, rows)
            yield piece
            row = piece.window.row_stop


def _loaded(file: IO[bytes]) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except EOFError as error:
        raise ValueError("it ends before its last row") from error


def _check_rows(piece: LabelRows, rows: range) -> None:
    """See that arrays are what a band is made of."""
    ids, scores = piece.ids, piece.scores
    good = ids.ndim == 2 and ids.dtype == np.uint8 and 0 < len(ids) <= rows.stop - piece.row  # noqa: PLR2004
    if scores is not None:
        good = good and scores.ndim == 3 and scores.shape[1:] == ids.shape  # noqa: PLR2004
    if not good:
        raise ValueError(f"it does not hold the rows from {piece.row}")


def is_whole(path: Path, told: Told) -> bool:
    """Whether a file has the size and the checksum that were told."""
    size, crc = 0, 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                size, crc = size + len(block), zlib.crc32(block, crc)
    except OSError:
        return False
    return (size, crc) == told
