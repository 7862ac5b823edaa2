"""Whether validation data look to a model as its training data do: bands, units and classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Dataset, Subset

from geoseg.classes import ClassMap
from geoseg.datasets.pixels import pixels_of
from geoseg.datasets.windows import WindowDataset, listed
from geoseg.errors import ConfigError
from geoseg.learner.items import Item, item_of
from geoseg.learner.measured import gives_own_items, scenes_of
from geoseg.learner.samples import Samples
from geoseg.learner.standardized import standardize_of, told, without_standardize
from geoseg.sources.base import has_names
from geoseg.sources.transforms.scaling import Standardize

_LEAST, _MOST = -1.0, 2.0
"""Pixels in [0, 1] stay in this, also where they are augmented; those in other units do not."""


def check_classes(dataset: Dataset[dict[str, Any]], classes: ClassMap, *, what: str) -> None:
    """See that a data set that tells its classes has those of the model.

    Args:
        dataset: One of geoseg's kinds; others tell nothing.
        classes: Of the model.
        what: Which data it is, such as "training".

    Raises:
        ConfigError: It has others.
    """
    for found in _class_maps(dataset):
        if (found.ids, found.names) != (classes.ids, classes.names):
            raise ConfigError(
                f"the data set for {what} has the classes {list(found.names)} with ids {list(found.ids)}, "
                f"but the model has {list(classes.names)} with ids {list(classes.ids)}; use one class map"
            )


def check_alike(train: Samples, valid: Samples) -> None:
    """See that what is measured on looks to the model as what it learns from.

    Where both tell bands, dtype and Standardize of their files, these are compared. A data set of one's own
    tells nothing: its first item is looked at.

    Raises:
        ConfigError: They differ, or an item is none.
        LabelError: The mask of an item is no whole numbers.
    """
    if any(isinstance(part, Dataset) and not len(part) for part in (train, valid)):  # type: ignore[arg-type]
        return  # which is told elsewhere
    one, other = _told(train), _told(valid)
    if one is not None and other is not None:
        _compare(one, other, adapted=not isinstance(valid, Dataset))
    else:
        _compare_looks(_look(train, one), _look(valid, other))


@dataclass(frozen=True, slots=True)
class _Told:
    """What samples tell of their images."""

    band_names: tuple[str, ...]
    dtype: np.dtype[Any]
    """Before the Standardize."""
    standardize: Standardize | None


@dataclass(frozen=True, slots=True)
class _Look:
    """What an image is to the model, which scales unsigned integers to [0, 1] and takes others as they are."""

    channels: int
    dtype: np.dtype[Any]
    reach: tuple[float, float] | None = None
    """The least and the largest valid number; None for unsigned integers, and where no item was read."""

    @property
    def unsigned(self) -> bool:
        return self.dtype.kind in "ub"

    @property
    def within_one(self) -> bool:
        return self.reach is None or (self.reach[0] >= _LEAST and self.reach[1] <= _MOST)

    def __str__(self) -> str:
        numbers = "" if self.reach is None else f" from {self.reach[0]:.4g} to {self.reach[1]:.4g}"
        return f"{self.channels} channels of {self.dtype}{numbers}"


def _told(samples: Samples) -> _Told | None:
    scenes = scenes_of(samples) if isinstance(samples, Dataset) else listed(samples)
    if scenes is None:
        pixels = pixels_of(samples)
        return None if pixels is None else _Told(pixels.band_names, pixels.dtype, None)
    image = without_standardize(scenes[0]).image
    return _Told(image.band_names, np.dtype(image.dtype), standardize_of(scenes[0].image))


def _compare(train: _Told, valid: _Told, *, adapted: bool) -> None:
    """Compare what is told.

    Args:
        train: Of the training data.
        valid: Of the validation data.
        adapted: Whether these get the Standardize of the training data when they are read.
    """
    one, other = train.band_names, valid.band_names
    if len(one) != len(other) or (one != other and has_names(one) and has_names(other)):
        raise ConfigError(
            f"the validation data have the bands ({', '.join(other)}), but the training data have "
            f"({', '.join(one)}); choose the same in the same order with bands=..."
        )
    if train.dtype != valid.dtype:
        raise ConfigError(
            f"the validation data are pixels of {valid.dtype}, but the training data of {train.dtype}; give "
            "both in one dtype and unit"
        )
    if train.standardize != valid.standardize and not adapted:
        raise ConfigError(
            f"the images of the validation data end with {told(valid.standardize)}, but those of the "
            f"training data with {told(train.standardize)}; give both the same"
        )


def _look(samples: Samples, known: _Told | None) -> _Look:
    if known is not None and known.standardize is None and known.dtype.kind in "ub":
        return _Look(len(known.band_names), known.dtype)
    if isinstance(samples, Dataset):
        return _of_item(item_of(samples, 0))
    return _Look(len(samples[0].image.band_names), np.dtype(np.float32))  # once it is read


def _of_item(item: Item) -> _Look:
    image, measured = item.image, item.image[:, item.valid]
    if image.dtype.kind in "ub" or not measured.size:
        return _Look(len(image), image.dtype)
    return _Look(len(image), image.dtype, (float(measured.min()), float(measured.max())))


def _compare_looks(train: _Look, valid: _Look) -> None:
    both = f"the items for validation are {valid}, but those for training {train}"
    if train.channels != valid.channels:
        raise ConfigError(f"{both}; give both the same bands")
    if train.unsigned and valid.unsigned:
        alike = train.dtype == valid.dtype
    elif train.unsigned or valid.unsigned:
        alike = train.within_one and valid.within_one
    else:
        alike = None in (train.reach, valid.reach) or train.dtype.kind == valid.dtype.kind
    if not alike:
        raise ConfigError(
            f"{both}, and only unsigned integers are scaled to [0, 1]; give both in one dtype and unit"
        )


def _class_maps(dataset: object) -> Iterator[ClassMap]:
    """The class maps that a data set tells, those of its parts for torch's Subset and ConcatDataset."""
    if isinstance(dataset, Subset):
        yield from _class_maps(dataset.dataset)
    elif isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from _class_maps(part)
    elif not gives_own_items(dataset):
        return
    elif isinstance(dataset, WindowDataset):
        labels = [scene.labels for scene in dataset.scenes if scene.labels is not None]
        yield from [part.class_map for part in labels[:1]]  # a data set has one
    elif isinstance(found := getattr(dataset, "classes", None), ClassMap):
        yield found
