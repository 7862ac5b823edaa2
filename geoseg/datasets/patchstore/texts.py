"""Many texts in two pieces of memory, which a fork shares and a pickle copies at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class Texts:
    """A sequence of texts; half a million keys are one piece of bytes, not as many objects."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self, texts: Iterable[str]) -> None:
        """Copy them."""
        raw = [text.encode("utf-8", "surrogateescape") for text in texts]
        self._bytes = b"".join(raw)
        self._ends = np.cumsum([0, *map(len, raw)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        """The text at a place; IndexError past the end."""
        if not 0 <= number < len(self):
            raise IndexError(f"text {number} of {len(self)}")
        part = self._bytes[self._ends[number] : self._ends[number + 1]]
        return part.decode("utf-8", "surrogateescape")
