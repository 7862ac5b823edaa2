"""Numbers of an epoch, logged alike by one process and by several."""

from __future__ import annotations

import pytorch_lightning as pl
from torch import Tensor


def log_mean(module: pl.LightningModule, name: str, value: Tensor, *, count: int) -> None:
    """Log the mean of an epoch over all batches and ranks.

    Args:
        module: That is trained.
        name: Of the number.
        value: Of one batch.
        count: Windows in the batch, by which it weighs.
    """
    module.log(name, value, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)


def log_known(module: pl.LightningModule, name: str, value: float | None) -> None:
    """Log what all ranks know alike; None is NaN."""
    known = float("nan") if value is None else value
    module.log(name, known, sync_dist=module.trainer.world_size > 1)
