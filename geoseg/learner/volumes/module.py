"""VolumeModule: a network for volumes with its normalisation, loss, optimizer and pooled metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from geoseg.classes import ClassMap
from geoseg.datasets.volumetric.labels import is_multilabel
from geoseg.errors import ConfigError, LabelError
from geoseg.labels import metrics
from geoseg.learner import losses, models
from geoseg.learner.fitting.logged import log_known
from geoseg.learner.fitting.optimizers import MONITORED
from geoseg.learner.fitting.plainly import class_map_of
from geoseg.learner.fitting.scaled import per_channel
from geoseg.learner.items import valid_of
from geoseg.learner.lossnames import usual_of_volumes
from geoseg.learner.module import SegmentationModule
from geoseg.learner.volumes import overlaps
from geoseg.learner.volumes.data import VolumeData

_5D = 5


class VolumeModule(SegmentationModule):
    """A network that takes volumes as a VolumeDataset gives them.

    The constructor takes plain values, so that the module works in a Lightning script by itself.
    Normalisation is part of it: volumes in their native dtype, or already scaled to [0, 1], become
    `(x - mean) / std`, and 0 where not valid.

    With overlap="multilabel" each class is a question of its own: targets and scores are (batch, class,
    depth, height, width), and there is no background. Otherwise each voxel has one class, background first.
    """

    mean: Tensor
    """(channel, 1, 1, 1), in the units of scaled volumes."""
    std: Tensor
    """(channel, 1, 1, 1), above 0."""

    def __init__(
        self,
        classes: Sequence[str] | Mapping[str, Any] | ClassMap,
        in_channels: int = 1,
        *,
        model: str | nn.Module = "unet3d",
        planes: int | None = None,
        model_options: Mapping[str, Any] | None = None,
        overlap: Literal["error", "priority", "multilabel"] = "error",
        loss: str | None = None,
        loss_options: Mapping[str, int | float | str | bool] | None = None,
        class_weights: str | Sequence[float] = "none",
        optimizer: str = "adamw",
        schedule: str = "onecycle",
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        augmentation: str | Callable[..., Any] = "d4",
        seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """Build the network.

        Args:
            classes: The class map, or names: background first, unless classes may overlap.
            in_channels: Channels of the image.
            model: A network by name, or a module from (batch, channel, depth, height, width) to logits
                (batch, class, depth, height, width).
            planes: Depth of a training window, from which the strides of a network by name follow.
            model_options: Options of a network by name.
            overlap: "multilabel" where classes may overlap.
            loss: See `geoseg.learner.losses`; for classes that may overlap "bce", "dice" or their sum. None:
                "cross_entropy+dice", or "bce+dice".
            loss_options: Options of the loss.
            class_weights: A rule of `geoseg.classweights` that looks at the labels of a VolumeData when a
                training begins, or one number a class; for exclusive classes.
            optimizer: "adamw" or "sgd".
            schedule: "onecycle", "cosine", "plateau" or "constant".
            lr: The (highest) learning rate.
            weight_decay: Of the optimizer.
            augmentation: "none"; "d4" turns and mirrors all planes of a window alike; or a callable.
            seed: The augmentation follows from it, the epoch and the batch.
            mean: One number a channel, in the units of scaled volumes; None: measured on the volumes of a
                VolumeData when a training begins, else 0.
            std: One number a channel, above 0; None: the same way, else 1.
        """
        self.multilabel = is_multilabel(overlap)
        """Whether classes may overlap."""
        named = class_map_of(classes)
        network = _built(model, in_channels, len(named), planes, model_options or {})
        super().__init__(
            named,
            in_channels,
            model=network,
            model_options=model_options,
            loss=usual_of_volumes(multilabel=self.multilabel) if loss is None else loss,
            loss_options=loss_options,
            class_weights=class_weights,
            optimizer=optimizer,
            schedule=schedule,
            lr=lr,
            weight_decay=weight_decay,
            augmentation=_known(augmentation),
            seed=seed,
            mean=mean,
            std=std,
        )
        told = {"model": model} if isinstance(model, str) else {}
        self.save_hyperparameters({"planes": planes, "overlap": overlap, **told}, logger=False)
        self.mean, self.std = self.mean[..., None], self.std[..., None]
        if self.multilabel:
            self.confusion = self.confusion.new_zeros(len(named), 3)

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes but the background."""
        return self.classes.names if self.multilabel else self.classes.names[1:]

    def setup(self, stage: str) -> None:
        """Before a training or validation: compare classes with the volumes, and measure them where nothing is known.

        Raises:
            ConfigError: Classes or channels of the volumes are not those of the module, or classes may
                overlap in one of the two only.
        """
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, VolumeData):
            return
        if self.multilabel != (data.overlap == "multilabel"):
            raise ConfigError(
                f"the volumes are read with overlap={data.overlap!r}, but the module was made with "
                f"overlap={self.hparams['overlap']!r}; give both the same"
            )
        data.check(self.classes, len(self.mean))
        if stage != "fit":
            return
        if self.unweighed is not None:
            self.weigh(data.counts())
        if not self._measured:
            mean, std = data.statistics()
            self.mean.copy_(per_channel(mean, len(self.mean), 0.0)[..., None])
            self.std.copy_(per_channel(std, len(self.std), 1.0)[..., None])

    def plain(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch with a mask and `valid` that augmentations and losses take."""
        if batch["image"].ndim != _5D:
            raise ConfigError(
                f"a batch has images {tuple(batch['image'].shape)}, expected (batch, channel, depth, height, "
                "width): this module takes volumes"
            )
        if not self.multilabel:
            return super().plain(batch)
        return {**batch, "valid": valid_of(batch["valid"])}

    def target(self, mask: Tensor) -> Tensor:
        """What the loss compares with: channels of class ids, or 0 and 1 of each class.

        Raises:
            LabelError: It holds something else.
        """
        if not self.multilabel:
            return super().target(mask)
        if mask.ndim != _5D or mask.shape[1] != len(self.classes):
            raise LabelError(
                f"a mask is {tuple(mask.shape)}, expected (batch, class, depth, height, width) of "
                f"{len(self.classes)} classes that may overlap"
            )
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise LabelError("a mask of classes that may overlap holds other numbers than 0 and 1")
        return mask.float()

    def confusion_of(self, logits: Tensor, batch: dict[str, Any]) -> Tensor:
        """Voxels of a batch: (class, class) with the truth as rows, or (class, 3) as `overlaps` has them."""
        if not self.multilabel:
            return super().confusion_of(logits, batch)
        valid = batch["valid"][:, None]
        truth, found = (self.target(batch["mask"]) > 0) & valid, (logits > 0) & valid
        return torch.stack([(truth & found).sum((0, 2, 3, 4)), truth.sum((0, 2, 3, 4)),
                            found.sum((0, 2, 3, 4))], dim=1)  # fmt: skip

    def on_validation_epoch_end(self) -> None:
        """Log IoU and Dice of each class and their means, of all voxels of all batches and ranks together.

        A class that is in neither the labels nor the prediction has none: NaN.
        """
        pooled = self.pooled()
        counts = pooled if self.multilabel else overlaps.of_confusion(pooled)
        scores = {"iou": overlaps.iou(counts), "dice": overlaps.dice(counts)}
        log_known(self, MONITORED, metrics.mean(scores["iou"]))
        log_known(self, "valid_mean_dice", metrics.mean(scores["dice"]))
        for score, of_classes in scores.items():
            for name, value in zip(self.classes.names, of_classes, strict=True):
                log_known(self, f"valid_{score}_{name}", value)

    def _build_loss(self) -> None:
        if not self.multilabel:
            super()._build_loss()
            return
        if self.class_weights is not None:
            raise ConfigError(
                'class_weights are for exclusive classes; with overlap="multilabel" leave them out'
            )
        self.loss = losses.build_multilabel(self.hparams["loss"], **self.hparams["loss_options"])


def _built(
    model: str | nn.Module,
    in_channels: int,
    classes: int,
    planes: int | None,
    options: Mapping[str, Any],
) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    return models.build(model, in_channels, classes, **{"planes": planes, **options})


def _known(augmentation: str | Callable[..., Any]) -> str | Callable[..., Any]:
    """An augmentation that knows volumes.

    Raises:
        ConfigError: It is for images.
    """
    if augmentation in ("none", "d4") or not isinstance(augmentation, str | Sequence | Mapping):
        return augmentation
    raise ConfigError(
        f"augmentation is {augmentation!r}; for volumes there are none and d4, or give a callable"
    )
