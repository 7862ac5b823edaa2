"""History: the numbers of each epoch, in memory, in checkpoints and in `metrics.csv`."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from geoseg.errors import LabelError

Numbers = dict[str, float]
"""Name to number; what has no value in an epoch is missing."""


class History(Callback):
    """A Lightning callback that keeps what was logged, one row an epoch.

    A training that goes on from a checkpoint knows the epochs before.
    """

    def __init__(self, csv_file: str | None = None, told_file: str | None = None) -> None:
        """Nothing is known yet.

        Args:
            csv_file: Is written anew after each epoch; None: none is.
            told_file: Where the first of several processes leaves everything at the end, for `told`.
        """
        self.epochs: list[Numbers] = []
        self.csv_file, self.told_file = csv_file, told_file

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Take down the numbers of the epoch.

        Raises:
            LabelError: The loss is not finite.
        """
        numbers = {key: float(value) for key, value in trainer.callback_metrics.items()}
        loss = numbers.get("train_loss", 0.0)
        if not math.isfinite(loss):
            raise LabelError(
                f"the training loss is {loss} in epoch {trainer.current_epoch}: the training has "
                "diverged; lower `lr`, or look for wild values in the images"
            )
        known = {key: value for key, value in numbers.items() if math.isfinite(value)}
        self.epochs.append({"epoch": float(trainer.current_epoch), **known})
        if self.csv_file is not None and trainer.is_global_zero:
            write_csv(self.csv_file, self.epochs)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Leave the numbers for the process that started this one."""
        if self.told_file is not None and trainer.is_global_zero:
            Path(self.told_file).write_text(json.dumps(self.epochs), encoding="utf-8")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same where a training that had ended is gone on with: it has no end of its own."""
        self.on_train_end(trainer, pl_module)

    def told(self) -> list[Numbers]:
        """What the first of several processes left."""
        if self.told_file is None:
            return self.epochs
        found: list[Numbers] = json.loads(Path(self.told_file).read_text(encoding="utf-8"))
        return found

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.epochs = list(state_dict["epochs"])


def write_csv(uri: str, epochs: list[Numbers]) -> None:
    """One row an epoch; a number without a value is left empty."""
    names = list(dict.fromkeys(name for numbers in epochs for name in numbers))
    with Path(uri).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in epochs)
