"""Models that give scores for the middle of their windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from geoseg.errors import ConfigError, LabelError
from geoseg.learner.predict import predict
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from tests.learner.prediction.runs import CLASSES

WEIGHTS = torch.ones(1, 1, 5, 5) / 25


def mean_of_neighbours(image, valid):
    """Unpadded: the mean of 5 x 5 pixels, for all but 2 pixels on each side."""
    mean = torch.nn.functional.conv2d(image[:, :1].float() / 255, WEIGHTS)
    return torch.cat([mean, 1 - mean, mean * 0], dim=1)


@pytest.mark.parametrize("shape", [(50, 61), (20, 70), (9, 8), (16, 16)])
@pytest.mark.parametrize("blend", ["hann", "center", "mean", "linear", "gaussian"])
def test_every_pixel_gets_the_scores_of_the_whole_scene_mirrored_at_its_edges(shape, blend):
    data = np.random.default_rng(0).integers(0, 255, (1, *shape), np.uint8)
    scene = Scene(id="a", image=ArraySource(data=data))
    labels = predict(
        mean_of_neighbours, scene, CLASSES, store=None, size=(20, 24), stride=(9, 11), blend=blend,
        batch_size=3,
    )  # fmt: skip
    expected = uniform_filter(data[0] / 255, size=5, mode="mirror")
    scores = labels.scores(scene.grid.whole)
    np.testing.assert_allclose(scores[0], expected, atol=1e-5)
    np.testing.assert_allclose(scores.sum(axis=0), 1, atol=1e-5)


def test_what_is_not_valid_is_ignored_and_nothing_else():
    rng = np.random.default_rng(0)
    valid = rng.random((40, 50)) < 0.7
    valid[:20, :20] = False
    data = rng.integers(0, 255, (1, 40, 50), np.uint8)
    scene = Scene(id="a", image=ArraySource(data=data, valid=valid))
    ids = predict(mean_of_neighbours, scene, CLASSES, store=None, size=16, stride=6).to_array()
    np.testing.assert_array_equal(ids == 255, ~valid)


def test_a_scene_in_pieces_whose_first_are_empty_is_predicted_too():
    data = np.random.default_rng(0).integers(0, 255, (1, 1200, 900), np.uint8)
    valid = np.ones((1200, 900), bool)
    valid[:600] = False
    scene = Scene(id="a", image=ArraySource(data=data, valid=valid))
    options = {"store": None, "size": 64, "stride": 40, "batch_size": 64}
    pieces, whole = (
        predict(mean_of_neighbours, scene, CLASSES, max_memory=bound, **options)
        for bound in (13_500_000, None)
    )
    np.testing.assert_array_equal(pieces.to_array(), whole.to_array())
    everywhere = scene.grid.whole
    np.testing.assert_allclose(pieces.scores(everywhere), whole.scores(everywhere), atol=1e-6)


@pytest.mark.parametrize(("rows", "cols"), [(3, 2), (2, 5), (-2, -2)])
def test_an_output_that_is_not_the_middle_is_refused(rows, cols):
    def model(image, valid):
        return torch.ones(len(image), 3, image.shape[2] - rows, image.shape[3] - cols) / 3

    scene = Scene(id="a", image=ArraySource(data=np.zeros((1, 40, 50), np.uint8)))
    with pytest.raises(LabelError, match="smaller by an even number"):
        predict(model, scene, CLASSES, store=None, size=16)


def test_a_stride_larger_than_the_output_is_refused():
    scene = Scene(id="a", image=ArraySource(data=np.zeros((1, 40, 50), np.uint8)))
    with pytest.raises(
        ConfigError, match="of windows of 16 px the model gives the middle 12, and stride 13 would"
    ):
        predict(mean_of_neighbours, scene, CLASSES, store=None, size=16, stride=13)
