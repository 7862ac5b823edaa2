"""Networks of MONAI by name, imported when one is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError
from geoseg.learner.choices import refuse_unknown
from geoseg.learner.models.anyvolume import AnyVolume, Strides, level_strides, product

_OWN = {"spatial_dims", "in_channels", "out_channels"}
"""What is given by other arguments."""
_NOT_LOGITS = {"deep_supervision", "deep_supr_num"}
"""What would give several logits for a voxel in training."""
_FAILURES = (
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What MONAI raises where a network cannot be built, or cannot take a volume."""
_LEVELS = 4
_CHANNELS = (16, 32, 64, 128, 256)

Options = dict[str, Any]


def monai_network(
    name: str,
    in_channels: int,
    classes: int,
    *,
    planes: int | None,
    options: Mapping[str, Any],
) -> AnyVolume:
    """A network of MONAI for volumes of any size, with random weights.

    Args:
        name: One of MONAI_NETWORKS.
        in_channels: Of the image.
        classes: Channels of the logits.
        planes: Depth of a training window: "UNet", "AttentionUnet" and "DynUNet" halve it only while it
            is not thin, as the built-in network does; the others halve all axes alike.
        options: Arguments of MONAI's class, in place of the defaults.

    Raises:
        ConfigError: MONAI is not installed, an option is unknown, or the network fails.
    """
    kind = getattr(_nets(), name)
    refuse_unknown(
        f"model 'monai:{name}'",
        options,
        set(inspect.signature(kind).parameters) - _OWN - _NOT_LOGITS,
    )
    whole = {**_DEFAULTS[name](planes, options), **options}
    try:
        network: nn.Module = kind(
            spatial_dims=3, in_channels=in_channels, out_channels=classes, **whole
        )
        strides = _strides(name, whole)
    except _FAILURES as error:
        raise ConfigError(
            f"the model 'monai:{name}' cannot be built with {dict(options) or 'its defaults'}: "
            f"{_first_line(error)}; choose other options"
        ) from error
    # Two cells along rows and columns: there is nothing to normalise in a single value.
    least = strides[0], 2 * strides[1], 2 * strides[2]
    found = AnyVolume(network, strides=strides, least=least)
    _try(found, name, in_channels=in_channels, classes=classes)
    return found


def _nets() -> Any:
    """The module monai.networks.nets."""
    try:
        return importlib.import_module("monai.networks.nets")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"networks of MONAI need the package monai, but {error.name} is not installed; "
            "pip install 'geoseg[volumes]', or use the built-in network 'unet3d'"
        ) from error


def _of_levels(planes: int | None, options: Mapping[str, Any]) -> Options:
    """Of UNet and AttentionUnet: a stride between each two levels."""
    channels = tuple(options.get("channels", _CHANNELS))
    return {"channels": channels, "strides": level_strides(planes, len(channels) - 1)}


def _of_unet(planes: int | None, options: Mapping[str, Any]) -> Options:
    return {**_of_levels(planes, options), "num_res_units": 2}


def _of_dynunet(planes: int | None, options: Mapping[str, Any]) -> Options:
    """The first level has a stride of 1; upsampling undoes the others."""
    strides = [(1, 1, 1), *level_strides(planes, len(options.get("filters", _CHANNELS)) - 1)]
    given = options.get("strides", strides)
    return {
        "kernel_size": [3] * len(given),
        "strides": given,
        "upsample_kernel_size": list(given)[1:],
        "filters": _CHANNELS if len(given) == len(_CHANNELS) else None,
    }


def _of_segresnet(planes: int | None, options: Mapping[str, Any]) -> Options:
    del planes, options
    return {"init_filters": 16}


def _plain(planes: int | None, options: Mapping[str, Any]) -> Options:
    del planes, options
    return {}


_DEFAULTS: dict[str, Callable[[int | None, Mapping[str, Any]], Options]] = {
    "AttentionUnet": _of_levels,
    "BasicUNet": _plain,
    "DynUNet": _of_dynunet,
    "SegResNet": _of_segresnet,
    "UNet": _of_unet,
    "VNet": _plain,
}
"""Arguments that a network needs, or that suit more than MONAI's own defaults."""


def _strides(name: str, options: Options) -> Strides:
    """Of all levels together."""
    if "strides" in options:
        return product([_triple(stride) for stride in options["strides"]])
    levels = _LEVELS
    if name == "SegResNet":
        levels = len(options.get("blocks_down", range(_LEVELS))) - 1
    return 2**levels, 2**levels, 2**levels


def _triple(stride: Any) -> Strides:
    depth, height, width = (stride,) * 3 if isinstance(stride, int) else stride
    return depth, height, width


def _try(network: AnyVolume, name: str, *, in_channels: int, classes: int) -> None:
    """See that the network gives logits of a volume, on the smallest that it takes.

    Raises:
        ConfigError: It does not.
    """
    if any(weight.is_meta for weight in network.parameters()):
        return  # without numbers there is nothing to try
    volume = torch.zeros(1, in_channels, *network.least)
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            logits: Tensor = network(volume)
        trouble = f"it gives {tuple(logits.shape)} for a volume of {network.least}"
        if logits.shape == (1, classes, *network.least):
            return
    except _FAILURES as error:
        trouble = _first_line(error)
    finally:
        network.train()
    raise ConfigError(
        f"the model 'monai:{name}' does not give one score a class and voxel ({trouble}); leave out options "
        "that change its output"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
