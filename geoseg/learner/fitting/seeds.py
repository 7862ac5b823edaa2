"""Seeds of what is random in a training: each batch has its own, so that a training can go on anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

_FOR_NETWORK = 1
"""Sets dropout apart from augmentation, which has a generator of its own."""


def seed_of(*numbers: int) -> int:
    """One seed of several numbers, none of which may be lost in a sum."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class SeedEachBatch(Callback):
    """A Lightning callback: what a network draws, as for dropout, follows from epoch, batch and rank.

    A training that goes on from a checkpoint then draws what it would have drawn.
    """

    def __init__(self, seed: int = 0) -> None:
        """Another seed, other numbers."""
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Seed torch's global generators."""
        place = (trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(seed_of(self.seed, *place, _FOR_NETWORK))
