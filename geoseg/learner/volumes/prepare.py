"""From volumes and options to a module and its data, looked at before any training begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.classes import ClassInfo, ClassMap
from geoseg.datasets.volumetric.boxes import triple
from geoseg.errors import ConfigError, LabelError
from geoseg.learner.facts import scaled_statistics
from geoseg.learner.fitting.counting import Counted
from geoseg.learner.fitting.precheck import check_module
from geoseg.learner.fitting.prepare import Prepared, Statistics
from geoseg.learner.modelnames import VOLUMES
from geoseg.learner.training import Training
from geoseg.learner.volumes.data import VolumeData
from geoseg.learner.volumes.module import VolumeModule
from geoseg.volumes.volume import Volume

_WEIGHTS = {"area": "size", "equal": "equal"}


def prepare_volumes(
    classes: ClassMap,
    training: Training,
    train: Sequence[Volume],
    valid: Sequence[Volume] | None = None,
    *,
    model: nn.Module | None = None,
    augmentation: Callable[..., Any] | None = None,
) -> Prepared:
    """Look at the volumes, and build a module for them.

    All masks are looked at, and all pixels of the volumes for training are read once.

    Args:
        classes: What the model tells apart: the classes of the volumes, with a background before them
            unless they may overlap; it is added where it is missing.
        training: How it is trained.
        train: Volumes with masks.
        valid: The same to measure on; None: no measuring.
        model: A network of one's own; None: that of the training.
        augmentation: In place of that of the training.

    Raises:
        GeosegError: The volumes do not fit the classes, each other or the network, or there is nothing to
            learn from.
    """
    data = data_of_volumes(training, train, valid, ignore_id=classes.ignore_id)
    classes = with_background(classes, data.classes)
    data.check(classes, data.training.channels)
    counts = data.counts()
    _check_labelled(counts, classes, training)
    if training.devices > 1:
        data.check_ranks(training.devices)
    facts = data.facts()
    module = build_volume_module(
        classes,
        training,
        len(facts.band_names),
        model=model,
        statistics=scaled_statistics(facts),
        augmentation=augmentation,
    )
    module.weigh(counts)
    check_module(module, training)
    return Prepared(module, data, facts, Counted(counts, counts.sum(axis=1)))


def with_background(classes: ClassMap, known: ClassMap) -> ClassMap:
    """The classes of a model for volumes: those that are given, with a background where only that is missing.

    Args:
        classes: As the user gives them.
        known: Of the volumes, background first unless classes may overlap.

    Returns:
        With the ids of the volumes, and a colour of the background that no class has.

    Raises:
        ConfigError: Classes without a background have ids of their own: neither those from 0, as names have,
            nor those of the volumes.
    """
    if classes.names != known.names[1:] or len(known.names) == 1:
        return classes
    first, *others = known.classes
    if classes.ids not in (tuple(range(len(others))), known.ids[1:]):
        raise ConfigError(
            f"the classes {list(classes.names)} have the ids {list(classes.ids)}, but masks of volumes have "
            f"no ids of their own: they get {list(known.ids[1:])} and the background {known.ids[0]}; leave "
            "the ids out"
        )
    kept = [
        other.model_copy(update={"color": given.color})
        for other, given in zip(others, classes.classes, strict=True)
    ]
    background = first.model_copy(update={"color": _free_color(classes.classes)})
    return known.model_copy(update={"classes": (background, *kept)})


def _free_color(taken: Sequence[ClassInfo]) -> Any:
    """The first of the default colours that no class has."""
    usual = ClassMap.of(*(str(number) for number in range(len(taken) + 1)))
    used = {info.color for info in taken}
    free = (info.color for info in usual.classes if info.color not in used)
    return next(free, usual.classes[0].color)


def data_of_volumes(
    training: Training,
    train: Sequence[Volume],
    valid: Sequence[Volume] | None,
    *,
    ignore_id: int = 255,
) -> VolumeData:
    """The windows of a training."""
    depth, height, width = training.window
    weights: Any = _WEIGHTS[training.sampling.scene_weights]
    return VolumeData(
        train,
        valid,
        size=(depth, height, width),
        length=training.length,
        batch_size=training.batch_size,
        seed=training.seed,
        workers=training.workers,
        overlap=training.overlap,
        class_balance=training.sampling.class_balance,
        volume_weights=weights,
        ignore_id=ignore_id,
    )


def build_volume_module(
    classes: ClassMap,
    training: Training,
    channels: int,
    *,
    model: nn.Module | None = None,
    statistics: Statistics | None = None,
    augmentation: Callable[..., Any] | None = None,
) -> VolumeModule:
    """The module of a training, the same for the same seed.

    Args:
        classes: What the model tells apart.
        training: How it is trained.
        channels: Of the image.
        model: A network of one's own; None: that of the training.
        statistics: For normalisation; None: (0, 1).
        augmentation: In place of that of the training.
    """
    mean, std = statistics or (None, None)
    kept: Any = training.augmentation if augmentation is None else augmentation
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(training.seed)
        return VolumeModule(
            classes,
            channels,
            model=training.model if model is None else model,
            planes=training.window[0],
            model_options=training.model_options,
            overlap=training.overlap,
            loss=training.loss,
            loss_options=training.loss_options,
            class_weights=training.class_weights,
            optimizer=training.optimizer,
            schedule=training.schedule,
            lr=training.lr,
            weight_decay=training.weight_decay,
            augmentation=kept,
            seed=training.seed,
            mean=mean,
            std=std,
        )


def volume_training(module: VolumeModule, data: Any = None) -> Training:
    """A training with the windows of a module that a Lightning script has trained.

    Args:
        module: Knows its planes, where it was told.
        data: Knows the windows, where it is a VolumeData.
    """
    options = Training(model=VOLUMES)
    depth, height, width = options.window
    size = (module.hparams["planes"] or depth, height, width)
    return options.model_copy(
        update={"size": triple(data.size) if isinstance(data, VolumeData) else size}
    )


def _check_labelled(counts: NDArray[np.int64], classes: ClassMap, training: Training) -> None:
    """See that some voxel is of a class.

    Raises:
        LabelError: None is.
    """
    first = 0 if training.multilabel else 1
    if not counts[:, first:].any():
        raise LabelError(
            f"no voxel of the volumes for training is of a class ({', '.join(classes.names[first:])}); see "
            "that their masks are right"
        )
