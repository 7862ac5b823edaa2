"""Learner: fit, evaluate, predict, save and load, over the parts that do the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Self

import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.datasets.volumetric.rows import volumes_of
from geoseg.errors import BundleError
from geoseg.learner.bundle import BundleInfo, load_bundle, save_bundle
from geoseg.learner.bundle.network import check_network, network_name
from geoseg.learner.bundle.versions import versions_for
from geoseg.learner.data import SegmentationData
from geoseg.learner.facts import DataFacts, as_trained, scaled_statistics
from geoseg.learner.fitting.fit import train_module
from geoseg.learner.fitting.lrfinder import LrFinding, find_lr
from geoseg.learner.fitting.precheck import check_options
from geoseg.learner.fitting.prepare import Prepared, build_module, prepare
from geoseg.learner.module import SegmentationModule
from geoseg.learner.prediction.checked import Model
from geoseg.learner.prediction.device import probabilities
from geoseg.learner.prediction.fingerprint import weights_digest
from geoseg.learner.prediction.structure import structure_digest
from geoseg.learner.samples import Samples, some
from geoseg.learner.training import Precision, Training
from geoseg.learner.volumes.data import VolumeData
from geoseg.learner.volumes.module import VolumeModule
from geoseg.learner.volumes.predictor import AnyPredictor
from geoseg.learner.volumes.prepare import build_volume_module, prepare_volumes, volume_training
from geoseg.learner.volumes.rows import check_kind
from geoseg.scene import Scene
from geoseg.spec import FrozenMap
from geoseg.volumes.volume import Volume

_OF_NETWORK = ("model", "encoder", "model_options")
"""Options of a network by name."""


class Learner(AnyPredictor):
    """A model with its classes and its training, from scenes to maps.

    With a model for volumes, such as Training(model="unet3d"), it takes rows of a `VolumeZip` or
    `ArrayVolume`s wherever it takes scenes otherwise.
    """

    def __init__(
        self,
        classes: ClassMap | Sequence[str],
        training: Training | None = None,
        model: nn.Module | None = None,
    ) -> None:
        """Nothing is built or read yet.

        Args:
            classes: What the model tells apart; names get ids from 0. Of volumes those of their masks: `fit`
                puts a background before them, unless they may overlap.
            training: How it is trained; None: the defaults.
            model: A network of your own, (batch, channel, height, width) floats to logits (batch,
                class, height, width); of volumes, with a `size` of three numbers, with depth before
                height. Given one, the learner predicts without a fit: with no
                statistics, floats reach it unchanged and unsigned integers scaled to [0, 1].
                A second fit goes on from its weights; a network by name starts anew.
        """
        self.classes = classes if isinstance(classes, ClassMap) else ClassMap.of(*classes)
        self.training = training or Training()
        self.data: DataFacts | None = None
        self.histogram: dict[str, int] | None = None
        self.history: list[dict[str, float]] = []
        self._model = model
        self._module: SegmentationModule | None = None

    @classmethod
    def of(
        cls,
        module: SegmentationModule,
        data: SegmentationData | VolumeData | None = None,
        *,
        training: Training | None = None,
    ) -> Self:
        """A learner around a module that a Lightning script has trained, to predict, evaluate and save.

        Args:
            module: Taken as it is, with its normalisation; not copied.
            data: What it was trained on: later scenes are compared with its bands and dtype, and a bundle
                holds them; None: they are not known.
            training: What the module does not know, such as the sizes of windows and batches and the
                number of epochs; its network, loss, optimizer and the rest are the module's in any case.
                None: the defaults.

        Raises:
            pydantic.ValidationError: The module was made with an option that a Training cannot have.
        """
        by_name = "model" in module.hparams
        known = {
            name: module.hparams[name] for name in Training.model_fields if name in module.hparams
        }
        if not by_name:  # the network is the user's own, so are its options
            known = {name: known[name] for name in known if name not in _OF_NETWORK}
        if isinstance(module, VolumeModule):
            training = training or volume_training(module, data)
        options = (training or Training()).model_copy(update=known)
        learner = cls(module.classes, options, None if by_name else module.network)
        learner._name_custom()
        learner._module = module
        learner.data = None if data is None else data.facts()
        return learner

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

    @property
    def info(self) -> BundleInfo:
        """What a bundle of this learner says.

        Raises:
            BundleError: There is no model yet.
        """
        return self._info()

    def fit(
        self,
        train: Samples | Sequence[Volume],
        valid: Samples | Sequence[Volume] | None = None,
        *,
        resume: str | None = None,
        folder: str | None = None,
        augmentation: Callable[..., Any] | None = None,
    ) -> Self:
        """Train on random windows of scenes, and look at others after each epoch.

        With `devices` above 1 each has a process of its own, which imports the script anew: there the call
        must stand under `if __name__ == "__main__":`.

        Args:
            train: Scenes with labels, or a map-style data set with `image`, `mask` and `valid`; or volumes
                with masks.
            valid: The same to measure on; None or an empty list: no measuring.
            resume: A checkpoint (`last.ckpt`, `best.ckpt`) of an earlier fit to go on from, with the same
                scenes and options: the result is that of a fit that was never interrupted.
            folder: Where `metrics.csv`, `last.ckpt` and `best.ckpt` are kept; None: nowhere.
            augmentation: A callable in place of the training's augmentation, see
                `geoseg.learner.augment`; a bundle does not know of it.

        Raises:
            GeosegError: The data do not fit the classes, each other or the network, there is nothing to
                learn from, or an option cannot be met; before the first epoch.
        """
        self._name_custom()
        valid = some(valid)
        check_options(self.training, folder=folder, resume=resume, measure=valid is not None)
        ready = self._prepared(train, valid, model=self._model, augmentation=augmentation)
        self.classes = ready.module.classes
        self.data, self.histogram, self._module = ready.facts, ready.histogram, ready.module
        self.history = train_module(
            ready.module, ready.data, self.training, folder=folder, resume=resume
        )
        return self

    def find_lr(
        self,
        train: Samples | Sequence[Volume],
        *,
        least: float = 1e-6,
        most: float = 1.0,
        steps: int = 100,
    ) -> LrFinding:
        """Look for a learning rate by a range test on a copy of the model; nothing here changes.

        Take it up with `Training(lr=learner.find_lr(scenes).lr, ...)`. What is looked at of the training's
        options is said in `geoseg.learner.fitting.lrfinder.find_lr`.

        Args:
            train: As in `fit`.
            least: The first rate.
            most: The last rate.
            steps: How many steps are taken, at most, each of `accumulate` batches.

        Raises:
            GeosegError: As in `fit`; or the loss falls at no rate.
        """
        self._name_custom()
        ready = self._prepared(train, None, model=deepcopy(self._model))
        return find_lr(
            ready.module, ready.data, least=least, most=most, steps=steps, training=self.training
        )

    def _prepared(
        self,
        train: Any,
        valid: Any,
        *,
        model: nn.Module | None,
        augmentation: Callable[..., Any] | None = None,
    ) -> Prepared:
        """What a training needs, of scenes or of volumes."""
        for samples in (train, valid):
            if samples is not None:
                check_kind(self.training, samples)
        if self.training.of_volumes:
            train, valid = volumes_of(train), None if valid is None else volumes_of(valid)
        make: Callable[..., Prepared] = prepare_volumes if self.training.of_volumes else prepare
        return make(
            self.classes, self.training, train, valid, model=model, augmentation=augmentation
        )

    def _as_read(self, scene: Scene) -> Scene:
        if self.training.of_volumes:
            raise BundleError(
                f"scene {scene.id!r}: the model {self.training.model!r} takes volumes; give it rows of a "
                "VolumeZip, or use a model for images"
            )
        if self.data is not None:
            return as_trained(self.data, scene)
        bands, channels = len(scene.image.band_names), len(self.module.mean)
        # One mean of a network of one's own may serve any number of channels.
        if bands != channels and (channels > 1 or self._model is None):
            raise BundleError(
                f"scene {scene.id!r}: the image has {bands} bands "
                f"({', '.join(scene.image.band_names)}), but the model takes {channels}; choose them with "
                "bands=..."
            )
        return scene

    def _model_on(self, device: torch.device, precision: Precision) -> Model:
        return probabilities(self.module.to(device).eval(), device, precision)

    def save(self, uri: str) -> None:
        """Write a bundle: weights, classes, training and its history, bands, dtype, statistics, resolution.

        Raises:
            BundleError: There is no model yet, or its state holds more than tensors.
            StoreError: The place cannot be written.
        """
        save_bundle(uri, self._info(), self.module.state_dict())

    @classmethod
    def load(cls, uri: str, model: nn.Module | None = None) -> Self:
        """A learner from a bundle.

        Args:
            uri: The bundle.
            model: The network, where it was one of your own: a bundle holds no code.

        Raises:
            BundleError: It is no bundle, its weights do not fit the network, or are of a network of your
                own that is not given.

        Warns:
            UserWarning: The network's class has another name than the one that was saved.
        """
        info, weights = load_bundle(uri)
        check_network(uri, info, model)
        learner = cls(info.classes, info.training, model)
        learner.data = info.data
        learner.histogram = None if info.histogram is None else dict(info.histogram)
        learner.history = info.epochs
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
        channels = len(
            self.module.mean
        )  # a network of one's own is named in `training` when it is built
        return BundleInfo(
            classes=self.classes,
            training=self.training,
            in_channels=channels,
            data=self.data,
            network=None if self._model is None else network_name(self._model),
            histogram=None if self.histogram is None else FrozenMap(self.histogram),
            versions=versions_for(self.training.model),
            history=tuple(FrozenMap(row) for row in self.history),
        )

    def _digest(self) -> str:
        """What tells this model from others: its weights, its facts and the structure of its network.

        See `geoseg.learner.prediction.structure` for what that covers.
        """
        network, channels = type(self._model).__qualname__, len(self.module.mean)
        info = BundleInfo(
            classes=self.classes, training=self.training, in_channels=channels, data=self.data
        )
        told = (network, structure_digest(self.module.network), info.to_yaml())
        return weights_digest(self.module.state_dict(), "\n".join(told))

    def _build(self, channels: int) -> SegmentationModule:
        """A module without pretrained weights, for weights that are known or a network that has some."""
        self._name_custom()
        statistics = None if self.data is None else scaled_statistics(self.data)
        build = build_volume_module if self.training.of_volumes else build_module
        return build(
            self.classes, self.training, channels, model=self._model, statistics=statistics
        )

    def _name_custom(self) -> None:
        """What a bundle says of a network of one's own."""
        if self._model is not None:
            self.training = self.training.model_copy(update={"model": "custom", "encoder": None})
