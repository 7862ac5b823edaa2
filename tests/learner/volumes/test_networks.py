"""Networks for volumes: sizes, thin stacks, padding, and the names of options."""

import sys

import pytest
import torch
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner import models
from geoseg.learner.models.anyvolume import level_strides

SIZES = [(1, 1, 1), (1, 9, 7), (5, 17, 33), (7, 16, 21), (8, 8, 8)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(**options):
    return models.build("unet3d", 2, 3, **{"width": 4, "depth": 2, **options})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_logits_have_exactly_the_size_of_the_volume_and_a_batch_may_be_one(size, training):
    model = small(planes=size[0]).train(training)
    assert model(torch.rand(1, 2, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("depth", [1, 3])
def test_every_weight_is_trained(depth):
    model = small(depth=depth, planes=16)
    model(torch.rand(1, 2, 9, 5, 11)).square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize(
    ("planes", "strides"),
    [(1, (1, 8, 8)), (7, (1, 8, 8)), (8, (2, 8, 8)), (31, (4, 8, 8)), (32, (8, 8, 8)), (512, (8, 8, 8))],
)  # fmt: skip
def test_depth_is_halved_only_while_four_planes_are_left(planes, strides):
    assert small(depth=3, planes=planes).strides == strides


def test_the_deepest_levels_are_the_first_to_halve_the_depth():
    assert level_strides(16, 4) == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]


def test_weights_do_not_depend_on_the_planes():
    thin, thick = small(planes=1), small(planes=64)
    thick.load_state_dict(thin.state_dict())
    volume = torch.rand(1, 2, 8, 8, 8)
    assert not torch.equal(thin(volume), thick(volume))


@pytest.mark.parametrize("planes", [4, 16])
def test_padding_is_repetition_of_the_far_faces(planes):
    model = small(planes=planes).eval()
    volume = torch.rand(1, 2, 7, 13, 21)
    more = [-side % stride for side, stride in zip(volume.shape[2:], model.strides, strict=True)]
    padded = functional.pad(volume, (0, more[2], 0, more[1], 0, more[0]), mode="replicate")
    with torch.inference_mode():
        torch.testing.assert_close(model(volume), model(padded)[..., :7, :13, :21])


def test_a_volume_gives_the_same_whatever_shares_its_batch():
    model = small().eval()
    volume, other = torch.rand(2, 1, 2, 5, 9, 12)
    with torch.inference_mode():
        together = model(torch.cat([volume, other * 100]))[:1]
        torch.testing.assert_close(model(volume), together, rtol=1e-4, atol=1e-5)


def test_without_monai_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(ConfigError, match=r"pip install 'geoseg\[volumes\]'.*unet3d"):
        models.build("monai:UNet", 1, 2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet3d", {"widht": 4}, "no option 'widht'; its options: depth, planes, width"),
        ("unet3d", {"width": 0}, "whole number >= 1 as width, got 0"),
        ("unet3d", {"planes": 2.5}, "as planes, got 2.5"),
        ("unet3d", {"weights": "imagenet"}, "networks for volumes begin with random numbers"),
        ("monai:Unet", {}, "did you mean 'monai:UNet'"),
        ("monai:SwinUNETR", {}, "known for volumes: unet3d, monai:AttentionUnet"),
    ],
)
def test_what_cannot_be_built_is_told(name, options, message):
    with pytest.raises(ConfigError, match=message):
        models.build(name, 1, 2, **options)
