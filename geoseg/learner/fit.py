"""One training by Lightning's Trainer: its settings, its numbers, its silence."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger

from geoseg.errors import LabelError
from geoseg.learner.data import SegmentationData
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training


def train_module(
    module: SegmentationModule,
    data: SegmentationData,
    options: Training,
    *,
    folder: str | None,
    resume: str | None,
) -> list[dict[str, float]]:
    """Train a module in place.

    Args:
        module: What is trained.
        data: What it is trained on.
        options: Epochs, precision and the rest.
        folder: Where `metrics.csv` and `last.ckpt` are kept; None: nowhere.
        resume: A checkpoint to go on from.

    Returns:
        The logged numbers of each epoch.
    """
    history = _History()
    devices = range(torch.cuda.device_count())
    with _quiet(), torch.random.fork_rng(devices):  # the caller's random numbers stay as they were
        torch.manual_seed(options.seed)
        trainer = _trainer(options, folder, history, measure=data.valid is not None)
        trainer.fit(module, data, ckpt_path=resume)
    return history.epochs


class _History(Callback):
    """The logged numbers of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        numbers = {key: float(value) for key, value in trainer.callback_metrics.items()}
        loss = numbers.get("train_loss", 0.0)
        if not math.isfinite(loss):
            raise LabelError(
                f"the training loss is {loss} in epoch {trainer.current_epoch}: the training has "
                "diverged; lower `lr`, or look for wild values in the images"
            )
        self.epochs.append({"epoch": float(trainer.current_epoch), **numbers})


def _trainer(
    options: Training, folder: str | None, history: Callback, *, measure: bool
) -> pl.Trainer:
    callbacks: list[Callback] = [history]
    terminal = sys.stderr.isatty()
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        callbacks.append(
            ModelCheckpoint(folder, save_last=True, save_top_k=0, enable_version_counter=False)
        )
    return pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=options.epochs,
        precision=options.precision,
        logger=CSVLogger(folder, name="", version="") if folder is not None else False,
        callbacks=callbacks,
        enable_checkpointing=folder is not None,
        enable_model_summary=False,
        enable_progress_bar=terminal,
        limit_val_batches=1.0 if measure else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's greetings and its advice on workers, which we choose on purpose."""
    loud = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*Be aware that when using `ckpt_path`.*")
        # Lightning's own use of a torch name that is on its way out.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
