"""Learner: fit, evaluate, predict, save and load, over the parts that do the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import torch
from torch import nn
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed
from geoseg.errors import BundleError, ConfigError, SceneError
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.judging import judging
from geoseg.labels.rows import Shard
from geoseg.learner.bundle import BundleInfo, load_bundle, save_bundle
from geoseg.learner.data import Samples, SegmentationData
from geoseg.learner.device import chosen_device, probabilities
from geoseg.learner.facts import (
    DataFacts,
    check_labels,
    check_scene,
    facts_of,
    scaled_statistics,
)
from geoseg.learner.fingerprint import weights_digest
from geoseg.learner.fit import train_module
from geoseg.learner.job import Job, job_for
from geoseg.learner.module import SegmentationModule
from geoseg.learner.predict import Seen, look, perform
from geoseg.learner.resolution import at_resolution
from geoseg.learner.standardized import with_standardize
from geoseg.learner.training import TTA, Precision, Prediction, Training
from geoseg.scene import Scene
from geoseg.window import Size


class Learner:
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

    def evaluate(
        self,
        scenes: Sequence[Scene],
        *,
        prediction: Prediction | None = None,
        scoring: Scoring | None = None,
    ) -> Evaluation:
        """Predict scenes and compare with their labels in the same pass, pooled over all.

        Maps of scenes that name a store are written there; of the others nothing is kept. Memory does not
        grow with the scenes.

        Args:
            scenes: With labels.
            prediction: How they are predicted; None: as `predict` does.
            scoring: What is measured beside the confusion matrix; None: nothing.

        Raises:
            SceneError: A scene has no labels, or two have one name.
        """
        options = prediction or Prediction(workers=self.training.workers)
        parts: dict[str, Evaluation] = {}
        for scene in listed(scenes):
            if scene.id in parts:
                raise SceneError(f"two scenes are called {scene.id!r}; give each an id of its own")
            parts[scene.id] = self.evaluate_as(options, scoring or Scoring(), scene, scene.store)
        return Evaluation.pool(parts)

    def predict(
        self,
        scene: Scene,
        store: LabelStore | None = None,
        *,
        size: Size | None = None,
        stride: Size | None = None,
        blend: Blend = "hann",
        batch_size: int | None = None,
        workers: int | None = None,
        tta: TTA | None = None,
        resolution: Literal["image", "trained"] = "image",
        precision: Precision | None = None,
        device: str | None = None,
        max_memory: int | None = None,
        resume: bool = False,
        shard: Shard | None = None,
        keep: bool = True,
        seen: Seen | None = None,
    ) -> Labels:
        """The classes of a scene; see `geoseg.learner.predict` for the arguments.

        Args:
            scene: What is predicted; its labels are not looked at.
            store: Where the labels are written, row by row; None: in the scene's own store, or where it
                names none in memory, with scores.
            size: Pixels of a window; None: the size of training.
            stride: Pixels from window to window; None: half the size.
            blend: How overlapping windows are joined.
            batch_size: Windows in a step; None: that of training.
            workers: Processes that read; None: as in training.
            tta: Positions of a window that are averaged: "flips" or "d4"; None: only as it is.
            resolution: "trained": on a grid with the pixels of the training, onto which the scene is
                brought first (see `geoseg.learner.resolution`), and that the map then has.
            precision: Number format of the arithmetic; None: that of training on a GPU, "32" on a CPU.
            device: Where the model computes; None: a GPU where there is one.
            max_memory: Bytes for what grows with the scene's width; a wider scene is taken apart.
            resume: Go on from the finished rows that an earlier run left beside the output.
            shard: (i, n): only number i, from 0, of n stretches of rows, as a part for `merge`.
            keep: Keep finished rows beside the output until it is whole, to be resumed.
            seen: Is given finished rows too, with their window.

        Raises:
            BundleError: The scene's bands, dtype or Standardize are not those of training.
        """
        # The arguments are checked where they are used.
        options = Prediction.model_construct(
            size=size,
            stride=stride,
            blend=blend,
            batch_size=batch_size,
            workers=self.training.workers if workers is None else workers,
            tta=tta,
            resolution=resolution,
            precision=precision,
            device=device,
            max_memory=max_memory,
            keep=keep,
        )
        return self.predict_as(options, scene, store, resume=resume, shard=shard, seen=seen)

    def predict_as(
        self,
        options: Prediction,
        scene: Scene,
        store: LabelStore | None = None,
        *,
        resume: bool = False,
        shard: Shard | None = None,
        seen: Seen | None = None,
    ) -> Labels:
        """The same with options that were written down; see `predict`."""
        store = scene.store if store is None else store
        job = self._job(scene, options, scores=store is None or store.wants_scores)
        needed = store is not None and (resume or shard is not None or options.keep)
        return perform(
            job,
            store,
            resume=resume,
            shard=shard,
            keep=options.keep,
            model_digest=self._digest() if needed else None,
            seen=seen,
        )

    def evaluate_as(
        self,
        options: Prediction,
        scoring: Scoring,
        scene: Scene,
        store: LabelStore | None,
    ) -> Evaluation:
        """Predict one scene into a store, or nowhere, and compare it with its labels; see `evaluate`."""
        if scene.labels is None:
            raise SceneError(f"scene {scene.id!r} has no labels to compare with")
        job = self._job(scene, options, scores=store is not None and store.wants_scores)
        judged = judging(
            scene.labels.on(job.scene.grid),
            job.scene.grid,
            self.classes,
            scene.aoi,
            name=scene.id,
            boundary_px=scoring.boundary_px,
            object_iou=scoring.object_iou,
            bootstrap=scoring.bootstrap,
            block_px=scoring.block_px,
            seed=scoring.seed,
        )
        with judged as judge:
            if store is None:
                look(job, judge)
            else:
                digest = self._digest() if options.keep else None
                perform(job, store, keep=options.keep, model_digest=digest, seen=judge)
        return judge.evaluation()

    def _job(self, scene: Scene, options: Prediction, *, scores: bool) -> Job:
        """What is to be done, with the scene as the model reads it."""
        if options.resolution not in ("image", "trained"):
            raise ConfigError(
                f"resolution is {options.resolution!r}, expected one of: image, trained"
            )
        if options.resolution == "trained":
            scene = at_resolution(scene, None if self.data is None else self.data.resolution_m)
        if self.data is not None:
            check_scene(self.data, scene)
            scene = with_standardize(scene, self.data.standardize)
        device = chosen_device(options.device)
        trained = self.training.precision if device.type == "cuda" else "32"
        precision = options.precision or trained
        return job_for(
            probabilities(self.module.to(device).eval(), device, precision),
            scene,
            self.classes,
            size=self.training.size if options.size is None else options.size,
            stride=options.stride,
            blend=options.blend,
            batch_size=options.batch_size or self.training.batch_size,
            workers=options.workers,
            device=device,
            tta=options.tta,
            max_memory=options.max_memory,
            keep_scores=scores,
            precision=precision,
        )

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
