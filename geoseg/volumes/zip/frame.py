"""Frame: the rows of one Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from geoseg.volumes.zip.row import VolumeRow

if TYPE_CHECKING:
    from geoseg.volumes.zip.volumezip import Split, VolumeZip


@dataclass(frozen=True, eq=False, repr=False)
class Frame(Sequence[VolumeRow]):
    """The rows of a frame, in the order of the file; a slice is a tuple of rows."""

    zip: VolumeZip
    """Where they lie."""
    split: Split
    """The frame's name."""
    rows: int
    """How many there are."""

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, index: int) -> VolumeRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[VolumeRow, ...]: ...
    def __getitem__(self, index: int | slice) -> VolumeRow | tuple[VolumeRow, ...]:
        found = range(self.rows)[index]
        if isinstance(found, range):
            return tuple(VolumeRow(self.zip, self.split, number) for number in found)
        return VolumeRow(self.zip, self.split, found)

    def __repr__(self) -> str:
        return f"Frame({self.split!r}, {self.rows} rows of {self.zip.uri!r})"
