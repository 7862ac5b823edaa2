"""Texts of a Parquet file, read as numbers into a dictionary: a few bytes there may stand for very many here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoseg.errors import SourceError
from geoseg.volumes.limits import GROUP_ITEMS, MOST_CLASSES, ROW_BYTES
from geoseg.volumes.zip.archive import check_promise
from geoseg.volumes.zip.columns import LABELS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


PLAINLY = (
    "write its table again without compression and dictionaries: write_table(..., compression='none', "
    "use_dictionary=False) of pyarrow.parquet"
)
"""What to do with a table that is packed too tightly."""


def text_columns(metadata: pq.FileMetaData) -> list[str]:
    """Paths of the columns that are read as dictionaries."""
    columns = (metadata.schema.column(place) for place in range(metadata.num_columns))
    return [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY"
        and column.path.split(".")[0] in ("image", "fold", *LABELS)
    ]


def items_of(metadata: pq.FileMetaData, group: int) -> int:
    """Items of the lists of a group of rows, of the column that has more."""
    rows = metadata.row_group(group)
    columns = (rows.column(place) for place in range(rows.num_columns))
    return max(
        (one.num_values for one in columns if one.path_in_schema.split(".")[0] in LABELS), default=0
    )


def check_items(metadata: pq.FileMetaData, where: str) -> None:
    """SourceError for lists that want to become very many items."""
    for group in range(metadata.num_row_groups):
        rows, items = metadata.row_group(group).num_rows, items_of(metadata, group)
        if items > min(rows * MOST_CLASSES, GROUP_ITEMS):
            raise SourceError(
                f"{where}: a group of {rows} rows lists {items} classes or texts, expected at most "
                f"{MOST_CLASSES} a row and {GROUP_ITEMS} a group; if the file is sound, write it again in smaller "
                "groups, such as with row_group_size=100 of pyarrow.parquet.write_table"
            )


def texts_of(array: Any, *, most: int, where: str, each: int = 0) -> tuple[list[str | None], int]:
    """(texts, bytes of them); equal texts of a dictionary are one object, so they take memory once.

    Args:
        array: Of pyarrow: texts, or numbers of texts in a dictionary.
        most: Bytes that they may take together, however often each is there.
        where: What an error begins with.
        each: Bytes that an item takes beside its text.

    Raises:
        SourceError: They take more.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    size = each * len(array)
    if not isinstance(array, pa.DictionaryArray):
        if pa.types.is_string_view(array.type):  # of which pyarrow cannot tell lengths
            array = array.cast(pa.large_string())
        size += pc.sum(pc.binary_length(array)).as_py() or 0
        _check_size(size, most, where)
        return array.to_pylist(), size
    used = array.indices.unique().drop_null()
    texts = array.dictionary.take(used)
    numbers = array.indices.to_pylist()
    lengths = dict(zip(used.to_pylist(), pc.binary_length(texts).to_pylist(), strict=True))
    size += sum(lengths[number] or 0 for number in numbers if number is not None)
    _check_size(size, most, where)
    values = dict(zip(lengths, texts.to_pylist(), strict=True))
    return [None if number is None else values[number] for number in numbers], size


def list_of(scalar: Any, *, where: str, packed: int) -> list[str | None] | None:
    """The list of a row.

    Args:
        scalar: Of pyarrow: a list of texts.
        where: What an error begins with.
        packed: Bytes that the whole table takes in the zip.

    Raises:
        SourceError: It has very many items, or holds very much, or more than so few bytes can honestly tell.
    """
    items = scalar.values
    if items is None:
        return None
    if len(items) > MOST_CLASSES:
        raise SourceError(
            f"{where}: a row lists {len(items)} classes or texts, expected at most {MOST_CLASSES}"
        )
    texts, size = texts_of(items, most=ROW_BYTES, where=where)
    check_promise(where, size=size, packed=packed, cure=PLAINLY)
    return texts


def longest_text(batch: pa.RecordBatch) -> int:
    """Bytes of the longest text in the dictionaries of a batch, used or not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    longest = 0
    for key in LABELS:
        items = batch.column(key).values
        if isinstance(items, pa.DictionaryArray):
            longest = max(longest, pc.max(pc.binary_length(items.dictionary)).as_py() or 0)
    return longest


def _check_size(size: int, most: int, where: str) -> None:
    if size > most:
        raise SourceError(
            f"{where}: texts take more than {most} bytes together, expected fewer; cut it into parts"
        )
