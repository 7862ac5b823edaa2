"""Writing a pair: one image and one mask, in the files of an output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.choices import one_of
from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.prepare.tiling.geotiff import GeoTIFFWriter, Layers
from geoseg.prepare.tiling.npy import write_npy
from geoseg.prepare.tiling.pixels import Pair, Part
from geoseg.prepare.tiling.png import check_png, write_png
from geoseg.window import Window

Output = Literal["geotiff", "png", "npy", "lmdb"]

IMAGES, MASKS, VALID = "images", "masks", "valid"
"""Folders of an output."""
_SUFFIXES = {"geotiff": ".tif", "png": ".png", "npy": ".npy", "lmdb": ".npy"}


@dataclass(frozen=True, slots=True)
class PairWriter:
    """Where pairs go, and in which form."""

    folder: Path
    output: Output

    @classmethod
    def of(cls, folder: Path, output: Output) -> PairWriter:
        """Make the folders.

        Raises:
            ConfigError: There is no such output.
        """
        check_output(output)
        names = (IMAGES, MASKS, VALID) if _SUFFIXES[output] == ".npy" else (IMAGES, MASKS)
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
        return cls(folder, output)

    def file(self, kind: str, name: str) -> str:
        """A file of a pair, relative to the folder."""
        return f"{kind}/{name}{_SUFFIXES[self.output]}"

    def write(self, name: str, pair: Pair, window: Window, parts: Iterable[Part]) -> None:
        """Write image and mask of a window.

        Args:
            name: Of the pair.
            pair: What is cut.
            window: Where.
            parts: Its pixels from top to bottom.

        Raises:
            StoreError: A file cannot be written.
            GeosegError: The pixels cannot be read, or do not go into such files.
        """
        image = self.folder / self.file(IMAGES, name)
        mask = self.folder / self.file(MASKS, name)
        grid = pair.grid.crop(window)
        if self.output == "geotiff":
            _write_geotiffs(image, mask, pair, grid, parts)
            return
        whole = _joined(parts)
        if self.output == "png":
            _write_pngs(image, mask, pair, grid, whole)
        else:
            valid = self.folder / self.file(VALID, name)
            _write_arrays(image, mask, valid, pair, whole)


def check_output(output: str) -> None:
    """See that there is such an output.

    Raises:
        ConfigError: There is none.
    """
    one_of(output, sorted(get_args(Output)), name="output")


def check_pair(pair: Pair, output: Output) -> None:
    """See that an image and a mask go into files of an output.

    Raises:
        ConfigError: They do not.
        SourceError: GDAL has no such pixels.
    """
    from rasterio.dtypes import check_dtype

    image, rule = pair.image, pair.rule
    if output == "png":
        check_png(image.dtype, len(image.band_names), f"the image of {pair.path}")
        check_png(rule.dtype, 1, pair.path)
    if output == "geotiff":
        for dtype, what in ((image.dtype, f"the image of {pair.path}"), (rule.dtype, pair.path)):
            if dtype.kind == "b" or not check_dtype(dtype):
                raise SourceError(f"{what}: GDAL has no pixels of {dtype}; cast them first")
    else:
        rule.needs_fill(output)


def _write_geotiffs(image: Path, mask: Path, pair: Pair, grid: Grid, parts: Iterable[Part]) -> None:
    source, rule = pair.image, pair.rule
    pixels = Layers(grid=grid, dtype=source.dtype, names=source.band_names, labels=False)
    labels = Layers(
        grid=grid,
        dtype=rule.dtype,
        names=("1",),
        labels=True,
        nodata=rule.nodata,
        colors=rule.colors,
        classes=rule.classes,
    )
    with GeoTIFFWriter(image, pixels) as images, GeoTIFFWriter(mask, labels) as masks:
        for part in parts:
            images.add(part.row, part.image, part.valid)
            masks.add(part.row, part.ids[None], part.present)


def _write_pngs(image: Path, mask: Path, pair: Pair, grid: Grid, part: Part) -> None:
    rule = pair.rule
    shown = None if part.valid.all() else part.valid
    write_png(image, part.image, grid=grid, alpha=shown)
    nodata = rule.nodata if part.present.all() else float(rule.fill)
    write_png(mask, part.ids[None], grid=grid, nodata=nodata)


def _write_arrays(image: Path, mask: Path, valid: Path, pair: Pair, part: Part) -> None:
    """Arrays have no mask of their own: labels without an image are none, and fractions are NaN."""
    data: NDArray[Any] = part.image
    ids: NDArray[Any] = part.ids
    if not part.valid.all():
        if data.dtype.kind == "f":
            data = np.where(part.valid, data, data.dtype.type(np.nan))
        ids = np.where(part.valid, ids, pair.rule.fill).astype(ids.dtype)
        write_npy(valid, part.valid)
    write_npy(image, data)
    write_npy(mask, ids)


def _joined(parts: Iterable[Part]) -> Part:
    """All parts as one."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    return Part(
        0,
        np.concatenate([part.image for part in found], axis=1),
        *(
            np.concatenate([getattr(part, name) for part in found])
            for name in ("valid", "ids", "present", "known")
        ),
    )
