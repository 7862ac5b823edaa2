"""SegmentationModule: a network with its normalisation, loss, optimizer and pooled metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.classweights import class_weights as weights_by
from geoseg.errors import ConfigError
from geoseg.labels import metrics
from geoseg.learner import augment, losses, models
from geoseg.learner.choices import chosen
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.counting import Counts, count_labels
from geoseg.learner.fitting.optimizers import (
    MONITORED,
    OPTIMIZERS,
    SCHEDULES,
    build_optimizer,
    build_schedule,
    check_steps,
)
from geoseg.learner.fitting.plainly import class_map_of, class_weights_of, kept_augmentation
from geoseg.learner.fitting.scaled import per_channel, scaled_to_unit
from geoseg.learner.fitting.seeds import seed_of
from geoseg.learner.fitting.trainedon import TrainedOnScenes
from geoseg.learner.items import ids_of, looked_up, refuse_ids, valid_of

_IGNORED = 255
"""Channel of pixels that are not labelled."""
_UNKNOWN = -1
"""Channel of ids that no class has."""


class SegmentationModule(TrainedOnScenes):
    """A segmentation network that takes images as data sets give them.

    The constructor takes plain values, so that the module works in a Lightning script by itself.
    Normalisation is part of it: images in their native dtype, or already scaled to [0, 1], become
    `(x - mean) / std`, and 0 where not valid.
    """

    mean: Tensor
    """(channel, 1, 1), in the units of scaled images."""
    std: Tensor
    """(channel, 1, 1), above 0."""
    channel_of: Tensor
    """(256,) the channel of each class id; 255 of `ignore_id`, -1 of all others."""
    confusion: Tensor
    """(class, class) pixels of the running validation; rows are the truth."""
    _steps: int | None = None
    """Of the training for which a schedule was made here."""

    def __init__(
        self,
        classes: Sequence[str] | Mapping[str, Any] | ClassMap,
        in_channels: int = 3,
        *,
        model: str | nn.Module = "unet",
        encoder: str | None = None,
        weights: str | None = None,
        model_options: Mapping[str, int | float | str | bool] | None = None,
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
        self.classes = class_map_of(classes)
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
        chosen("optimizer", optimizer, OPTIMIZERS)
        chosen("schedule", schedule, SCHEDULES)
        self.optimizer_name, self.schedule = optimizer, schedule
        self.lr, self.weight_decay, self.seed = lr, weight_decay, seed
        self.register_buffer("mean", per_channel(mean, in_channels, 0.0))
        self.register_buffer("std", per_channel(std, in_channels, 1.0, positive=True))
        channels = torch.from_numpy(self.classes.channel_table()).long()
        channels[channels == _IGNORED] = _UNKNOWN
        channels[self.classes.ignore_id] = _IGNORED
        self.register_buffer("channel_of", channels, persistent=False)
        confusion = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)
        self.register_buffer("confusion", confusion, persistent=False)

    def setup(self, stage: str) -> None:
        """Before a training or validation: compare classes with the scenes, and measure them where none was given.

        Raises:
            ConfigError: Classes or bands of the scenes are not those of the module, or their images are
                standardized, but not as the module expects.
            SceneError: A scene has no labels.
        """
        data = getattr(self.trainer, "datamodule", None)
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
        return self._logits(self.normalized(image, valid))

    def normalized(self, image: Tensor, valid: Tensor | None = None) -> Tensor:
        """Float images of mean 0 and deviation 1, and 0 where not valid."""
        scaled = scaled_to_unit(image)
        normal = (scaled - self.mean) / self.std
        return normal if valid is None else torch.where(valid_of(valid)[:, None], normal, 0.0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        place = (self.current_epoch, batch_idx, self.global_rank)
        loss = self.loss_of(batch, seed=seed_of(self.seed, *place))
        self._log_mean("train_loss", loss, len(batch["image"]))
        return loss

    def loss_of(self, batch: dict[str, Any], *, seed: int) -> Tensor:
        """The loss of a training batch, augmented.

        Args:
            batch: `image`, `mask` and `valid`, on the module's device.
            seed: The augmentation follows from it.
        """
        batch = _taken(batch)
        batch = {**batch, "image": self.normalized(batch["image"], batch["valid"])}
        batch = self.augmentation(batch, torch.Generator().manual_seed(seed))
        logits = self._logits(batch["image"])
        return self.loss(logits, self._target(batch["mask"]), batch["valid"])

    def kept(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """(batch, height, width): which pixels of a batch are valid and labelled, and all their channels."""
        target = self._target(batch["mask"])
        return valid_of(batch["valid"]) & (target != _IGNORED), target

    def confusion_of(self, logits: Tensor, batch: dict[str, Any]) -> Tensor:
        """(class, class) pixels of a batch; rows are the truth."""
        kept, target = self.kept(batch)
        pairs = target[kept] * len(self.classes) + logits.argmax(dim=1)[kept]
        return torch.bincount(pairs, minlength=self.confusion.numel()).view_as(self.confusion)

    def on_train_start(self) -> None:
        """See that class weights are known, and that the schedule ends where the training does.

        Raises:
            ConfigError: Class weights go by a rule, and there is no SegmentationData to look at; or a
                checkpoint's schedule was made for another number of steps.
        """
        if self._steps is not None:
            check_steps(self.trainer, self._steps)
        if self.unweighed is not None:
            raise ConfigError(
                f"class_weights {self.unweighed!r} looks at the labels of a SegmentationData, but the "
                "Trainer has none; pass one number a class, or call module.weigh(counts) before"
            )

    def on_train_epoch_start(self) -> None:
        """Log the learning rate with which the epoch begins."""
        self._log_or_nan("lr", float(self.trainer.optimizers[0].param_groups[0]["lr"]))

    def on_train_epoch_end(self) -> None:
        """Let "plateau" look at the epoch: here, so that a checkpoint of the epoch knows it."""
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(float(self.trainer.callback_metrics.get(MONITORED, "nan")))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Lightning's own step comes after the checkpoint, too late for "plateau"."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_validation_epoch_start(self) -> None:
        """Start a new confusion matrix."""
        self.confusion.zero_()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:  # noqa: ARG002
        """Add a batch to the confusion matrix, and log its loss."""
        batch = _taken(batch)
        logits = self(batch["image"], batch["valid"])
        loss = self.loss(logits, self._target(batch["mask"]), batch["valid"])
        self._log_mean("valid_loss", loss, len(logits))
        self.confusion += self.confusion_of(logits, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class, and their mean, of all pixels of all batches and ranks together.

        A class that occurs neither in the labels nor in the prediction has none: NaN.
        """
        confusion = self.confusion.clone()
        if self.trainer.world_size > 1:
            dist.all_reduce(confusion)
        of_classes = metrics.iou(confusion.cpu().numpy())
        self._log_or_nan(MONITORED, metrics.mean(of_classes))
        for name, iou in zip(self.classes.names, of_classes, strict=True):
            self._log_or_nan(f"valid_iou_{name}", iou)

    def _logits(self, normal: Tensor) -> Tensor:
        """What the network makes of normalised images, seen to have the right shape."""
        logits: Any = self.network(normal)
        expected = (len(normal), len(self.classes), *normal.shape[2:])
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ConfigError(
                f"the network gives {got}, expected a tensor {expected}: (batch, class, height, width) "
                f"logits of {len(self.classes)} classes at the size of the image"
            )
        return logits

    def _target(self, mask: Tensor) -> Tensor:
        """The channel of each class id of a mask."""
        ids = ids_of(mask)
        target = looked_up(self.channel_of, ids, strange=_UNKNOWN)
        if (target == _UNKNOWN).any():
            strange = sorted(set(ids[target == _UNKNOWN].tolist()))
            refuse_ids("a mask holds", strange, self.classes)
        return target

    def _log_mean(self, name: str, value: Tensor, count: int) -> None:
        """Log the mean of an epoch over all batches and ranks."""
        self.log(name, value, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)

    def _log_or_nan(self, name: str, value: float | None) -> None:
        """Log what all ranks know alike."""
        value = float("nan") if value is None else value
        self.log(name, value, sync_dist=self.trainer.world_size > 1)

    def _build_loss(self) -> None:
        weights = None if isinstance(self.class_weights, str) else self.class_weights
        self.loss = losses.build(
            self.hparams["loss"],
            ignore_index=_IGNORED,
            class_weights=weights,
            **self.hparams["loss_options"],
        )

    def configure_optimizers(self) -> Any:
        """The optimizer, with its schedule over all steps of the training."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = build_optimizer(
            self.optimizer_name, parameters, lr=self.lr, weight_decay=self.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(self.schedule, optimizer, lr=self.lr, steps=steps)
        self._steps = steps
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}


def _taken(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch of a data set of one's own with a mask and `valid` that augmentations and losses take."""
    return {**batch, "mask": ids_of(batch["mask"]), "valid": valid_of(batch["valid"])}
