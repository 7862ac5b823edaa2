"""What a conversion tells while it runs and when it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a conversion is; given once per patch, in order."""

    done: int
    """Patches that are dealt with: written, kept or skipped."""
    total: int
    """Patches in all."""
    written_bytes: int
    """Bytes of the values that were written by this run."""
    seconds: float
    """Since reading began."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion has done."""

    target: str
    """The store's folder."""
    patches: int
    """Patches that were found in the sources (of the shard)."""
    written: int
    """Patches that were not there before."""
    kept: int
    """Patches that an earlier run had written, and that are equal to their sources."""
    redone: int
    """Patches that an earlier run had written, and whose sources have changed since."""
    removed: int
    """Patches that an earlier run had written, and that the sources no longer give."""
    skipped: tuple[tuple[str, str], ...]
    """(key, error) of patches that could not be read, with `on_error="skip"`."""
    bytes: int
    """Of the file that holds the values."""
    seconds: float
    """In all, the search for patches too."""
    report: str | None
    """The CSV file that tells of the skipped ones; None: there are none."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {
            "skipped": [{"key": key, "error": error} for key, error in self.skipped]
        }
