"""What an index gives for a row."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.window import Window


@dataclass(frozen=True, slots=True)
class IndexedWindow:
    """A row of an index."""

    mask: str
    """The mask file, openable."""
    window: Window
    """On the mask's grid; it may reach past the mask where the index allows that."""
    number: int
    """The row, from 0."""
