"""PooledModule: a Lightning module that is measured by one confusion matrix of all batches and ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist

from geoseg.classes import ClassMap
from geoseg.labels import metrics
from geoseg.learner.fitting.logged import log_known, log_mean
from geoseg.learner.fitting.optimizers import MONITORED
from geoseg.learner.items import ids_of, looked_up, refuse_ids, valid_of
from geoseg.learner.losses.base import PixelLoss
from geoseg.learner.losses.multilabel import MultilabelLoss

IGNORED = 255
"""Channel of pixels that are not labelled."""
_UNKNOWN = -1
"""Channel of ids that no class has."""


class PooledModule(pl.LightningModule):
    """Compares logits with masks of class ids; after an epoch with those of the whole validation."""

    classes: ClassMap
    """What is told apart, in the order of the logits' channels."""
    loss: PixelLoss | MultilabelLoss
    """Of logits, target and `valid`."""
    channel_of: Tensor
    """(256,) the channel of each class id; 255 of `ignore_id`, -1 of all others."""
    confusion: Tensor
    """(class, class) pixels of the running validation; rows are the truth."""

    def take_classes(self, classes: ClassMap) -> None:
        """Make the tables of these classes; a checkpoint does not hold them."""
        self.classes = classes
        channels = torch.from_numpy(classes.channel_table()).long()
        channels[channels == IGNORED] = _UNKNOWN
        channels[classes.ignore_id] = IGNORED
        self.register_buffer("channel_of", channels, persistent=False)
        confusion = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        self.register_buffer("confusion", confusion, persistent=False)

    def target(self, mask: Tensor) -> Tensor:
        """The channel of each class id of a mask; 255 where it is not labelled.

        Raises:
            LabelError: It holds an id that is no class.
        """
        ids = ids_of(mask)
        target = looked_up(self.channel_of, ids, strange=_UNKNOWN)
        if (target == _UNKNOWN).any():
            strange = sorted(set(ids[target == _UNKNOWN].tolist()))
            refuse_ids("a mask holds", strange, self.classes)
        return target

    def kept(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """(batch, height, width): which pixels of a batch are valid and labelled, and all their channels."""
        target = self.target(batch["mask"])
        return valid_of(batch["valid"]) & (target != IGNORED), target

    def plain(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch with a mask and `valid` that augmentations and losses take."""
        return taken(batch)

    def confusion_of(self, logits: Tensor, batch: dict[str, Any]) -> Tensor:
        """(class, class) pixels of a batch; rows are the truth."""
        kept, target = self.kept(batch)
        pairs = target[kept] * len(self.classes) + logits.argmax(dim=1)[kept]
        return torch.bincount(pairs, minlength=self.confusion.numel()).view_as(self.confusion)

    def on_validation_epoch_start(self) -> None:
        """Start a new confusion matrix."""
        self.confusion.zero_()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:  # noqa: ARG002
        """Add a batch to the confusion matrix, and log its loss."""
        batch = self.plain(batch)
        logits = self(batch["image"], batch["valid"])
        loss = self.loss(logits, self.target(batch["mask"]), batch["valid"])
        log_mean(self, "valid_loss", loss, count=len(logits))
        self.confusion += self.confusion_of(logits, batch)

    def pooled(self) -> NDArray[np.int64]:
        """The confusion matrix of all ranks together."""
        confusion = self.confusion.clone()
        if self.trainer.world_size > 1:
            dist.all_reduce(confusion)
        return confusion.cpu().numpy()

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class, and their mean, of all pixels of all batches and ranks together.

        A class that occurs neither in the labels nor in the prediction has none: NaN.
        """
        of_classes = metrics.iou(self.pooled())
        log_known(self, MONITORED, metrics.mean(of_classes))
        for name, iou in zip(self.classes.names, of_classes, strict=True):
            log_known(self, f"valid_iou_{name}", iou)


def taken(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch of a data set of one's own with a mask and `valid` that augmentations and losses take."""
    return {**batch, "mask": ids_of(batch["mask"]), "valid": valid_of(batch["valid"])}
