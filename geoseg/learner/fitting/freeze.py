"""FreezeEncoder: the encoder stays as it is in the first epochs, its batch statistics too."""

from __future__ import annotations

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

    def __init__(self, epochs: int) -> None:
        """Nothing is frozen yet.

        Args:
            epochs: How many epochs at the beginning.
        """
        self.epochs = epochs
        self._frozen: list[nn.Parameter] = []
        self._still: list[nn.Module] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """See that there is an encoder.

        Raises:
            ConfigError: The network has none that is known.
        """
        if stage == "fit" and self.epochs:
            encoder_of(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze, or let go when the epochs are over."""
        if trainer.current_epoch >= self.epochs:
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
