"""Networks of segmentation-models-pytorch: every architecture, any size, any bands, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner import models
from geoseg.learner.modelnames import ARCHITECTURES
from geoseg.learner.models import library

SMALL = "tu-mobilenetv3_small_050"
SIZES = [(1, 1), (33, 70), (129, 97)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check_sizes(network, *, bands, sizes=SIZES):
    network.eval()
    for size in sizes:
        with torch.inference_mode():
            logits = network(torch.rand(2, bands, *size))
        assert logits.shape == (2, 4, *size)
        assert logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"dpt"}))
def test_every_architecture_gives_logits_at_the_size_of_any_image(architecture):
    check_sizes(models.build(architecture, 5, 4, encoder=SMALL), bands=5)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"dpt"}))
@pytest.mark.parametrize("encoder", ["resnet18", "tu-convnext_atto"])
def test_so_with_other_encoders(architecture, encoder):
    check_sizes(models.build(f"{architecture}/{encoder}", 2, 4), bands=2)


@pytest.mark.slow
def test_a_vision_transformer_of_one_image_size_takes_all():
    check_sizes(models.build("dpt/tu-vit_tiny_patch16_224", 5, 4), bands=5)


@pytest.mark.slow
def test_a_transformer_with_windows_takes_all_sizes():
    check_sizes(models.build("unet/tu-swin_tiny_patch4_window7_224", 5, 4), bands=5)


@pytest.mark.slow
def test_an_encoder_with_a_fixed_image_size_is_refused():
    with pytest.raises(ConfigError, match=r"does not take images of any size .*without a fixed"):
        models.build("unet/tu-maxvit_rmlp_pico_rw_256", 3, 2)


@pytest.mark.parametrize("architecture", ["unet", "pan", "deeplabv3plus"])
def test_a_training_step_reaches_every_weight_at_an_odd_size(architecture):
    network = models.build(architecture, 3, 2, encoder=SMALL)
    network(torch.rand(2, 3, 37, 53)).square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_padding_is_repetition_of_the_edge_at_the_right_and_the_bottom():
    network = models.build("unet", 3, 2, encoder=SMALL).eval()
    image = torch.rand(1, 3, 70, 85)
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (0, 26), (0, 11)), mode="edge")
    with torch.inference_mode():
        whole = network.network(torch.from_numpy(padded))
        torch.testing.assert_close(network(image), whole[..., :70, :85])


def test_a_batch_of_one_that_cannot_train_is_an_error_with_the_cure():
    network = models.build("deeplabv3plus", 3, 2, encoder=SMALL)
    with pytest.raises(ConfigError, match=r"a batch of 1 cannot train .* batch size of 2 or more"):
        network(torch.rand(1, 3, 64, 64))
    assert network.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize("name", ["unet", pytest.param("dpt", marks=pytest.mark.slow)])
def test_equal_seeds_give_equal_weights(name):
    encoder = SMALL if name == "unet" else "tu-vit_tiny_patch16_224"
    options = {} if name == "unet" else {"decoder_fusion_channels": 16}

    def built():
        torch.manual_seed(5)
        state = models.build(name, 4, 2, encoder=encoder, **options).state_dict()
        return state, torch.rand(1)

    (first, after), (second, after_second) = built(), built()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(after, after_second)


def test_trying_a_network_out_leaves_its_batch_statistics_and_its_mode_alone():
    network = models.build("unet", 3, 2, encoder=SMALL)
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert norms
    assert all(part.training and not part.running_mean.any() for part in norms)


def test_fewer_levels_keep_the_finest_of_the_decoder():
    network = models.build("unet", 3, 2, encoder=SMALL, encoder_depth=3)
    widths = [block.conv1[0].out_channels for block in network.network.decoder.blocks]
    assert widths == [64, 32, 16]
    check = network.eval()(torch.rand(1, 3, 41, 43))
    assert check.shape == (1, 2, 41, 43)


@pytest.mark.parametrize("depth", [2, 4])
def test_a_pspnet_of_another_depth_has_logits_at_full_size(depth):
    network = models.build("pspnet", 3, 2, encoder=SMALL, encoder_depth=depth).eval()
    assert network(torch.rand(1, 3, 41, 43)).shape == (1, 2, 41, 43)


def test_the_known_architectures_are_those_of_the_library():
    assert set(ARCHITECTURES) == set(library.smp().MODEL_ARCHITECTURES_MAPPING)


def test_encoders_of_both_libraries_are_listed():
    known = models.known_encoders()
    assert {"resnet34", "mit_b0", "tu-convnext_tiny"} <= set(known)
    assert list(known) == sorted(known)
    assert "resnet34" not in models.known_encoders("dpt")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("unet/resnet33", "did you mean 'resnet34'"),
        ("unet/convnext_tiny", "did you mean 'tu-convnext_tiny'"),
        ("unet/tu-convnext_tinny", "did you mean 'tu-convnext_tiny'"),
        ("dpt/vit_tiny_patch16_224", "did you mean 'tu-vit_tiny_patch16_224'"),
    ],
)
def test_an_unknown_encoder_tells_the_nearest(name, hint):
    with pytest.raises(ConfigError, match=hint):
        models.build(name, 3, 2)


def test_an_encoder_that_an_architecture_does_not_take_is_refused():
    with pytest.raises(ConfigError, match=r"'linknet/mit_b0' cannot be built .*another encoder"):
        models.build("linknet/mit_b0", 3, 2)


@pytest.mark.parametrize(
    "option", ["decoder_chanels", "activation", "aux_params", "upsampling", "encoder_weights"]
)
def test_an_option_that_there_is_not_is_refused(option):
    with pytest.raises(ConfigError, match=f"has no option '{option}'; its options: "):
        models.build("fpn/resnet18", 3, 2, **{option: 2})


def test_an_option_that_an_encoder_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"cannot be built with .*img_size"):
        models.build(f"unet/{SMALL}", 3, 2, img_size=64)


@pytest.mark.parametrize(("in_channels", "classes"), [(0, 2), (3, 0), (3, 1.5)])
def test_a_network_needs_channels_and_classes(in_channels, classes):
    with pytest.raises(ConfigError, match="whole number >= 1"):
        models.build("unet/resnet18", in_channels, classes)


def test_custom_is_not_built():
    with pytest.raises(ConfigError, match="a module given in Python"):
        models.build("custom", 3, 2)


@pytest.mark.parametrize("missing", ["segmentation_models_pytorch", "timm", "torchvision"])
def test_without_the_libraries_the_error_names_the_extra(monkeypatch, missing):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(library.importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=rf"{missing} is not installed; .*'geoseg\[models\]'"):
        models.build("unet/resnet18", 3, 2)
    assert models.build("unet", 3, 2, width=4, depth=1)


def test_a_torchvision_of_another_build_is_an_error_with_the_cure(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(library.importlib, "import_module", broken)
    with pytest.raises(ConfigError, match=r"nms does not exist\).*torchvision is of another build"):
        models.build("unet/resnet18", 3, 2)


@pytest.mark.slow
def test_the_room_is_imported_without_the_libraries():
    code = "import sys, json, geoseg.learner.models; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not {"segmentation_models_pytorch", "timm", "torchvision"} & loaded


@pytest.mark.parametrize("name", ["unet", f"fpn/{SMALL}"])
def test_the_encoder_shares_the_weights_of_the_network(name):
    network = models.build(name, 3, 2)
    encoder = models.encoder_of(network)
    own = {id(weight) for weight in network.parameters()}
    inner = {id(weight) for weight in encoder.parameters()}
    assert inner < own
    first = next(encoder.parameters())
    assert first.shape[1] == 3


def test_the_encoder_of_the_built_in_network_is_its_stem_and_its_way_down():
    network = models.UNet(3, 2, width=4, depth=3)
    named = {name for name, _ in network.named_parameters() if name.startswith(("stem", "down"))}
    inner = {id(weight) for weight in models.encoder_of(network).parameters()}
    assert inner == {id(network.get_parameter(name)) for name in named}


def test_a_network_of_your_own_has_an_encoder_where_it_names_one():
    own = torch.nn.Module()
    assert models.encoder_of(own) is None
    own.backbone = torch.nn.Conv2d(3, 4, 1)
    assert models.encoder_of(own) is own.backbone
