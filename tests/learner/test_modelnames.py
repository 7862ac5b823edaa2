"""Names of networks, told apart without torch."""

from __future__ import annotations

import pytest

from geoseg.errors import ConfigError
from geoseg.learner.modelnames import (
    ARCHITECTURES,
    known_models,
    model_parts,
    takes_volumes,
    volume_models,
)


@pytest.mark.parametrize(
    ("name", "encoder", "parts"),
    [
        ("unet", None, ("unet", None)),
        ("custom", None, ("custom", None)),
        ("unet/resnet34", None, ("unet", "resnet34")),
        ("unet", "resnet34", ("unet", "resnet34")),
        ("unet/resnet34", "resnet34", ("unet", "resnet34")),
        ("dpt", "tu-vit_tiny_patch16_224.augreg_in21k", ("dpt", "tu-vit_tiny_patch16_224.augreg_in21k")),
    ],
)  # fmt: skip
def test_a_name_has_an_architecture_and_an_encoder(name, encoder, parts):
    assert model_parts(name, encoder=encoder) == parts


@pytest.mark.parametrize(
    ("name", "encoder", "message"),
    [
        ("resnet34", None, "there is no model 'resnet34'; known: custom, unet, deeplabv3/ENCODER"),
        ("Unet/resnet34", None, "did you mean 'unet/resnet34'"),
        ("deeplabv3+/resnet34", None, "did you mean 'deeplabv3plus/resnet34'"),
        ("unnet", None, "did you mean 'unet'"),
        ("pspnett", None, "did you mean 'pspnet"),
        ("fpn", None, "needs an encoder, such as 'fpn/resnet34'"),
        ("dpt", None, "needs an encoder, such as 'dpt/tu-vit"),
        ("unet/", None, "expected ARCHITECTURE/ENCODER"),
        ("unet/a/b", None, "expected ARCHITECTURE/ENCODER"),
        ("unet/resnet34", "resnet18", "names the encoder 'resnet34', but .* 'resnet18'"),
        ("custom", "resnet18", "brings its own encoder"),
        ("custom/resnet18", None, "brings its own encoder"),
        ("UNet++/resnet34", None, r"did you mean 'unetplusplus/resnet34'"),
        ("", None, "there is no model ''"),
    ],
)
def test_a_name_that_there_is_not_says_why(name, encoder, message):
    with pytest.raises(ConfigError, match=message):
        model_parts(name, encoder=encoder)


def test_every_architecture_is_listed_once():
    of_images = ("custom", "unet", *(f"{name}/ENCODER" for name in ARCHITECTURES))
    assert known_models() == (*of_images, *volume_models())
    assert sorted(set(ARCHITECTURES)) == list(ARCHITECTURES)


@pytest.mark.parametrize("name", volume_models())
def test_a_network_for_volumes_has_no_encoder(name):
    assert takes_volumes(name)
    assert model_parts(name) == (name, None)
    with pytest.raises(ConfigError, match="takes no encoder; leave out 'resnet34'"):
        model_parts(name, encoder="resnet34")
