"""Counts of overlaps and their scores, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from geoseg.learner.volumes import overlaps


@pytest.fixture
def ids():
    rng = np.random.default_rng(0)
    return rng.integers(0, 4, 500), rng.integers(0, 4, 500)


def test_scores_are_those_of_scikit_learn(ids):
    truth, found = ids
    counts = overlaps.of_confusion(confusion_matrix(truth, found))
    assert overlaps.dice(counts) == pytest.approx(f1_score(truth, found, average=None))
    assert overlaps.iou(counts) == pytest.approx(jaccard_score(truth, found, average=None))


def test_masks_of_exclusive_classes_count_the_same(ids):
    truth, found = (part.reshape(5, 10, 10) for part in ids)
    layers = [np.stack([part == k for k in range(4)]) for part in (truth, found)]
    expected = overlaps.of_confusion(confusion_matrix(truth.ravel(), found.ravel()))
    np.testing.assert_array_equal(overlaps.of_masks(*layers), expected)


def test_a_class_that_is_nowhere_has_no_score_and_one_that_is_missed_has_zero():
    counts = np.array([[0, 0, 0], [0, 4, 0], [0, 0, 4], [3, 3, 3]])
    assert overlaps.dice(counts) == [None, 0, 0, 1]
    assert overlaps.iou(counts) == [None, 0, 0, 1]
