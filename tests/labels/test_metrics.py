import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from geoseg.errors import ConfigError
from geoseg.labels import metrics


def maps(slots, shape, seed=0, right=0.6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, slots, shape, np.uint8)
    other = rng.integers(0, slots, shape, np.uint8)
    return truth, np.where(rng.random(shape) < right, truth, other).astype(np.uint8)


@pytest.mark.parametrize(
    ("slots", "shape"),
    [
        *[
            (n, shape)
            for n in (2, 5, 15, 16, 17, 31, 255, 256)
            for shape in [(1, 1), (7, 13), (64, 32)]
        ],
        (5, (1025, 1033)),  # more than one chunk, and an odd number of pixels
        (20, (1025, 1033)),
    ],
)
def test_the_confusion_matrix_equals_scikit_learns(slots, shape):
    truth, prediction = maps(slots, shape, seed=slots)
    expected = sklearn.confusion_matrix(truth.ravel(), prediction.ravel(), labels=np.arange(slots))
    np.testing.assert_array_equal(metrics.confusion(truth, prediction, slots), expected)


@given(size=st.integers(1, 40), slots=st.integers(1, 20), seed=st.integers(0, 50))
def test_every_pixel_is_counted_once_also_the_odd_last(size, slots, seed):
    truth, prediction = maps(slots, (size,), seed)
    expected = np.zeros((slots, slots), int)
    np.add.at(expected, (truth, prediction), 1)
    counts = metrics.confusion(truth, prediction, slots)
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype == np.int64


def test_arrays_that_are_no_whole_block_of_memory_count_as_well():
    truth, prediction = maps(4, (50, 61))
    np.testing.assert_array_equal(
        metrics.confusion(truth[::2, 1:-1], prediction[::2, 1:-1], 4),
        sklearn.confusion_matrix(truth[::2, 1:-1].ravel(), prediction[::2, 1:-1].ravel()),
    )


def test_the_largest_pair_of_bytes_is_counted_at_its_place():
    full = np.full(9, 15, np.uint8)
    assert metrics.confusion(full, full, 16)[15, 15] == 9


@pytest.mark.parametrize("slots", [3, 20])
def test_numbers_past_the_slots_are_an_error(slots):
    good, wrong = np.zeros(5, np.uint8), np.array([0, 0, slots, 0, 0], np.uint8)
    for pair in [(good, wrong), (wrong, good)]:
        with pytest.raises(ConfigError, match=f"holds {slots}, expected 0 to {slots - 1}"):
            metrics.confusion(*pair, slots)


def test_arrays_of_other_shapes_and_slots_out_of_range_are_errors():
    with pytest.raises(ConfigError, match="expected equal shapes"):
        metrics.confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
    for slots in (0, 257):
        with pytest.raises(ConfigError, match="expected 1 to 256"):
            metrics.confusion(np.zeros(3, np.uint8), np.zeros(3, np.uint8), slots)


@pytest.mark.parametrize("classes", [2, 5, 9])
@pytest.mark.parametrize("right", [0.0, 0.5, 1.0])
def test_metrics_equal_scikit_learns(classes, right):
    truth, prediction = maps(classes, (4000,), seed=classes, right=right)
    matrix = metrics.confusion(truth, prediction, classes)
    for ours, theirs in [
        (metrics.iou, sklearn.jaccard_score),
        (metrics.f1, sklearn.f1_score),
        (metrics.precision, sklearn.precision_score),
        (metrics.recall, sklearn.recall_score),
    ]:
        np.testing.assert_allclose(ours(matrix), theirs(truth, prediction, average=None))
    assert metrics.accuracy(matrix) == pytest.approx(sklearn.accuracy_score(truth, prediction))
    assert metrics.kappa(matrix) == pytest.approx(sklearn.cohen_kappa_score(truth, prediction))
    mean = sklearn.jaccard_score(truth, prediction, average="macro")
    assert metrics.mean_iou(matrix) == pytest.approx(mean)


def test_kappa_of_more_pixels_than_fit_a_product_of_whole_numbers():
    matrix = np.array([[6, 1], [2, 11]])
    assert metrics.kappa(matrix * 10**11) == pytest.approx(metrics.kappa(matrix))


def test_classes_that_do_not_occur_have_no_value_and_no_part_in_the_mean():
    # Class 0: in both; 1: only in the truth; 2: only predicted; 3: nowhere.
    matrix = np.array([[6, 0, 2, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert metrics.iou(matrix) == [6 / 9, 0, 0, None]
    assert metrics.f1(matrix) == [12 / 15, 0, 0, None]
    assert metrics.precision(matrix) == [6 / 7, None, 0, None]
    assert metrics.recall(matrix) == [6 / 8, 0, None, None]
    assert metrics.mean_iou(matrix) == pytest.approx((6 / 9) / 3)


def test_nothing_has_a_value_without_pixels():
    empty = np.zeros((3, 3), np.int64)
    assert metrics.accuracy(empty) is metrics.kappa(empty) is metrics.mean_iou(empty) is None
    assert metrics.iou(empty) == [None] * 3


def test_kappa_has_no_value_where_everything_is_one_class_and_zero_for_two_constants():
    assert metrics.kappa(np.array([[8, 0], [0, 0]])) is None
    assert metrics.kappa(np.array([[0, 8], [0, 0]])) == 0
