"""RandomWindowGeoDataset: random windows of scenes, the same for the same seed, epoch and index."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from numpy.typing import NDArray

from geoseg.choices import one_of
from geoseg.datasets.order import block_order, fits_cache
from geoseg.datasets.windows import Place, WindowDataset
from geoseg.sampling import Boxes, RandomWindows, Sampling
from geoseg.scene import Scene
from geoseg.sources.base import Chip
from geoseg.window import Size, Window

_log = logging.getLogger("geoseg")


class RandomWindowGeoDataset(WindowDataset):
    """Random windows of the scenes, for training.

    Item `index` of epoch `e` with one seed is the same on any worker. `set_epoch` reaches workers that
    already run. `windows.draw_many(range(len(data)), epoch)` gives the places of all windows of an epoch.

    An epoch has the same windows in every `order`. Reading at random decodes each block of a file
    again and again, unless all fit GDAL's block cache; "block" therefore goes through the scenes by
    pieces of 1024 px in random order, four pieces at a time, and each piece is decoded about once
    (worth it from some 15 windows a piece). A DataLoader deals batches to its workers in turn, which
    would make all of them decode the same pieces: give it `LocalSampler` too.
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
        order: Literal["auto", "block", "uniform"] = "auto",
        class_balance: Literal["balanced"] | Mapping[str, float] | None = None,
        negative_share: float | None = None,
        background: str | None = None,
        min_valid: float = 0.0,
        min_labelled: float = 0.0,
        scene_weights: Literal["area", "equal"] = "area",
        cache: str | None = None,
    ) -> None:
        """Measure the scenes; pixels are read when asked for, or all of them once if a rule needs it.

        Args:
            scenes: Where to look; one class map, number of bands and dtype for all.
            size: Pixels of an item, one number or (height, width).
            length: Windows in an epoch.
            seed: Another seed, other windows.
            size_range: (least, most) height of the windows that are read, resized to `size`: images
                bilinearly over valid pixels, masks to the nearest. None: read as they are.
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves `mask` out.
            order: "uniform": each window anywhere; "block": neighbours soon after one another; "auto":
                "block" if the decoded scenes are larger than GDAL's block cache (GDAL_CACHEMAX) now.
                The attribute `order` says which it is.
            class_balance: This and what follows: see Sampling. {class name: share of the windows that
                are laid around one of its pixels}, or "balanced".
            negative_share: Share of the windows with background and no other class.
            background: The class that is background; None: that with id 0.
            min_valid: Least share of a window's pixels that are valid.
            min_labelled: Least share of a window's pixels with a class.
            scene_weights: Scenes are drawn by their area, or all alike.
            cache: A folder where class histograms are kept.

        Raises:
            ConfigError: An argument is wrong, or no window keeps the rules.
            pydantic.ValidationError: A rule is no such value.
            SceneError: A scene has no labels, and the rules ask for them.
        """
        super().__init__(scenes, size=size, normalize=normalize, labels=labels)
        rules = {
            "class_balance": class_balance,
            "negative_share": negative_share,
            "background": background,
            "min_valid": min_valid,
            "min_labelled": min_labelled,
            "scene_weights": scene_weights,
            "cache": cache,
        }
        self.windows = RandomWindows(
            self.scenes,
            size,
            length=length,
            seed=seed,
            size_range=size_range,
            sampling=Sampling.model_validate(rules),
        )
        self.order = _chosen(order, self.scenes)
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.windows)

    def set_epoch(self, epoch: int) -> None:
        """Choose the windows of an epoch, here and in running workers."""
        self._epoch.fill_(epoch)

    def place(self, index: int) -> Place:
        """(scene number, window) of an item; IndexError past the end."""
        position = index + len(self) if index < 0 else index
        epoch = int(self._epoch)
        if not 0 <= position < len(self) or not self._at_once:
            return self.windows.draw(position, epoch)
        number, *window = self._in_order(epoch)[position].tolist()
        return number, Window(*window)

    @property
    def _at_once(self) -> bool:
        """Whether all windows of an epoch are drawn together: for their order, or as one takes long."""
        return self.order == "block" or self.windows.sampling.looks_at_pixels

    def _in_order(self, epoch: int) -> Boxes:
        """All windows of an epoch in order, found once by each thread that asks."""
        known: tuple[int, Boxes] | None = getattr(self._local, "ordered", None)
        if known is None or known[0] != epoch:
            boxes = self.windows.draw_many(range(len(self)), epoch)
            if self.order == "block":
                boxes = boxes[block_order(boxes, seed=self.windows.seed, epoch=epoch)]
            known = self._local.ordered = epoch, boxes
        return known[1]

    def _read(self, number: int, window: Window) -> Chip:
        chip = super()._read(number, window)
        return chip if window.shape == self.size else _resize_chip(chip, self.size)

    def _read_mask(self, number: int, window: Window, valid: NDArray[np.bool_]) -> NDArray[Any]:
        if window.shape == self.size:
            return super()._read_mask(number, window, valid)
        whole = super()._read_mask(number, window, np.ones(window.shape, bool))
        return np.where(valid, _nearest(whole, self.size), self.ignore_id)


def _chosen(
    order: Literal["auto", "block", "uniform"], scenes: Sequence[Scene]
) -> Literal["block", "uniform"]:
    one_of(order, ("auto", "block", "uniform"), name="order")
    if order == "auto":
        chosen: Literal["block", "uniform"] = "uniform" if fits_cache(scenes) else "block"
        _log.info("random windows of %d scenes are read in %s order", len(scenes), chosen)
        return chosen
    return order


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
