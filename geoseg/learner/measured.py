"""What is known of a data set: of its scenes where it has some, else of its items."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset

from geoseg.datasets.pixels import Pixels, pixels_of
from geoseg.datasets.windows import WindowDataset, scale_of
from geoseg.errors import ConfigError
from geoseg.learner.facts import DataFacts, facts_of
from geoseg.learner.items import item_of
from geoseg.learner.standardized import common_standardize, warn_of_hidden
from geoseg.scene import Scene
from geoseg.sources.statistics import RunningStatistics, Statistics

ITEMS = 512
"""Items that are looked at, evenly spread."""
_PIXELS = 64_000_000
"""Pixels after which more do not change a mean."""


def facts_of_dataset(dataset: Dataset[dict[str, Any]]) -> DataFacts:
    """Bands, dtype, statistics and resolution of the data of a data set.

    One of geoseg's kinds has scenes, or tells of its pixels (`pixels`), all but the statistics; these are
    of its items.

    Raises:
        GeosegError: As of `facts_of` and `facts_of_items`.

    Warns:
        UserWarning: As `facts_of` does.
    """
    scenes = scenes_of(dataset)
    if scenes is None:
        pixels = pixels_of(dataset)
        found = facts_of_items(dataset)
        return found if pixels is None else _in_units_of(pixels, found)
    if common_standardize(scenes) is not None:
        return facts_of(scenes)  # the items hold no pixels in the source's units
    warn_of_hidden(scenes)
    image, resolution = scenes[0].image, scenes[0].grid.ground_resolution
    pixels = Pixels(image.band_names, np.dtype(image.dtype), resolution)
    return _in_units_of(pixels, facts_of_items(dataset))


def scenes_of(dataset: Dataset[dict[str, Any]]) -> tuple[Scene, ...] | None:
    """The scenes whose windows a data set gives, as they are read; None where that is not known.

    It is known of geoseg's own kinds, and of what torch's Subset and ConcatDataset make of them, but not
    where a class of one's own makes other items of them.
    """
    if isinstance(dataset, Subset):
        return scenes_of(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        parts = [scenes_of(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return sum(known, ()) if len(known) == len(parts) else None
    if not isinstance(dataset, WindowDataset):
        return None
    return dataset.scenes if gives_own_items(dataset) else None


def gives_own_items(dataset: object) -> bool:
    """Whether geoseg itself makes the items of a data set, not a class of one's own derived from its kinds."""
    found = (getattr(type(dataset), name, None) for name in ("__getitem__", "__getitems__"))
    return all(reader is None or reader.__module__.startswith("geoseg.") for reader in found)


def facts_of_items(dataset: Dataset[dict[str, Any]], limit: int = ITEMS) -> DataFacts:
    """Channels, dtype and statistics over valid pixels of the images of a data set's items.

    The state of torch's random numbers stays as it was.

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
        running = RunningStatistics(len(image))
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
    return DataFacts(
        band_names=tuple(str(number) for number in range(1, len(image) + 1)),
        dtype=image.dtype.name,
        statistics=running.result(),
        resolution_m=None,
        origin="items",
    )


def _in_units_of(pixels: Pixels, found: DataFacts) -> DataFacts:
    """What was measured on items, of the pixels that they were made of."""
    scale = scale_of(pixels.dtype) / scale_of(np.dtype(found.dtype))
    return DataFacts(
        band_names=pixels.band_names,
        dtype=pixels.dtype.name,
        statistics=_divided(found.statistics, scale),
        resolution_m=pixels.resolution_m,
    )


def _divided(statistics: Statistics, scale: float) -> Statistics:
    """Those of pixels before they were multiplied with a scale."""
    mean, std = (tuple(v / scale for v in values) for values in (statistics.mean, statistics.std))
    return statistics.model_copy(update={"mean": mean, "std": std})
