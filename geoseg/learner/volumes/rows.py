"""Volumes to models for volumes, scenes to the others."""

from __future__ import annotations

from typing import Any

from geoseg.datasets.volumetric.rows import has_volumes, volumes_of
from geoseg.errors import ConfigError
from geoseg.learner.training import Training


def check_kind(training: Training, given: Any) -> None:
    """See that a model for volumes gets volumes, and one for images none.

    Raises:
        ConfigError: It is the other way round.
    """
    if training.of_volumes:
        volumes_of(given)
        return
    if has_volumes(given):
        raise ConfigError(
            f"the model {training.model!r} takes images (height, width), but volumes are given; use "
            'Training(model="unet3d"), or for a network of your own a size with a depth'
        )
