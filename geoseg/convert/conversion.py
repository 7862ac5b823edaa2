"""What a conversion tells while it runs and when it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run over patches is (`convert`, `convert_scenes`, `to_geotiff`, `verify`); given once per patch."""

    done: int
    """Patches that are dealt with: written, kept, skipped or compared."""
    total: int
    """Patches in all."""
    written_bytes: int
    """Of the values that `convert` or `convert_scenes` has written, or of the files of `to_geotiff`, in this
    run; of `verify`, which writes nothing, the bytes of the arrays that it has compared."""
    seconds: float
    """Since the call began; of `convert` since it began to read patches, after the search for them."""


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
    """Patches that an earlier run had written, and that the sources no longer give; not those that are skipped."""
    skipped: tuple[tuple[str, str], ...]
    """(key, error) of patches that could not be read, with `on_error="skip"`."""
    bytes: int
    """Of the file that holds the values."""
    seconds: float
    """In all, the search for patches too."""
    report: str | None
    """The CSV file that tells of the skipped ones, of a store that is added to also of those that earlier runs
    skipped; None: there are none."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {
            "skipped": [{"key": key, "error": error} for key, error in self.skipped]
        }
