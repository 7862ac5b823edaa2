"""What a prediction is to do, for the parts that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.labels.blend import Blend
from geoseg.learner.prediction.checked import Model, checked
from geoseg.learner.prediction.halving import Halving
from geoseg.learner.prediction.tiling import Tiling, tiling_for
from geoseg.learner.prediction.tta import averaged
from geoseg.learner.training import TTA, check_tta
from geoseg.scene import Scene
from geoseg.window import Size, pair


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
    half_stride: bool
    """Whether the stride is half the window because nobody chose one."""
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
    tta: TTA | None = None
    """Positions of a window that are averaged."""
    precision: str = "32"
    """Number format of the model's arithmetic."""
    tiling: Tiling | None = None
    """How the scene is taken apart; None: whole rows."""
    output: tuple[int, int] | None = None
    """(height, width) of the middle of a window for which the model gives scores; None: all of it."""

    @property
    def margin(self) -> tuple[int, int]:
        """Rows and columns on each side of a window for which the model gives no scores."""
        height, width = self.output or self.size
        return (self.size[0] - height) // 2, (self.size[1] - width) // 2

    def with_output(self, output: tuple[int, int]) -> Job:
        """The same for a model that gives scores for the middle of its windows only."""
        stride = half(output) if self.half_stride else self.stride
        if stride[0] > output[0] or stride[1] > output[1]:
            raise ConfigError(
                f"of windows of {_px(self.size)} px the model gives the middle {_px(output)}, and stride "
                f"{_px(stride)} would "
                "leave pixels between them; use a stride of at most what it gives"
            )
        return replace(self, output=output, stride=stride)


def job_for(
    model: Model,
    scene: Scene,
    classes: ClassMap,
    *,
    size: Size,
    stride: Size | None,
    blend: Blend,
    batch_size: int,
    workers: int,
    device: torch.device | str,
    tta: TTA | None,
    max_memory: int | None,
    keep_scores: bool,
    precision: str = "32",
) -> Job:
    """A job from the arguments of `geoseg.learner.predict.predict`.

    Raises:
        ConfigError: An argument is out of range.
    """
    _check_whole("batch_size", batch_size, least=1)
    _check_whole("workers", workers, least=0)
    if max_memory is not None:
        _check_whole("max_memory", max_memory, least=1)
    one_of(blend, Blend, name="blend")
    size = _pixels("size", size)
    step = half(size) if stride is None else _pixels("stride", stride)
    if step[0] > size[0] or step[1] > size[1]:
        raise ConfigError(
            f"stride {_px(step)} is larger than size {_px(size)}: pixels between windows would be lost; use a stride "
            "of at most the size"
        )
    check_tta(tta, size)
    return Job(
        model=Halving(
            averaged(checked(model, len(classes)), tta), batch_size, torch.device(device)
        ),
        scene=scene,
        classes=classes,
        size=size,
        stride=step,
        half_stride=stride is None,
        blend=blend,
        batch_size=batch_size,
        workers=workers,
        device=torch.device(device),
        keep_scores=keep_scores,
        tta=tta,
        precision=precision,
        tiling=tiling_for(scene, size, len(classes), scores=keep_scores, max_memory=max_memory),
    )


def half(size: tuple[int, int]) -> tuple[int, int]:
    """Half a (height, width), at least a pixel."""
    return max(size[0] // 2, 1), max(size[1] // 2, 1)


def _pixels(name: str, value: Size) -> tuple[int, int]:
    """A size as (height, width).

    Raises:
        ConfigError: It is not one or two whole numbers above 0.
    """
    numbers: tuple[object, ...]
    numbers = tuple(value) if isinstance(value, Sequence) else (value, value)
    whole = all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in numbers
    )
    if len(numbers) != 2 or not whole:  # noqa: PLR2004
        raise ConfigError(
            f"{name} is {value!r}, expected whole pixels above 0: one number or (height, width)"
        )
    return pair(value)


def _px(pixels: tuple[int, int]) -> str:
    """A size in words: one number where both are equal."""
    height, width = pixels
    return str(height) if height == width else f"{height} x {width}"


def _check_whole(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigError(f"{name} is {value!r}, expected a whole number from {least} on")
