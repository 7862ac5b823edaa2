"""ScheduledModule: a Lightning module with an optimizer and a learning rate that goes by a schedule."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.optim.lr_scheduler import ReduceLROnPlateau

from geoseg.learner.choices import chosen
from geoseg.learner.fitting.logged import log_known
from geoseg.learner.fitting.optimizers import (
    MONITORED,
    OPTIMIZERS,
    SCHEDULES,
    build_optimizer,
    build_schedule,
    check_steps,
)


class ScheduledModule(pl.LightningModule):
    """Knows optimizers and schedules by name; those that go over all steps end with the training."""

    optimizer_name: str
    """A key of OPTIMIZERS."""
    schedule: str
    """A key of SCHEDULES."""
    lr: float
    """The (highest) learning rate."""
    weight_decay: float
    """Of the optimizer."""
    _steps: int | None = None
    """Of the training for which a schedule was made here."""

    def take_schedule(
        self, optimizer: str, *, schedule: str, lr: float, weight_decay: float
    ) -> None:
        """Keep what `configure_optimizers` will make.

        Raises:
            ConfigError: There is no such optimizer or schedule.
        """
        chosen("optimizer", optimizer, OPTIMIZERS)
        chosen("schedule", schedule, SCHEDULES)
        self.optimizer_name, self.schedule = optimizer, schedule
        self.lr, self.weight_decay = lr, weight_decay

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

    def on_train_start(self) -> None:
        """See that the schedule ends where the training does.

        Raises:
            ConfigError: A checkpoint's schedule was made for another number of steps.
        """
        if self._steps is not None:
            check_steps(self.trainer, self._steps)

    def on_train_epoch_start(self) -> None:
        """Log the learning rate with which the epoch begins."""
        log_known(self, "lr", float(self.trainer.optimizers[0].param_groups[0]["lr"]))

    def on_train_epoch_end(self) -> None:
        """Let "plateau" look at the epoch: here, so that a checkpoint of the epoch knows it."""
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(float(self.trainer.callback_metrics.get(MONITORED, "nan")))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Lightning's own step comes after the checkpoint, too late for "plateau"."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)
