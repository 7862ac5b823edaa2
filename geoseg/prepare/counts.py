"""How many pixels of each class the windows of an index hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, LabelError
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sources.geotiff import GeoTIFFSource

COLUMN = "class_counts"
"""JSON text {"id": pixels} in an index; ignored pixels are left out."""


@dataclass(frozen=True)
class WindowCounts:
    """Pixels of each class in each window."""

    ids: tuple[int, ...]
    """Those that occur, ascending."""
    pixels: NDArray[np.int64]
    """(window, class) in the order of the ids."""

    @property
    def total(self) -> dict[int, int]:
        """{id: pixels of all windows}; what windows share counts in each of them."""
        return dict(zip(self.ids, self.pixels.sum(axis=0).tolist(), strict=True))

    def texts(self) -> list[str]:
        """The column of an index, a JSON text a window."""
        rows = self.pixels.tolist()
        return [
            json.dumps({str(i): n for i, n in zip(self.ids, row, strict=True) if n}) for row in rows
        ]


def window_counts(index: WindowIndex, *, ignore_id: int | None = 255) -> WindowCounts:
    """Pixels of each class in the windows of an index, from its column `class_counts` or from the masks.

    Args:
        index: The windows.
        ignore_id: A value that is no class; what a mask declares as nodata never is one.

    Raises:
        ConfigError: The column holds something else than counts.
        LabelError: A mask has several bands, or values that are no whole numbers from 0.
        SourceError: A mask cannot be read.
    """
    if COLUMN in index.table.columns:
        return _stacked([_parsed(text, row) for row, text in enumerate(index.table[COLUMN])])
    found: list[dict[int, int]] = [{}] * len(index)
    for row, values in _masks_read(index):
        found[row] = counted(values, index.mask_paths[row], ignore_id)
    return _stacked(found)


def _masks_read(index: WindowIndex) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """(row, the valid values of its window), mask by mask."""
    order = sorted(range(len(index)), key=lambda row: index.mask_paths[row])
    source, path = None, None
    for row in order:
        if source is None or index.mask_paths[row] != path:
            path = index.mask_paths[row]
            source = GeoTIFFSource(uri=path)
            if len(source.band_names) != 1:
                raise LabelError(
                    f"{path}: has {len(source.band_names)} bands, expected one of class ids"
                )
        chip = source.read(index.windows[row])
        yield row, chip.data[0][chip.valid]


def counted(values: NDArray[np.generic], path: str, ignore_id: int | None) -> dict[int, int]:
    """{id: pixels} of valid values.

    Args:
        values: Of any shape.
        path: The mask that they are of, for the error.
        ignore_id: A value that is no class.

    Raises:
        LabelError: They are no whole numbers from 0.
    """
    if values.dtype == np.uint8:
        pixels = np.bincount(values, minlength=256)
        ids = np.flatnonzero(pixels)
        pixels = pixels[ids]
    else:
        ids, pixels = np.unique(values, return_counts=True)
        if len(ids) and (ids[0] < 0 or (ids != np.floor(ids)).any()):
            wrong = [v for v in ids.tolist() if v < 0 or v != int(v)]
            raise LabelError(
                f"{path}: holds {wrong[:5]}, expected class ids: whole numbers from 0; declare what means "
                "no data as the mask's nodata"
            )
    pairs = zip(ids.tolist(), pixels.tolist(), strict=True)
    return {int(i): int(n) for i, n in pairs if i != ignore_id}


def _parsed(text: object, row: int) -> dict[int, int]:
    try:
        return {int(key): int(value) for key, value in json.loads(str(text)).items()}
    except (ValueError, AttributeError, TypeError):
        raise ConfigError(
            f"row {row}: column {COLUMN!r} holds {text!r}, expected JSON as '{{\"1\": 4096}}'; take the column "
            "away to have the masks counted"
        ) from None


def _stacked(found: Sequence[dict[int, int]]) -> WindowCounts:
    ids = tuple(sorted({i for counts in found for i in counts}))
    place = {i: k for k, i in enumerate(ids)}
    pixels = np.zeros((len(found), len(ids)), np.int64)
    for row, counts in enumerate(found):
        for i, n in counts.items():
            pixels[row, place[i]] = n
    return WindowCounts(ids, pixels)
