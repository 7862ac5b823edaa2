"""How a model is trained and how it predicts: the two sets of options that a user writes down."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from geoseg.classweights import ClassWeights
from geoseg.errors import ConfigError
from geoseg.labels.blend import Blend
from geoseg.learner import lossnames
from geoseg.learner.augments import AugmentField, named
from geoseg.learner.modelnames import model_parts
from geoseg.sampling import Sampling
from geoseg.spec import FrozenMap, Spec, Uri

Pixels = Annotated[int, Field(ge=1)]
PixelSize = Pixels | tuple[Pixels, Pixels]
Precision = Literal["32", "16-mixed", "bf16-mixed"]
"""Number format of the arithmetic: 32 bits, or 16 where that is enough."""
TTA = Literal["flips", "d4"]
"""Positions of a window that are averaged: "flips" are 4, as it is and mirrored along columns, rows and
both; "d4" are 8, these and the same transposed."""


class Training(Spec):
    """Options of training."""

    model: str = "unet"
    """A network by name: "unet" is the built-in one; "unet/resnet34" an architecture of
    segmentation-models-pytorch with one of its encoders; "custom" a module given in Python."""
    encoder: str | None = None
    """The encoder, where `model` names only the architecture: "deeplabv3plus" and "resnet50"."""
    weights: Annotated[Literal["imagenet"] | Uri, Field(union_mode="left_to_right")] | None = None
    """What the encoder begins with: None for random numbers, "imagenet", or a local .safetensors or .pth
    file."""
    model_options: FrozenMap[str, int | float | str | bool] = FrozenMap()
    """Options of the network, such as `width` and `depth` of "unet"."""
    freeze_epochs: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Epochs at the beginning in which the encoder stays as it is, with its batch statistics; fewer than
    `epochs`, or "all" for an encoder that never learns."""
    loss: str = "cross_entropy"
    """A loss by name, see `geoseg.learner.losses`; "cross_entropy+dice" is their sum."""
    loss_options: FrozenMap[str, int | float | str | bool] = FrozenMap()
    """Options of the loss, such as `gamma` of "focal"."""
    class_weights: ClassWeights | tuple[Annotated[float, Field(ge=0)], ...] = "none"
    """How classes weigh in cross entropy and focal loss: a rule that looks at how often they occur in the
    training scenes, or one number a class."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with a momentum of 0.9."""
    schedule: Literal["onecycle", "cosine", "plateau", "constant"] = "onecycle"
    """How the learning rate goes over the training; "plateau" divides it by 10 where the mean IoU of the
    validation does not rise."""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    """The (highest) learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of the optimizer."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are added up for one step."""
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The largest norm of all gradients together; longer ones are shortened."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay a step of a running mean of the weights, which then is the model; 0.999 is usual."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Times that `length` windows are drawn."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better mean IoU of the validation after which training ends early."""
    select: Literal["last", "best"] = "last"
    """Which weights the training leaves: of its last epoch, or of that with the best mean IoU of the
    validation."""
    size: PixelSize = 256
    """Pixels of a training window, one number or (height, width)."""
    length: Annotated[int, Field(ge=1)] = 256
    """Windows in an epoch."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Windows in a step."""
    sampling: Sampling = Sampling()
    """Which windows are drawn."""
    precision: Precision = "32"
    """Number format of the arithmetic; the mixed ones are for GPUs."""
    augmentation: str | tuple[AugmentField, ...] = "d4"
    """Changes to training windows: names with a plus sign between, or a list of them with their options;
    see `geoseg.learner.augment`."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Weights, windows and augmentation follow from it."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read windows; 0 reads in this one."""
    devices: Annotated[int, Field(ge=1)] = 1
    """GPUs, or processes on the CPU, that share each epoch (DDP)."""
    logger: Literal["csv", "tensorboard", "mlflow", "wandb"] = "csv"
    """Where the numbers of each epoch go, beside `metrics.csv`, which is always written."""
    order: Literal["auto", "block", "uniform"] = "auto"
    """How training windows follow one another, see RandomWindowGeoDataset; "auto" hangs on whether the
    scenes fit the cache of this machine."""

    @field_validator("loss")
    @classmethod
    def _known_losses(cls, names: str) -> str:
        lossnames.terms(names)
        return names

    @field_validator("augmentation")
    @classmethod
    def _known_augments(
        cls, value: str | tuple[AugmentField, ...]
    ) -> str | tuple[AugmentField, ...]:
        if isinstance(value, str):
            named(value)
        return value

    @model_validator(mode="after")
    def _options_belong(self) -> Self:
        model_parts(self.model, encoder=self.encoder)
        lossnames.check_options(self.loss, self.loss_options)
        return self


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
