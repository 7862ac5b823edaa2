"""Learner: fit, evaluate, predict, save and load, over the parts that do the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import nn
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.errors import BundleError
from geoseg.learner.bundle import BundleInfo, load_bundle, save_bundle
from geoseg.learner.data import Samples, SegmentationData
from geoseg.learner.device import probabilities
from geoseg.learner.facts import (
    DataFacts,
    check_labels,
    check_scene,
    facts_of,
    scaled_statistics,
)
from geoseg.learner.fingerprint import weights_digest
from geoseg.learner.fit import train_module
from geoseg.learner.job import Model
from geoseg.learner.module import SegmentationModule
from geoseg.learner.predictor import Predictor
from geoseg.learner.standardized import with_standardize
from geoseg.learner.training import Precision, Training
from geoseg.scene import Scene


class Learner(Predictor):
    """A model with its classes and its training, from scenes to maps."""

    def __init__(
        self,
        classes: ClassMap | Sequence[str],
        training: Training | None = None,
        model: nn.Module | None = None,
    ) -> None:
        """Nothing is built or read yet.

        Args:
            classes: What the model tells apart; names get ids from 0.
            training: How it is trained; None: the defaults.
            model: A network of your own, (batch, channel, height, width) floats to logits (batch,
                class, height, width). Given one, the learner predicts without a fit: with no
                statistics, floats reach it unchanged and unsigned integers scaled to [0, 1].
                A second fit goes on from its weights; a network by name starts anew.
        """
        self.classes = classes if isinstance(classes, ClassMap) else ClassMap.of(*classes)
        self.training = training or Training()
        self.data: DataFacts | None = None
        self.history: list[dict[str, float]] = []
        self._model = model
        self._module: SegmentationModule | None = None

    @property
    def module(self) -> SegmentationModule:
        """The Lightning module, in the state that it has now.

        Raises:
            BundleError: There is no model yet.
        """
        if self._module is None:
            if self._model is None:
                raise BundleError("this learner has no model yet; call fit(), or Learner.load(uri)")
            self._module = self._build(1)  # without statistics one mean serves all channels
        return self._module

    def fit(
        self,
        train: Samples,
        valid: Samples | None = None,
        *,
        resume: str | None = None,
        folder: str | None = None,
    ) -> Self:
        """Train on random windows of scenes, and look at others after each epoch.

        Args:
            train: Scenes with labels, or a map-style data set with `image`, `mask` and `valid`.
            valid: The same to measure on; None: no measuring.
            resume: A checkpoint (`last.ckpt`) of an earlier fit to go on from.
            folder: Where `metrics.csv` and `last.ckpt` are kept; None: nowhere.

        Raises:
            GeosegError: The data do not fit the classes or each other.
        """
        options = self.training
        if isinstance(train, Dataset):
            self.data, channels = None, int(train[0]["image"].shape[0])
        else:
            check_labels(train, self.classes)
            self.data = facts_of(train)
            if valid is not None and not isinstance(valid, Dataset):
                check_labels(valid, self.classes)
                for scene in valid:
                    check_scene(self.data, scene)
                    with_standardize(scene, self.data.standardize)  # raises where it cannot be
            channels = len(self.data.band_names)
        self._module = self._build(channels)
        data = SegmentationData(
            train,
            valid,
            size=options.size,
            length=options.length,
            batch_size=options.batch_size,
            seed=options.seed,
            workers=options.workers,
            order=options.order,
        )
        self.history = train_module(self._module, data, options, folder=folder, resume=resume)
        return self

    def _as_read(self, scene: Scene) -> Scene:
        if self.data is None:
            return scene
        check_scene(self.data, scene)
        return with_standardize(scene, self.data.standardize)

    def _model_on(self, device: torch.device, precision: Precision) -> Model:
        return probabilities(self.module.to(device).eval(), device, precision)

    def save(self, uri: str) -> None:
        """Write a bundle: weights, classes, training, bands, dtype, statistics and resolution."""
        save_bundle(uri, self._info(), self.module.state_dict())

    @classmethod
    def load(cls, uri: str, model: nn.Module | None = None) -> Self:
        """A learner from a bundle.

        Args:
            uri: The bundle.
            model: The network, where it was one of your own: a bundle holds no code.

        Raises:
            BundleError: It is no bundle, or its weights do not fit the network.
        """
        info, weights = load_bundle(uri)
        if info.training.model == "custom" and model is None:
            raise BundleError(
                f"{uri}: holds the weights of a network that was given in Python; pass it: "
                "Learner.load(uri, model=MyNetwork())"
            )
        learner = cls(info.classes, info.training, model)
        learner.data = info.data
        learner._module = learner._build(info.in_channels)
        try:
            learner._module.load_state_dict(weights)
        except RuntimeError as error:
            lines = " ".join(str(error).split())
            raise BundleError(
                f"{uri}: its weights do not fit the network: {lines[:300]}"
            ) from error
        return learner

    def _info(self) -> BundleInfo:
        return BundleInfo(
            classes=self.classes,
            training=self.training,
            in_channels=len(self.module.mean),
            data=self.data,
        )

    def _digest(self) -> str:
        """What tells this model from others: its weights, its facts and the class of its network."""
        network = type(self._model).__qualname__
        return weights_digest(self.module.state_dict(), f"{network}\n{self._info().to_yaml()}")

    def _build(self, channels: int) -> SegmentationModule:
        if self._model is not None:
            self.training = self.training.model_copy(update={"model": "custom"})
        options = self.training
        mean, std = (None, None) if self.data is None else scaled_statistics(self.data)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            torch.manual_seed(options.seed)
            return SegmentationModule(
                self.classes,
                channels,
                model=options.model if self._model is None else self._model,
                model_options=options.model_options,
                loss=options.loss,
                optimizer=options.optimizer,
                schedule=options.schedule,
                lr=options.lr,
                weight_decay=options.weight_decay,
                augmentation=options.augmentation,
                seed=options.seed,
                mean=mean,
                std=std,
            )
