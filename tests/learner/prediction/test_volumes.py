"""Volumes predicted slab by slab, against MONAI and against one array that holds everything."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.errors import ConfigError
from geoseg.learner.prediction.volumes import predict_volume
from geoseg.window import starts


def network(classes=3, channels=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, classes, 3, padding=1)
    )


def volume(shape, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(channels, *shape)).astype("float32")


def whole(slabs):
    """All slabs as one array, seen to follow one another."""
    planes, parts = 0, []
    for first, scores in slabs:
        assert first == planes
        planes += scores.shape[1]
        parts.append(scores)
    return np.concatenate(parts, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("blend", ["constant", "gaussian"])
@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [
        ((17, 30, 23), (8, 16, 12), (4, 8, 6)),
        ((17, 30, 23), (6, 10, 8), (3, 5, 2)),
        ((5, 30, 9), (8, 16, 12), (4, 8, 6)),  # thinner than a window on two sides
        ((8, 16, 12), (8, 16, 12), (8, 16, 12)),
    ],
)
def test_scores_are_those_of_monais_sliding_windows(shape, size, stride, blend):
    inferers = pytest.importorskip("monai.inferers")
    image, net = volume(shape), network().eval()
    overlap = tuple(1 - step / side for step, side in zip(stride, size, strict=True))
    with torch.no_grad():
        expected = inferers.sliding_window_inference(
            torch.from_numpy(image)[None], size, 3, lambda x: torch.softmax(net(x), dim=1),
            overlap=overlap, mode=blend,
        )[0].numpy()  # fmt: skip
    found = whole(predict_volume(net, image, size, stride, blend=blend))
    assert found.shape == (3, *shape)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_slabs_hold_the_mean_over_all_windows_that_show_a_voxel(data):
    shape, size, stride = [], [], []
    for _ in range(3):
        shape.append(data.draw(st.integers(1, 9)))
        size.append(data.draw(st.integers(1, 6)))
        stride.append(data.draw(st.integers(1, size[-1])))
    image = volume(shape, channels=1)

    def places_and_pixels(windows):  # a score that depends on where a voxel lies in its window
        place = torch.linspace(0, 1, windows[0].numel()).reshape(windows[0].shape)
        return torch.cat([windows, place.expand_as(windows)], dim=1)

    found = whole(
        predict_volume(
            places_and_pixels, image, size, stride, blend="constant", activation=None, batch_size=2
        )
    )
    before = [max(side - n, 0) // 2 for side, n in zip(size, shape, strict=True)]
    padded = [max(side, n) for side, n in zip(size, shape, strict=True)]
    sums, hits = np.zeros(padded), np.zeros(padded)
    for at in product(*map(starts, padded, size, stride)):
        box = tuple(slice(a, a + s) for a, s in zip(at, size, strict=True))
        sums[box] += np.linspace(0, 1, np.prod(size)).reshape(size)
        hits[box] += 1
    inner = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    np.testing.assert_allclose(found[0], image[0], atol=1e-6)
    np.testing.assert_allclose(found[1], (sums / hits)[inner], atol=1e-5)


def test_windows_without_a_valid_voxel_are_not_predicted():
    image, valid = volume((12, 9, 7), channels=1), np.zeros((12, 9, 7), bool)
    valid[8:, :4, :3] = True
    seen = []

    def model(windows):
        seen.append(len(windows))
        return torch.ones_like(windows)

    found = whole(
        predict_volume(
            model, image, 4, 4, blend="constant", activation=None, valid=valid, batch_size=1
        )
    )
    assert found.shape == (1, 12, 9, 7)
    assert (found[0][valid] == 1).all()
    assert not found[0, :8].any()
    assert len(seen) == 2  # the one that is wanted, and one that tells how many classes there are


def test_a_module_gets_its_mode_back_and_forgets_dropout_meanwhile():
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.Dropout(0.9)).train()
    image = volume((4, 4, 4), channels=1)
    once, again = (whole(predict_volume(net, image, 4)) for _ in range(2))
    assert np.array_equal(once, again)
    assert net.training


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"size": (4, 4)},
            r"size is \(4, 4\), expected voxels as one whole number from 1, or \(depth, height, width\)",
        ),
        ({"size": 0}, "size is 0"),
        ({"stride": 5}, "stride 5 along the depth is longer than the window"),
        ({"blend": "hann"}, "blend is 'hann', expected one of: constant, gaussian"),
        ({"activation": "argmax"}, "activation is 'argmax'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5, expected a whole number"),
        ({"size": 4.0}, "size is 4.0"),
        ({"size": True}, "size is True"),
        ({"stride": (2, 2, 2.0)}, r"stride is \(2, 2, 2.0\)"),
        ({"valid": np.ones((4, 4, 5), bool)}, "valid has shape"),
        ({"valid": np.ones((4, 4, 4))}, "of float64, .* valid as bool"),
        ({"image": np.zeros((2, 4, 0, 4))}, r"shape \(2, 4, 0, 4\), .* each at least 1"),
    ],
)
def test_wrong_arguments_are_told(options, said):
    given = {"size": 4, "image": volume((4, 4, 4))} | options
    with pytest.raises(ConfigError, match=said):
        predict_volume(network(), **given)  # at the call, before the first slab is asked for


def test_sizes_may_be_numbers_of_numpy():
    image, net = volume((5, 6, 7)), network()
    found = whole(predict_volume(net, image, np.int64(4), np.array([2, 1, 3]).tolist()))
    assert np.array_equal(found, whole(predict_volume(net, image, 4, (2, 1, 3))))


def test_what_is_not_valid_spoils_no_valid_neighbour():
    image, valid = volume((9, 10, 11)), np.ones((9, 10, 11), bool)
    valid[:, :4] = False
    valid[5, 7, 8] = False
    zero = np.where(valid, image, 0).astype("float32")
    image[:, ~valid] = np.nan
    image[0, 5, 7, 8] = np.inf
    net = network()
    found = whole(predict_volume(net, image, 4, 2, valid=valid))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, whole(predict_volume(net, zero, 4, 2, valid=valid)))


def test_a_model_for_planes_is_told():
    with pytest.raises(ConfigError, match="expected \\(batch, class, depth, height, width\\)"):
        list(predict_volume(lambda x: x[:, :, 0], volume((4, 4, 4)), 4, activation=None))
