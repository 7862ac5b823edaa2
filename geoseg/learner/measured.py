"""Mean and deviation of the images of a data set of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from geoseg.datasets.windows import scale_of
from geoseg.errors import ConfigError
from geoseg.learner.items import item_of
from geoseg.sources.statistics import RunningStatistics

ITEMS = 512
"""Items that are looked at, evenly spread."""
_PIXELS = 64_000_000
"""Pixels after which more do not change a mean."""


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
        ConfigError: The data set is empty, an item lacks a key, shapes do not fit, or `valid` is neither
            bool nor 0 and 1.
        LabelError: A mask is no whole numbers.
        SourceError: No pixel is valid, or a valid one is NaN or infinite.
    """
    total: int = len(dataset)  # type: ignore[arg-type]
    if not total:
        raise ConfigError("the data set for training is empty; expected at least one item")
    with torch.random.fork_rng(devices=[]):
        first = item_of(dataset, 0)
        image, valid = first.image, first.valid
        running, scale = RunningStatistics(len(image)), scale_of(image.dtype)
        count = max(min(limit, total, _PIXELS // valid.size), 1)
        running.update(image, valid)
        for number in np.unique(np.linspace(0, total - 1, count).round().astype(int))[1:].tolist():
            item = item_of(dataset, number)
            other = item.image
            if (len(other), other.dtype) != (len(image), image.dtype):
                raise ConfigError(
                    f"item {number} of the data set has {len(other)} channels of {other.dtype}, but item 0 "
                    f"has {len(image)} of {image.dtype}; give all items the same"
                )
            running.update(other, item.valid)
    found = running.result()
    deviation = [value * scale if value > 0 else 1.0 for value in found.std]
    return [value * scale for value in found.mean], deviation
