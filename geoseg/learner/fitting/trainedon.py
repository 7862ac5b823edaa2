"""TrainedOnScenes: a Lightning module that knows what the images of its training scenes ended with."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from geoseg.errors import ConfigError
from geoseg.learner.standardized import told
from geoseg.sources.transforms.scaling import Standardize


class TrainedOnScenes(pl.LightningModule):
    """Keeps in its checkpoints the Standardize of its training scenes, and refuses others."""

    standardize: Standardize | None = None
    """What the images of the training scenes ended with, so that no mean and deviation are taken here;
    kept in checkpoints."""
    _knows_scenes = False

    def forget_scenes(self) -> None:
        """Before another training."""
        self._knows_scenes = False

    def take_standardize(self, given: Standardize | None, *, normalizes: bool) -> None:
        """See that scenes end with what the module was trained with; where it does not know, learn it.

        Args:
            given: What the images of scenes end with.
            normalizes: Whether the module was given a mean and deviation.

        Raises:
            ConfigError: It was trained with another one, or would do it twice.
        """
        if self._knows_scenes:
            _refuse_other(trained=self.standardize, given=given)
        if given is not None and normalizes:
            raise ConfigError(
                "the images of the scenes end with a Standardize, and the module has a mean and std of "
                "its own, which would do it twice; leave out one of the two"
            )
        self.standardize, self._knows_scenes = given, True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the images of the training scenes end with."""
        if self._knows_scenes:
            kept = None if self.standardize is None else self.standardize.model_dump(mode="json")
            checkpoint["geoseg_standardize"] = kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take that up again.

        Raises:
            ConfigError: A training is to go on with scenes that end with another Standardize.
        """
        if "geoseg_standardize" not in checkpoint:
            return
        kept = checkpoint["geoseg_standardize"]
        found = None if kept is None else Standardize.model_validate(kept)
        if self._knows_scenes:
            _refuse_other(trained=found, given=self.standardize)
        self.standardize, self._knows_scenes = found, True


def _refuse_other(*, trained: Standardize | None, given: Standardize | None) -> None:
    if trained != given:
        raise ConfigError(
            f"the module was trained on images that end with {told(trained)}, but these end with "
            f"{told(given)}; use the same `transforms`"
        )
