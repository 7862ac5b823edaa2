"""SegmentationModule: a network with its normalisation, loss, optimizer and pooled metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.metrics import mean_iou
from geoseg.learner import augment, losses, models
from geoseg.learner.data import SegmentationData
from geoseg.learner.facts import scaled_statistics
from geoseg.learner.standardized import told
from geoseg.sources.transforms.scaling import Standardize

_IGNORED = 255
"""Channel of pixels that are not labelled."""
_UNKNOWN = -1
"""Channel of ids that no class has."""


class SegmentationModule(pl.LightningModule):
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
    standardize: Standardize | None
    """What the images of the training scenes ended with, so that no mean and deviation are taken here;
    kept in checkpoints."""

    def __init__(
        self,
        classes: ClassMap | Sequence[str] | Mapping[str, Any],
        in_channels: int = 3,
        *,
        model: str | nn.Module = "unet",
        model_options: Mapping[str, int] | None = None,
        loss: str = "cross_entropy",
        optimizer: str = "adamw",
        schedule: str = "onecycle",
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        augmentation: str = "d4",
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
            model_options: Options of a network by name.
            loss: See `geoseg.learner.losses`.
            optimizer: "adamw" or "sgd".
            schedule: "onecycle", "cosine" or "constant", over all steps.
            lr: The (highest) learning rate.
            weight_decay: Of the optimizer.
            augmentation: See `geoseg.learner.augment`.
            seed: The augmentation follows from it, the epoch and the batch.
            mean: One number a channel, in the units of scaled images; None: measured on the scenes of
                a SegmentationData when a training begins, else 0.
            std: One number a channel, above 0; None: the same way, else 1.
        """
        super().__init__()
        self.classes = _class_map(classes)
        self.save_hyperparameters(
            {
                "classes": self.classes.model_dump(mode="json"),
                "in_channels": in_channels,
                "model_options": dict(model_options or {}),
                "loss": loss,
                "optimizer": optimizer,
                "schedule": schedule,
                "lr": lr,
                "weight_decay": weight_decay,
                "augmentation": augmentation,
                "seed": seed,
                **({"model": model} if isinstance(model, str) else {}),
            },
            logger=False,
        )
        self._measured = mean is not None or std is not None
        self.standardize = None
        self._knows_scenes = False
        if isinstance(model, str):
            model = models.build(model, in_channels, len(self.classes), **(model_options or {}))
        self.network = model
        self.loss = losses.build(loss, ignore_index=_IGNORED)
        self.augmentation = augment.build(augmentation)
        self.optimizer_name = _one_of("optimizer", optimizer, ("adamw", "sgd"))
        self.schedule = _one_of("schedule", schedule, ("onecycle", "cosine", "constant"))
        self.lr, self.weight_decay, self.seed = lr, weight_decay, seed
        self.register_buffer("mean", _per_channel(mean, in_channels, 0.0))
        self.register_buffer("std", _per_channel(std, in_channels, 1.0))
        channels = torch.from_numpy(self.classes.channel_table()).long()
        channels[channels == _IGNORED] = _UNKNOWN
        channels[self.classes.ignore_id] = _IGNORED
        self.register_buffer("channel_of", channels, persistent=False)
        confusion = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)
        self.register_buffer("confusion", confusion, persistent=False)

    def setup(self, stage: str) -> None:
        """Before a training: compare classes with the scenes, and measure them where none was given.

        Raises:
            ConfigError: Classes or bands of the scenes are not those of the module, or their images are
                standardized, but not as the module expects.
            SceneError: A scene has no labels.
        """
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, SegmentationData):
            return
        if stage == "fit":
            data.check(self.classes)
            self._knows_scenes = False  # of an earlier training
        if not isinstance(data.train, Dataset):
            self._take_standardize(data.standardize)
        if stage != "fit":
            return
        if self._measured or (facts := data.facts()) is None:
            return
        mean, std = scaled_statistics(facts)
        self.mean.copy_(_per_channel(mean, len(self.mean), 0.0))
        self.std.copy_(_per_channel(std, len(self.std), 1.0))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the images of the training scenes end with."""
        if self._knows_scenes:
            kept = None if self.standardize is None else self.standardize.model_dump(mode="json")
            checkpoint["geoseg_standardize"] = kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take that up again.

        Raises:
            ConfigError: A training is to go on with scenes that end with another Standardize.
        """
        if "geoseg_standardize" not in checkpoint:
            return
        kept = checkpoint["geoseg_standardize"]
        found = None if kept is None else Standardize.model_validate(kept)
        if self._knows_scenes:
            _refuse_other(trained=found, given=self.standardize)
        self.standardize, self._knows_scenes = found, True

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
        return normal if valid is None else torch.where(valid[:, None], normal, 0.0)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        generator = torch.Generator().manual_seed(
            _seed_of(self.seed, self.current_epoch, batch_idx, self.global_rank)
        )
        batch = {**batch, "image": self.normalized(batch["image"], batch["valid"])}
        batch = self.augmentation(batch, generator)
        logits = self._logits(batch["image"])
        loss = self.loss(logits, self._target(batch["mask"]), batch["valid"])
        self._log_mean("train_loss", loss, len(logits))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start a new confusion matrix."""
        self.confusion.zero_()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:  # noqa: ARG002
        """Add a batch to the confusion matrix, and log its loss."""
        logits = self(batch["image"], batch["valid"])
        target = self._target(batch["mask"])
        loss = self.loss(logits, target, batch["valid"])
        self._log_mean("valid_loss", loss, len(logits))
        kept = batch["valid"] & (target != _IGNORED)
        pairs = target[kept] * len(self.classes) + logits.argmax(dim=1)[kept]
        counts = torch.bincount(pairs, minlength=self.confusion.numel())
        self.confusion += counts.view_as(self.confusion)

    def on_validation_epoch_end(self) -> None:
        """Log the mean IoU of all pixels of all batches and ranks together."""
        confusion = self.confusion.clone()
        if self.trainer.world_size > 1:
            dist.all_reduce(confusion)
        iou = mean_iou(confusion.cpu().numpy())
        self.log("valid_mean_iou", float("nan") if iou is None else iou, sync_dist=True)

    def _take_standardize(self, given: Standardize | None) -> None:
        """See that scenes end with what the module was trained with; where it does not know, learn it."""
        if self._knows_scenes:
            _refuse_other(trained=self.standardize, given=given)
        unchanged = bool((self.mean == 0).all() and (self.std == 1).all())
        if given is not None and self._measured and not unchanged:
            raise ConfigError(
                "the images of the scenes end with a Standardize, and the module has a mean and std of "
                "its own, which would do it twice; leave out one of the two"
            )
        self.standardize, self._knows_scenes = given, True

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
        target = self.channel_of[mask]
        if (target == _UNKNOWN).any():
            ids = sorted(set(mask[target == _UNKNOWN].tolist()))
            raise LabelError(
                f"a mask holds the ids {ids[:8]}, expected those of {list(self.classes.names)}: "
                f"{list(self.classes.ids)}, or {self.classes.ignore_id} for ignored"
            )
        return target

    def _log_mean(self, name: str, value: Tensor, count: int) -> None:
        """Log the mean of an epoch over all batches and ranks."""
        self.log(name, value, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """The optimizer, with its schedule over all steps of the training."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        if self.optimizer_name == "adamw":
            optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                parameters, lr=self.lr, weight_decay=self.weight_decay
            )
        else:
            optimizer = torch.optim.SGD(
                parameters, lr=self.lr, momentum=0.9, weight_decay=self.weight_decay
            )
        if self.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        if self.schedule == "cosine":
            schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        else:
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, max(steps, 2))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _refuse_other(*, trained: Standardize | None, given: Standardize | None) -> None:
    if trained != given:
        raise ConfigError(
            f"the module was trained on images that end with {told(trained)}, but these end with "
            f"{told(given)}; use the same `transforms`"
        )


def _class_map(classes: ClassMap | Sequence[str] | Mapping[str, Any]) -> ClassMap:
    if isinstance(classes, ClassMap):
        return classes
    if isinstance(classes, Mapping):
        return ClassMap.model_validate(dict(classes))
    return ClassMap.of(*classes)


def scaled_to_unit(image: Tensor) -> Tensor:
    """Float images: unsigned integers scaled to [0, 1], other dtypes cast."""
    if image.is_floating_point():
        return image.float()
    limits = torch.iinfo(image.dtype)
    scaled = image.float()
    return scaled / limits.max if limits.min == 0 else scaled


def _per_channel(values: Sequence[float] | None, channels: int, default: float) -> Tensor:
    """(channel, 1, 1) float32."""
    if values is None:
        values = [default] * channels
    if len(values) != channels:
        raise ConfigError(f"{len(values)} statistics for {channels} channels; pass one for each")
    return torch.tensor([float(value) for value in values]).view(-1, 1, 1)


def _one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(f"there is no {what} {value!r}; known: {', '.join(known)}")
    return value


def _seed_of(*numbers: int) -> int:
    """One seed of several numbers, none of which may be lost in a sum."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
