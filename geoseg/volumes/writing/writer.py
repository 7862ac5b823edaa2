"""VolumeZipWriter: volumes and their masks into one zip."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from math import prod
from typing import Any, Self

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoseg.choices import one_of
from geoseg.errors import StoreError
from geoseg.outputs import written_whole
from geoseg.volumes.layout import IMAGES, SCORES
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.rle import Order, Rle
from geoseg.volumes.writing.archive import cannot_be_written
from geoseg.volumes.writing.arrays import Volume, contents, header_of, stored_shape, volume_of
from geoseg.volumes.writing.contract import check_split, check_unscored
from geoseg.volumes.writing.draft import Draft
from geoseg.volumes.writing.facts import facts_of, place_of
from geoseg.volumes.writing.frames import Row, Split, check_length
from geoseg.volumes.writing.masks import checked_masks, texts_of
from geoseg.volumes.writing.names import file_name
from geoseg.volumes.writing.scores import score_bytes, score_header
from geoseg.volumes.writing.words import class_names, fold_of, path_text


class VolumeZipWriter:
    """Writes a zip in the layout of H2O Hydrogen Torch, volume by volume; a context manager.

    The zip holds `images/NAME.npy`, not compressed and aligned so that they can be mapped where they lie,
    and a Parquet file for each split that has volumes: `train.pq` and `validation.pq` with the columns
    image, class_id, rle_mask, and `test.pq` with the column image; fold where it is given. Every row lists
    all classes in the same order. What the layout has no column for (CRS, transform, times, names of
    channels, order of axes) stands in the schema's metadata; readers that do not know it are not disturbed.

    The same volumes in the same order give the same bytes. The file appears whole when the block ends, or
    not at all when it ends by an exception. Memory holds the run-length text of a volume and some slices.

    ```python
    with VolumeZipWriter("floods.zip", ["water", "ice"]) as writer:
        writer.write("site_1", image, {"water": image[0] > 80}, times=["2020-06-01", "2020-06-13"])
    ```
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        classes: Sequence[str],
        *,
        image_axes: ImageAxes = "HWD",
        rle_order: Order = "dhw",
    ) -> None:
        """Say what will be written; nothing is, before the block begins.

        Args:
            uri: A local file; one that is there is replaced.
            classes: Names in the order of the lists; background is none of them.
            image_axes: Axes of stored arrays: slices last or first. Channels, where there are several,
                come after "HWD", (height, width, depth, channel), and before "DHW".
            rle_order: Axes of the run-length text, from the fastest to the slowest. "dhw" is what H2O's
                own 3D decoder reads; an encoder of theirs gives it for "DHW", and "hwd" for "HWD".

        Raises:
            ConfigError: Classes are missing, named twice or no Unicode, or an option is unknown.
        """
        self.uri = path_text(uri)
        self.classes = class_names(classes)
        one_of(image_axes, ImageAxes, name="image_axes")
        one_of(rle_order, Order, name="rle_order")
        self.image_axes: ImageAxes = image_axes
        self.rle_order: Order = rle_order
        self._stack = ExitStack()
        self._draft: Draft | None = None

    def __enter__(self) -> Self:
        if self._draft is not None:
            raise StoreError(f"{self.uri}: is being written already; use one writer for each file")
        with ExitStack() as stack:
            path = stack.enter_context(written_whole(self.uri))
            self._draft = Draft(path, self.classes, uri=self.uri)
            stack.callback(self._draft.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        draft, self._draft = self._draft, None
        if error[0] is not None or draft is None:
            self._stack.__exit__(*error)
            return
        with self._stack:
            draft.finish(image_axes=self.image_axes, rle_order=self.rle_order)

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
        times: Sequence[str | date] | NDArray[np.datetime64] | None = None,
        channel_names: Sequence[str] | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write one volume.

        Nothing is written where the arguments are refused, and the writer goes on; where reading the
        image fails half way, the zip cannot be finished.

        Args:
            name: A file name without folders; `.npy` is added where it is missing.
            image: (channel, depth, height, width), or (depth, height, width) for one channel, of any real
                dtype, which is kept. An array, or anything with `shape`, `dtype` and slices, such as a
                memory map: some slices of depth are read at a time.
            masks: {class: mask}: bool, or integers 0 and one other, (depth, height, width), or an Rle.
                Classes that are left out are nowhere. None for the test split, and for it only.
            split: Whose table lists the volume.
            fold: A number of 64 bits or a word; for all volumes of a split or for none.
            crs: Of the slices: text, an EPSG number or a CRS object.
            transform: Of the slices: pixel corner to ground, one that can be turned back. An Affine: bare
                numbers are refused, since GDAL has them in another order.
            times: Of the slices, one each: dates, datetimes, their ISO text, or numpy's datetime64.
            channel_names: Of the image, one for each channel.
            valid: (depth, height, width), True where there is an image; None: everywhere. The layout has
                nothing for voxels without: they have no class, as no mask may hold one of them.

        Raises:
            StoreError: The name is unsafe or taken, masks and split do not fit, or nothing can be written.
            LabelError: A mask does not fit.
            ConfigError: Another argument does not fit.
        """
        file = self.check(name, split, fold=fold, crs=crs, transform=transform)
        draft = self._opened()
        _check_labelled(split, file, labelled=masks is not None)
        volume = volume_of(image, where=file)
        facts = facts_of(
            volume, crs=crs, transform=transform, times=times, channel_names=channel_names
        )
        row = Row(file, self._texts(masks, volume, valid), fold_of(fold, where=file))
        shape = stored_shape(volume, self.image_axes)
        head = header_of(shape, volume.dtype, fortran_order=self.image_axes == "HWD")
        size = prod(shape) * volume.dtype.itemsize
        draft.add(IMAGES + file, head, size, contents(volume, self.image_axes))
        with cannot_be_written(file):
            draft.add_row(split, row)
        draft.note(file, volume.shape, facts, split)

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
            split: Whose table lists it.
            fold: Of the volume.
            crs: Of the slices.
            transform: Of the slices.

        Returns:
            The name under which it will be written, which no other volume may have.

        Raises:
            StoreError: The name is unsafe or taken, or the split has folds of another type.
            ConfigError: Another argument does not fit.
        """
        draft, file = self._opened(), file_name(name)
        check_split(split)
        draft.check_new(file)
        place_of(crs=crs, transform=transform, where=file)
        draft.check_row(split, Row(file, None, fold_of(fold, where=file)))
        return file

    def write_scores(self, name: str, slabs: Iterable[ArrayLike]) -> None:
        """Write the probabilities of a volume that was written, as `scores/NAME.npy`.

        The member is float16 (depth, class, height, width), slices first so that it is written as they
        come; `geoseg.volumes.read_scores` reads it, other readers of the layout do not look at it.

        Args:
            name: As given to `write`.
            slabs: (class, planes, height, width), 0 to 1, from the first plane to the last, in the order
                of the classes; taken one by one.

        Raises:
            StoreError: There is no such volume, or its scores are there already.
            LabelError: Slabs have other axes, more or fewer planes, or hold no probabilities.
        """
        draft, file = self._opened(), file_name(name)
        written, scored = file in draft.shapes, file in draft.scored
        check_unscored(file, written=written, scored=scored)
        shape = draft.shapes[file]
        head, size = score_header((shape[0], len(self.classes), *shape[1:]))
        parts = score_bytes(slabs, classes=len(self.classes), shape=shape, where=file)
        draft.add(SCORES + file, head, size, parts)
        draft.scored.add(file)

    def _opened(self) -> Draft:
        if self._draft is None:
            raise StoreError(
                f"{self.uri}: is not open; write within `with VolumeZipWriter(...) as writer:`"
            )
        self._draft.check()
        return self._draft

    def _texts(
        self,
        masks: Mapping[str, ArrayLike | Rle] | None,
        volume: Volume,
        valid: NDArray[np.bool_] | None,
    ) -> list[str] | None:
        shape, order, where = volume.shape, self.rle_order, volume.where
        runs, _ = checked_masks(
            {} if masks is None else masks,
            self.classes,
            valid=valid,
            shape=shape,
            order=order,
            where=where,
        )
        if masks is None:
            return None
        texts = texts_of(runs, self.classes, order=order)
        check_length(texts, where=where)
        return texts


def _check_labelled(split: Split, file: str, *, labelled: bool) -> None:
    if labelled == (split == "test"):
        raise StoreError(
            f"{file}: {'has' if labelled else 'has no'} masks, but goes to the split {split!r}; volumes "
            "of train and validation have masks ({} where no class occurs), those of test have None"
        )
