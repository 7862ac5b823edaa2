"""Arrays of pairs packed into a store of LMDB + safetensors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoseg.prepare.tiling.inputs import Inputs
from geoseg.prepare.tiling.pairs import IMAGES, MASKS, VALID, PairWriter
from geoseg.prepare.tiling.table import STORE
from geoseg.prepare.tiling.tally import Record
from geoseg.sources.store import StoreWriter


def pack(inputs: Inputs, records: Sequence[Record], writer: PairWriter) -> None:
    """Make a store of the arrays that were written, and remove these.

    A patch has the arrays `image` (band, height, width), `mask` (height, width) and `valid` (height, width)
    uint8, 1 where the image is; its key is the name of the pair.

    Raises:
        StoreError: It cannot be written.
    """
    folder = writer.folder
    shutil.rmtree(folder / STORE, ignore_errors=True)  # of a run that was stopped
    kept = [record for record in records if record.left is None]
    kept.sort(key=lambda record: inputs.names[record.number])  # makes the smallest file
    with StoreWriter(str(folder / STORE)) as store:
        for record in kept:
            name, pair = inputs.names[record.number], inputs.pair(record.number)
            valid = folder / writer.file(VALID, name)
            mask = _mapped(folder / writer.file(MASKS, name))
            whole = record.valid == record.pixels
            store.write(
                name,
                {
                    "image": _mapped(folder / writer.file(IMAGES, name)),
                    "mask": mask,
                    "valid": (
                        np.ones(mask.shape, np.uint8) if whole else _mapped(valid).view(np.uint8)
                    ),
                },
                grid=pair.grid.crop(inputs.index.windows[record.number]),
                nodata={"mask": float(pair.rule.fill)},
            )
    for kind in (IMAGES, MASKS, VALID):
        shutil.rmtree(folder / kind)


def _mapped(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = np.load(path, mmap_mode="r")
    return array
