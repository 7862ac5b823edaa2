"""Indices into files: the columns, GeoParquet and CSV, and the note with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import SourceError, StoreError
from geoseg.outputs import local_path, written_together, written_whole
from geoseg.sampling.windowindex.boxes import Boxes
from geoseg.sampling.windowindex.building import place_columns
from geoseg.sampling.windowindex.columns import GEOMETRY, IMAGE, MEASURED, PLACES
from geoseg.sampling.windowindex.footprints import footprints, geo_metadata
from geoseg.sampling.windowindex.masks import Masks
from geoseg.sampling.windowindex.note import (
    IN_PARQUET,
    Note,
    digest_of_bytes,
    digest_of_table,
    files_of,
    side_note,
    states_of,
)
from geoseg.sampling.windowindex.paths import relative_to
from geoseg.sampling.windowindex.rows import Rows, first_rows
from geoseg.sampling.windowindex.tables import is_parquet, load

if TYPE_CHECKING:
    from pandas import DataFrame


def written_table(rows: Rows, *, folder: Path) -> DataFrame:
    """All columns in the order in which they are written, with paths relative to a folder."""
    import pandas as pd

    columns: dict[str, Any] = {}
    table, masks = rows.table, rows.masks
    if rows.images is not None:
        columns[IMAGE] = _relative_cells(folder, rows.images)
    columns[rows.key] = np.array(relative_to(folder, masks.paths), object)[masks.rows]
    columns |= place_columns(rows.boxes, masks)
    others = [name for name in table.columns if name not in {*columns, *PLACES, IMAGE, GEOMETRY}]
    order = [
        *(name for name in MEASURED if name in others),
        *(n for n in others if n not in MEASURED),
    ]
    return pd.DataFrame(columns | {name: table[name].array for name in order})


def write_rows(uri: str, rows: Rows) -> None:
    """Write an index into a file, and its note with it.

    Raises:
        StoreError: It cannot be written.
    """
    folder = local_path(uri).absolute().parent
    table = written_table(rows, folder=folder)
    built = rows.recipe
    if built is not None:
        built = built.of_masks(states_of(rows.masks.paths, rows.masks.grids, folder=folder))
    first = first_rows(table[rows.key])
    named = rows.masks.rows[first].tolist()
    files = files_of([rows.masks.paths[n] for n in named], [rows.masks.grids[n] for n in named])
    note = Note(content="", key=rows.key, outside=rows.outside, built=built, masks=files)
    write_files(uri, table, rows.boxes, rows.masks, note=note)


def write_files(uri: str, table: DataFrame, boxes: Boxes, masks: Masks, *, note: Note) -> None:
    """Write the file of an index, and the note with it; both appear whole or not at all.

    Args:
        uri: The file; its suffix tells the format.
        table: As `written_table` gives it.
        boxes: The windows, for footprints.
        masks: The masks of all rows.
        note: What is known of the index; its digest is filled in.

    Raises:
        StoreError: It cannot be written.
    """
    if is_parquet(uri):
        with written_whole(uri) as path:
            _write_parquet(path, uri, table, footprints(boxes, masks, where=uri), note=note)
        return
    # The note first: beside another table it says nothing, a table without it would be somebody's own.
    with written_together((str(side_note(uri)), uri)) as (beside, path):
        data = table.to_csv(index=False, lineterminator="\n").encode()
        try:
            path.write_bytes(data)
            beside.write_text(_filled(note, digest_of_bytes(data)).to_json(), encoding="utf-8")
        except OSError as error:
            raise _not_written(uri, error) from error


def check_replaceable(uri: str) -> None:
    """See that a file is not there, or is an index of geoseg that nobody has changed.

    Raises:
        StoreError: It is somebody's own.
    """
    if not local_path(uri).exists():
        return
    try:
        noted = load(uri, key="").note
    except SourceError:
        noted = None
    if noted is None:
        raise StoreError(
            f"{uri}: is there already, and was not written by geoseg or was changed since; remove it, or "
            "write to another place"
        )


def _write_parquet(
    path: Path, uri: str, table: DataFrame, outlines: NDArray[np.object_], *, note: Note
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        shapes = pa.array(shapely.to_wkb(outlines, byte_order=1), pa.binary())
        arrow = arrow.append_column(GEOMETRY, shapes)
        told = _filled(note, digest_of_table(arrow)).to_json()
        tags = {**(arrow.schema.metadata or {}), b"geo": geo_metadata(outlines), IN_PARQUET: told}
        pq.write_table(arrow.replace_schema_metadata(tags), path, compression="zstd")
    except (pa.ArrowException, OSError) as error:
        raise _not_written(uri, error) from error


def _filled(note: Note, content: str) -> Note:
    return replace(note, content=content)


def _relative_cells(folder: Path, cells: NDArray[np.object_]) -> NDArray[np.object_]:
    """Paths of a column that may have empty cells."""
    found = list(dict.fromkeys(cell for cell in cells if isinstance(cell, str)))
    written = dict(zip(found, relative_to(folder, found), strict=True))
    return np.array([written.get(cell) for cell in cells], object)


def _not_written(uri: str, error: Exception) -> StoreError:
    reason = getattr(error, "strerror", None) or str(error)
    return StoreError(
        f"{uri}: the window index cannot be written: {reason}; see its columns and the disk"
    )
