"""A zip while it is written: its members, its tables, and which volumes there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

from geoseg.errors import StoreError
from geoseg.spec import FrozenMap
from geoseg.volumes.metadata import ImageAxes, VolumeFacts, VolumeMetadata
from geoseg.volumes.rle import Order, Shape
from geoseg.volumes.writing.archive import Archive, cannot_be_written
from geoseg.volumes.writing.frames import FrameWriter, Row, Split
from geoseg.volumes.writing.names import key_of


class Draft:
    """The file that takes the zip's name when it is whole."""

    def __init__(self, path: Path, classes: tuple[str, ...], *, uri: str) -> None:
        """Begin a zip.

        Args:
            path: Where it is written; what is needed only until it is whole lies beside it.
            classes: In the order of the lists.
            uri: What it will be called, for errors.
        """
        self._uri = uri
        self._parts = path.parent / "parts"
        self._parts.mkdir()
        self._archive = Archive(path)
        self._classes = classes
        self._frames: dict[Split, FrameWriter] = {}
        self._facts: dict[Split, dict[str, VolumeFacts]] = {}
        self._names: dict[str, str] = {}
        self._broken = ""
        self.shapes: dict[str, Shape] = {}
        """(depth, height, width) of every volume that was written."""
        self.scored: set[str] = set()
        """Volumes whose scores were written."""

    def close(self) -> None:
        """Close what is open: nothing once the zip is finished. What is given up need not be whole."""
        files: list[FrameWriter | Archive] = [*self._frames.values(), self._archive]
        for file in files:
            with suppress(OSError):
                file.close()

    def check(self) -> None:
        """See that all members are whole.

        Raises:
            StoreError: Writing one has failed.
        """
        if self._broken:
            raise StoreError(
                f"{self._uri}: {self._broken} was not written whole, so that the zip cannot be finished; "
                "begin anew"
            )

    def check_new(self, file: str) -> None:
        """See that a volume has a name of its own.

        Raises:
            StoreError: One of its name is there, or one that only case tells apart.
        """
        other = self._names.get(key_of(file))
        if other is not None:
            already = "" if other == file else f" as {other}, the same name on some systems"
            raise StoreError(f"{file}: was written already{already}; give each volume its own name")

    def check_row(self, split: Split, row: Row) -> None:
        """See that a row has the columns of the table of its split; any has before the first is added.

        Raises:
            StoreError: It has not.
        """
        if split in self._frames:
            self._frames[split].check(row)

    def add_row(self, split: Split, row: Row) -> None:
        """Append a row that was checked; the first one tells which columns the table has.

        Where that fails, the zip is broken: it would hold an image that no table lists.
        """
        self._broken = row.image
        if split not in self._frames:
            path = self._parts / f"{split}.batches"
            self._frames[split] = FrameWriter(path, self._classes, row)
        self._frames[split].add(row)
        self._broken = ""

    def add(self, name: str, head: bytes, size: int, parts: Iterable[memoryview]) -> None:
        """Write a member of a head and parts of `size` bytes; where that fails, the zip is broken."""
        self._broken = name

        def whole() -> Iterator[bytes | memoryview]:
            yield head
            yield from parts

        self._archive.add(name, len(head) + size, whole())
        self._broken = ""

    def note(self, file: str, shape: Shape, facts: VolumeFacts | None, split: Split) -> None:
        """Keep what is known of a volume whose image and row were written."""
        self._names[key_of(file)] = file
        self.shapes[file] = shape
        if facts is not None:
            self._facts.setdefault(split, {})[file] = facts

    def finish(self, *, image_axes: ImageAxes, rle_order: Order) -> None:
        """Write the tables.

        Raises:
            StoreError: A member is not whole, there is no volume, or there is no room.
        """
        self.check()
        if not self._frames:
            raise StoreError(f"{self._uri}: no volume was written; write at least one")
        with cannot_be_written(self._uri):
            for split in [split for split in get_args(Split) if split in self._frames]:
                self._finish_frame(split, image_axes=image_axes, rle_order=rle_order)
            self._archive.close()

    def _finish_frame(self, split: Split, *, image_axes: ImageAxes, rle_order: Order) -> None:
        metadata = VolumeMetadata(
            image_axes=image_axes,
            rle_order=rle_order,
            classes=self._classes,
            volumes=FrozenMap(self._facts.get(split, {})),
        )
        path = self._parts / f"{split}.pq"
        self._frames[split].finish(path, metadata.to_schema())
        self._archive.add_file(path.name, path)
        path.unlink()
