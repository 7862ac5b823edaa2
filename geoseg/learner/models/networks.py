"""Networks of segmentation-models-pytorch, seen to take images of any size before they are used."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError
from geoseg.learner.choices import refuse_unknown
from geoseg.learner.models import library
from geoseg.learner.models.anysize import AnySize

_FAILURES = (
    AssertionError,
    AttributeError,
    IndexError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the libraries raise where a network cannot be built, or cannot take an image."""
_FREE_SIZE = {"dynamic_img_size": True, "strict_img_size": False}
"""Options by which transformers of timm that are made for one image size take others; the first that
some part of them knows counts."""
_LEAST = 64
"""Pixels of the smallest image that every encoder takes; two cells at a stride of 32, because batch
normalisation cannot train on a single value."""


@dataclass(frozen=True)
class Recipe:
    """How a network is made; all but its bands."""

    architecture: str
    """A name in ARCHITECTURES."""
    encoder: str
    """A name as the library has it."""
    classes: int
    """Channels of the logits."""
    options: Mapping[str, Any]
    """Options of the library."""

    @property
    def name(self) -> str:
        """As a model is named."""
        return f"{self.architecture}/{self.encoder}"

    def check(self) -> None:
        """See that encoder and options exist.

        Raises:
            ConfigError: They do not, or the extra `models` is not installed.
        """
        library.check_encoder(self.architecture, self.encoder)
        known = library.known_options(self.architecture, self.encoder)
        refuse_unknown(f"model {self.name!r}", self.options, known)

    def make(self, in_channels: int, *, pretrained: bool = False) -> nn.Module:
        """The network as the library makes it.

        Args:
            in_channels: Bands of the image.
            pretrained: Whether the encoder has the weights of ImageNet, which may be downloaded.
        """
        options = library.completed(self.architecture, self.options)
        network: nn.Module = library.made(
            self.architecture,
            self.encoder,
            pretrained=pretrained,
            in_channels=in_channels,
            classes=self.classes,
            **options,
        )
        return network


def any_size(recipe: Recipe, in_channels: int) -> tuple[AnySize, Recipe]:
    """A network with random weights that takes images of any size, and its recipe.

    Transformers of timm that are made for one image size are made again for all of them. Whether that
    goes is tried out on one small image, so that an encoder that cannot is refused at once.

    Raises:
        ConfigError: Architecture and encoder do not go together, or the encoder has a fixed image size.
    """
    state = torch.get_rng_state()
    network = _made(recipe, in_channels)
    trouble = _trouble(network, in_channels, recipe.classes)
    if trouble is None:
        return network, recipe
    free = replace(recipe, options={**recipe.options, **_free_size(network)})
    torch.set_rng_state(state)  # as if it had been made only once
    try:
        network = _made(free, in_channels)
        if _trouble(network, in_channels, recipe.classes) is None:
            return network, free
    except ConfigError:
        pass  # the option is known to a part only; the first trouble tells more
    raise ConfigError(
        f"the model {recipe.name!r} does not take images of any size ({trouble}); choose an encoder "
        "without a fixed image size, such as 'resnet34' or 'tu-convnext_tiny'"
    )


def _made(recipe: Recipe, in_channels: int) -> AnySize:
    try:
        network = recipe.make(in_channels)
    except _FAILURES as error:
        raise ConfigError(
            f"the model {recipe.name!r} cannot be built with {dict(recipe.options) or 'its defaults'}: "
            f"{_first_line(error)}; choose another encoder or other options"
        ) from error
    stride, least = _steps(recipe.architecture, network)
    return AnySize(network, stride=stride, least=least)


def _steps(architecture: str, network: nn.Module) -> tuple[int, int]:
    """(stride, smallest size) that a network needs."""
    encoder: Any = network.encoder
    stride = int(encoder.output_stride)
    if architecture == "pan":  # halves the deepest level three times more
        return stride, 8 * stride
    if architecture == "dpt":  # makes levels of the strides 4 to 32 from a single one
        stride = max(stride, 32)
    return stride, -(-_LEAST // stride) * stride


def _trouble(network: AnySize, in_channels: int, classes: int) -> str | None:
    """Why a network does not take images that are not square; None: it does."""
    if any(weight.is_meta for weight in network.parameters()):
        return None  # without numbers there is nothing to try
    height, width = network.least, network.least + network.stride
    image = torch.zeros(1, in_channels, height, width)
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            logits: Tensor = network(image)
    except _FAILURES as error:
        return _first_line(error)
    finally:
        network.train()
    expected = (1, classes, height, width)
    return None if logits.shape == expected else f"{tuple(logits.shape)} instead of {expected}"


def _free_size(network: AnySize) -> dict[str, bool]:
    """The option of `_FREE_SIZE` for an encoder; nothing where it has none."""
    encoder: Any = network.network.encoder
    known = {
        name for part in encoder.modules() for name in inspect.signature(type(part)).parameters
    }
    return next(({name: value} for name, value in _FREE_SIZE.items() if name in known), {})


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
