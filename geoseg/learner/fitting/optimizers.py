"""Optimizers and schedules of the learning rate by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import nn, optim
from torch.optim import lr_scheduler

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen

MONITORED = "valid_mean_iou"
"""The number that tells which epoch is better: higher is."""

_LEAST = 2
"""Steps that a schedule goes over at least, also where the training has fewer."""
_PATIENCE = 2
"""Epochs that "plateau" bears without a better number; after one more the rate falls."""


def build_optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float
) -> optim.Optimizer:
    """An optimizer by its name: "adamw", or "sgd" with a momentum of 0.9.

    Raises:
        ConfigError: There is no such optimizer.
    """
    if chosen("optimizer", name, OPTIMIZERS) is optim.AdamW:
        return optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    return optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=weight_decay)


def build_schedule(
    name: str, optimizer: optim.Optimizer, *, lr: float, steps: int
) -> dict[str, Any] | None:
    """A schedule by its name, as Lightning wants it; None for "constant".

    Args:
        name: "onecycle" and "cosine" go over all steps; "plateau" divides the rate by 10 where
            `valid_mean_iou` has not risen for 3 epochs; "constant" leaves it.
        optimizer: Whose rate it is.
        lr: The highest rate.
        steps: Of the whole training.

    Raises:
        ConfigError: There is no such schedule.
    """
    kind = chosen("schedule", name, SCHEDULES)
    if kind is lr_scheduler.OneCycleLR:
        return {
            "scheduler": lr_scheduler.OneCycleLR(optimizer, lr, max(steps, _LEAST)),
            "interval": "step",
        }
    if kind is lr_scheduler.CosineAnnealingLR:
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
        return {"scheduler": cosine, "interval": "step"}
    if kind is lr_scheduler.ReduceLROnPlateau:
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.1, patience=_PATIENCE)
        return {"scheduler": plateau, "interval": "epoch", "monitor": MONITORED}
    return None


def check_steps(trainer: pl.Trainer, steps: int) -> None:
    """See that a schedule which goes over all steps was made for those of this training.

    Args:
        trainer: Has the schedule, as a checkpoint brought it.
        steps: Of this training.

    Raises:
        ConfigError: A checkpoint brought one of another number of steps.
    """
    for config in trainer.lr_scheduler_configs:
        planned = planned_steps(config.scheduler.state_dict())
        if planned is not None and not goes_over(planned, steps):
            raise ConfigError(
                f"the checkpoint's schedule goes over {planned} steps, but this training has {steps}; keep "
                "epochs, length, batch_size, accumulate and devices as they were to go on with it, or "
                "begin anew from its weights"
            )


def planned_steps(schedule: Mapping[str, Any]) -> int | None:
    """The steps that a schedule's state goes over; None where it has no end."""
    planned = schedule.get("total_steps", schedule.get("T_max"))
    return None if planned is None else int(planned)


def goes_over(planned: int, steps: int) -> bool:
    """Whether a schedule of so many steps is that of a training of so many."""
    return planned in (steps, max(steps, _LEAST))


OPTIMIZERS: dict[str, Any] = {"adamw": optim.AdamW, "sgd": optim.SGD}
SCHEDULES: dict[str, Any] = {
    "onecycle": lr_scheduler.OneCycleLR,
    "cosine": lr_scheduler.CosineAnnealingLR,
    "plateau": lr_scheduler.ReduceLROnPlateau,
    "constant": None,
}
