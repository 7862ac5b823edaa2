"""Predictor: what a learner and other models have in common: scenes in, maps and scores out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.datasets.windows import listed
from geoseg.errors import ConfigError, SceneError
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.judging import judging
from geoseg.labels.rows import Shard
from geoseg.learner.facts import DataFacts
from geoseg.learner.prediction.checked import Model
from geoseg.learner.prediction.device import chosen_device
from geoseg.learner.prediction.job import Job, job_for
from geoseg.learner.prediction.perform import Seen, look, perform
from geoseg.learner.prediction.resolution import at_resolution
from geoseg.learner.training import TTA, Precision, Prediction, Training
from geoseg.scene import Scene
from geoseg.sources.base import RasterSource
from geoseg.window import Size


class Predictor(ABC):
    """A model with its classes, that predicts scenes and judges what it predicts."""

    classes: ClassMap
    """What it tells apart."""
    training: Training
    """How it was trained: sizes of windows and batches go by it unless told otherwise."""
    data: DataFacts | None
    """What it knows of the data it was trained on."""

    @abstractmethod
    def _as_read(self, scene: Scene) -> Scene:
        """The scene as the model reads it.

        Raises:
            BundleError: It is not like the training data.
        """

    @abstractmethod
    def _model_on(self, device: torch.device, precision: Precision) -> Model:
        """What gives probabilities, on a device."""

    @abstractmethod
    def _digest(self) -> str:
        """What tells this model from all others."""

    def _device(self, name: str | None) -> torch.device:
        """Where it computes; see `chosen_device`."""
        return chosen_device(name)

    def _precision(self, device: torch.device) -> Precision:
        """Number format where nobody says."""
        return self.training.precision if device.type == "cuda" else "32"

    @property
    def _size(self) -> Size:
        """Pixels of a window where nobody says."""
        return self.training.image_size

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
            scenes: With labels; of an LMDBDataset its `scenes()`, which are made one by one.
            prediction: How they are predicted; None: as `predict` does.
            scoring: What is measured beside the confusion matrix; None: nothing.

        Raises:
            SceneError: A scene has no labels, or two have one name.
        """
        options = prediction or Prediction(workers=self.training.workers)
        parts: dict[str, Evaluation] = {}
        owners: dict[str, str] = {}
        for scene in _scenes(scenes):
            if scene.id in parts:
                raise SceneError(f"two scenes are called {scene.id!r}; give each an id of its own")
            for uri in () if scene.store is None else scene.store.outputs:
                if (other := owners.setdefault(uri, scene.id)) != scene.id:
                    raise SceneError(
                        f"scenes {other!r} and {scene.id!r} name one store, {uri}: the second map would "
                        "replace the first; give each a store of its own"
                    )
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
                brought first (see `geoseg.learner.prediction.resolution`), and that the map then has.
            precision: Number format of the arithmetic; None: that of training on a GPU, "32" on a CPU.
            device: Where the model computes; None: a GPU where there is one.
            max_memory: Bytes for what grows with the scene's width; a wider scene is taken apart.
            resume: Go on from the finished rows that an earlier run left beside the output, not with
                `keep=False`.
            shard: (i, n): only number i, from 0, of n stretches of rows, as a part for `merge`.
            keep: Keep finished rows beside the output until it is whole, to be resumed.
            seen: Is given finished rows too, with their window.

        Raises:
            BundleError: The scene's bands, dtype or Standardize are not those of training.
        """
        options = _checked(
            {
                "size": size,
                "stride": stride,
                "blend": blend,
                "batch_size": batch_size,
                "workers": self.training.workers if workers is None else workers,
                "tta": tta,
                "resolution": resolution,
                "precision": precision,
                "device": device,
                "max_memory": max_memory,
                "keep": keep,
            }
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
        store = _scene(scene).store if store is None else store
        job = self._job(scene, options, scores=store is None or store.wants_scores)
        return perform(
            job,
            store,
            resume=resume,
            shard=shard,
            keep=options.keep,
            model_digest=None if store is None else self._digest(),
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
            scoring=scoring,
        )
        with judged as judge:
            if store is None:
                look(job, judge)
            else:
                perform(job, store, keep=options.keep, model_digest=self._digest(), seen=judge)
        return judge.evaluation()

    def _job(self, scene: Scene, options: Prediction, *, scores: bool) -> Job:
        """What is to be done, with the scene as the model reads it."""
        if options.resolution == "trained":
            scene = at_resolution(scene, None if self.data is None else self.data.resolution_m)
        scene = self._as_read(scene)
        device = self._device(options.device)
        precision = options.precision or (
            self.training.precision if device.type == "cuda" else "32"
        )
        return job_for(
            self._model_on(device, precision),
            scene,
            self.classes,
            size=self._size if options.size is None else options.size,
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


def _scenes(given: Any) -> Iterator[Scene]:
    """What is given, seen to be scenes one after the other: a sequence may make each when it is asked for.

    Raises:
        ConfigError: It is something else, such as a data set, or there are none.
    """
    if isinstance(given, Dataset):
        raise ConfigError(
            f"expected scenes, got a {type(given).__name__}; pass its scenes: dataset.scenes() of an "
            "LMDBDataset, dataset.scenes of a data set of windows"
        )
    return map(_scene, given if isinstance(given, Sequence) and given else listed(given))


def _scene(given: object) -> Scene:
    """What is given, seen to be a scene.

    Raises:
        ConfigError: It is something else, such as the source of its image.
    """
    if isinstance(given, Scene):
        return given
    cure = "pass one"
    if isinstance(given, RasterSource):
        cure = "wrap it: Scene(id=..., image=source)"
    elif isinstance(given, Dataset | Mapping):
        cure = "an LMDBDataset has one for each item: dataset.scenes()[0]"
    raise ConfigError(f"expected a Scene, got {type(given).__name__}; {cure}")


def _checked(fields: dict[str, Any]) -> Prediction:
    """Options of a prediction.

    Raises:
        ConfigError: One cannot be.
    """
    try:
        return Prediction.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(f"{name} is {fields[name]!r}: {first['msg']}") from error
