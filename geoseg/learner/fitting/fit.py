"""One training by Lightning's Trainer: its settings, its numbers, its silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, TQDMProgressBar

from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.checkpoints import Checkpoints
from geoseg.learner.fitting.ema import EMA
from geoseg.learner.fitting.freeze import FreezeEncoder
from geoseg.learner.fitting.history import History, Numbers
from geoseg.learner.fitting.loggers import build_logger
from geoseg.learner.fitting.ranks import errors_of_ranks, strategy_for
from geoseg.learner.fitting.resume import check_resume
from geoseg.learner.fitting.seeds import SeedEachBatch
from geoseg.learner.fitting.selection import Selection
from geoseg.learner.fitting.silence import silence
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training
from geoseg.learner.volumes.data import VolumeData

METRICS = "metrics.csv"


def train_module(
    module: SegmentationModule,
    data: SegmentationData | VolumeData,
    options: Training,
    *,
    folder: str | None,
    resume: str | None,
) -> list[Numbers]:
    """Train a module in place.

    With several devices each has a process of its own, which imports the script anew: there the call must
    stand under `if __name__ == "__main__":`.

    Args:
        module: What is trained.
        data: What it is trained on.
        options: Epochs, precision and the rest.
        folder: Where `metrics.csv`, `last.ckpt` and `best.ckpt` are kept; None: nowhere.
        resume: A checkpoint to go on from.

    Returns:
        The logged numbers of each epoch; those before the checkpoint too.

    Raises:
        ConfigError: The checkpoint is not of this module and these options.
    """
    if resume is not None:
        check_resume(resume, module, options)
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="geoseg-") as scratch, silence(), own_randomness(options.seed):
        # What another process knows at the end comes back in a file.
        told = f"{scratch}/history.json" if options.devices > 1 else None
        history = History(None if folder is None else f"{folder}/{METRICS}", told)
        trainer = _trainer(options, folder, history, measure=data.valid is not None)
        module.train()
        with errors_of_ranks():
            trainer.fit(module, data, ckpt_path=resume)
        return history.told()


def _trainer(
    options: Training, folder: str | None, history: History, *, measure: bool
) -> pl.Trainer:
    terminal = sys.stderr.isatty()
    logger = build_logger(options.logger, folder)
    return pl.Trainer(
        accelerator="auto",
        devices=options.devices,
        strategy=strategy_for(options),
        max_epochs=options.epochs,
        precision=options.precision,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=options.clip,
        logger=False if logger is None else logger,
        callbacks=_callbacks(options, folder, history, measure=measure, terminal=terminal),
        enable_checkpointing=folder is not None,
        enable_model_summary=False,
        enable_progress_bar=terminal,
        limit_val_batches=1.0 if measure else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def _callbacks(
    options: Training, folder: str | None, history: History, *, measure: bool, terminal: bool
) -> list[Callback]:
    """In the order in which they look at an epoch's end; checkpoints come last."""
    callbacks: list[Callback] = [SeedEachBatch(options.seed), history]
    if options.freeze_epochs:
        callbacks.append(FreezeEncoder(options.freeze_epochs))
    if options.ema is not None:
        callbacks.append(EMA(options.ema))
    selection = Selection(options.select, options.patience) if measure else None
    if selection is not None:
        callbacks.append(selection)
    if terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    if folder is not None:
        callbacks.append(Checkpoints(folder, selection))
    return callbacks


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Random numbers that follow from a seed; the caller's stay as they were."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
