"""What the data sets over scenes share: windows read into one batch of tensors."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate, get_worker_info

from geoseg.errors import ConfigError, SceneError
from geoseg.scene import Scene
from geoseg.sources.base import Chip, has_names
from geoseg.window import Size, Window, pair

Item = dict[str, Any]
Place = tuple[int, Window]
"""(scene number, window)."""


class Batch(Sequence[Item]):
    """The items of one batch, as views of `stacked` that are made when asked for."""

    def __init__(self, stacked: Item) -> None:
        """Take the batch as one dict of tensors (and lists) along their first axis."""
        self.stacked = stacked

    def __len__(self) -> int:
        return len(self.stacked["valid"])

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """One item, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        item = {key: value[index] for key, value in self.stacked.items()}
        return item | {key: int(item[key]) for key in ("plane", "row", "col") if key in item}


def collate(items: Sequence[Item]) -> Item:
    """A batch of items as one dict of tensors (and lists of text); free for items read together."""
    if isinstance(items, Batch):
        return items.stacked
    stacked: Item = default_collate(list(items))
    return stacked


def listed(scenes: Any) -> tuple[Scene, ...]:
    """Scenes as a tuple.

    Raises:
        ConfigError: They are no list (a lone Scene would be taken apart field by field), or none.
    """
    if isinstance(scenes, Scene) or not scenes:
        raise ConfigError("expected a list of at least one scene, as in [scene]")
    return tuple(scenes)


def scale_of(dtype: np.dtype[Any]) -> float:
    """What pixels of a dtype are multiplied with: unsigned integers go to [0, 1], others stay."""
    return 1.0 / np.iinfo(dtype).max if dtype.kind == "u" else 1.0


def as_tensors(
    images: NDArray[Any],
    valid: NDArray[np.bool_],
    masks: NDArray[np.int64] | None,
    *,
    normalize: bool,
) -> Item:
    """What was read of a batch, as `image`, `mask` (where there are any) and `valid`.

    Args:
        images: (item, channel, height, width).
        valid: (item, height, width).
        masks: (item, height, width) of class ids.
        normalize: Whether images become float32, unsigned integers in [0, 1].
    """
    image = torch.from_numpy(images)
    if normalize:
        scale = scale_of(images.dtype)
        image = image.to(torch.float32)
        image = image.mul_(scale) if scale != 1.0 else image
    stacked: Item = {"image": image}
    if masks is not None:
        stacked["mask"] = torch.from_numpy(masks)
    stacked["valid"] = torch.from_numpy(valid)
    return stacked


class WindowDataset(Dataset[Item]):
    """Map-style data set of windows of scenes.

    Item: `image` float32 (channel, height, width), unsigned integers scaled to [0, 1], other dtypes
    cast, 0 where not valid; `mask` int64 (height, width) of class ids, `ignore_id` outside the AOI,
    the raster and where not valid; `valid` bool (height, width); `scene`, `row`, `col`.
    """

    def __init__(
        self, scenes: Sequence[Scene], *, size: Size, normalize: bool, labels: bool
    ) -> None:
        """See the kinds for the arguments."""
        self.scenes = listed(scenes)
        self.size = pair(size)
        self.normalize = normalize
        self.labels = labels
        self.ignore_id = _common_ignore_id(self.scenes) if labels else 255
        self.dtype, self.channels = _common_pixels(self.scenes)
        self._local = threading.local()

    @abstractmethod
    def __len__(self) -> int:
        """Number of windows."""

    @abstractmethod
    def place(self, index: int) -> Place:
        """(scene number, window) of an item; IndexError past the end."""

    def __getitem__(self, index: int) -> Item:
        """One item; IndexError past the end."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Batch:
        """The items of a batch, read into one piece of memory."""
        places = [self.place(index) for index in indices]
        images = np.empty((len(places), self.channels, *self.size), self.dtype)
        valid = np.empty((len(places), *self.size), bool)
        self._fill(places, images, valid)
        masks = self._read_masks(places, valid) if self.labels else None
        return self._pack(places, images, valid, masks)

    def __getstate__(self) -> dict[str, Any]:
        """Without the ring of rows, which belongs to one thread."""
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def _fill(
        self, places: Sequence[Place], images: NDArray[Any], valid: NDArray[np.bool_]
    ) -> None:
        """Read the pixels of a batch into its arrays."""
        for image, known, (number, window) in zip(images, valid, places, strict=True):
            write_chip(image, known, self._read(number, window))

    def _read(self, number: int, window: Window) -> Chip:
        return self.scenes[number].pixels.read(window)

    def _read_masks(self, places: Sequence[Place], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
        masks = np.empty(valid.shape, np.int64)
        for mask, known, (number, window) in zip(masks, valid, places, strict=True):
            mask[...] = self._read_mask(number, window, known)
        return masks

    def _read_mask(self, number: int, window: Window, valid: NDArray[np.bool_]) -> NDArray[Any]:
        labels = self.scenes[number].read_labels(window, valid)
        return np.full(window.shape, self.ignore_id) if labels is None else labels

    def _pack(
        self,
        places: list[Place],
        images: NDArray[Any],
        valid: NDArray[np.bool_],
        masks: NDArray[np.int64] | None,
    ) -> Batch:
        stacked = as_tensors(images, valid, masks, normalize=self.normalize)
        stacked["scene"] = [self.scenes[number].id for number, _ in places]
        stacked["row"] = torch.tensor([window.row for _, window in places])
        stacked["col"] = torch.tensor([window.col for _, window in places])
        return Batch(stacked)


def in_worker() -> bool:
    """Whether this process is a DataLoader's worker."""
    return get_worker_info() is not None


def write_chip(image: NDArray[Any], valid: NDArray[np.bool_], chip: Chip) -> None:
    """Copy a chip into its place in the batch; what is not valid becomes 0 (it could be NaN)."""
    image[...] = chip.data
    valid[...] = chip.valid
    hide_missing(image, valid)


def hide_missing(image: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    """Make (band, height, width) 0 where (height, width) is not valid."""
    if not valid.all():
        image[:, ~valid] = 0


def _common_ignore_id(scenes: tuple[Scene, ...]) -> int:
    maps = {s.id: s.labels.class_map for s in scenes if s.labels is not None}
    if not maps:
        return 255
    (first, expected), *others = maps.items()
    for name, found in others:
        if (found.ids, found.names, found.ignore_id) != (
            expected.ids,
            expected.names,
            expected.ignore_id,
        ):
            raise SceneError(
                f"scene {name!r} has the classes {dict(zip(found.ids, found.names, strict=True))}, but "
                f"scene {first!r} has {dict(zip(expected.ids, expected.names, strict=True))}; the scenes "
                "of one data set share one class map"
            )
    return expected.ignore_id


def _common_pixels(scenes: tuple[Scene, ...]) -> tuple[np.dtype[Any], int]:
    first = scenes[0]
    dtype, names = first.image.dtype, first.image.band_names
    if dtype.kind not in "uif":
        raise SceneError(
            f"scene {first.id!r}: pixels are {dtype}, expected whole or floating numbers; convert them"
        )
    for scene in scenes[1:]:
        if (scene.image.dtype, len(scene.image.band_names)) != (dtype, len(names)):
            raise SceneError(
                f"scene {scene.id!r} has {len(scene.image.band_names)} bands of {scene.image.dtype}, "
                f"but scene {first.id!r} has {len(names)} of {dtype}; choose the same bands=... and "
                "dtype for all scenes of a data set"
            )
        other = scene.image.band_names
        if other != names and has_names(other) and has_names(names):
            raise SceneError(
                f"scene {scene.id!r} has the bands ({', '.join(other)}), but scene {first.id!r} has "
                f"({', '.join(names)}); choose them by name in one order with bands=..."
            )
    return dtype, len(names)
