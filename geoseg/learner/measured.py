"""Mean and deviation of the images of a data set of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from geoseg.datasets.windows import scale_of
from geoseg.errors import ConfigError
from geoseg.sources.statistics import RunningStatistics

ITEMS = 512
"""Items that are looked at, evenly spread."""
_PIXELS = 64_000_000
"""Pixels after which more do not change a mean."""
_KEYS = ("image", "mask", "valid")
_AXES = 3


def dataset_statistics(
    dataset: Dataset[dict[str, Any]], limit: int = ITEMS
) -> tuple[list[float], list[float]]:
    """(mean, deviation) of each channel over valid pixels, for images scaled to [0, 1].

    Unsigned integers are scaled as the SegmentationModule does it, other numbers stay; the deviation of a
    constant channel is 1. The state of torch's random numbers stays as it was.

    Args:
        dataset: Map-style, with the keys `image` (channel, height, width), `mask` and `valid` (height,
            width).
        limit: Items that are looked at, at most.

    Raises:
        ConfigError: The data set is empty, an item lacks a key, or shapes do not fit.
        SourceError: No pixel is valid, or a valid one is NaN or infinite.
    """
    total: int = len(dataset)  # type: ignore[arg-type]
    if not total:
        raise ConfigError("the data set for training is empty; expected at least one item")
    with torch.random.fork_rng(devices=[]):
        image, valid = _measured(dataset, 0)
        running, scale = RunningStatistics(len(image)), scale_of(image.dtype)
        count = max(min(limit, total, _PIXELS // valid.size), 1)
        running.update(image, valid)
        for number in np.unique(np.linspace(0, total - 1, count).round().astype(int))[1:].tolist():
            other, valid = _measured(dataset, number)
            if (len(other), other.dtype) != (len(image), image.dtype):
                raise ConfigError(
                    f"item {number} of the data set has {len(other)} channels of {other.dtype}, but item 0 "
                    f"has {len(image)} of {image.dtype}; give all items the same"
                )
            running.update(other, valid)
    found = running.result()
    deviation = [value * scale if value > 0 else 1.0 for value in found.std]
    return [value * scale for value in found.mean], deviation


def _measured(
    dataset: Dataset[dict[str, Any]], number: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(channel, height, width) pixels of an item, and (height, width) where they are valid."""
    item: Any = dataset[number]
    lacking = [key for key in _KEYS if not isinstance(item, dict) or key not in item]
    if lacking:
        got = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise ConfigError(
            f"item {number} of the data set is {got}, expected a dict with the keys image (channel, height, "
            f"width), mask and valid (height, width); it lacks {', '.join(lacking)}"
        )
    image, valid = torch.as_tensor(item["image"]), torch.as_tensor(item["valid"])
    shapes = tuple(image.shape), tuple(torch.as_tensor(item["mask"]).shape), tuple(valid.shape)
    if image.ndim != _AXES or shapes[1] != shapes[0][1:] or shapes[2] != shapes[0][1:]:
        raise ConfigError(
            f"item {number} of the data set: image is {shapes[0]}, mask {shapes[1]} and valid {shapes[2]}, "
            "expected (channel, height, width) and twice (height, width)"
        )
    pixels = image.float() if image.is_floating_point() else image
    return pixels.numpy(), valid.numpy().astype(bool)
