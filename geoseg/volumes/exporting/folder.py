"""VolumeFolderWriter: masks and scores of volumes as files in a folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError, LabelError, StoreError
from geoseg.outputs import local_path, written_whole
from geoseg.volumes.exporting.copying import stem_of
from geoseg.volumes.exporting.files import Place, write_arrays, write_maps, write_pages
from geoseg.volumes.exporting.layers import Kind, Layers, classes_of, slabs_of
from geoseg.volumes.metadata import VolumeFacts
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.writing.arrays import Volume, volume_of
from geoseg.volumes.writing.facts import facts_of
from geoseg.volumes.writing.names import SUFFIX, file_name, key_of
from geoseg.volumes.writing.words import class_names, path_text

INDEX, CLASSES = "index.csv", "classes.yaml"
"""Files beside the volumes: what lies where, and what the ids mean."""
_SCORES = ".scores"
_MOST = 254
"""Classes beside the background that ids of a byte have room for, 255 being what is ignored."""


class VolumeFolderWriter:
    """Writes masks of volumes as files of other programs; takes the place of a VolumeZipWriter.

    Of a volume `site_1` the folder gets `site_1.npy` (axes: depth, height, width), `site_1.tif` with a page for each plane, or a
    GeoTIFF for each plane, `site_1_000.tif` and on, with CRS and place. Scores go to files of the same kind,
    `site_1.scores.npy` and so on, float32, axes or bands by class.
    `classes.yaml` tells the ids, `index.csv` which file holds which plane of which volume and its time.

    The same volumes give the same bytes. Each file appears whole or not at all, index and classes last.

    ```python
    with VolumeFolderWriter("maps", ["water", "ice"], kind="geotiff") as writer:
        writer.write("site_1", image, masks, crs="EPSG:32619", transform=transform)
    ```
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        classes: Sequence[str],
        *,
        kind: Kind = "npy",
        layers: Layers = "ids",
    ) -> None:
        """Say what will be written; nothing is, before the first volume.

        Args:
            uri: A local folder; files of the same names are replaced, others stay.
            classes: Names in order; background is none of them.
            kind: Of the files.
            layers: "ids": one layer, 0 where no class is and classes from 1; "masks": a layer of 0 and 1
                for each class, which may overlap. Layers are the first axis of an array, and bands of TIFF files.

        Raises:
            ConfigError: An option is unknown, or there are no classes, or too many for ids of a byte.
        """
        for name, value, known in (("kind", kind, Kind), ("layers", layers, Layers)):
            if value not in get_args(known):
                raise ConfigError(
                    f"{name} is {value!r}, expected one of: {', '.join(get_args(known))}"
                )
        names = class_names(classes)
        if len(names) > _MOST:
            raise ConfigError(
                f"there are {len(names)} classes, expected at most {_MOST} for ids of a byte"
            )
        self.uri, self.classes, self.kind, self.layers = path_text(uri), names, kind, layers
        self.rle_order: Order = "dhw"
        """Of runs that are given, any will do."""
        self._folder = local_path(self.uri)
        self._ids = classes_of(names)
        self._volumes: dict[str, tuple[Volume, Place]] = {}
        self._keys: dict[str, str] = {}
        self._index: list[tuple[str, int | str, str, str]] = []
        self._open = False

    def __enter__(self) -> Self:
        if self._folder.is_file():
            raise StoreError(f"{self.uri}: is a file, expected a folder; name another")
        self._volumes, self._keys, self._index = {}, {}, []
        self._open = True
        return self

    def __exit__(self, *error: Any) -> None:
        self._open = False
        if error[0] is not None:
            return
        if not self._volumes:
            raise StoreError(f"{self.uri}: no volume was written; write at least one")
        with written_whole(str(self._folder / CLASSES)) as path:
            path.write_text(self._ids.to_yaml(), encoding="utf-8")
        with (
            written_whole(str(self._folder / INDEX)) as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("volume", "plane", "time", "file"))
            table.writerows(self._index)

    def write(
        self,
        name: str,
        image: Any,
        masks: Mapping[str, ArrayLike | Rle] | None,
        split: str = "train",
        *,
        fold: int | str | None = None,
        crs: Any = None,
        transform: Affine | None = None,
        times: Sequence[str | date] | None = None,
        channels: Sequence[str] | None = None,
    ) -> None:
        """Write the masks of one volume.

        Args:
            name: What its files begin with; the end of an image's name, as `.npy`, is left out.
            image: Tells the shape; it is not written.
            masks: {class: mask}: bool, or integers 0 and one other, (depth, height, width), or an Rle.
            split: Not kept, as `fold` and `channels` are not: files have no place for them.
            fold: See `split`.
            crs: Of the planes; GeoTIFFs need it.
            transform: Of the planes: pixel corner to ground; GeoTIFFs need it.
            times: Of the planes, for the index.
            channels: See `split`.

        Raises:
            StoreError: The name is unsafe or taken, there are no masks, or no CRS and transform for
                GeoTIFFs; or nothing can be written.
            LabelError: A mask does not fit, or masks overlap in a layer of ids.
            ConfigError: Another argument does not fit.
        """
        del split, fold  # a folder of masks has no place for them
        stem = self._new_name(name)
        if masks is None:
            raise StoreError(
                f"{stem}: has no masks, and nothing else is written to a folder of masks"
            )
        volume = volume_of(image, where=stem)
        facts = facts_of(volume, crs=crs, transform=transform, times=times, channels=channels)
        place = Place.of(facts or VolumeFacts(), volume.shape)
        if self.kind == "geotiff":
            place.check(stem)
        slabs = slabs_of(masks, self.classes, shape=volume.shape, layers=self.layers, where=stem)
        bands = ("id",) if self.layers == "ids" else self.classes
        files = self._write(stem, slabs, bands, place, np.dtype(np.uint8))
        self._note(stem, files, place)
        self._volumes[stem], self._keys[key_of(stem)] = (volume, place), stem

    def write_scores(self, name: str, slabs: Iterable[ArrayLike]) -> None:
        """Write the probabilities of a volume that was written.

        Args:
            name: As given to `write`.
            slabs: (class, planes, height, width), from the first plane to the last, in the order of the
                classes; taken one by one.

        Raises:
            StoreError: There is no such volume.
            LabelError: Slabs have other axes, or more or fewer planes.
        """
        stem = _stem(name)
        if stem not in self._volumes:
            raise StoreError(f"{stem}: was not written; write each volume first, then its scores")
        volume, place = self._volumes[stem]
        shape = (len(self.classes), *volume.shape)
        checked = _scores(slabs, shape, where=stem)
        self._write(stem + _SCORES, checked, self.classes, place, np.dtype(np.float32))

    def _write(
        self,
        stem: str,
        slabs: Iterator[tuple[int, NDArray[Any]]],
        bands: Sequence[str],
        place: Place,
        dtype: np.dtype[Any],
    ) -> list[str]:
        """Write layers of a volume; the names of the files in the folder."""
        base = str(self._folder / stem)
        if self.kind == "npy":
            files = write_arrays(base, slabs, (len(bands), *place.shape), dtype)
        elif self.kind == "tiff":
            files = write_pages(base, slabs, bands)
        else:
            ids = self._ids if bands == ("id",) else None
            files = write_maps(base, slabs, bands, place, classes=ids)
        return [Path(file).name for file in files]

    def _note(self, stem: str, files: list[str], place: Place) -> None:
        """Lines of the index: one for each plane where planes have files of their own."""
        if len(files) == place.shape[0] and self.kind == "geotiff":
            times = place.times or ("",) * len(files)
            for plane, (file, time) in enumerate(zip(files, times, strict=True)):
                self._index.append((stem, plane, time, file))
        else:
            self._index.append((stem, "", " ".join(place.times), files[0]))

    def _new_name(self, name: str) -> str:
        """The stem of a volume's files, which is no other volume's."""
        if not self._open:
            raise StoreError(
                f"{self.uri}: is not open; write within `with VolumeFolderWriter(...) as writer:`"
            )
        stem = _stem(name)
        if (other := self._keys.get(key_of(stem))) is not None:
            raise StoreError(
                f"{stem}: was written already as {other}; give each volume a name of its own"
            )
        return stem


def _stem(name: str) -> str:
    return stem_of(file_name(name).removesuffix(SUFFIX))


def _scores(
    slabs: Iterable[ArrayLike], shape: tuple[int, ...], *, where: str
) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first plane, float32 (class, planes, height, width)), seen to fill the volume."""
    done = 0
    classes, depth, *plane = shape
    for given in slabs:
        slab = np.asarray(given, np.float32)
        count = slab.shape[1] if slab.ndim == len(shape) else 0
        if slab.shape != (classes, count, *plane) or not count or done + count > depth:
            raise LabelError(
                f"{where}: scores of planes from {done} have the shape {slab.shape}, expected (class, planes, "
                f"height, width) within {shape}"
            )
        yield done, slab
        done += count
    if done != depth:
        raise LabelError(f"{where}: scores of {done} planes came, expected {depth}")
