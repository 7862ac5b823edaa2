"""The index of what was cut."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import ConfigError
from geoseg.prepare.counts import COLUMN
from geoseg.prepare.tiling.inputs import Inputs
from geoseg.prepare.tiling.pairs import IMAGES, MASKS, VALID, PairWriter
from geoseg.prepare.tiling.tally import Record
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sampling.windowindex.building import place_columns
from geoseg.sampling.windowindex.columns import GEOMETRY, IMAGE, MASK, PATCH, PLACES, TILE_BOUNDS
from geoseg.sampling.windowindex.masks import Masks
from geoseg.sampling.windowindex.paths import relative_to
from geoseg.sampling.windowindex.rows import Rows

STORE = "patches"
"""The folder of an LMDB store."""
_OF_OLD = {GEOMETRY, IMAGE, MASK, PATCH, *PLACES, *TILE_BOUNDS}
"""Columns of an index that tell of the windows as they were."""


def check_name(index: str) -> None:
    """See that the file of an index is a plain name.

    Raises:
        ConfigError: It is none, or of another kind than a table.
    """
    if Path(index).name != index or Path(index).suffix.lower() not in (".parquet", ".csv"):
        raise ConfigError(
            f"index is {index!r}, expected a file name that ends in .parquet or .csv: it lies in the folder "
            "that is written"
        )


def write_index(
    inputs: Inputs,
    records: Sequence[Record],
    writer: PairWriter,
    name: str,
    *,
    more: dict[str, Any],
) -> None:
    """Write the index of all windows that were written.

    Of pairs of files each row is the whole of a written mask, with columns that tell where it is from. Of
    arrays and stores, which are no rasters, a row is the window of the mask that it is from, with columns
    that tell where its pixels are.

    Args:
        inputs: What was cut.
        records: What became of each row.
        writer: Where pairs went.
        name: Of the file.
        more: More columns, a value for each row that was written.

    Raises:
        StoreError: It cannot be written.
    """
    kept = [record for record in records if record.left is None]
    rows = np.array([record.number for record in kept], np.int64)
    measured = {
        "valid_share": [record.valid_share for record in kept],
        "labelled_share": [record.labelled_share for record in kept],
        COLUMN: [_text(record.counts) for record in kept],
    }
    if writer.output in ("geotiff", "png"):
        index = _of_files(inputs, rows, writer, measured | more)
    else:
        places = _arrays(inputs, kept, writer) if writer.output == "npy" else _keys(inputs, rows)
        index = inputs.index.select(rows).with_columns(measured | places | more)
    with warnings.catch_warnings():
        if all(
            index.grid_of(mask).crs is None for mask in index.masks
        ):  # nobody expects footprints
            warnings.filterwarnings("ignore", message=".*have no footprint")
        index.write(str(writer.folder / name))


def _of_files(
    inputs: Inputs, rows: Any, writer: PairWriter, columns: dict[str, Any]
) -> WindowIndex:
    """Windows that are whole files; nothing is opened, as their grids are known."""
    import pandas as pd

    index = inputs.index
    names = [inputs.names[row] for row in rows]
    files = [str(writer.folder / writer.file(MASKS, name)) for name in names]
    images = [str(writer.folder / writer.file(IMAGES, name)) for name in names]
    grids = [index.grid_of(index.mask_paths[row]).crop(index.windows[row]) for row in rows]
    masks = Masks(tuple(files), tuple(grids), np.arange(len(rows), dtype=np.int64))
    boxes = index.boxes[rows].copy()
    boxes[:, :2] = 0
    table = index.table.iloc[rows].reset_index(drop=True)
    others = [n for n in table.columns if n not in _OF_OLD and n != index.key and n not in columns]
    sources = _sources(inputs, rows, writer.folder)
    table = pd.DataFrame(
        {IMAGE: images, MASK: files}
        | place_columns(boxes, masks)
        | columns
        | {name: table[name].array for name in others}
        | sources
    )
    cells = np.array(images, object)
    return WindowIndex(Rows(table, boxes, masks, MASK, "error", images=cells))


def _sources(inputs: Inputs, rows: Any, folder: Path) -> dict[str, Any]:
    """Where the windows were, as they are written."""
    index = inputs.index
    paths = dict(zip(index.masks, relative_to(folder, index.masks), strict=True))
    boxes = index.boxes[rows]
    return {
        "source_mask_path": [paths[index.mask_paths[row]] for row in rows],
        "source_row_off": boxes[:, 0],
        "source_col_off": boxes[:, 1],
    }


def _arrays(inputs: Inputs, kept: Sequence[Record], writer: PairWriter) -> dict[str, Any]:
    """The files of arrays, relative to the index."""
    names = [inputs.names[record.number] for record in kept]
    whole = [record.valid == record.pixels for record in kept]
    return {
        "image_npy": [writer.file(IMAGES, name) for name in names],
        "mask_npy": [writer.file(MASKS, name) for name in names],
        "valid_npy": [
            None if all_valid else writer.file(VALID, name)
            for name, all_valid in zip(names, whole, strict=True)
        ],
    }


def _keys(inputs: Inputs, rows: Any) -> dict[str, Any]:
    """The patches of a store."""
    return {"store": [STORE] * len(rows), "store_key": [inputs.names[row] for row in rows]}


def _text(counts: dict[int, int]) -> str:
    pairs = ", ".join(f'"{i}": {n}' for i, n in counts.items())
    return "{" + pairs + "}"
