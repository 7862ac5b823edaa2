"""Checkpoints: `last.ckpt` and `best.ckpt`, from which a training goes on as if never interrupted."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from geoseg.learner.fitting.selection import Selection

LAST, BEST = "last.ckpt", "best.ckpt"


class Checkpoints(Checkpoint):  # type: ignore[misc, unused-ignore]
    """A Lightning callback that saves the full state after each epoch.

    `last.ckpt` is that of the last epoch, `best.ckpt` that of the epoch with the best mean IoU of the
    validation. They are written when everything else of the epoch is done.
    """

    def __init__(self, folder: str, selection: Selection | None) -> None:
        """Nothing is written yet.

        Args:
            folder: Where the files are.
            selection: Knows which epoch is best; None: only `last.ckpt` is kept.
        """
        self.folder, self.selection = Path(folder), selection

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """A new training does not leave the best epoch of an older one there."""
        if trainer.current_epoch == 0 and trainer.is_global_zero:
            (self.folder / BEST).unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Save the epoch; every rank has to come here."""
        trainer.save_checkpoint(self.folder / LAST)
        if self.selection is not None and self.selection.is_best:
            trainer.save_checkpoint(self.folder / BEST)
