"""Features on disk until all are known: found one strip after the other, written in one go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geoseg.labels.polygons.files import GEOMETRY
from geoseg.sources.files.wholetiff import not_written

_AT_ONCE = 4096
"""Features of a batch, so that memory stays small whatever a strip holds."""


class Spool:
    """A temporary file of features, which no format but Arrow lets us append to as fast."""

    def __init__(self, path: Path, uri: str) -> None:
        """Begin with no feature.

        Args:
            path: The file; whoever owns its folder removes it.
            uri: What errors call what becomes of it.
        """
        self._path, self._uri = path, uri
        self._open = ExitStack()
        self._file: pa.RecordBatchStreamWriter | None = None
        self.count = 0
        """Features so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what was not written is told by `append` and `stream`
            self._open.close()

    def append(
        self,
        geometries: NDArray[np.object_],
        ids: NDArray[np.uint8],
        names: list[str],
        scores: NDArray[np.float64] | None,
    ) -> None:
        """Add features; scores are given always or never.

        Args:
            geometries: (feature,) polygons as the file shall have them.
            ids: (feature,) class ids.
            names: Of their classes.
            scores: (feature,) mean scores.

        Raises:
            StoreError: The disk is full.
        """
        schema = _schema(scored=scores is not None)
        for start in range(0, len(geometries), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            columns = [
                pa.array(shapely.to_wkb(geometries[part]), pa.binary()),
                pa.array(ids[part].astype(np.int16), pa.int16()),
                pa.array(names[part], pa.string()),
            ]
            if scores is not None:
                columns.append(pa.array(np.round(scores[part], 6), pa.float64()))
            self._write(pa.record_batch(columns, schema=schema))

    def stream(self, *, scored: bool) -> pa.RecordBatchReader:
        """All features, batch after batch; nothing is added from here on.

        Args:
            scored: Whether they have scores, should there be none to tell.

        Raises:
            StoreError: The disk is full.
        """
        schema = _schema(scored=scored)
        if self._file is None:
            return pa.RecordBatchReader.from_batches(schema, [])
        try:
            self._open.close()
        except OSError as error:
            raise not_written(self._uri, error) from error
        return pa.RecordBatchReader.from_batches(schema, self._batches())

    def _write(self, batch: pa.RecordBatch) -> None:
        try:
            if self._file is None:
                sink = self._open.enter_context(pa.OSFile(str(self._path), "wb"))
                self._file = self._open.enter_context(pa.ipc.new_stream(sink, batch.schema))
            self._file.write_batch(batch)
            self.count += batch.num_rows
        except OSError as error:
            raise not_written(self._uri, error) from error

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self._path), "rb") as source, pa.ipc.open_stream(source) as batches:
            yield from batches


def _schema(*, scored: bool) -> pa.Schema:
    fields = [(GEOMETRY, pa.binary()), ("class_id", pa.int16()), ("class_name", pa.string())]
    return pa.schema([*fields, ("score", pa.float64())] if scored else fields)
