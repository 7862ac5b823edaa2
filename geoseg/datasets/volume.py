"""VolumeDataset: boxes of volumes, random ones or all of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.datasets.volumetric.boxes import Place, Size3D, SlidingBoxes, triple
from geoseg.datasets.volumetric.draws import Balance, RandomBoxes, VolumeWeights
from geoseg.datasets.volumetric.labels import Overlap, VolumeLabels
from geoseg.datasets.volumetric.reading import read_box, split
from geoseg.datasets.volumetric.rows import volumes_of
from geoseg.datasets.windowed.options import whole_of
from geoseg.datasets.windows import Batch, Item, scale_of
from geoseg.errors import ConfigError, SourceError
from geoseg.volumes.volume import Volume
from geoseg.window import Edge


class VolumeDataset(Dataset[Item]):
    """Map-style data set of boxes of volumes, which may be of any size, smaller than a box too.

    Item: `image` float32 (channel, depth, height, width), unsigned integers scaled to [0, 1], other
    dtypes cast, 0 where not valid; `mask` int64 (depth, height, width) of class ids, `ignore_id` where
    not valid; `valid` bool (depth, height, width), False outside the volume and where a channel is NaN
    or infinite; `volume` (its name), and the first `plane`, `row` and `col`.

    The masks of a volume become the ids of `classes`: 0 for the background, then its classes in their
    order from 1. With overlap="multilabel" `mask` is float32 (class, depth, height, width) of 0 and 1
    instead, 0 where not valid, and `classes` has no background.

    Item `index` of epoch `e` with one seed is the same on any worker. `set_epoch` reaches workers that
    already run. Volumes are read box by box: the pixels of a box from its file, its mask from the runs.

    ```python
    rows = VolumeZip("stacks.zip").frame("train")
    data = VolumeDataset(
        rows, (8, 64, 64), sampling="random", length=256, class_balance={"flood": 0.5}
    )
    loader = EpochLoader(data, 4, sampler=EpochSampler(data), collate_fn=collate)
    ```
    """

    def __init__(
        self,
        rows: Sequence[Volume],
        size: Size3D,
        *,
        sampling: Literal["sliding", "random"] = "sliding",
        stride: Size3D | None = None,
        edge: Edge | None = None,
        length: int | None = None,
        seed: int | None = None,
        overlap: Overlap = "error",
        class_balance: Balance = None,
        volume_weights: VolumeWeights | None = None,
        normalize: bool = True,
        labels: bool = True,
        ignore_id: int = 255,
    ) -> None:
        """Look at all volumes, and at all runs of their masks; pixels are read when asked for.

        Args:
            rows: Of a `VolumeZip`, or `ArrayVolume`s; one list of classes, number of channels and dtype
                for all.
            size: Voxels of an item, one number or (depth, height, width).
            sampling: "sliding": all boxes in order; "random": others in each epoch.
            stride: For "sliding", voxels from box to box, one number or three; None: `size`.
            edge: For "sliding", see `geoseg.window.starts`; "pad" shows no voxel twice, for validation.
                None: "flush".
            length: For "random", boxes in an epoch; None: as many as cover all volumes side by side.
            seed: For "random", a whole number from 0: another seed, other boxes. None: 0.
            overlap: What becomes of voxels in the masks of several classes: "error", "priority" (the first
                class has them) or "multilabel".
            class_balance: For "random", {class name: share of the boxes that are laid around one of its
                voxels}; the rest are drawn anywhere, and may hold it too. "balanced": equal shares for all
                classes that occur.
            volume_weights: For "random", volumes are chosen by their "size" (for boxes around a class: by
                its voxels), or all alike: "equal". None: "size".
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves `mask` out; only then volumes may lack masks.
            ignore_id: The id of voxels that are not valid.

        Raises:
            ConfigError: An argument is wrong or not for this sampling, volumes lack masks, or no voxel is of
                a class that is asked for.
            LabelError: Masks are damaged, do not fit, or overlap and may not.
            SourceError: Volumes differ in channels or dtype, or cannot be read.
            pydantic.ValidationError: Shares are no shares, or more than 1 together.
        """
        self.rows = _listed(rows)
        self.size = triple(size)
        self.normalize, self.labels, self.overlap = normalize, labels, overlap
        self.channels, self.dtype = _common_pixels(self.rows)
        _check_options(
            sampling,
            stride=stride,
            edge=edge,
            length=length,
            seed=seed,
            class_balance=class_balance,
            volume_weights=volume_weights,
        )
        self.sampling, self.ignore_id = sampling, ignore_id
        self.seed = 0 if seed is None else whole_of(seed, name="seed", least=0)
        self._labels = VolumeLabels(self.rows, overlap, ignore_id=ignore_id) if labels else None
        self.shapes = tuple(row.shape for row in self.rows)
        self._boxes = (
            self._side_by_side(stride, edge)
            if sampling == "sliding"
            else self._drawn(length, class_balance, volume_weights)
        )
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def _side_by_side(self, stride: Size3D | None, edge: Edge | None) -> SlidingBoxes:
        step = None if stride is None else triple(stride, name="stride")
        return SlidingBoxes(self.shapes, self.size, step, "flush" if edge is None else edge)

    def _drawn(
        self, length: int | None, balance: Balance, weights: VolumeWeights | None
    ) -> RandomBoxes:
        return RandomBoxes(
            self.shapes,
            self.size,
            length=length,
            seed=self.seed,
            balance=balance,
            weights="size" if weights is None else weights,
            labels=self._labels,
        )

    def __len__(self) -> int:
        return len(self._boxes)

    @property
    def classes(self) -> ClassMap | None:
        """The class map: what channels of scores stand for; None without labels."""
        return None if self._labels is None else self._labels.classes

    @property
    def counts(self) -> NDArray[np.int64] | None:
        """(volume, class) voxels, in the order of `classes`; None without labels."""
        return None if self._labels is None else self._labels.counts

    def set_epoch(self, epoch: int) -> None:
        """Choose the random boxes of an epoch, here and in running workers.

        Raises:
            ConfigError: It is no whole number from 0.
        """
        self._epoch.fill_(whole_of(epoch, name="epoch", least=0))

    def place(self, index: int) -> Place:
        """(volume number, (plane, row, col)) of an item; IndexError past the end."""
        if isinstance(self._boxes, SlidingBoxes):
            return self._boxes[index]
        return self._boxes.draw(index, int(self._epoch))

    def __getitem__(self, index: int) -> Item:
        """One item; IndexError past the end."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Batch:
        """The items of a batch, read into one piece of memory."""
        places = [self.place(index) for index in indices]
        dtype = np.dtype(np.float32) if self.normalize else self.dtype
        images = np.empty((len(places), self.channels, *self.size), dtype)
        valid = np.empty((len(places), *self.size), bool)
        scale = scale_of(self.dtype) if self.normalize else 1.0
        for image, known, (number, origin) in zip(images, valid, places, strict=True):
            read_box(self.rows[number], origin, image, known, scale=scale)
        stacked: Item = {"image": torch.from_numpy(images)}
        if self._labels is not None:
            stacked["mask"] = torch.from_numpy(self._masks(self._labels, places, valid))
        stacked["valid"] = torch.from_numpy(valid)
        stacked["volume"] = [self.rows[number].name for number, _ in places]
        origins = torch.tensor([origin for _, origin in places], dtype=torch.int64).reshape(-1, 3)
        stacked |= dict(zip(("plane", "row", "col"), origins.T.contiguous(), strict=True))
        return Batch(stacked)

    def _masks(
        self, labels: VolumeLabels, places: Sequence[Place], valid: NDArray[np.bool_]
    ) -> NDArray[Any]:
        """The labels of a batch."""
        shape = valid.shape if labels.exclusive else (len(valid), len(labels.classes), *self.size)
        masks = np.zeros(shape, np.int64 if labels.exclusive else np.float32)
        for mask, known, (number, origin) in zip(masks, valid, places, strict=True):
            inside, within = split(origin, self.size, self.shapes[number])
            labels.paint(number, inside, mask[(..., *within)])
            if not known.all():
                mask[..., ~known] = self.ignore_id if labels.exclusive else 0
        return masks


def _listed(rows: Any) -> Sequence[Volume]:
    """Volumes, seen to be a list of them."""
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes) or not rows:
        raise ConfigError("expected a list of at least one volume, as in [row]")
    return volumes_of(rows)


def _common_pixels(rows: Sequence[Volume]) -> tuple[int, np.dtype[Any]]:
    """(channels, dtype in this machine's byte order) of all volumes."""
    first = rows[0]
    channels, dtype = first.channels, np.dtype(first.dtype).newbyteorder("=")
    if dtype.kind not in "uif":
        raise SourceError(
            f"volume {first.name!r}: pixels are {dtype}, expected whole or floating numbers; convert them"
        )
    for row in rows:
        other = np.dtype(row.dtype).newbyteorder("=")
        if (row.channels, other) != (channels, dtype):
            raise SourceError(
                f"volume {row.name!r} has {row.channels} channels of {other}, but volume {first.name!r} "
                f"has {channels} of {dtype}; the volumes of one data set share both, convert some of them"
            )
    return channels, dtype


def _check_options(sampling: str, **given: Any) -> None:
    """ConfigError for an unknown sampling, and for options that it does not take."""
    one_of(sampling, ("random", "sliding"), name="sampling")
    sliding = {"stride", "edge"}
    taken = sliding if sampling == "sliding" else given.keys() - sliding
    for name, value in given.items():
        if value is not None and name not in taken:
            other = "random" if sampling == "sliding" else "sliding"
            raise ConfigError(f'{name} is for sampling="{other}", but sampling is "{sampling}"')
