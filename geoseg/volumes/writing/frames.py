"""The tables of a zip: one Parquet file a split, one row a volume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from geoseg.errors import StoreError
from geoseg.volumes.limits import GROUP_BYTES, GROUP_ITEMS, ROW_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "validation", "test"]
Fold = int | str | None


class Row(NamedTuple):
    """What a table says of a volume."""

    image: str
    """Bare file name."""
    texts: list[str] | None
    """Run-length text of every class; None: the volume has no masks."""
    fold: Fold


class FrameWriter:
    """Rows of one split: kept in a file of batches while they come, made into Parquet at the end.

    What a Parquet file tells in its schema stands in it from the start, but is known at the end only.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], first: Row) -> None:
        """Begin a table with the columns that its first row needs.

        Args:
            path: Of the batches.
            classes: In the order of the lists.
            first: Tells whether there are masks and folds, and whether those are numbers. It is not
                written.
        """
        import pyarrow as pa

        self._classes = classes
        self._first = first
        self._schema = _schema(first)
        self._rows: list[Row] = []
        self._held = 0
        self._names = sum(len(name.encode()) for name in classes)
        self._batches = path
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._file, self._schema)

    def check(self, row: Row) -> None:
        """See that a row has the columns of the first one.

        Raises:
            StoreError: It has not.
        """
        if type(row.fold) is not type(self._first.fold):
            raise StoreError(
                f"{row.image}: the fold is {row.fold!r}, but that of {self._first.image} is "
                f"{self._first.fold!r}; the volumes of a split all have numbers for folds, all text, or "
                "none"
            )

    def add(self, row: Row) -> None:
        """Append a row that was checked."""
        texts = row.texts or ()
        if (len(self._rows) + 1) * len(texts) > GROUP_ITEMS:
            self._flush()
        self._rows.append(row)
        self._held += max(sum(map(len, texts)), self._names if texts else 0)
        if self._held > GROUP_BYTES:
            self._flush()

    def finish(self, path: Path, metadata: Mapping[bytes, bytes]) -> None:
        """Write the Parquet file and forget the batches.

        Args:
            path: Of the Parquet file.
            metadata: Of its schema.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._flush()
        self.close()
        schema = self._schema.with_metadata(dict(metadata))
        with (
            pa.OSFile(str(self._batches)) as file,
            pq.ParquetWriter(
                str(path),
                schema,
                compression="zstd",
                use_dictionary=False,
                write_statistics=False,
            ) as writer,
        ):
            for batch in pa.ipc.open_stream(file):
                writer.write_table(pa.Table.from_batches([batch]).replace_schema_metadata(metadata))
        self._batches.unlink()

    def close(self) -> None:
        """Close the file of batches; nothing more once it is closed."""
        if not self._file.closed:
            self._writer.close()
            self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_batch(
                pa.record_batch(
                    [pa.array(self._column(f.name), f.type) for f in self._schema],
                    schema=self._schema,
                )
            )
        self._rows, self._held = [], 0

    def _column(self, name: str) -> list[Any]:
        if name == "class_id":
            return [list(self._classes)] * len(self._rows)
        field = {"image": "image", "rle_mask": "texts", "fold": "fold"}[name]
        return [getattr(row, field) for row in self._rows]


def check_length(texts: list[str], *, where: str) -> None:
    """See that the texts of a volume fit a cell.

    Raises:
        StoreError: They do not.
    """
    if (length := sum(map(len, texts))) > ROW_BYTES:
        raise StoreError(
            f"{where}: the run-length text of its masks has {length} characters, expected at most "
            f"{ROW_BYTES}; cut the volume into parts"
        )


def _schema(first: Row) -> pa.Schema:
    import pyarrow as pa

    fields = [("image", pa.string())]
    if first.texts is not None:
        fields += [("class_id", pa.list_(pa.string())), ("rle_mask", pa.list_(pa.string()))]
    if first.fold is not None:
        fields += [("fold", pa.string() if isinstance(first.fold, str) else pa.int64())]
    return pa.schema(fields)
