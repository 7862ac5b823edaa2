"""Prediction of a volume with a trained module: scores slab by slab, and the classes of its voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.classes import ClassMap
from geoseg.datasets.windowed.options import whole_of
from geoseg.datasets.windows import scale_of
from geoseg.errors import ConfigError
from geoseg.learner.fitting.network import logits_of
from geoseg.learner.prediction.volumes import Side, Slab, VolumeBlend, predict_volume
from geoseg.learner.volumes.module import VolumeModule
from geoseg.learner.volumes.predicted import PredictedVolume
from geoseg.learner.volumes.validity import finite
from geoseg.volumes.volume import Volume

_SPATIAL = 3
_THRESHOLD = 0.5


@dataclass(frozen=True)
class VolumeOptions:
    """How volumes are predicted."""

    size: Side
    """Voxels of a window, (depth, height, width)."""
    stride: Side | None = None
    """From window to window; None: half a window."""
    blend: VolumeBlend = "gaussian"
    """How overlapping windows are joined, see `predict_volume`."""
    batch_size: int = 4
    """Windows in a step."""
    threshold: float | None = None
    """Of classes that may overlap: the least score of a voxel in a class; None: 0.5. Exclusive classes have
    none."""
    half: torch.dtype | None = None
    """Number format of the arithmetic where 16 bits are enough; None: 32 bits."""

    def __post_init__(self) -> None:
        whole_of(self.batch_size, name="batch_size", least=1)
        given = self.threshold
        number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
        if given is not None and not (number and 0 <= given <= 1):
            raise ConfigError(f"threshold is {given!r}, expected a number from 0 to 1")


def slabs_of(
    module: VolumeModule, image: NDArray[Any], options: VolumeOptions, *, where: str
) -> Iterator[Slab]:
    """Scores of a volume, normalised as the module has it; see `predict_volume`.

    Args:
        module: On the device on which it computes, in `eval` mode.
        image: (channel, depth, height, width) in the units of training.
        options: Windows and how they are joined.
        where: What an error calls the volume.

    Raises:
        ConfigError: The volume has another number of channels, or an option cannot be.
    """
    channels = len(module.mean)
    # One mean of a network of one's own may serve any number of channels.
    any_number = channels == 1 and "model" not in module.hparams
    if image.ndim != 1 + _SPATIAL or (len(image) != channels and not any_number):
        raise ConfigError(
            f"{where}: the image is {image.shape}, expected (channel, depth, height, width) of "
            f"{channels} channels"
        )
    normal: Any = _Normal(image, module)
    return predict_volume(
        _scores(module, options.half),
        normal,
        options.size,
        options.stride,
        blend=options.blend,
        activation="sigmoid" if module.multilabel else "softmax",
        batch_size=options.batch_size,
        device=module.mean.device,
    )


def chosen(
    scores: NDArray[np.float32], classes: ClassMap, *, multilabel: bool, threshold: float
) -> NDArray[Any]:
    """The class ids of voxels, or the masks of classes that may overlap.

    Args:
        scores: (class, planes, height, width).
        classes: In that order.
        multilabel: Whether classes may overlap.
        threshold: The least score of a voxel in a class that may overlap.

    Returns:
        uint8 (planes, height, width), or bool (class, planes, height, width).
    """
    if multilabel:
        return scores >= threshold
    ids: NDArray[np.uint8] = np.array(classes.ids, np.uint8)[scores.argmax(axis=0)]
    return ids


def predicted(
    module: VolumeModule,
    row: Volume,
    image: NDArray[Any],
    options: VolumeOptions,
    *,
    scores: Callable[[tuple[int, ...]], NDArray[Any]] | None = None,
) -> PredictedVolume:
    """The classes of a volume's voxels; beside them memory does not grow with the depth.

    A voxel with a channel that is NaN or infinite has no class and scores of 0.

    Args:
        module: As in `slabs_of`.
        row: The volume.
        image: Its pixels.
        options: Windows and how they are joined.
        scores: Makes the array of a shape (class, depth, height, width) which is filled with the scores;
            None: they are not kept.
    """
    classes, shape = module.classes, row.shape
    valid = finite(image)
    kept = None if scores is None else scores((len(classes), *shape))
    voxels = (
        np.empty((len(classes), *shape), bool) if module.multilabel else np.empty(shape, np.uint8)
    )
    for plane, slab in slabs_of(module, image, options, where=f"volume {row.name!r}"):
        planes = slice(plane, plane + slab.shape[1])
        found = chosen(
            slab,
            classes,
            multilabel=module.multilabel,
            threshold=_THRESHOLD if options.threshold is None else options.threshold,
        )
        if valid is not None:
            found[..., ~valid[planes]] = False if module.multilabel else classes.ignore_id
            slab[:, ~valid[planes]] = 0
        voxels[..., planes, :, :] = found
        if kept is not None:
            kept[:, planes] = slab
    return PredictedVolume(row.name, classes, voxels, kept, valid)


def _scores(module: VolumeModule, half: torch.dtype | None) -> Callable[[Tensor], Tensor]:
    """Logits of normalised windows."""
    device = module.mean.device.type

    def logits(windows: Tensor) -> Tensor:
        with torch.autocast(device, dtype=half, enabled=half is not None):
            return logits_of(module.network, windows, classes=len(module.classes))

    return logits


class _Normal:
    """The pixels of a volume as the network sees them, normalised when they are read.

    What is not valid becomes 0 here, as what lies around the volume does in `predict_volume` and in training.
    """

    def __init__(self, image: NDArray[Any], module: VolumeModule) -> None:
        self._image = image
        self.shape, self.ndim = image.shape, image.ndim
        self._scale = np.float32(scale_of(image.dtype))
        self._mean, self._std = module.mean.cpu().numpy(), module.std.cpu().numpy()

    def __len__(self) -> int:
        return len(self._image)

    def __getitem__(self, box: Sequence[Any]) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels are not valid
            pixels = self._image[tuple(box)].astype(np.float32)
            normal = (pixels * self._scale - self._mean) / self._std
        found: NDArray[np.float32] = np.where(np.isfinite(pixels).all(axis=0), normal, 0.0)
        return found.astype(np.float32, copy=False)
