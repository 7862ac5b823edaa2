"""Networks by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError
from geoseg.learner.choices import refuse_unknown
from geoseg.learner.modelnames import BUILT_IN, CUSTOM, MONAI, model_parts, takes_volumes
from geoseg.learner.models.anysize import AnySize
from geoseg.learner.models.files import read_weights
from geoseg.learner.models.fitting import load_into
from geoseg.learner.models.hub import hub_at_hand
from geoseg.learner.models.monai import monai_network
from geoseg.learner.models.networks import Recipe, any_size
from geoseg.learner.models.unet import UNet
from geoseg.learner.models.unet3d import UNet3D


def build(
    name: str,
    in_channels: int,
    classes: int,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    **options: Any,
) -> nn.Module:
    """A network by its name.

    Args:
        name: "unet", the built-in `UNet`; or an architecture of segmentation-models-pytorch with one of
            its encoders, such as "unet/resnet34" or "deeplabv3plus/tu-convnext_tiny" (extra `models`). For
            volumes "unet3d", the built-in `UNet3D`, or one of MONAI, such as "monai:UNet" (extra `volumes`).
        in_channels: Bands of the image, any number.
        classes: Channels of the logits.
        encoder: The encoder, where `name` has none.
        weights: What the network begins with. None: random numbers, and nothing is downloaded.
            "imagenet": the library's weights for the encoder, from its cache or the internet. Or a local
            .safetensors or .pth file with the weights of the encoder or of the whole network, from
            which no code is run. A first layer for other bands is adapted, see `stem.adapted`. Encoders
            trained on ImageNet expect standardised bands, which the module that trains gives them from
            the statistics of the training scenes.
        **options: Keyword arguments of the network: for the built-in one `width` and `depth`, for others
            those of the library, such as `encoder_depth` or `decoder_channels`. For volumes `planes` too,
            the depth of a training window, from which strides along depth follow.

    Returns:
        A module (batch, channel, height, width) -> logits (batch, class, height, width), for any height
        and width; of volumes with depth before height. After equal seeds of torch its weights are equal.

    Raises:
        ConfigError: The name, the encoder or an option is unknown, they do not go together, a number is
            not whole or below 1, the extra `models` is not installed, or "imagenet" cannot be had.
        BundleError: The file of weights cannot be read, or is of another network.
    """
    architecture, encoder = model_parts(name, encoder=encoder)
    if takes_volumes(architecture):
        return _for_volumes(name, in_channels, classes, weights=weights, options=options)
    if architecture == CUSTOM:
        raise ConfigError('the model "custom" is a module given in Python; give it as `model`')
    if architecture == BUILT_IN and encoder is None:
        return _built_in(in_channels, classes, weights=weights, options=options)
    _check_counts(in_channels, classes)
    given = Recipe(architecture, str(encoder), classes, options)
    given.check()
    network, recipe = any_size(given, in_channels)
    if weights == "imagenet":
        tensors = _imagenet(recipe)
    elif weights is not None:
        tensors = read_weights(weights)
    else:
        return network
    load_into(network.network, tensors, source=str(weights), bands=in_channels, make=recipe.make)
    return network


def encoder_of(network: nn.Module) -> nn.Module | None:
    """The part of a network that turns the image into features, to be frozen or trained slower.

    Of the built-in network these are `stem` and `down`, of one with an encoder the encoder, and of a
    network of your own what it calls `encoder` or `backbone`.

    Returns:
        A module that shares the network's weights; None: there is no such part.
    """
    if isinstance(network, AnySize):
        network = network.network
    if isinstance(network, UNet | UNet3D):
        return nn.ModuleList([network.stem, *network.down])
    for name in ("encoder", "backbone"):
        if isinstance(part := getattr(network, name, None), nn.Module):
            return part
    return None


def _for_volumes(
    name: str, in_channels: int, classes: int, *, weights: str | None, options: dict[str, Any]
) -> nn.Module:
    if weights is not None:
        raise ConfigError(
            f"weights is {weights!r}, but networks for volumes begin with random numbers; leave it out, or "
            "give a module of your own with its weights as `model`"
        )
    _check_counts(in_channels, classes)
    if name.startswith(MONAI):
        given = dict(options)
        planes = given.pop("planes", None)
        return monai_network(
            name.removeprefix(MONAI), in_channels, classes, planes=planes, options=given
        )
    known = set(inspect.signature(UNet3D).parameters) - {"in_channels", "classes"}
    refuse_unknown(f"model {name!r}", options, known)
    return UNet3D(in_channels, classes, **options)


def _built_in(
    in_channels: int, classes: int, *, weights: str | None, options: dict[str, Any]
) -> nn.Module:
    known = set(inspect.signature(UNet).parameters) - {"in_channels", "classes"}
    refuse_unknown(f"model {BUILT_IN!r}", options, known)
    network = _unet(in_channels, classes=classes, options=options)
    if weights == "imagenet":
        raise ConfigError(
            "the built-in network 'unet' has no weights of ImageNet; name an encoder, such as "
            "'unet/resnet34', or leave out weights"
        )
    if weights is not None:
        make = partial(_unet, classes=classes, options=options)
        load_into(network, read_weights(weights), source=weights, bands=in_channels, make=make)
    return network


def _unet(in_channels: int, *, classes: int, options: Mapping[str, Any]) -> UNet:
    return UNet(in_channels, classes, **options)


def _check_counts(in_channels: int, classes: int) -> None:
    given: dict[str, object] = {"in_channels": in_channels, "classes": classes}
    for key, value in given.items():
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"a network needs a whole number >= 1 as {key}, got {value!r}")


def _imagenet(recipe: Recipe) -> dict[str, Tensor]:
    """The weights of an encoder for three bands, as the library has them.

    Raises:
        ConfigError: There are none, or they can be had neither from the cache nor from the internet.
    """
    reason = None
    try:
        with torch.random.fork_rng(devices=[]), hub_at_hand() as reason:
            trained: Any = recipe.make(3, pretrained=True)
    except OSError as error:
        raise ConfigError(
            f"the weights of ImageNet for {recipe.encoder!r} are not in the cache of this machine and "
            f"cannot be downloaded ({reason or str(error).strip().splitlines()[0]}); fetch them where there is "
            "internet, and give the local .safetensors or .pth file as weights"
        ) from error
    except (RuntimeError, KeyError) as error:
        raise ConfigError(
            f"there are no weights of ImageNet for the encoder {recipe.encoder!r} ({error}); give a "
            "local .safetensors or .pth file, or leave out weights"
        ) from error
    return {f"encoder.{key}": tensor for key, tensor in trained.encoder.state_dict().items()}
