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
from geoseg.outputs import written_whole
from geoseg.rasterpath import georeference_optional
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

    def check(self, where: str) -> None:
        """See that it tells a place.

        Raises:
            StoreError: It does not.
        """
        if self.crs is None or self.transform is None:
            lacking = "CRS" if self.crs is None else "transform"
            raise StoreError(
                f"{where}: has no {lacking}, so that its planes are no maps; write it as npy or tiff, or give "
                "its place when its zip is written"
            )

    @property
    def grid(self) -> Grid:
        """Of a plane."""
        _, height, width = self.shape
        transform = Affine.identity() if self.transform is None else self.transform
        return Grid(crs=self.crs, transform=transform, height=height, width=width)


def write_arrays(
    base: str, slabs: Slabs, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> list[str]:
    """`BASE.npy` of (layer, depth, height, width), without the first axis for a layer of ids.

    Returns:
        The file's path.
    """
    uri = f"{base}.npy"
    single = shape[0] == 1 and dtype == np.uint8
    with written_whole(uri) as path:
        array = np.lib.format.open_memmap(
            path, mode="w+", dtype=dtype, shape=shape[1:] if single else shape
        )
        for first, slab in slabs:
            planes = slice(first, first + slab.shape[1])
            if single:
                array[planes] = slab[0]
            else:
                array[:, planes] = slab
        array.flush()
        del array
    return [uri]


def write_pages(base: str, slabs: Slabs, bands: Sequence[str]) -> list[str]:
    """`BASE.tif` with a page for each plane, and a band for each layer.

    Returns:
        The file's path.
    """
    uri = f"{base}.tif"
    with written_whole(uri) as path:
        for first, slab in slabs:
            for plane, layers in enumerate(slab.transpose(1, 0, 2, 3), start=first):
                _write_bands(path, layers, bands, append_subdataset=plane > 0)
    return [uri]


def write_maps(
    base: str,
    slabs: Slabs,
    bands: Sequence[str],
    place: Place,
    *,
    classes: ClassMap | None,
) -> list[str]:
    """`BASE_000.tif` and on, a map for each plane; bands are layers.

    Args:
        base: Path without its end.
        slabs: The layers.
        bands: Names of the layers.
        place: Of the planes.
        classes: What ids mean: the one layer becomes a class map; None: bands of numbers.

    Returns:
        The files' paths.
    """
    digits = max(len(str(place.shape[0] - 1)), 3)
    files = []
    for first, slab in slabs:
        for plane, layers in enumerate(slab.transpose(1, 0, 2, 3), start=first):
            uri = f"{base}_{plane:0{digits}d}.tif"
            if classes is not None:
                store = GeoTIFFLabelStore(uri=uri, cog=False, sidecar=False)
                store.write(ArrayLabels(place.grid, classes, layers[0]))
            else:
                with written_whole(uri) as path:
                    _write_bands(path, layers, bands, crs=place.crs, transform=place.transform)
            files.append(uri)
    return files


def _write_bands(path: Path, layers: NDArray[Any], bands: Sequence[str], **options: Any) -> None:
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
            photometric="minisblack",
            compress="deflate",
            interleave="band",
            **options,
        ) as file,
    ):
        file.write(layers)
        if count > 1:
            file.descriptions = tuple(bands)
