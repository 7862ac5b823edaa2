import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from geoseg.errors import LabelError
from geoseg.labels.quantities import check_scores, dequantised, quantised, told_of

UNIT = st.floats(0, 1, width=32)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 7))


def softmax(shape, seed=0, scale=3):
    logits = np.random.default_rng(seed).normal(size=shape) * scale
    raised = np.exp(logits - logits.max(axis=0))
    return (raised / raised.sum(axis=0)).astype(np.float32)


@given(arrays(np.float32, SHAPES, elements=UNIT))
def test_a_byte_stands_for_a_score_within_half_a_step(scores):
    back = dequantised(quantised(scores))
    assert back.dtype == np.float32
    assert np.abs(back.astype(float) - scores).max() <= 1 / 508 + 1e-6


@given(arrays(np.float32, SHAPES, elements=UNIT))
def test_bytes_are_those_of_rounding_in_float64(scores):
    made = quantised(scores)
    exact = scores.astype(np.float64) * 254
    tie = np.abs(exact % 1 - 0.5) < 1e-4
    assert made.max() <= 254
    np.testing.assert_array_equal(made[~tie], np.rint(exact)[~tie])


def test_every_byte_comes_back_as_itself():
    every = np.arange(255, dtype=np.uint8).reshape(1, 5, 51)
    np.testing.assert_array_equal(quantised(dequantised(every)), every)
    assert dequantised(np.array([255], np.uint8)) == 0


def test_many_pixels_are_quantised_alike_wherever_they_lie():
    scores = np.random.default_rng(0).random((2, 700, 333), np.float32)
    expected = (scores * np.float32(254) + np.float32(0.5)).astype(np.uint8)
    np.testing.assert_array_equal(quantised(scores), expected)


@pytest.mark.parametrize("classes", [2, 3, 17])
def test_entropy_is_scipys_divided_by_its_largest_value(classes):
    scores = softmax((classes, 11, 13))
    found = told_of("entropy", scores)
    expected = entropy(scores.astype(float), axis=0) / np.log(classes)
    assert found.shape == (1, 11, 13)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_entropy_is_one_where_all_are_equal_and_zero_where_one_is_certain():
    scores = np.array([[[0.25, 1]], [[0.25, 0]], [[0.25, 0]], [[0.25, 0]]], np.float32)
    np.testing.assert_allclose(told_of("entropy", scores), [[[1, 0]]], atol=1e-6)
    assert told_of("entropy", np.ones((1, 2, 2), np.float32)).max() == 0


def test_confidence_is_the_highest_score():
    scores = softmax((4, 9, 6))
    np.testing.assert_array_equal(told_of("confidence", scores)[0], np.max(scores, axis=0))


@pytest.mark.parametrize("wrong", [-0.5, 1.5, 12, np.nan])
def test_what_is_no_probability_is_refused(wrong):
    scores = softmax((2, 3, 4))
    check_scores(scores, "scores")
    scores[1, 2, 3] = wrong
    with pytest.raises(LabelError, match=r"scores lie from .* expected probabilities from 0 to 1"):
        check_scores(scores, "scores")


def test_float_noise_past_the_ends_is_taken_for_the_ends():
    scores = np.array([[[1 + 9e-4, -9e-4]]], np.float32)
    check_scores(scores, "scores")
    np.testing.assert_array_equal(quantised(scores), [[[254, 0]]])
