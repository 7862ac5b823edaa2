"""Networks of MONAI for volumes."""

import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner import Training, models
from geoseg.learner.modelnames import MONAI_NETWORKS
from geoseg.learner.models.anyvolume import AnyVolume

pytestmark = pytest.mark.slow  # MONAI is imported
SIZES = [(1, 9, 7), (5, 17, 33), (8, 8, 8)]
LIGHT = {
    "AttentionUnet": {"channels": (4, 8, 8)},
    "BasicUNet": {"features": (4, 4, 4, 8, 8, 4)},
    "DynUNet": {"filters": (4, 8, 8)},
    "SegResNet": {"init_filters": 8},
    "UNet": {"channels": (4, 8, 8), "num_res_units": 0},
}
"""Options that make networks of MONAI small; VNet has none."""


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def monai(name, **options):
    pytest.importorskip("monai")
    return models.build(f"monai:{name}", 2, 3, **{**LIGHT[name], **options})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(LIGHT))
def test_networks_of_monai_take_any_size(name, size):
    model = monai(name, planes=size[0])
    found = model(torch.rand(1, 2, *size))
    assert found.shape == (1, 3, *size)
    assert type(found) is torch.Tensor


def test_every_name_of_monai_can_be_tried_but_the_heavy_one():
    assert {*LIGHT, "VNet"} == {*MONAI_NETWORKS}


def test_vnet_takes_an_odd_size():
    pytest.importorskip("monai")
    assert models.build("monai:VNet", 1, 2)(torch.rand(1, 1, 5, 9, 17)).shape == (1, 2, 5, 9, 17)


def test_a_volume_of_the_right_size_reaches_a_network_of_monai_as_it_is():
    model = monai("UNet", planes=16).eval()
    volume = torch.rand(1, 2, 8, 16, 20)
    assert isinstance(model, AnyVolume)
    with torch.inference_mode():
        assert torch.equal(model(volume), model.network(volume))


def test_a_subclass_of_tensors_does_not_come_out():
    meta = pytest.importorskip("monai.data").MetaTensor(torch.rand(1, 2, 4, 8, 8))
    assert type(monai("UNet", planes=4)(meta)) is torch.Tensor


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("UNet", {"spatial_dims": 2}, "no option 'spatial_dims'"),
        ("UNet", {"channels": (4,)}, "cannot be built with"),
        ("DynUNet", {"deep_supervision": True}, "no option 'deep_supervision'"),
    ],
)
def test_options_that_a_network_of_monai_cannot_have_are_told(name, options, message):
    with pytest.raises(ConfigError, match=message):
        monai(name, **options)


def test_strides_of_a_training_reach_a_network_of_monai_axis_by_axis():
    options = {"channels": [4, 8, 8], "strides": [[1, 2, 2], [1, 2, 1]]}
    training = Training(model="monai:UNet", size=(6, 16, 16), model_options=options)
    model = monai("UNet", planes=6, **training.model_options)
    assert model.strides == (1, 4, 2)
    assert model(torch.rand(1, 2, 3, 9, 7)).shape == (1, 3, 3, 9, 7)
