"""VolumeFolderWriter: masks and scores of volumes as files in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoseg.choices import one_of
from geoseg.errors import ConfigError, StoreError
from geoseg.outputs import local_path, written_together
from geoseg.volumes.exporting.copying import stem_of
from geoseg.volumes.exporting.files import Content, Place, Slabs, check_placed, write_files
from geoseg.volumes.exporting.inventory import Inventory
from geoseg.volumes.exporting.layers import NO_ID, Kind, Layers, classes_of, scores_of, slabs_of
from geoseg.volumes.exporting.names import SCORES, files_of
from geoseg.volumes.metadata import VolumeFacts
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.writing.arrays import volume_of
from geoseg.volumes.writing.contract import check_split, check_unscored
from geoseg.volumes.writing.facts import facts_of, place_of
from geoseg.volumes.writing.frames import Split
from geoseg.volumes.writing.masks import checked_masks
from geoseg.volumes.writing.names import SUFFIX, file_name, key_of
from geoseg.volumes.writing.scores import checked_scores
from geoseg.volumes.writing.words import class_names, fold_of, path_text

_MOST = 254
"""Classes beside the background that ids of a byte have room for, 255 being where no image is."""


@dataclass
class _Written:
    """A volume whose masks are there."""

    place: Place
    holes: Rle | None
    """Where it has no image; None: nowhere."""
    scored: bool = False


class VolumeFolderWriter:
    """Writes masks of volumes as files of other programs; takes the place of a VolumeZipWriter.

    Of a volume `site_1` the folder gets `site_1.npy` (axes: depth, height, width), `site_1.tif` with a page for each plane, or a
    GeoTIFF for each plane, `site_1_000.tif` and on, with CRS and place. Scores go to files of the same kind,
    `site_1.scores.npy` and so on, float32, axes or bands by class.
    `classes.yaml` tells the ids, `index.csv` which file holds which plane of which volume and its time, masks
    and scores alike.
    Where a volume has no image, ids are 255 and scores NaN, which TIFF files declare as nodata.

    The same volumes give the same bytes. The files of a volume's masks appear together or not at all, as
    those of its scores do, and the index last: a folder without one is not whole. What the index of an earlier
    run lists of the same volumes, of the same kind, is removed where it is not replaced, the index first. What
    no index lists stays, as what a run leaves that was broken off.

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
            uri: A local folder; files of the same volumes and kind are replaced, others stay. One with an
                `index.csv` or `classes.yaml` that no earlier run wrote is refused once the writer is opened.
            classes: Names in order; background is none of them.
            kind: Of the files.
            layers: "ids": one layer, 0 where no class is and classes from 1; "masks": a layer of 0 and 1
                for each class, which may overlap, 0 where there is no image. Layers are the first axis of
                an array, and bands of TIFF files.

        Raises:
            ConfigError: An option is unknown, or there are no classes, or too many for ids of a byte.
        """
        one_of(kind, Kind, name="kind")
        one_of(layers, Layers, name="layers")
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
        self._volumes: dict[str, _Written] = {}
        self._stems: dict[str, str] = {}
        self._inventory: Inventory | None = None

    def __enter__(self) -> Self:
        if self._folder.is_file():
            raise StoreError(f"{self.uri}: is a file, expected a folder; name another")
        self._volumes, self._stems, self._inventory = {}, {}, Inventory(self._folder)
        return self

    def __exit__(self, *error: Any) -> None:
        inventory, self._inventory = self._inventory, None
        if error[0] is not None or inventory is None:
            return
        if not self._volumes:
            raise StoreError(f"{self.uri}: no volume was written; write at least one")
        inventory.finish(self._ids)

    def write(
        self,
        name: str,
        image: Any,
        masks: Mapping[str, ArrayLike | Rle] | None,
        split: Split = "train",
        *,
        fold: int | str | None = None,
        crs: Any = None,
        transform: Affine | None = None,
        times: Sequence[str | date] | None = None,
        channel_names: Sequence[str] | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write the masks of one volume.

        Args:
            name: What its files begin with; the end of an image's name, as `.npy`, is left out.
            image: Tells the shape; it is not written.
            masks: {class: mask}: bool, or integers 0 and one other, (depth, height, width), or an Rle.
            split: Checked and not kept, as `fold` and `channel_names` are: files have no place for them.
            fold: See `split`.
            crs: Of the planes; GeoTIFFs need it.
            transform: Of the planes: pixel corner to ground; GeoTIFFs need it.
            times: Of the planes, for the index.
            channel_names: See `split`.
            valid: (depth, height, width), True where there is an image; None: everywhere.

        Raises:
            StoreError: The name is unsafe or taken, there are no masks, or no CRS and transform for
                GeoTIFFs; or nothing can be written.
            LabelError: A mask does not fit or holds voxels without an image, or masks overlap in a layer
                of ids.
            ConfigError: Another argument does not fit.
        """
        stem = self.check(name, split, fold=fold, crs=crs, transform=transform)
        if masks is None:
            raise StoreError(
                f"{stem}: has no masks, and nothing else is written to a folder of masks"
            )
        volume = volume_of(image, where=stem)
        facts = facts_of(
            volume, crs=crs, transform=transform, times=times, channel_names=channel_names
        )
        shape, order = volume.shape, self.rle_order
        checked, holes = checked_masks(
            masks, self.classes, valid=valid, shape=shape, order=order, where=stem
        )
        runs = dict(checked)  # of all classes: a slab has a layer for each
        found = _Written(Place.of(facts or VolumeFacts(), shape), holes)
        slabs = slabs_of(
            runs, self.classes, shape=shape, layers=self.layers, holes=holes, where=stem
        )
        content = Content(("id",), np.dtype(np.uint8), NO_ID, self._ids)
        if self.layers == "masks":
            content = Content(self.classes, np.dtype(np.uint8), None)
        self._write(stem, stem, slabs, content, found.place)
        self._opened().remove_left(stem, self.kind)
        self._volumes[stem], self._stems[key_of(stem)] = found, stem

    def check(
        self,
        name: str,
        split: Split = "train",
        *,
        fold: int | str | None = None,
        crs: Any = None,
        transform: Affine | None = None,
    ) -> str:
        """See, before its voxels are there, that a volume can be written so.

        Args:
            name: As for `write`, as all others.
            split: Of the volume.
            fold: Of the volume.
            crs: Of the planes.
            transform: Of the planes.

        Returns:
            What its files will begin with, as those of no other volume may.

        Raises:
            StoreError: The name is unsafe or taken, or there are no CRS and transform for GeoTIFFs.
            ConfigError: Another argument does not fit.
        """
        self._opened()
        stem = _stem(name)
        check_split(split)
        if (other := self._stems.get(key_of(stem))) is not None:
            raise StoreError(
                f"{stem}: was written already as {other}; give each volume a name of its own"
            )
        fold_of(fold, where=stem)
        facts = place_of(crs=crs, transform=transform, where=stem)
        if self.kind == "geotiff":
            check_placed(facts, stem)
        return stem

    def write_scores(self, name: str, slabs: Iterable[ArrayLike]) -> None:
        """Write the probabilities of a volume that was written.

        Args:
            name: As given to `write`.
            slabs: (class, planes, height, width), 0 to 1, from the first plane to the last, in the order
                of the classes; taken one by one.

        Raises:
            StoreError: There is no such volume, or its scores are there already, or a file of theirs is
                another volume's.
            LabelError: Slabs have other axes, more or fewer planes, or hold no probabilities.
        """
        self._opened()
        stem = _stem(name)
        found = self._volumes.get(stem)
        check_unscored(stem, written=found is not None, scored=found is not None and found.scored)
        found = self._volumes[stem]
        checked = checked_scores(
            slabs, classes=len(self.classes), shape=found.place.shape, where=stem
        )
        content = Content(self.classes, np.dtype(np.float32), np.nan)
        self._write(stem + SCORES, stem, scores_of(checked, found.holes), content, found.place)
        found.scored = True

    def _write(self, base: str, stem: str, slabs: Slabs, content: Content, place: Place) -> None:
        """Write layers of a volume, and what the index tells of them."""
        inventory = self._opened()
        files = files_of(base, self.kind, depth=place.shape[0])
        inventory.check(files, stem)
        with written_together([str(self._folder / file) for file in files]) as paths:
            write_files(paths, slabs, content, place, kind=self.kind)
            inventory.forget()
        inventory.note(files, stem)
        inventory.list(stem, files, place.times, planes=self.kind == "geotiff")

    def _opened(self) -> Inventory:
        if self._inventory is None:
            raise StoreError(
                f"{self.uri}: is not open; write within `with VolumeFolderWriter(...) as writer:`"
            )
        return self._inventory


def _stem(name: str) -> str:
    return stem_of(file_name(name).removesuffix(SUFFIX))
