"""Layers of a volume, slab by slab, as an array, as pages of a TIFF, or as a map for each plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.rasterpath import georeference_optional
from geoseg.volumes.exporting.layers import Kind
from geoseg.volumes.metadata import VolumeFacts
from geoseg.volumes.rle import Shape

Slabs = Iterator[tuple[int, NDArray[Any]]]
"""(first plane, (layer, planes, height, width)), from the first plane to the last."""


@dataclass(frozen=True)
class Place:
    """Where the planes of a volume lie, and when."""

    crs: CRS | None
    transform: Affine | None
    times: tuple[str, ...]
    """Of the planes, or empty."""
    shape: Shape
    """(depth, height, width)."""

    @classmethod
    def of(cls, facts: VolumeFacts, shape: Shape) -> Self:
        """What is known of a volume."""
        return cls(facts.crs, facts.transform, facts.times or (), shape)

    @property
    def grid(self) -> Grid:
        """Of a plane."""
        _, height, width = self.shape
        transform = Affine.identity() if self.transform is None else self.transform
        return Grid(crs=self.crs, transform=transform, height=height, width=width)


@dataclass(frozen=True)
class Content:
    """What layers hold."""

    bands: tuple[str, ...]
    """Names of the layers."""
    dtype: np.dtype[Any]
    nodata: float | None
    """What stands where there is no image; None: nothing does."""
    classes: ClassMap | None = None
    """What ids mean, for a layer of ids."""


def check_placed(facts: VolumeFacts, where: str) -> None:
    """See that it is known where planes lie, so that they can be maps.

    Raises:
        StoreError: It is not.
    """
    if facts.crs is None or facts.transform is None:
        lacking = "CRS" if facts.crs is None else "transform"
        raise StoreError(
            f"{where}: has no {lacking}, so that its planes are no maps; write it as npy or tiff, or give "
            "its place when its zip is written"
        )


def write_files(
    paths: Sequence[Path], slabs: Slabs, content: Content, place: Place, *, kind: Kind
) -> None:
    """Write the layers of a volume.

    Args:
        paths: One for each plane where planes are maps, else one.
        slabs: The layers.
        content: What they hold.
        place: Of the planes.
        kind: Of the files.
    """
    if kind == "npy":
        _write_array(paths[0], slabs, content, place.shape)
    elif kind == "tiff":
        for plane, layers in _planes(slabs):
            _write_bands(paths[0], layers, content, append_subdataset=plane > 0)
    else:
        for plane, layers in _planes(slabs):
            _write_map(paths[plane], layers, content, place)


def _planes(slabs: Slabs) -> Iterator[tuple[int, NDArray[Any]]]:
    """(plane, (layer, height, width))."""
    for first, slab in slabs:
        yield from enumerate(slab.transpose(1, 0, 2, 3), start=first)


def _write_array(path: Path, slabs: Slabs, content: Content, shape: Shape) -> None:
    """(layer, depth, height, width), without the first axis for a single layer of bytes."""
    single = len(content.bands) == 1 and content.dtype == np.uint8
    array = np.lib.format.open_memmap(
        path,
        mode="w+",
        dtype=content.dtype,
        shape=shape if single else (len(content.bands), *shape),
    )
    for first, slab in slabs:
        planes = slice(first, first + slab.shape[1])
        if single:
            array[planes] = slab[0]
        else:
            array[:, planes] = slab
    array.flush()
    del array


def _write_map(path: Path, layers: NDArray[Any], content: Content, place: Place) -> None:
    """A class map of ids, else bands of numbers."""
    if content.classes is not None:
        store = GeoTIFFLabelStore(uri=str(path), cog=False, sidecar=False)
        store.write(ArrayLabels(place.grid, content.classes, layers[0]))
    else:
        _write_bands(path, layers, content, crs=place.crs, transform=place.transform)


def _write_bands(path: Path, layers: NDArray[Any], content: Content, **options: Any) -> None:
    """A TIFF of layers (band, height, width), or one more page of it."""
    count, height, width = layers.shape
    with (
        georeference_optional(),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype=layers.dtype,
            nodata=content.nodata,
            photometric="minisblack",
            compress="deflate",
            interleave="band",
            **options,
        ) as file,
    ):
        file.write(layers)
        if count > 1:
            file.descriptions = content.bands
