"""Any scene, window and stride: the scores of a prediction are those of a whole array."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.learner.predict import predict
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from tests.learner.prediction.runs import CLASSES

WEIGHT_OF = {
    "mean": np.ones_like,
    "linear": lambda x: 1 - abs(x),
    "hann": lambda x: 0.5 * (1 + np.cos(np.pi * x)),
    "gaussian": lambda x: np.exp(-0.5 * (4 * x) ** 2),
}
"""Blend to the weight at a distance from the middle of a window, where 1 is its edge."""


def model(image, valid):
    """Scores that hang on the place in the window, as those of a network do."""
    level = image.float() / 255
    beside = torch.roll(level, 1, -1)
    return torch.softmax(3 * torch.cat([level, beside, 1 - level], dim=1), dim=1)


def places(length, size, stride):
    return [0] if length <= size else [*range(0, length - size, stride), length - size]


def distances(size):
    return abs(np.arange(size) + 0.5 - size / 2) / (size / 2)


def of_whole_arrays(data, valid, size, stride, blend):
    """(class, height, width) float64 scores, every window added to arrays of the whole scene."""
    height, width = data.shape
    padding = [
        (0, max(window - length, 0)) for window, length in zip(size, data.shape, strict=True)
    ]
    seen = np.pad(np.where(valid, data, 0), padding, mode="reflect")
    known = np.zeros(seen.shape)
    known[:height, :width] = valid
    weight_of = WEIGHT_OF[blend]
    weights = np.outer(*(weight_of(distances(window)) for window in size))
    total, weight = np.zeros((3, *seen.shape)), np.zeros(seen.shape)
    for row in places(height, size[0], stride[0]):
        for col in places(width, size[1], stride[1]):
            window = slice(row, row + size[0]), slice(col, col + size[1])
            scores = model(torch.from_numpy(seen[window].copy())[None, None], None)[0].numpy()
            here = weights * known[window]
            total[(slice(None), *window)] += scores * here
            weight[window] += here
    total, weight = total[:, :height, :width], weight[:height, :width]
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    fraction=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    blend=st.sampled_from(sorted(WEIGHT_OF)),
    batch_size=st.integers(1, 7),
    share=st.sampled_from([1, 0.8, 0.1]),
    seed=st.integers(0, 99),
)
def test_scores_are_those_of_a_whole_array_and_what_is_not_valid_is_ignored(
    *, shape, size, fraction, blend, batch_size, share, seed
):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 255, shape, dtype=np.uint8)
    valid = rng.random(shape) < share
    stride = tuple(1 + int(f * (n - 1)) for f, n in zip(fraction, size, strict=True))
    scene = Scene(id="a", image=ArraySource(data=data[None], valid=valid))
    found = predict(
        model, scene, CLASSES, store=None, size=size, stride=stride, blend=blend,
        batch_size=batch_size,
    )  # fmt: skip
    np.testing.assert_array_equal(found.to_array() != 255, valid)
    expected = of_whole_arrays(data, valid, size, stride, blend)
    np.testing.assert_allclose(found.scores(found.grid.whole), expected * valid, atol=1e-5)
