"""From scenes and options to a module and its data, looked at before any training begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.epochs import tell_epoch
from geoseg.learner.alike import check_classes
from geoseg.learner.data import SegmentationData
from geoseg.learner.facts import (
    DataFacts,
    as_trained,
    check_labels,
    facts_of,
    scaled_statistics,
)
from geoseg.learner.fitting.counting import Counted, check_counts, count_labels
from geoseg.learner.fitting.precheck import check_module
from geoseg.learner.items import item_of
from geoseg.learner.measured import facts_of_dataset
from geoseg.learner.module import SegmentationModule
from geoseg.learner.samples import Samples
from geoseg.learner.standardized import common_standardize
from geoseg.learner.training import Training
from geoseg.learner.volumes.data import VolumeData
from geoseg.sampling.boxes import least_size
from geoseg.warn import warn
from geoseg.window import pair

Statistics = tuple[Sequence[float], Sequence[float]]
"""(mean, deviation) of each channel of images scaled to [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What a training needs."""

    module: SegmentationModule
    """With random weights, or those of a network of one's own."""
    data: SegmentationData | VolumeData
    """What it is trained on."""
    facts: DataFacts
    """What it must know of the data later."""
    counted: Counted
    """Labelled pixels of the training data."""

    @property
    def histogram(self) -> dict[str, int]:
        """Class name to labelled pixels; of a data set those of the items that were looked at."""
        names = self.module.classes.names
        return dict(zip(names, self.counted.counts.sum(axis=0).tolist(), strict=True))


def prepare(
    classes: ClassMap,
    training: Training,
    train: Samples,
    valid: Samples | None = None,
    *,
    model: nn.Module | None = None,
    augmentation: Callable[..., Any] | None = None,
) -> Prepared:
    """Look at the data, and build a module for them.

    Scenes are read through once for statistics and once for the classes.

    Args:
        classes: What the model tells apart.
        training: How it is trained.
        train: Scenes with labels, or a map-style data set.
        valid: The same to measure on; None: no measuring.
        model: A network of one's own; None: that of the training.
        augmentation: In place of that of the training.

    Raises:
        GeosegError: The data do not fit the classes, each other or the network, or there is nothing to
            learn from.
    """
    data = data_of(training, train, valid)
    tell_epoch(train, 0)  # an earlier training may have told another
    if isinstance(train, Dataset):
        check_classes(train, classes, what="training")
        warn_of_size(training, train)
    else:
        check_labels(train, classes)
        common_standardize(train)  # raises where scenes end differently
    counted = _count(classes, training, train)
    check_counts(train, counted)
    data.train_dataloader()  # raises where scenes do not fit each other, or no window keeps the rules
    if training.devices > 1:
        data.check_ranks(training.devices)
    facts, statistics = _look_at(train)
    if valid is not None and not isinstance(valid, Dataset):
        check_labels(valid, classes)
        for scene in valid:
            as_trained(facts, scene)  # raises where it cannot be
    data.check(classes)  # raises where training and validation differ
    if isinstance(valid, Dataset):
        count_labels(valid, classes)  # raises where its items are none
    module = build_module(
        classes,
        training,
        len(statistics[0]),
        model=model,
        statistics=statistics,
        pretrained=True,
        augmentation=augmentation,
    )
    module.weigh(counted.counts)
    check_module(module, training)
    return Prepared(module, data, facts, counted)


def warn_of_size(training: Training, train: Dataset[dict[str, Any]]) -> None:
    """Tell that the items of a data set are taken as they are, whatever size the training asks for.

    Warns:
        UserWarning: It asks for another one.
    """
    if "size" not in training.model_fields_set or not len(train):  # type: ignore[arg-type]
        return
    found, asked = item_of(train, 0).valid.shape, pair(training.image_size)
    if found != asked:
        warn(
            f"the training asks for windows of {asked[0]} x {asked[1]} px, but the items of the data set are "
            f"{found[0]} x {found[1]} px and are taken as they are; give the data set that size, or leave "
            "`size` out of the training and name that of windows in prediction there"
        )


def data_of(training: Training, train: Samples, valid: Samples | None) -> SegmentationData:
    """The windows of a training."""
    return SegmentationData(
        train,
        valid,
        size=training.image_size,
        length=training.length,
        batch_size=training.batch_size,
        seed=training.seed,
        workers=training.workers,
        order=training.order,
        sampling=training.sampling,
    )


def build_module(
    classes: ClassMap,
    training: Training,
    channels: int,
    *,
    model: nn.Module | None = None,
    statistics: Statistics | None = None,
    pretrained: bool = False,
    augmentation: Callable[..., Any] | None = None,
) -> SegmentationModule:
    """The module of a training, the same for the same seed.

    Args:
        classes: What the model tells apart.
        training: How it is trained.
        channels: Of the image.
        model: A network of one's own; None: that of the training.
        statistics: For normalisation; None: (0, 1).
        pretrained: Whether the encoder begins with the weights that the training names; else random.
        augmentation: In place of that of the training.
    """
    mean, std = statistics or (None, None)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(training.seed)
        return SegmentationModule(
            classes,
            channels,
            model=training.model if model is None else model,
            encoder=training.encoder,
            weights=training.weights if pretrained else None,
            model_options=training.model_options,
            loss=training.loss,
            loss_options=training.loss_options,
            class_weights=training.class_weights,
            optimizer=training.optimizer,
            schedule=training.schedule,
            lr=training.lr,
            weight_decay=training.weight_decay,
            augmentation=training.augmentation if augmentation is None else augmentation,
            seed=training.seed,
            mean=mean,
            std=std,
        )


def _count(classes: ClassMap, training: Training, train: Samples) -> Counted:
    """Exactly where something hangs on it; of one reading with the windows that are drawn by classes."""
    rules = training.sampling
    weighed = isinstance(training.class_weights, str) and training.class_weights != "none"
    return count_labels(
        train,
        classes,
        exact=weighed or rules.looks_at_pixels,
        size=least_size(pair(training.image_size), rules.size_range)
        if rules.looks_at_pixels
        else None,
        cache=rules.cache,
    )


def _look_at(train: Samples) -> tuple[DataFacts, Statistics]:
    facts = facts_of_dataset(train) if isinstance(train, Dataset) else facts_of(train)
    return facts, scaled_statistics(facts)
