"""FreezeEncoder: the encoder stays as it is in the first epochs, its batch statistics too."""

from __future__ import annotations

from typing import Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn

from geoseg.errors import ConfigError
from geoseg.learner import models
from geoseg.learner.fitting.network import network_of


class FreezeEncoder(Callback):
    """A Lightning callback that trains only what is not the encoder, for some epochs.

    The optimizer holds the encoder's parameters from the beginning and passes over them as long as they
    have no gradient, so that schedules and checkpoints need to know nothing of it. With several processes
    the strategy must look for unused parameters (`ddp_find_unused_parameters_true`).
    """

    def __init__(self, epochs: int | Literal["all"]) -> None:
        """Nothing is frozen yet.

        Args:
            epochs: How many epochs at the beginning, fewer than the training has; or "all".
        """
        self.epochs = epochs
        self._frozen: list[nn.Parameter] = []
        self._still: list[nn.Module] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """See that there is an encoder, and that it learns in some epoch.

        Raises:
            ConfigError: The network has none that is known, or it is frozen in all epochs by number.
        """
        if stage == "fit" and self.epochs:
            encoder_of(pl_module)
            check_frozen(self.epochs, epochs=trainer.max_epochs)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze, or let go when the epochs are over."""
        if self.epochs != "all" and trainer.current_epoch >= self.epochs:
            self._let_go()
        elif not self._frozen:
            encoder = encoder_of(pl_module)
            # What was still before is not ours to set going again.
            self._frozen = [p for p in encoder.parameters() if p.requires_grad]
            self._still = [part for part in encoder.modules() if part.training]
            for parameter in self._frozen:
                parameter.requires_grad = False
        for part in self._still:
            part.training = False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Leave nothing frozen behind."""
        self._let_go()

    def _let_go(self) -> None:
        for parameter in self._frozen:
            parameter.requires_grad = True
        for part in self._still:
            part.training = True
        self._frozen, self._still = [], []


def check_frozen(freeze_epochs: int | Literal["all"], *, epochs: int | None) -> None:
    """See that an encoder which is frozen for some epochs learns in later ones.

    Args:
        freeze_epochs: How many at the beginning, or "all".
        epochs: Of the training; None or -1: without end.

    Raises:
        ConfigError: There are no later ones.
    """
    if freeze_epochs == "all" or epochs is None or epochs == -1:
        return
    if freeze_epochs and freeze_epochs >= epochs:
        raise ConfigError(
            f"freeze_epochs is {freeze_epochs}, but epochs is {epochs}, so that the encoder would never "
            'learn; use fewer, or "all" where that is meant'
        )


def encoder_of(module: pl.LightningModule) -> nn.Module:
    """The encoder of a SegmentationModule's network.

    Raises:
        ConfigError: It has none that is known.
    """
    network = network_of(module)
    encoder = models.encoder_of(network)
    if encoder is None:
        raise ConfigError(
            f"freeze_epochs: the network {type(network).__name__} has no encoder to freeze; use a model "
            'such as "unet/resnet34", give your own module an attribute `encoder`, or leave '
            "freeze_epochs at 0"
        )
    return encoder
