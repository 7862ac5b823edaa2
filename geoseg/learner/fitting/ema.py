"""EMA: a running mean of the weights, which is what is validated and kept."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from geoseg.learner.fitting.network import Weights, copied, network_of

_NETWORK = "network."
"""What the names of the network's weights begin with in the module."""


class EMA(Callback):
    """A Lightning callback: after each step `mean = d * mean + (1 - d) * weights`.

    The decay `d` of step n is at most (1 + n) / (10 + n), so that a short training is not held back by
    the random weights of its beginning. Batch statistics are averaged as well. Validation sees the mean; at
    the end the module has it. A checkpoint has the mean as its weights, so that it can be used as it is,
    and beside it what training needs to go on.
    """

    def __init__(self, decay: float = 0.999) -> None:
        """Nothing is averaged yet.

        Args:
            decay: Between 0 and 1; nearer to 1 is a longer memory.
        """
        self.decay = decay
        self.mean: Weights = {}
        self.steps = 0
        self._trained: Weights = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Forget an earlier training."""
        if stage == "fit":
            self.mean, self.steps, self._trained = {}, 0, {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin with the weights as they are, unless a checkpoint has brought a mean."""
        begun = self.mean or copied(network_of(pl_module))
        self.mean = {name: value.to(pl_module.device) for name, value in begun.items()}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take up the weights after each step of the optimizer."""
        if trainer.global_step == self.steps:
            return  # gradients are still being added up
        self.steps = trainer.global_step
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in network_of(pl_module).state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value.detach(), 1 - decay)
            else:
                self.mean[name].copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the mean in the network's place."""
        if trainer.state.fn == "fit":
            self._trained = copied(network_of(pl_module))
            network_of(pl_module).load_state_dict(self.mean)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Give the network its weights back."""
        if self._trained:
            network_of(pl_module).load_state_dict(self._trained)
            self._trained = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Leave the mean in the network."""
        network_of(pl_module).load_state_dict(self.mean)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same where a training that had ended is gone on with: it has no end of its own."""
        self.on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """The mean as the checkpoint's weights, and the trained ones beside them."""
        checkpoint["geoseg_trained"] = copied(network_of(pl_module))
        checkpoint["geoseg_steps"] = self.steps
        named = {_NETWORK + name: value.clone() for name, value in self.mean.items()}
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **named}

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Go on from both; a checkpoint of a training without a mean begins one with its weights."""
        self.mean = copied(network_of(pl_module))
        self.steps = checkpoint.get("geoseg_steps", checkpoint["global_step"])
        if "geoseg_trained" in checkpoint:
            network_of(pl_module).load_state_dict(checkpoint["geoseg_trained"])
