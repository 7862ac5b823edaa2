"""Selection: which epoch was best, whether to stop, and which weights remain."""

from __future__ import annotations

from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from geoseg.errors import LabelError
from geoseg.learner.fitting.ema import EMA
from geoseg.learner.fitting.network import Weights, network_of
from geoseg.learner.fitting.optimizers import MONITORED


class Selection(Callback):
    """A Lightning callback that follows the mean IoU of the validation.

    Its state goes with the checkpoints, so that a training that goes on knows the best epoch before; the
    best weights are part of it where they are wanted at the end.
    """

    def __init__(
        self, select: Literal["last", "best"] = "last", patience: int | None = None
    ) -> None:
        """Nothing has been seen yet.

        Args:
            select: Which weights the module has at the end.
            patience: Epochs without a better number after which the training ends; None: never.
        """
        self.select, self.patience = select, patience
        self.best: float | None = None
        self.waited = 0
        self.weights: Weights = {}

    @property
    def is_best(self) -> bool:
        """Whether the epoch that has just ended is the best so far."""
        return self.best is not None and self.waited == 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """A training that had ended early does not go on."""
        self._stop_if_tired(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the epoch with the best so far.

        Raises:
            LabelError: There is nothing to compare, but a best epoch is asked for.
        """
        found = trainer.callback_metrics.get(MONITORED)
        score = -1.0 if found is None or found.isnan() else float(found)
        if score < 0 and (self.select == "best" or self.patience is not None):
            raise LabelError(
                "the validation has no labelled pixel, so that no epoch can be the best; see that image, "
                "labels and AOI of its scenes overlap"
            )
        if self.best is None or score > self.best:
            self.best, self.waited = score, 0
            if self.select == "best":
                self.weights = _validated(trainer, pl_module)
        else:
            self.waited += 1
        self._stop_if_tired(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Leave the weights that were chosen."""
        if self.weights:
            network_of(pl_module).load_state_dict(self.weights)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same where a training that had ended is gone on with: it has no end of its own."""
        self.on_train_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]
        self.weights = state_dict["weights"] if self.select == "best" else {}

    def _stop_if_tired(self, trainer: pl.Trainer) -> None:
        if self.patience is not None and self.waited >= self.patience:
            trainer.should_stop = True


def _validated(trainer: pl.Trainer, module: pl.LightningModule) -> Weights:
    """The network's weights as the validation saw them, in main memory."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    means = [callback.mean for callback in callbacks if isinstance(callback, EMA)]
    weights = means[0] if means else network_of(module).state_dict()
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
