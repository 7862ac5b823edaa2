"""SegmentationModule: a network with its normalisation, loss, optimizer and pooled metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.classweights import class_weights as weights_by
from geoseg.errors import ConfigError
from geoseg.learner import augment, losses, models
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.counting import Counts, count_labels
from geoseg.learner.fitting.logged import log_mean
from geoseg.learner.fitting.network import logits_of
from geoseg.learner.fitting.plainly import class_map_of, class_weights_of, kept_augmentation
from geoseg.learner.fitting.pooled import IGNORED, PooledModule
from geoseg.learner.fitting.scaled import per_channel, scaled_to_unit
from geoseg.learner.fitting.scheduled import ScheduledModule
from geoseg.learner.fitting.seeds import seed_of
from geoseg.learner.fitting.trainedon import TrainedOnScenes
from geoseg.learner.items import valid_of
from geoseg.learner.volumes.data import VolumeData


class SegmentationModule(TrainedOnScenes, ScheduledModule, PooledModule):
    """A segmentation network that takes images as data sets give them.

    The constructor takes plain values, so that the module works in a Lightning script by itself.
    Normalisation is part of it: images in their native dtype, or already scaled to [0, 1], become
    `(x - mean) / std`, and 0 where not valid.
    """

    mean: Tensor
    """(channel, 1, 1), in the units of scaled images."""
    std: Tensor
    """(channel, 1, 1), above 0."""

    def __init__(
        self,
        classes: Sequence[str] | Mapping[str, Any] | ClassMap,
        in_channels: int = 3,
        *,
        model: str | nn.Module = "unet",
        encoder: str | None = None,
        weights: str | None = None,
        model_options: Mapping[str, Any] | None = None,
        loss: str = "cross_entropy",
        loss_options: Mapping[str, int | float | str | bool] | None = None,
        class_weights: str | Sequence[float] = "none",
        optimizer: str = "adamw",
        schedule: str = "onecycle",
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        augmentation: str | Sequence[Any] | Callable[..., Any] = "d4",
        seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """Build the network.

        Args:
            classes: The class map, names of classes with ids from 0, or a class map's fields as plain
                values.
            in_channels: Channels of the image.
            model: A network by name, or a module from (batch, channel, height, width) to logits
                (batch, class, height, width).
            encoder: The encoder of a network by name, where that names only the architecture.
            weights: What the encoder begins with: None for random numbers, "imagenet", or a file.
            model_options: Options of a network by name.
            loss: See `geoseg.learner.losses`.
            loss_options: Options of the loss.
            class_weights: A rule of `geoseg.classweights` that looks at the labels of a
                SegmentationData when a training begins, or one number a class.
            optimizer: "adamw" or "sgd".
            schedule: "onecycle" or "cosine", over all steps; "plateau", by the validation's mean IoU;
                or "constant".
            lr: The (highest) learning rate.
            weight_decay: Of the optimizer.
            augmentation: Text, a list of Augments (or of their fields), or a callable; see
                `geoseg.learner.augment`.
            seed: The augmentation follows from it, the epoch and the batch.
            mean: One number a channel, in the units of scaled images; None: measured on the scenes of
                a SegmentationData when a training begins, else 0.
            std: One number a channel, above 0; None: the same way, else 1.
        """
        super().__init__()
        self.take_classes(class_map_of(classes))
        self.save_hyperparameters(
            {
                "classes": self.classes.model_dump(mode="json"),
                "in_channels": in_channels,
                "encoder": encoder,
                # Not `weights`: what a checkpoint brings back comes in their place.
                "model_options": dict(model_options or {}),
                "loss": loss,
                "loss_options": dict(loss_options or {}),
                "class_weights": class_weights
                if isinstance(class_weights, str)
                else list(class_weights),
                "optimizer": optimizer,
                "schedule": schedule,
                "lr": lr,
                "weight_decay": weight_decay,
                "seed": seed,
                **({"model": model} if isinstance(model, str) else {}),
                **kept_augmentation(augmentation),
            },
            logger=False,
        )
        self._measured = mean is not None or std is not None
        if isinstance(model, str):
            model = models.build(
                model,
                in_channels,
                len(self.classes),
                encoder=encoder,
                weights=weights,
                **(model_options or {}),
            )
        self.network = model
        self.class_weights = class_weights_of(class_weights, len(self.classes))
        self._build_loss()
        self.augmentation = augment.build(augmentation)
        self.take_schedule(optimizer, schedule=schedule, lr=lr, weight_decay=weight_decay)
        self.seed = seed
        self.register_buffer("mean", per_channel(mean, in_channels, 0.0))
        self.register_buffer("std", per_channel(std, in_channels, 1.0, positive=True))

    def setup(self, stage: str) -> None:
        """Before a training or validation: compare classes with the scenes, and measure them where none was given.

        Raises:
            ConfigError: Classes or bands of the scenes are not those of the module, or their images are
                standardized, but not as the module expects; or the data are volumes.
            SceneError: A scene has no labels.
        """
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, VolumeData):
            raise ConfigError(
                "a SegmentationModule takes images (height, width), but the data are volumes; use a "
                "VolumeModule"
            )
        if not isinstance(data, SegmentationData):
            return
        if stage in ("fit", "validate"):
            data.check(self.classes)
        if stage == "fit":
            self.forget_scenes()  # of an earlier training
        if not isinstance(data.train, Dataset):
            self.take_standardize(data.standardize, normalizes=self._normalizes)
        if stage != "fit":
            return
        if self.unweighed is not None:
            self.weigh(count_labels(data.train, self.classes, exact=True).counts)
        if self._measured:
            return
        mean, std = data.statistics()
        self.mean.copy_(per_channel(mean, len(self.mean), 0.0))
        self.std.copy_(per_channel(std, len(self.std), 1.0))

    @property
    def _normalizes(self) -> bool:
        """Whether it was given a mean and deviation that change something."""
        return self._measured and not bool((self.mean == 0).all() and (self.std == 1).all())

    @property
    def unweighed(self) -> str | None:
        """The rule of class weights that still waits for the labels of a training; else None."""
        return self.class_weights if isinstance(self.class_weights, str) else None

    def weigh(self, counts: Counts) -> None:
        """Let a rule of class weights look at the labels; numbers stay as they are.

        Args:
            counts: (scene or item, class) labelled pixels.
        """
        if self.unweighed is None:
            return
        rule: Any = self.unweighed
        self.class_weights = weights_by(rule, counts)
        self.hparams["class_weights"] = list(self.class_weights)
        self._build_loss()

    def forward(self, image: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, height, width): float as data sets give it, or native integers.
            valid: (batch, height, width) bool; None: valid everywhere.

        Returns:
            (batch, class, height, width), in the order of `classes`.
        """
        return logits_of(self.network, self.normalized(image, valid), classes=len(self.classes))

    def normalized(self, image: Tensor, valid: Tensor | None = None) -> Tensor:
        """Float images of mean 0 and deviation 1, and 0 where not valid."""
        scaled = scaled_to_unit(image)
        normal = (scaled - self.mean) / self.std
        return normal if valid is None else torch.where(valid_of(valid)[:, None], normal, 0.0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        place = (self.current_epoch, batch_idx, self.global_rank)
        loss = self.loss_of(batch, seed=seed_of(self.seed, *place))
        log_mean(self, "train_loss", loss, count=len(batch["image"]))
        return loss

    def loss_of(self, batch: dict[str, Any], *, seed: int) -> Tensor:
        """The loss of a training batch, augmented.

        Args:
            batch: `image`, `mask` and `valid`, on the module's device.
            seed: The augmentation follows from it.
        """
        batch = self.plain(batch)
        batch = {**batch, "image": self.normalized(batch["image"], batch["valid"])}
        batch = self.augmentation(batch, torch.Generator().manual_seed(seed))
        logits = logits_of(self.network, batch["image"], classes=len(self.classes))
        return self.loss(logits, self.target(batch["mask"]), batch["valid"])

    def on_train_start(self) -> None:
        """See that class weights are known, and that the schedule ends where the training does.

        Raises:
            ConfigError: Class weights go by a rule, and there is no SegmentationData to look at; or a
                checkpoint's schedule was made for another number of steps.
        """
        super().on_train_start()
        if self.unweighed is not None:
            raise ConfigError(
                f"class_weights {self.unweighed!r} looks at the labels of a SegmentationData, but the "
                "Trainer has none; pass one number a class, or call module.weigh(counts) before"
            )

    def _build_loss(self) -> None:
        weights = None if isinstance(self.class_weights, str) else self.class_weights
        self.loss = losses.build(
            self.hparams["loss"],
            ignore_index=IGNORED,
            class_weights=weights,
            **self.hparams["loss_options"],
        )
