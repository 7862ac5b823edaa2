"""How a model is trained and how it predicts: the two sets of options that a user writes down."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from geoseg.choices import one_of
from geoseg.classweights import ClassWeights
from geoseg.errors import ConfigError
from geoseg.labels.blend import Blend
from geoseg.learner import lossnames
from geoseg.learner.augments import AugmentField, named
from geoseg.learner.modelnames import CUSTOM, model_parts, takes_volumes
from geoseg.sampling import Sampling
from geoseg.spec import FrozenMap, Spec, Uri

Pixels = Annotated[int, Field(ge=1)]
PixelSize = Pixels | tuple[Pixels, Pixels]
VoxelSize = tuple[Pixels, Pixels, Pixels]
"""(depth, height, width)."""
Precision = Literal["32", "16-mixed", "bf16-mixed"]
"""Number format of the arithmetic: 32 bits, or 16 where that is enough."""
TTA = Literal["flips", "d4"]
"""Positions of a window that are averaged: "flips" are 4, as it is and mirrored along columns, rows and
both; "d4" are 8, these and the same transposed."""
_2D, _3D = 2, 3
_OF_STACKS: VoxelSize = (32, 64, 64)
"""Of a training window of volumes where nobody says."""
_PLAIN = ("none", "d4")
"""Augmentations that know volumes: "d4" turns and mirrors all planes of a window alike."""


class Training(Spec):
    """Options of training."""

    model: str = "unet"
    """A network by name: "unet" is the built-in one; "unet/resnet34" an architecture of
    segmentation-models-pytorch with one of its encoders; "custom" a module given in Python. For volumes
    "unet3d" is the built-in one, "monai:UNet" one of MONAI, and "custom" with a `size` of three numbers a
    module."""
    encoder: str | None = None
    """The encoder, where `model` names only the architecture: "deeplabv3plus" and "resnet50"."""
    weights: Annotated[Literal["imagenet"] | Uri, Field(union_mode="left_to_right")] | None = None
    """What the encoder begins with: None for random numbers, "imagenet", or a local .safetensors or .pth
    file."""
    model_options: FrozenMap[
        str, int | float | str | bool | tuple[int, ...] | tuple[tuple[int, ...], ...]
    ] = FrozenMap()
    """Options of the network, such as `width` and `depth` of "unet", or `strides` of "monai:UNet": numbers,
    or a list (depth, height, width) for each level."""
    freeze_epochs: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Epochs at the beginning in which the encoder stays as it is, with its batch statistics; fewer than
    `epochs`, or "all" for an encoder that never learns."""
    overlap: Literal["error", "priority", "multilabel"] = "error"
    """Of volumes: what becomes of voxels in the masks of several classes. An error, the first class, or
    all of them: with "multilabel" each class is a question of its own, and `loss` is "bce", "dice" or their
    sum."""
    loss: str = "cross_entropy"
    """A loss by name, see `geoseg.learner.losses`; "cross_entropy+dice" is their sum. Of volumes this sum is
    what is taken where nothing is said, and "bce+dice" where classes may overlap. Of these "dice"
    counts a class that a batch does not hold too, unless its `smooth` is 0."""
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
    size: PixelSize | VoxelSize = 256
    """Pixels of a training window, one number or (height, width). Of volumes (depth, height, width), or one
    number for all three, and (32, 64, 64) where nothing is said."""
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

    @model_validator(mode="before")
    @classmethod
    def _with_depth(cls, data: Any) -> Any:
        """Of volumes one number is three, nothing the size of a stack, and no loss the usual one."""
        if not isinstance(data, dict):
            return data
        size, model = data.get("size", _OF_STACKS), str(data.get("model"))
        if not takes_volumes(model):
            with_depth = "size" in data and isinstance(size, list | tuple) and len(size) == _3D
            return _with_loss(data) if model == CUSTOM and with_depth else data
        return _with_loss({**data, "size": (size,) * 3 if isinstance(size, int) else size})

    @field_validator("loss")
    @classmethod
    def _known_losses(cls, names: str, info: ValidationInfo) -> str:
        lossnames.terms(names, multilabel=info.data.get("overlap") == "multilabel")
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
        lossnames.check_options(self.loss, self.loss_options, multilabel=self.multilabel)
        if self.of_volumes:
            _check_volumes(self)
            return self
        if len(self.window) != _2D:
            raise ValueError(
                f"size is {self.size}, but the model {self.model!r} takes images: (height, width), or one "
                'number; for volumes use model "unet3d"'
            )
        if self.overlap != "error":
            raise ValueError(
                f"overlap is {self.overlap!r}, which is for volumes, but the model {self.model!r} takes "
                'images; leave it out, or use model "unet3d"'
            )
        return self

    @property
    def of_volumes(self) -> bool:
        """Whether the model takes volumes: by its name, or for one of your own, by a size with a depth."""
        return takes_volumes(self.model) or (self.model == CUSTOM and len(self.window) == _3D)

    @property
    def multilabel(self) -> bool:
        """Whether classes may overlap."""
        return self.overlap == "multilabel"

    @property
    def window(self) -> tuple[int, ...]:
        """Sides of a training window: (height, width), or of volumes (depth, height, width)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def image_size(self) -> PixelSize:
        """`size` of a model that takes images: one number, or (height, width).

        Raises:
            ConfigError: The model takes volumes.
        """
        if self.of_volumes:
            raise ConfigError(
                f"the model {self.model!r} takes volumes (depth, height, width), which this is not for; see "
                "`Learner.predict` and `geoseg volumes`"
            )
        height, width, *_ = self.window
        return self.size if isinstance(self.size, int) else (height, width)


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


def _with_loss(data: dict[str, Any]) -> dict[str, Any]:
    """Options of volumes with a loss."""
    usual = lossnames.usual_of_volumes(multilabel=data.get("overlap") == "multilabel")
    return {"loss": usual, **data}


def _check_volumes(training: Training) -> None:
    """See that all options are some that go with volumes.

    Raises:
        ConfigError: One does not.
    """
    what = f"the model {training.model!r} takes volumes"
    if len(training.window) != _3D:
        raise ConfigError(
            f"size is {training.size}, but {what}: (depth, height, width), or one number"
        )
    if training.weights is not None or training.freeze_epochs:
        raise ConfigError(
            f"{what} and has no encoder that was trained before; leave out weights and freeze_epochs"
        )
    if training.augmentation not in _PLAIN:
        raise ConfigError(
            f"augmentation is {training.augmentation!r}, but {what}, for which there are: "
            f"{', '.join(_PLAIN)}; fit(..., augmentation=...) takes a callable of your own"
        )
    known = Sampling(
        class_balance=training.sampling.class_balance, scene_weights=training.sampling.scene_weights
    )
    if training.sampling != known:
        raise ConfigError(
            f"{what}, for whose windows sampling knows class_balance and scene_weights only; leave out "
            "the other rules"
        )
    if training.multilabel and training.class_weights != "none":
        raise ConfigError(
            'class_weights are for exclusive classes; with overlap="multilabel" leave them out'
        )


def check_tta(tta: str | None, size: tuple[int, int]) -> None:
    """See that there is such a way for windows of this (height, width).

    Raises:
        ConfigError: There is none.
    """
    one_of(tta, (None, *get_args(TTA)), name="tta")
    if tta == "d4" and size[0] != size[1]:
        raise ConfigError(
            f'tta "d4" turns windows by 90 degrees, which needs square ones, but size is {size[0]} x '
            f'{size[1]} px; use a square size, or "flips"'
        )
