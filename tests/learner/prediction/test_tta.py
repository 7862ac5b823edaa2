"""Test-time augmentation is a mean over positions, each turned back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from geoseg.errors import ConfigError
from geoseg.learner.predict import predict
from geoseg.learner.prediction.tta import averaged
from geoseg.learner.training import Prediction
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from tests.learner.prediction.runs import CLASSES

WAYS = {
    "flips": [(k, flip) for k in (0, 2) for flip in (False, True)],
    "d4": [(k, flip) for k in (0, 1, 2, 3) for flip in (False, True)],
}
"""(quarter turns, mirrored): the same groups, named in another way."""


def model(image, valid):
    """Probabilities that depend on where a pixel is, on its neighbours and on what is valid."""
    height, width = image.shape[-2:]
    place = torch.arange(height * width, dtype=torch.float32).reshape(height, width) / (height * 99)
    left = torch.roll(image[:, 0].float(), 1, dims=-1) / 255
    logits = torch.stack([place.expand_as(left), left, valid.float() * 0.3], dim=1)
    return logits.softmax(dim=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32"])
@pytest.mark.parametrize("tta", ["flips", "d4"])
def test_the_mean_is_that_over_all_turned_and_mirrored_windows(tta, dtype):
    rng = np.random.default_rng(0)
    size = (8, 8) if tta == "d4" else (8, 5)
    image = torch.from_numpy(rng.integers(0, 255, (2, 1, *size)).astype(dtype))
    valid = torch.from_numpy(rng.random((2, *size)) < 0.8)
    expected = np.zeros((2, 3, *size))
    for turns, mirrored in WAYS[tta]:
        moved = [np.rot90(pixels.numpy(), turns, axes=(-2, -1)) for pixels in (image, valid)]
        if mirrored:
            moved = [pixels[..., ::-1] for pixels in moved]
        scores = model(*(torch.from_numpy(pixels.copy()) for pixels in moved)).numpy()
        if mirrored:
            scores = scores[..., ::-1]
        expected += np.rot90(scores, -turns, axes=(-2, -1)) / len(WAYS[tta])
    found = averaged(model, tta)(image, valid).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - model(image, valid).numpy()).max() > 0.01
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_none_is_the_model_as_it_is():
    assert averaged(model, None) is model


def test_a_scene_is_predicted_with_it():
    rng = np.random.default_rng(1)
    scene = Scene(id="a", image=ArraySource(data=rng.integers(0, 255, (1, 20, 30), np.uint8)))
    plain, turned, flipped = (
        predict(model, scene, CLASSES, store=None, size=8, tta=tta).scores(scene.grid.whole)
        for tta in (None, "d4", "flips")
    )
    assert np.abs(plain - turned).max() > 0.01
    assert np.abs(flipped - turned).max() > 0.001
    np.testing.assert_allclose(turned.sum(axis=0), 1, atol=1e-5)


def test_turning_windows_that_are_not_square_is_refused():
    scene = Scene(id="a", image=ArraySource(data=np.zeros((1, 20, 30), np.uint8)))
    with pytest.raises(ConfigError, match='size is 8 x 6 px; use a square size, or "flips"'):
        predict(model, scene, CLASSES, store=None, size=(8, 6), tta="d4")
    predict(model, scene, CLASSES, store=None, size=(8, 6), tta="flips")
    with pytest.raises(ConfigError, match="tta is 'd5', expected one of: None, flips, d4"):
        predict(model, scene, CLASSES, store=None, size=8, tta="d5")
    with pytest.raises(ValidationError, match="tta"):
        Prediction(tta="d5")
