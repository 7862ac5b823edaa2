"""The built-in network: sizes, independence of samples, sharpness, and the names of options."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoseg.errors import ConfigError
from geoseg.learner import models


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(in_channels=3, classes=2, **options):
    return models.build("unet", in_channels, classes, **{"width": 4, "depth": 3, **options})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (8, 8), (17, 64), (33, 16)])
def test_logits_have_exactly_the_size_of_the_image(size, training):
    model = small(5, 4).train(training)
    assert model(torch.rand(1, 5, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_every_depth_takes_an_odd_size_and_trains_every_weight(depth):
    model = small(depth=depth)
    model(torch.rand(2, 3, 9, 5)).square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_padding_is_repetition_of_the_edge_at_the_right_and_the_bottom():
    model = small().eval()
    image = torch.rand(1, 3, 21, 35)
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (0, 3), (0, 5)), mode="edge")
    with torch.inference_mode():
        whole = model(torch.from_numpy(padded))
        torch.testing.assert_close(model(image), whole[..., :21, :35])


def test_in_eval_an_image_gives_the_same_whatever_shares_its_batch():
    model = small().eval()
    image, other, third = torch.rand(3, 1, 3, 19, 24)
    with torch.inference_mode():
        beside_other = model(torch.cat([image, other]))[:1]
        beside_third = model(torch.cat([image, third * 100]))[:1]
        assert torch.equal(beside_other, beside_third)
        torch.testing.assert_close(model(image), beside_other, rtol=1e-4, atol=1e-5)


def test_single_pixels_can_be_told_apart():
    """The logits are not merely an enlarged half-resolution map: a chequerboard can be learnt."""
    rows, cols = np.indices((24, 24))
    target = torch.from_numpy((rows + cols) % 2)[None]
    image = target[:, None].float() - 0.5
    model = small(1, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        functional.cross_entropy(model(image), target).backward()
        optimizer.step()
    right = (model(image).argmax(dim=1) == target).float().mean()
    assert right > 0.95


def test_equal_seeds_give_equal_weights():
    first = small().state_dict()
    torch.manual_seed(0)
    second = small().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_weights_are_contiguous_so_that_any_format_can_store_them():
    model = small()
    model(torch.rand(2, 3, 16, 16))
    assert all(tensor.is_contiguous() for tensor in model.state_dict().values())


def test_width_and_depth_change_the_size_of_the_network():
    def weights(**options):
        return sum(tensor.numel() for tensor in small(**options).parameters())

    assert weights(width=4) < weights(width=8)
    assert weights(depth=2) < weights(depth=3)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no model 'unett'; known: .*; did you mean 'unet'"):
        models.build("unett", 3, 2)


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'unet' has no option 'widht'.*: depth, width"):
        models.build("unet", 3, 2, widht=8)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": -1}, {"depth": 2.5}, {"width": "24"}])
def test_a_number_that_makes_no_network_is_refused(options):
    with pytest.raises(ConfigError, match=f"as {next(iter(options))}, got"):
        models.build("unet", 3, 2, **options)


@pytest.mark.parametrize(("in_channels", "classes"), [(0, 2), (3, 0)])
def test_a_network_needs_channels_and_classes(in_channels, classes):
    with pytest.raises(ConfigError, match="whole number >= 1"):
        models.build("unet", in_channels, classes)
