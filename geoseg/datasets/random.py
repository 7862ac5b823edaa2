"""RandomWindowGeoDataset: random windows of scenes, the same for the same seed, epoch and index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from numpy.typing import NDArray

from geoseg.datasets.windows import WindowDataset
from geoseg.sampling import RandomWindows
from geoseg.scene import Scene
from geoseg.sources.base import Chip
from geoseg.window import Size, Window


class RandomWindowGeoDataset(WindowDataset):
    """Random windows of the scenes, for training.

    Item `index` of epoch `e` with one seed is the same on any worker. `set_epoch` reaches workers that
    already run.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        size: Size,
        length: int,
        *,
        seed: int = 0,
        size_range: tuple[int, int] | None = None,
        normalize: bool = True,
        labels: bool = True,
    ) -> None:
        """Measure the scenes; pixels are read when asked for.

        Args:
            scenes: Where to look; one class map, number of bands and dtype for all.
            size: Pixels of an item, one number or (height, width).
            length: Windows in an epoch.
            seed: Another seed, other windows.
            size_range: (least, most) height of the windows that are read, resized to `size`: images
                bilinearly over valid pixels, masks to the nearest. None: read as they are.
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves `mask` out.
        """
        super().__init__(scenes, size=size, normalize=normalize, labels=labels)
        self.windows = RandomWindows(
            self.scenes, size, length=length, seed=seed, size_range=size_range
        )
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.windows)

    def set_epoch(self, epoch: int) -> None:
        """Choose the windows of an epoch, here and in running workers."""
        self._epoch.fill_(epoch)

    def place(self, index: int) -> tuple[int, Window]:
        """(scene number, window) of an item; IndexError past the end."""
        position = index + len(self) if index < 0 else index
        return self.windows.draw(position, epoch=int(self._epoch))

    def _read(self, number: int, window: Window) -> Chip:
        chip = super()._read(number, window)
        return chip if window.shape == self.size else _resize_chip(chip, self.size)

    def _read_mask(self, number: int, window: Window, valid: NDArray[np.bool_]) -> NDArray[Any]:
        if window.shape == self.size:
            return super()._read_mask(number, window, valid)
        whole = super()._read_mask(number, window, np.ones(window.shape, bool))
        return np.where(valid, _nearest(whole, self.size), self.ignore_id)


def _nearest(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(height, width) resized: each new pixel takes the old one under its centre."""
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, plane.shape, strict=True)
    )
    resized: NDArray[Any] = plane[np.ix_(rows, cols)]
    return resized


def _resize_chip(chip: Chip, size: tuple[int, int]) -> Chip:
    """Bilinear over valid pixels only (anti-aliased), so that nodata does not bleed in."""
    weight = torch.from_numpy(chip.valid.astype(np.float32))[None, None]
    data = np.where(chip.valid, chip.data, 0).astype(np.float32)
    total = _bilinear(torch.from_numpy(data)[None] * weight, size)
    mean = (total / _bilinear(weight, size).clamp_min(1e-6))[0].numpy()
    if chip.data.dtype.kind in "iu":
        limits = np.iinfo(chip.data.dtype)
        mean = np.clip(np.rint(mean), limits.min, limits.max)
    return Chip(mean.astype(chip.data.dtype), _nearest(chip.valid, size))


def _bilinear(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)
