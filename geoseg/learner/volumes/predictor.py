"""AnyPredictor: a predictor of scenes that takes rows of volumes where its model is for those."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

from geoseg.choices import one_of
from geoseg.datasets.volumetric.rows import has_volumes, is_volume, volumes_of
from geoseg.errors import ConfigError
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.blend import Blend
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.rows import Shard
from geoseg.learner.choices import refuse_unknown
from geoseg.learner.module import SegmentationModule
from geoseg.learner.prediction.device import HALF
from geoseg.learner.prediction.perform import Seen
from geoseg.learner.prediction.predictor import Predictor
from geoseg.learner.prediction.volumes import Side, VolumeBlend
from geoseg.learner.training import TTA, Precision, Prediction
from geoseg.learner.volumes.evaluation import VolumeEvaluation
from geoseg.learner.volumes.facts import check_volumes
from geoseg.learner.volumes.module import VolumeModule
from geoseg.learner.volumes.performing import evaluate_volumes, predict_volumes, write_volumes
from geoseg.learner.volumes.predict import VolumeOptions
from geoseg.learner.volumes.predicted import PredictedVolume
from geoseg.learner.volumes.rows import check_kind
from geoseg.scene import Scene
from geoseg.volumes.exporting.copying import VolumeStore
from geoseg.volumes.volume import Volume
from geoseg.window import Size

_PREDICTION = (
    "size",
    "stride",
    "blend",
    "batch_size",
    "threshold",
    "precision",
    "device",
)
"""Options of a prediction of volumes."""
_WRITING = ("split", "seen")
"""The same of one that is written."""


class AnyPredictor(Predictor):
    """Predicts and judges scenes, or volumes where its model is for those."""

    @property
    @abstractmethod
    def module(self) -> SegmentationModule:
        """The Lightning module, in the state that it has now."""

    @overload
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
    ) -> Labels: ...

    @overload
    def predict(
        self,
        scene: Volume,
        store: None = None,
        *,
        size: Side | None = None,
        stride: Side | None = None,
        blend: VolumeBlend = "gaussian",
        batch_size: int | None = None,
        threshold: float | None = None,
        precision: Precision | None = None,
        device: str | None = None,
        scores: bool = False,
    ) -> PredictedVolume: ...

    @overload
    def predict(
        self,
        scene: Sequence[Volume],
        store: None = None,
        *,
        size: Side | None = None,
        stride: Side | None = None,
        blend: VolumeBlend = "gaussian",
        batch_size: int | None = None,
        threshold: float | None = None,
        precision: Precision | None = None,
        device: str | None = None,
        scores: bool = False,
    ) -> tuple[PredictedVolume, ...]: ...

    @overload
    def predict(
        self,
        scene: Volume | Sequence[Volume],
        store: VolumeStore,
        *,
        size: Side | None = None,
        stride: Side | None = None,
        blend: VolumeBlend = "gaussian",
        batch_size: int | None = None,
        threshold: float | None = None,
        precision: Precision | None = None,
        device: str | None = None,
        scores: bool = False,
        split: Literal["train", "validation"] | None = None,
        seen: Callable[[Volume], None] | None = None,
    ) -> None: ...

    def predict(
        self,
        scene: Any,
        store: Any = None,
        *,
        size: Any = None,
        stride: Any = None,
        blend: Any = None,
        batch_size: int | None = None,
        precision: Precision | None = None,
        device: str | None = None,
        workers: int | None = None,
        tta: TTA | None = None,
        resolution: Literal["image", "trained"] | None = None,
        max_memory: int | None = None,
        resume: bool | None = None,
        shard: Shard | None = None,
        keep: bool | None = None,
        seen: Any = None,
        threshold: float | None = None,
        scores: bool | None = None,
        split: Literal["train", "validation"] | None = None,
    ) -> Any:
        """The classes of a scene, or of volumes where the model is for those.

        A voxel with a channel that is NaN or infinite has no class.

        Args:
            scene: A Scene; or a volume, or several.
            store: Where the result is written: a LabelStore, or for volumes a VolumeZipWriter,
                a VolumeFolderWriter or another VolumeStore, within its `with` block. Volumes lose the end of an
                image file, as `.tif`, from their name where that leaves them different, and their fold where
                others of their frame have none. None: it is returned.
            size: Pixels or voxels of a window; None: that of training.
            stride: From window to window; None: half the size.
            blend: How overlapping windows are joined; None: "hann", of volumes "gaussian" (or "constant").
            batch_size: Windows in a step; None: that of training.
            precision: Number format of the arithmetic; None: that of training on a GPU, "32" on a CPU.
            device: Where the model computes; None: a GPU where there is one.
            workers: Of scenes only, as all up to `keep`; for these see `Predictor.predict`.
            tta: Positions of a window that are averaged.
            resolution: "image" or "trained".
            max_memory: Bytes for what grows with the scene's width.
            resume: Whether to go on from finished rows.
            shard: Which stretch of rows.
            keep: Whether to keep finished rows until all are there.
            seen: Is given finished rows too; of volumes that are written, each once it is.
            threshold: Of volumes whose classes may overlap only: the least score of a voxel in a class;
                None: 0.5.
            scores: Of volumes only: whether to keep or write these too.
            split: Of volumes that are written only: the frame that lists them. None: "validation" for its
                rows, else "train": a test frame has no masks, and so cannot hold predictions.

        Raises:
            GeosegError: As `Predictor.predict` says; or an option is for the other kind, volumes are not like
                those of training or do not fit the store, or the model is for the other kind. What a store
                refuses of names, folds and places is told before anything is predicted.
        """
        options: dict[str, Any] = {
            "size": size,
            "stride": stride,
            "blend": blend,
            "batch_size": batch_size,
            "precision": precision,
            "device": device,
        }
        of_scenes: dict[str, Any] = {
            "workers": workers,
            "tta": tta,
            "resolution": resolution,
            "max_memory": max_memory,
            "resume": resume,
            "shard": shard,
            "keep": keep,
            "seen": seen,
        }
        of_volumes = {"threshold": threshold, "scores": scores, "split": split}
        if has_volumes(scene) or self.training.of_volumes:
            check_kind(self.training, scene)
            known = {*_PREDICTION, "scores", *(() if store is None else _WRITING)}
            given = _given({**options, **of_scenes, **of_volumes})
            refuse_unknown("the prediction of volumes", given, known)
            rows = volumes_of(scene)
            module, chosen = self._for_volumes(rows, threshold=threshold, **options)
            if store is not None:
                write_volumes(
                    module, rows, chosen, store, scores=bool(scores), split=split, seen=seen
                )
                return None
            found = predict_volumes(module, rows, chosen, scores=bool(scores))
            return found[0] if is_volume(scene) else found
        refuse_unknown(
            "the prediction of scenes", _given(of_volumes), {"store", *options, *of_scenes}
        )
        return super().predict(scene, store, **_given({**options, **of_scenes}))

    @overload
    def evaluate(
        self,
        scenes: Sequence[Scene],
        *,
        prediction: Prediction | None = None,
        scoring: Scoring | None = None,
    ) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        scenes: Sequence[Volume],
        *,
        size: Side | None = None,
        stride: Side | None = None,
        blend: VolumeBlend = "gaussian",
        batch_size: int | None = None,
        threshold: float | None = None,
        precision: Precision | None = None,
        device: str | None = None,
    ) -> VolumeEvaluation: ...

    def evaluate(
        self,
        scenes: Any,
        *,
        prediction: Prediction | None = None,
        scoring: Scoring | None = None,
        size: Side | None = None,
        stride: Side | None = None,
        blend: VolumeBlend | None = None,
        batch_size: int | None = None,
        threshold: float | None = None,
        precision: Precision | None = None,
        device: str | None = None,
    ) -> Any:
        """Predict scenes, or volumes, and compare with their labels, pooled over all.

        Args:
            scenes: With labels; or volumes with masks, of which one is in memory at a time. Voxels with
                a channel that is NaN or infinite are left out, as pixels that are not valid are.
            prediction: Of scenes only: how they are predicted, see `Predictor.evaluate`.
            scoring: Of scenes only: what is measured beside the confusion matrix.
            size: Of volumes only, as all that follow: voxels of a window; None: that of training.
            stride: From window to window; None: half the size.
            blend: How overlapping windows are joined, "gaussian" or "constant"; None: the first.
            batch_size: Windows in a step; None: that of training.
            threshold: The least score of a voxel in a class that may overlap; None: 0.5.
            precision: Number format of the arithmetic; None: that of training on a GPU, "32" on a CPU.
            device: Where the model computes; None: a GPU where there is one.

        Raises:
            GeosegError: There are no labels, two have one name, an option is for the other kind, or as
                `predict` says.
        """
        of_scenes: dict[str, Any] = {"prediction": prediction, "scoring": scoring}
        of_volumes: dict[str, Any] = {
            "size": size,
            "stride": stride,
            "blend": blend,
            "batch_size": batch_size,
            "threshold": threshold,
            "precision": precision,
            "device": device,
        }
        if has_volumes(scenes) or self.training.of_volumes:
            check_kind(self.training, scenes)
            given = _given({**of_scenes, **of_volumes})
            refuse_unknown("the evaluation of volumes", given, _PREDICTION)
            rows = volumes_of(scenes)
            module, chosen = self._for_volumes(rows, **of_volumes)
            return evaluate_volumes(module, rows, chosen)
        refuse_unknown("the evaluation of scenes", _given(of_volumes), of_scenes)
        return super().evaluate(scenes, **_given(of_scenes))

    def _for_volumes(
        self,
        rows: Sequence[Volume],
        *,
        size: Side | None,
        stride: Side | None,
        blend: VolumeBlend | None,
        batch_size: int | None,
        threshold: float | None,
        precision: Precision | None,
        device: str | None,
    ) -> tuple[VolumeModule, VolumeOptions]:
        """The module where it computes, and how volumes are predicted, seen to be like those of training."""
        place = self._device(device)
        number = self._precision(place) if precision is None else precision
        one_of(number, HALF, name="precision")
        options = VolumeOptions(
            self.training.window if size is None else size,
            stride,
            blend="gaussian" if blend is None else blend,
            batch_size=self.training.batch_size if batch_size is None else batch_size,
            threshold=threshold,
            half=HALF[number],
        )
        module = self.module
        if threshold is not None and not self.training.multilabel:
            raise ConfigError(
                f"threshold is {threshold!r}, but each voxel has one class, that of the highest score; "
                'it is for a model of classes that may overlap: Training(overlap="multilabel")'
            )
        if not isinstance(module, VolumeModule):
            raise ConfigError(
                f"the model {self.training.model!r} takes volumes, but the module of this learner is a "
                f"{type(module).__name__}; use Learner.of(VolumeModule(...))"
            )
        if self.data is not None:
            check_volumes(self.data, rows)
        return module.to(place).eval(), options


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options that somebody has given."""
    return {name: value for name, value in options.items() if value is not None}
