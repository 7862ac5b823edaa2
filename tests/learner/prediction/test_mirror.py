"""Scenes smaller than a window are mirrored for the model, and their nodata with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.learner.predict import predict
from geoseg.learner.prediction.mirror import mirrored
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.window import Window
from tests.learner.prediction.runs import CLASSES


@given(
    height=st.integers(1, 9), width=st.integers(1, 9), high=st.integers(1, 30), wide=st.integers(1, 30)
)  # fmt: skip
def test_it_is_numpys_reflect_padding(height, width, high, wide):
    scene = np.random.default_rng(0).integers(0, 99, (2, height, width))
    window = np.zeros((2, high, wide), int)
    inside = scene[:, :high, :wide]
    window[:, : inside.shape[1], : inside.shape[2]] = inside
    found = mirrored(window, Window(0, 0, high, wide), (height, width))
    pads = (max(high - height, 0), max(wide - width, 0))
    expected = np.pad(inside, ((0, 0), (0, pads[0]), (0, pads[1])), mode="reflect")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(5, 30), (30, 5), (5, 7), (1, 1)])
def test_the_model_sees_the_scene_mirrored_and_the_result_stays_inside(shape):
    rng = np.random.default_rng(0)
    data = rng.integers(1, 255, (1, *shape), np.uint8)
    valid = rng.random(shape) < 0.8
    valid[0, 0] = True
    seen = []

    def model(image, known):
        seen.append((image[0].numpy().copy(), known[0].numpy().copy()))
        return torch.ones(len(image), 3, 16, 16) / 3

    scene = Scene(id="a", image=ArraySource(data=data, valid=valid))
    labels = predict(model, scene, CLASSES, store=None, size=16, batch_size=1)
    pads = [(0, max(16 - side, 0)) for side in shape]
    image, known = seen[0]
    expected = np.pad(valid[:16, :16], pads, mode="reflect")
    np.testing.assert_array_equal(known, expected)
    pixels = np.pad(np.where(valid, data[0], 0)[:16, :16], pads, mode="reflect")
    np.testing.assert_array_equal(image[0], pixels)
    ids = labels.to_array()
    assert ids.shape == shape
    np.testing.assert_array_equal(ids == 255, ~valid)
