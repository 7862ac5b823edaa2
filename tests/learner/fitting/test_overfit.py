"""Whether a model can learn one batch by heart."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.errors import ConfigError
from geoseg.labels.sources import RasterLabels
from geoseg.learner.fitting.overfit import overfit_check
from geoseg.sources.array import ArraySource
from tests.learner.fitting.trainings import CLASSES, GRID, Plain, blobs, same, seeded, tiny


def test_labels_that_follow_from_the_image_are_learnt():
    found = overfit_check(CLASSES, tiny(lr=0.05), [blobs(0)], steps=100)
    assert found.passed
    assert found.mean_iou >= 0.9
    assert found.last_loss < found.first_loss
    assert found.steps % 10 == 0
    assert set(found.classes) == {"dark", "bright"}
    assert found.outcome == "learnt"
    assert "learns one batch (dark, bright)" in found.describe()


def test_labels_that_have_nothing_to_do_with_the_image_are_not():
    ids = np.random.default_rng(0).choice([1, 3], (49, 67)).astype(np.uint8)
    labels = RasterLabels(source=ArraySource(data=ids, grid=GRID), classes=CLASSES)
    noise = blobs(0).model_copy(update={"labels": labels})
    network = seeded(Plain)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = overfit_check(CLASSES, tiny(), [noise], model=network, steps=25)
    assert not found.passed
    assert found.steps == 25
    assert found.outcome == "stuck"
    assert "does not learn" in found.describe()
    assert "learnt is a mean IoU of 0.9, a guess has the loss 0.69" in found.describe()
    # It has learnt how often each class occurs, and nothing else.
    assert found.last_loss == pytest.approx(np.log(2), rel=0.05)
    assert found.guess_loss == pytest.approx(np.log(2), rel=0.01)
    assert same(network.state_dict(), before)
    with pytest.raises(ConfigError, match="expected at least 1"):
        overfit_check(CLASSES, tiny(), [noise], steps=0)


@pytest.mark.slow
def test_a_loss_that_falls_is_told_from_one_that_does_not():
    slow = overfit_check(CLASSES, tiny(lr=0.002), [blobs(0)], steps=25)
    assert (slow.outcome, slow.passed, slow.steps) == ("falling", False, 25)
    assert slow.mean_iou < slow.least_iou == 0.9
    assert slow.last_loss < 0.9 * slow.first_loss
    assert "begins to learn, but has not learnt one batch (dark, bright): mean" in slow.describe()
    more = overfit_check(CLASSES, tiny(lr=0.003), [blobs(0)], steps=400)
    assert more.outcome == "learnt"
    still = overfit_check(CLASSES, tiny(lr=1e-9), [blobs(0)], steps=25)
    assert still.outcome == "stuck"
    assert still.last_loss == pytest.approx(still.first_loss, rel=1e-3)


def test_a_loss_that_is_no_number_does_not_fall():
    bursting = overfit_check(CLASSES, tiny(lr=1e30), [blobs(0)], model=seeded(Plain), steps=12)
    assert bursting.outcome == "stuck"
    assert not bursting.last_loss < bursting.first_loss
