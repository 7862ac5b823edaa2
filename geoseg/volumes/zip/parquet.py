"""Opening a Parquet file of a zip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoseg.errors import SourceError, errors_as
from geoseg.volumes.zip.archive import DAMAGE, Archive, check_promise
from geoseg.volumes.zip.texts import PLAINLY, check_items, text_columns

if TYPE_CHECKING:
    import pyarrow.parquet as pq


@contextmanager
def parquet(archive: Archive, name: str, *, dictionaries: bool = True) -> Iterator[pq.ParquetFile]:
    """An open Parquet file of a zip; what pyarrow says of damage is a SourceError.

    Args:
        archive: The open zip.
        name: The file in it.
        dictionaries: Whether texts are read as numbers into a dictionary, as `texts_of` reads them.

    Raises:
        SourceError: It cannot be read, or promises to become too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    member = archive.member(name)
    mapped = member.mapped()
    data = pa.py_buffer(member.read() if mapped is None else mapped)
    with errors_as(
        SourceError,
        f"{member.where}: cannot be read as Parquet",
        cure="it is damaged, or no Parquet file",
        of=(*DAMAGE, pa.ArrowException, KeyError, IndexError, TypeError, OverflowError),
    ):
        metadata = pq.read_metadata(pa.BufferReader(data))
        check_items(metadata, member.where)
        with pq.ParquetFile(
            pa.BufferReader(data),
            metadata=metadata,
            read_dictionary=text_columns(metadata) if dictionaries else None,
            page_checksum_verification=True,
            pre_buffer=False,
        ) as file:
            groups = (file.metadata.row_group(group) for group in range(file.num_row_groups))
            check_promise(
                member.where,
                size=sum(group.total_byte_size for group in groups),
                packed=member.packed,
                cure=PLAINLY,
            )
            yield file
