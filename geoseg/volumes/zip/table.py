"""Table: the Parquet file of a frame, of which names and folds are kept and texts read when asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from geoseg.errors import SourceError
from geoseg.sources.cache import remember
from geoseg.volumes.metadata import VolumeMetadata
from geoseg.volumes.zip.archive import Archive, promises_too_much
from geoseg.volumes.zip.classlists import class_lists
from geoseg.volumes.zip.columns import LABELS, column_problems
from geoseg.volumes.zip.labels import Cells
from geoseg.volumes.zip.parquet import parquet
from geoseg.volumes.zip.texts import items_of, list_of, longest_text, texts_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_KEPT = 64 * 2**20
"""Bytes of texts up to which a group of rows is kept once it is read."""
_NAMES = 256 * 2**20
"""Bytes of names and folds that a frame may hold."""
_NAME = 64
"""Bytes that each of them takes beside its text."""
_BATCH = 2**16
_LARGEST = 2**30
"""Bytes of a group of rows up to which its dictionary is kept while it is read."""
_PARTS = 32
"""Of such a group: each makes the whole dictionary again."""


@dataclass(frozen=True)
class Table:
    """What is kept of a frame."""

    file: str
    """Its name in the zip."""
    where: str
    """What errors call it."""
    names: tuple[str | None, ...]
    """Of the images, row by row."""
    folds: tuple[int | str | None, ...] | None
    """Row by row; None where there is no such column."""
    fold_type: str
    """Of the column."""
    labelled: bool
    """Whether there are columns of labels that can be read."""
    groups: tuple[int, ...]
    """Rows up to the end of each group of the file."""
    first_classes: tuple[str, ...]
    """Names in the first list of classes that is sound."""
    metadata: VolumeMetadata | None
    """What geoseg wrote into it."""
    problems: tuple[str, ...]
    """Of its columns."""

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        facts = len(self.metadata.volumes) if self.metadata else 0
        return sum(80 + len(name or "") for name in self.names) + 2000 * facts

    def cells(self, archive: Archive, number: int) -> Cells | None:
        """The lists of a row; None where the frame has no labels.

        Args:
            archive: The open zip.
            number: The row, from 0.

        Raises:
            SourceError: The file is damaged.
        """
        if not self.labelled:
            return None
        group = bisect_right(self.groups, number)
        first = self.groups[group - 1] if group else 0
        if self._size(archive, group) > _KEPT:
            streamed = self._streamed(archive, group)
            return self._only(list(islice(streamed, number - first, number - first + 1)))
        kept = remember(
            ("volume texts", archive.uri, self.file, group),
            lambda: self._group(archive, group),
            files=(archive.uri,),
            nbytes=lambda table: table.nbytes,
        )
        return self._only(self._cells(archive, kept.slice(number - first, 1), number))

    def all_cells(self, archive: Archive) -> Iterator[Cells]:
        """The lists of all rows, read one after the other."""
        for group, first in enumerate((0, *self.groups[:-1])):
            if self._size(archive, group) > _KEPT:
                yield from self._streamed(archive, group)
                continue
            table = self._group(archive, group)
            for row in range(table.num_rows):
                yield from self._cells(archive, table.slice(row, 1), first + row)

    def _size(self, archive: Archive, group: int) -> int:
        """Bytes of a group of rows, unpacked."""
        return remember(
            ("volume group", archive.uri, self.file, group),
            lambda: self._read_size(archive, group),
            files=(archive.uri,),
            nbytes=lambda _: 8,
        )

    def _read_size(self, archive: Archive, group: int) -> int:
        with parquet(archive, self.file) as file:
            size: int = file.metadata.row_group(group).total_byte_size
        return size

    def _group(self, archive: Archive, group: int) -> Any:
        with parquet(archive, self.file) as file:
            table = file.read_row_group(group, columns=list(LABELS), use_threads=False)
            table.validate(full=True)
        return table

    def _streamed(self, archive: Archive, group: int) -> Iterator[Cells]:
        """The lists of a large group, a row in memory at a time where that can be no bomb.

        Else its dictionary is in memory too, in which a text is once.
        """
        number = self.groups[group - 1] if group else 0
        plainly, rows = remember(
            ("volume way", archive.uri, self.file, group),
            lambda: self._way(archive, group),
            files=(archive.uri,),
            nbytes=lambda _: 16,
        )
        with parquet(archive, self.file, dictionaries=not plainly) as file:
            for batch in _batches(file, group, rows):
                if not plainly:
                    batch.validate(full=True)
                for row in range(batch.num_rows):
                    yield from self._cells(archive, batch.slice(row, 1), number)
                    number += 1

    def _way(self, archive: Archive, group: int) -> tuple[bool, int]:
        """Whether texts of a large group are read without a dictionary, and how many rows at a time.

        Without one, every text takes memory as often as it is there. A dictionary stands at the beginning, so
        its texts are known with the first row: times all items they bound what the group can become.
        """
        with parquet(archive, self.file) as file:
            told = file.metadata.row_group(group)
            first = next(_batches(file, group, 1), None)
            longest = longest_text(first) if first is not None else 0
            most = items_of(file.metadata, group) * longest
        if not promises_too_much(most, packed=archive.member(self.file).packed):
            return True, 1
        if told.total_byte_size > _LARGEST:
            raise SourceError(
                f"{self.where}: holds texts of {told.total_byte_size} bytes in one group of rows, and could become "
                f"{most}; expected at most {_LARGEST} in a group packed so; if the file is sound, write it again "
                "in smaller groups, such as with row_group_size=10 of pyarrow.parquet.write_table"
            )
        return False, max(told.num_rows // _PARTS, 1)

    def _cells(self, archive: Archive, rows: Any, number: int) -> list[Cells]:
        """The lists of a row, or none where the file lacks it."""
        name = self.names[number] if number < len(self.names) else None
        where = f"{self.where}: image {name!r}"
        packed = archive.member(self.file).packed
        columns = [rows.column(key) for key in LABELS]
        return [
            Cells(*(list_of(scalar, where=where, packed=packed) for scalar in scalars))
            for scalars in zip(*columns, strict=True)
        ]

    def _only(self, cells: list[Cells]) -> Cells:
        if not cells:
            raise SourceError(
                f"{self.where}: holds fewer rows than its list of groups says; it is damaged"
            )
        return cells[0]


def open_table(archive: Archive, name: str, *, labelled: bool) -> Table:
    """Read what is kept of a frame.

    Args:
        archive: The open zip.
        name: The Parquet file in it.
        labelled: Whether rows must have labels.

    Raises:
        SourceError: It is no Parquet file, damaged, or holds too much.
    """
    with parquet(archive, name) as file:
        where = f"{archive.uri}: {name}"
        schema = file.metadata.schema.to_arrow_schema()
        metadata = VolumeMetadata.from_schema(schema.metadata, where=where)
        wrong = column_problems(schema, labelled=labelled)
        sound = set(schema.names) - set(wrong)
        readable = set(LABELS) <= sound
        columns = [key for key in ("image", "fold") if key in sound]
        read = _columns(file, columns, where)
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if "image" in sound and len(read["image"]) != sum(counts):
            raise SourceError(
                f"{where}: holds {len(read['image'])} rows, its list of groups says {sum(counts)}; it is damaged"
            )
        packed = archive.member(name).packed
        lists = class_lists(file, where=where, packed=packed) if readable else iter(())
        return Table(
            file=name,
            where=where,
            names=tuple(read.get("image", ())),
            folds=tuple(read["fold"]) if "fold" in read else None,
            fold_type=str(schema.field("fold").type) if "fold" in sound else "",
            labelled=readable,
            groups=tuple(accumulate(counts)),
            first_classes=next(lists, ()),
            metadata=metadata,
            problems=tuple(f"{where}: {text}" for texts in wrong.values() for text in texts),
        )


def _columns(file: pq.ParquetFile, columns: list[str], where: str) -> dict[str, list[Any]]:
    """Whole columns of short values."""
    found: dict[str, list[Any]] = {key: [] for key in columns}
    left = _NAMES
    batches = file.iter_batches(_BATCH, columns=columns, use_threads=False) if columns else ()
    for batch in batches:
        for key in columns:
            values, size = _values_of(batch.column(key), left, f"{where}: names and folds")
            found[key] += values
            left -= size
    return found


def _values_of(column: Any, most: int, where: str) -> tuple[list[Any], int]:
    """(values, bytes of them) of names or folds."""
    import pyarrow.types as pt

    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    if not pt.is_integer(kind):
        return texts_of(column, most=most, where=where, each=_NAME)
    size = _NAME * len(column)
    if size > most:
        raise SourceError(f"{where}: take more than {_NAMES} bytes")
    return column.to_pylist(), size


def _batches(file: pq.ParquetFile, group: int, rows: int) -> Iterator[pa.RecordBatch]:
    """A group, some rows at a time; pyarrow cannot read lists of two dictionaries, so of two groups, at once."""
    return iter(
        file.iter_batches(rows, row_groups=[group], columns=list(LABELS), use_threads=False)
    )
