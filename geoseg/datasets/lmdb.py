"""LMDBDataset: patches of LMDB + safetensors stores as items for training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.patchstore.bands import Wanted
from geoseg.datasets.patchstore.chosen import choose
from geoseg.datasets.patchstore.given import (
    bands_of,
    classes_of,
    mapping_of,
    names_of,
    refuse_set,
    scene_labels_of,
    text_of,
)
from geoseg.datasets.patchstore.masks import Classes, MaskRule, mask_rule
from geoseg.datasets.patchstore.parts import Target
from geoseg.datasets.patchstore.planned import planned
from geoseg.datasets.patchstore.rows import Rows, rows_of
from geoseg.datasets.patchstore.scenelabels import scene_labels as names_of_patches
from geoseg.datasets.patchstore.scenes import PatchScenes
from geoseg.datasets.pixels import Pixels
from geoseg.datasets.windowed.options import paths_of, size_of, word_of
from geoseg.datasets.windowed.position import position_of
from geoseg.datasets.windows import Batch, Item, as_tensors, hide_missing
from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.sources.lmdb import LMDBSource
from geoseg.window import Size

Given = str | PathLike[str] | Sequence[str | PathLike[str]]


class LMDBDataset(Dataset[Item]):
    """Map-style data set of the patches of stores, each a whole item.

    Item: `image` float32 (channel, height, width), unsigned integers scaled to [0, 1], other dtypes cast;
    `mask` int64 (height, width) of class ids, with `labels`; `valid` bool (height, width); `labels` float32
    of 0 and 1 for each of `label_names`, with `scene_labels`; `scene`, the key of the patch or its sample;
    `row` and `col`, which are 0. Where any band that is read holds nodata (as the manifest says), NaN or
    infinity, `valid` is False, `image` 0 and `mask` the ignored id; the mask's own nodata is ignored too.

    Bands cover the same ground, edge to edge, and are brought to one size. Batches are read into one piece
    of memory, straight from that of the store. Each process opens the stores for itself. What
    `band_names` tells can be given back as `bands`.

    There is no `transform`: a learner augments batches on its device (`Training(augmentation=...)`), and a
    loop of one's own does so with a batch (`geoseg.learner.augment`), or with a Dataset around this one
    whose `__getitem__` changes the item.

    ```python
    train = LMDBDataset(
        "bigearthnet",
        join=("s1", "s2", "map"),
        labels="map/Data",
        mapping="bigearthnet-19",
        split="train",
    )
    ```
    """

    def __init__(
        self,
        stores: Given,
        *,
        bands: Wanted | Mapping[str, Wanted] = None,
        size: Size | None = None,
        resampling: Literal["nearest", "bilinear"] = "nearest",
        labels: str | None = None,
        classes: Classes | None = None,
        mapping: Mapping[int, int] | str | None = None,
        join: Sequence[str] | None = None,
        split: str | None = None,
        keys: Iterable[str] | None = None,
        normalize: bool = True,
        scene_labels: bool | Sequence[str] = False,
    ) -> None:
        """Look at the manifests; pixels are read when asked for.

        Args:
            stores: The folder of a store, or several, such as the shards of one.
            bands: Names in the order wanted; a band of a group that is joined is "s2/B04", or "B04" where
                no other has it, or give {"s2": ["B04", "B03"], "s1": None}. None: all arrays but the class
                ids (that of `labels`, and "mask"). "rgb" (also of pictures of bytes, bands "1", "2", "3") and
                "hyspecnet-202" stand for several, see `geoseg.datasets.bandsets`. The name of an array with
                channels means all of them.
            size: Pixels of an item, one number or (height, width), to which all patches are resampled;
                None: that of the largest band that is read, which must be the same for all patches.
            resampling: How bands of another size come there: the pixel that holds the centre, or between
                the four nearest centres; neither averages. Masks are always nearest.
            labels: The array of class ids, as "mask" or "map/Data"; None: items have no `mask`.
            classes: The class map, names of classes with ids from 0, or a class map's fields; None: that
                of a ready `mapping`, or the one that the store's manifest names.
            mapping: {value: class id, or the ignored id}, complete; "bigearthnet-19" for the codes of
                BigEarthNet's reference maps; None: values are class ids.
            join: Groups of patches (the manifest's column `group`), one of each an item: those of one
                `sample`, over all stores. One group alone chooses among several. None: each patch is one.
            split: Only patches of this split of the manifest, as "train".
            keys: Only these, in this order; with `join` they name samples.
            normalize: False gives the stored values in the stored dtype (the one that holds all where
                they are mixed), to be scaled on the device.
            scene_labels: Whether items have `labels`; or the names of these in their order.

        Raises:
            ConfigError: An argument is wrong, or patches have different sizes or bands.
            LabelError: The mapping leads to what is no class, or patches lack labels.
            SourceError: A store cannot be read, lacks a band, or two tell different things of one sample.

        Warns:
            UserWarning: Samples without a patch of some group are left out, or a manifest does not fit
                its store.
        """
        refuse_set(stores, name="stores")
        bands, classes, mapping = bands_of(bands), classes_of(classes), mapping_of(mapping)
        join = None if join is None else names_of(join, name="join")
        keys = None if keys is None else names_of(keys, name="keys")
        split = text_of(split, name="split", example="train")
        labels = text_of(labels, name="labels", example="map/Data")
        scene_labels = scene_labels_of(scene_labels)
        rows = rows_of(paths_of(stores, name="stores"))
        chosen = choose(rows, join=join, split=split, keys=keys)
        self.normalize, self._rule = normalize, _rule(labels, classes, mapping, rows)
        plan = planned(
            rows,
            chosen,
            bands=bands,
            labels=labels,
            size=None if size is None else size_of(size, name="size"),
            resampling=word_of(resampling, ("nearest", "bilinear"), name="resampling"),
            rule=self._rule,
        )
        self.band_names, self.dtype, self.size = plan.band_names, plan.dtype, plan.size
        self._names, self._parts, self._stack_names = plan.names, plan.parts, plan.stack_names
        self.label_names: tuple[str, ...] = ()
        self._scene_labels: NDArray[np.uint8] | None = None
        if scene_labels:
            self.label_names, self._scene_labels = names_of_patches(rows, chosen, scene_labels)

    @property
    def classes(self) -> ClassMap | None:
        """The classes of masks; None without `labels`."""
        return None if self._rule is None else self._rule.classes

    @property
    def ignore_id(self) -> int:
        """The id of pixels that are not labelled."""
        return 255 if self._rule is None else self._rule.classes.ignore_id

    @property
    def keys(self) -> list[str]:
        """Of each item, what it has as `scene`."""
        return [self._names[number] for number in range(len(self))]

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Item:
        """One item; IndexError past the end."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Batch:
        """The items of a batch, read into one piece of memory.

        Raises:
            IndexError: There is no such item.
            SourceError: A patch cannot be read, or is not what its manifest (or the first patch) tells.
            LabelError: Labels hold values that are no class; the text has the key and counts them.
        """
        numbers = [position_of(index, len(self), of="item") for index in indices]
        images = np.empty((len(numbers), len(self.band_names), *self.size), self.dtype)
        valid = np.ones((len(numbers), *self.size), bool)
        masks = None if self._rule is None else np.empty(valid.shape, np.int64)
        for place, number in enumerate(numbers):
            mask = None if masks is None else masks[place]
            target = Target(images[place], valid[place], mask)
            for part in self._parts:
                part.fill(number, target)
            hide_missing(target.image, target.valid)
            if mask is not None and not target.valid.all():
                mask[~target.valid] = self.ignore_id
        return self._pack(numbers, images, valid, masks)

    def pixels(self) -> Pixels:
        """Bands, dtype and resolution of the images as they are stored.

        Bands of several groups that are called alike have the names that a StackSource gives them.
        """
        part = next(part for part in self._parts if part.pick.planes)
        first = LMDBSource(
            uri=part.readers[part.stores[0]].uri,
            key=part.keys[0],
            bands=part.pick.planes,
            size=self.size,
        )
        return Pixels(self._stack_names, self.dtype, first.grid.ground_resolution)

    def scenes(self) -> Sequence[Scene]:
        """A scene for each item, in their order, made when it is asked for: what a Learner predicts and judges.

        Its image holds the pixels of the item as they are stored, brought to the same size in the same way,
        with the bands of `pixels`; its labels are the class ids of `mask`, its id is the key.

        ```python
        learner.evaluate(test.scenes(), prediction=Prediction(batch_size=1))
        ```

        A scene is predicted by itself, and each batch filled up: where it is no larger than a window,
        `batch_size=1` spares the rest.

        Raises (when a scene is asked for):
            ConfigError: The patches of an item lie at different places, or its bands are blended from one dtype
                into another: no scene reads them so.
            SourceError: A patch cannot be read, or is not what its manifest (or the first patch) tells.
        """
        return PatchScenes(
            names=self._names,
            band_names=self._stack_names,
            dtype=self.dtype,
            size=self.size,
            parts=self._parts,
            rule=self._rule,
        )

    def _pack(
        self,
        numbers: Sequence[int],
        images: NDArray[Any],
        valid: NDArray[np.bool_],
        masks: NDArray[np.int64] | None,
    ) -> Batch:
        stacked = as_tensors(images, valid, masks, normalize=self.normalize)
        if self._scene_labels is not None:
            stacked["labels"] = torch.from_numpy(self._scene_labels[numbers].astype(np.float32))
        stacked["scene"] = [self._names[number] for number in numbers]
        stacked["row"] = stacked["col"] = torch.zeros(len(numbers), dtype=torch.int64)
        return Batch(stacked)


def _rule(
    labels: str | None,
    classes: Classes | None,
    mapping: Mapping[int, int] | str | None,
    rows: Rows,
) -> MaskRule | None:
    if labels is not None:
        return mask_rule(classes, mapping, rows.told)
    if classes is not None or mapping is not None:
        raise ConfigError(
            "classes and mapping are for class ids; name their array with labels=..., as in "
            'labels="mask", or leave them out'
        )
    return None
