"""What a prediction is to do, for the parts that do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.classes import ClassMap
from geoseg.labels.blend import Blend
from geoseg.learner.halving import Halving
from geoseg.learner.tiling import Tiling
from geoseg.scene import Scene

Model = Callable[[Tensor, Tensor], Tensor]
"""(image (batch, channel, height, width) in the native dtype, valid (batch, height, width)) to
probabilities (batch, class, height, width) float32, all on one device."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What is predicted, with what and how."""

    model: Halving
    """Gives probabilities, in the order of `classes`."""
    scene: Scene
    """What is read."""
    classes: ClassMap
    """Of the map."""
    size: tuple[int, int]
    """(height, width) of a window."""
    stride: tuple[int, int]
    """Pixels from window to window."""
    blend: Blend
    """How windows are joined."""
    batch_size: int
    """Windows in a step."""
    workers: int
    """Processes that read."""
    device: torch.device
    """Where the model is."""
    keep_scores: bool
    """Whether rows bring their scores."""
    tiling: Tiling | None = None
    """How the scene is taken apart; None: whole rows."""
    output: tuple[int, int] | None = None
    """(height, width) of the middle of a window for which the model gives scores; None: all of it."""

    @property
    def margin(self) -> tuple[int, int]:
        """Rows and columns on each side of a window for which the model gives no scores."""
        height, width = self.output or self.size
        return (self.size[0] - height) // 2, (self.size[1] - width) // 2
