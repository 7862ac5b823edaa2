"""How a model is trained and how it predicts: the two sets of options that a user writes down."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from geoseg.errors import ConfigError
from geoseg.labels.blend import Blend
from geoseg.spec import FrozenMap, Spec

Pixels = Annotated[int, Field(ge=1)]
PixelSize = Pixels | tuple[Pixels, Pixels]
Precision = Literal["32", "16-mixed", "bf16-mixed"]
"""Number format of the arithmetic: 32 bits, or 16 where that is enough."""
TTA = Literal["flips", "d4"]
"""Positions of a window that are averaged: "flips" are 4, as it is and mirrored along columns, rows and
both; "d4" are 8, these and the same transposed."""


MODELS = ("custom", "unet")
"""Networks that a training can name; "custom" is a module given in Python."""
LOSSES = ("cross_entropy", "dice")
"""Losses that a training can name, or add up with a plus sign between."""


class Training(Spec):
    """Options of training."""

    model: str = "unet"
    """A network by name, see `geoseg.learner.models`; "custom" for a module given in Python."""
    model_options: FrozenMap[str, int] = FrozenMap()
    """Options of the network, such as `width` and `depth` of "unet"."""
    loss: str = "cross_entropy"
    """A loss by name, see `geoseg.learner.losses`; "cross_entropy+dice" is their sum."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with a momentum of 0.9."""
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    """How the learning rate goes over all steps of the training."""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    """The (highest) learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of the optimizer."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Times that `length` windows are drawn."""
    size: PixelSize = 256
    """Pixels of a training window, one number or (height, width)."""
    length: Annotated[int, Field(ge=1)] = 256
    """Windows in an epoch."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Windows in a step."""
    precision: Precision = "32"
    """Number format of the arithmetic; the mixed ones are for GPUs."""
    augmentation: Literal["none", "d4", "d4+light"] = "d4"
    """Changes to training windows, see `geoseg.learner.augment`."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Weights, windows and augmentation follow from it."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read windows; 0 reads in this one."""
    order: Literal["auto", "block", "uniform"] = "auto"
    """How training windows follow one another, see RandomWindowGeoDataset; "auto" hangs on whether the
    scenes fit the cache of this machine."""

    @field_validator("model")
    @classmethod
    def _known_model(cls, name: str) -> str:
        if name not in MODELS:
            raise ValueError(f"there is no model {name!r}; known: {', '.join(MODELS)}")
        return name

    @field_validator("loss")
    @classmethod
    def _known_losses(cls, names: str) -> str:
        for name in names.split("+"):
            if name.strip() not in LOSSES:
                raise ValueError(
                    f"there is no loss {name.strip()!r}; known: {', '.join(LOSSES)}, and sums such as "
                    "'cross_entropy+dice'"
                )
        return names


class Prediction(Spec):
    """Options of prediction."""

    size: PixelSize | None = None
    """Pixels of a window; None: the size of training."""
    stride: PixelSize | None = None
    """Pixels from window to window; None: half the size."""
    blend: Blend = "hann"
    """How overlapping windows are joined, see `geoseg.labels.blend`."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Windows in a step; None: that of training."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read windows; 0 reads in this one."""
    tta: TTA | None = None
    """Positions of a window over which probabilities are averaged; None: only as it is."""
    resolution: Literal["image", "trained"] = "image"
    """On which grid: that of the scene, or one with the pixels of the training, onto which the scene is
    brought first. Then the map has that grid."""
    precision: Precision | None = None
    """Number format of the arithmetic; None: that of training on a GPU, 32 bits on a CPU."""
    device: str | None = None
    """Where it is computed, as torch names it ("cpu", "cuda:1"); None: a GPU where there is one."""
    max_memory: Annotated[int, Field(ge=1)] | None = None
    """Bytes for what grows with the width of the scene; a wider one is predicted in pieces. None: no
    bound."""
    keep: bool = True
    """Keep finished rows in a hidden folder beside the map until it is whole, so that a run that was
    stopped can be resumed; see `geoseg.learner.predict`."""


def check_tta(tta: str | None, size: tuple[int, int]) -> None:
    """See that there is such a way for windows of this (height, width).

    Raises:
        ConfigError: There is none.
    """
    if tta is not None and tta not in get_args(TTA):
        raise ConfigError(f"tta is {tta!r}, expected one of: None, {', '.join(get_args(TTA))}")
    if tta == "d4" and size[0] != size[1]:
        raise ConfigError(
            f'tta "d4" turns windows by 90 degrees, which needs square ones, but size is {size[0]} x '
            f'{size[1]} px; use a square size, or "flips"'
        )
