import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.evaluation.boundary import BoundaryCounter, boundary_iou
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.window import Window

CLASSES = ClassMap.of("a", "b", "c")


def random_maps(seed, shape, ignored=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (shape[0] // 3 + 1, shape[1] // 3 + 1)).repeat(3, 0).repeat(3, 1)
    truth = truth[: shape[0], : shape[1]].astype(np.uint8)
    prediction = np.where(rng.random(shape) < 0.9, truth, rng.integers(0, 3, shape)).astype(
        np.uint8
    )
    truth[rng.random(shape) < ignored] = 255
    prediction[rng.random(shape) < ignored] = 255
    return truth, prediction


def near_boundaries(ids, known, distance):
    """Pixel by pixel: is there another known class in the square around?"""
    near = np.zeros(ids.shape, bool)
    for row, col in zip(*np.nonzero(known), strict=True):
        square = (
            slice(max(row - distance, 0), row + distance + 1),
            slice(max(col - distance, 0), col + distance + 1),
        )
        near[row, col] = (ids[square][known[square]] != ids[row, col]).any()
    return near


def expected_ious(truth, prediction, distance, known=True):
    known = known & (truth != 255) & (prediction != 255)
    true_edge, edge = (near_boundaries(ids, known, distance) for ids in (truth, prediction))
    ious = []
    for i in CLASSES.ids:
        one, other = true_edge & (truth == i), edge & (prediction == i)
        ious.append((one & other).sum() / (one | other).sum() if (one | other).any() else None)
    return ious


def found_ious(evaluation):
    return [record["boundary_iou"] for record in evaluation.to_dict()["overall"]["per_class"]]


@pytest.mark.parametrize("distance", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (23, 1), (29, 31)])
def test_boundary_iou_equals_a_look_around_every_pixel(distance, shape):
    truth, prediction = random_maps(distance, shape)
    grid = Grid(height=shape[0], width=shape[1])
    found = evaluate(
        ArrayLabels(grid, CLASSES, truth),
        ArrayLabels(grid, CLASSES, prediction),
        boundary_px=distance,
    )
    assert found_ious(found) == pytest.approx(expected_ious(truth, prediction, distance))
    assert found.to_dict()["overall"]["boundary_px"] == distance


@pytest.mark.slow
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 12),
    distance=st.integers(1, 6),
    steps=st.lists(st.integers(1, 9), min_size=30, max_size=30),
    seed=st.integers(0, 99),
)
def test_strips_of_any_height_count_as_the_whole_array(height, width, distance, steps, seed):
    truth, prediction = random_maps(seed, (height, width))
    grid = Grid(height=height, width=width)
    judge = Evaluator(grid, CLASSES, boundary_px=distance)
    row = 0
    for step in steps:
        part = Window(row, 0, step, width).intersection(grid.whole)
        if part is None:
            break
        judge.update(part, truth[part.slices], prediction[part.slices])
        row = part.row_stop
    whole = Evaluator(grid, CLASSES, boundary_px=distance)
    whole.update(grid.whole, truth, prediction)
    found, expected = judge.result().boundary, whole.result().boundary
    np.testing.assert_array_equal(found.confusion, expected.confusion)
    assert boundary_iou(found.confusion) == pytest.approx(
        expected_ious(truth, prediction, distance)
    )


def test_many_rows_at_once_are_worked_on_in_parts(monkeypatch):
    monkeypatch.setattr("geoseg.labels.evaluation.boundary._PIXELS", 1)
    truth, prediction = random_maps(7, (41, 13))
    grid = Grid(height=41, width=13)
    pair = (ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction))
    found = evaluate(*pair, boundary_px=2)
    assert found_ious(found) == pytest.approx(expected_ious(truth, prediction, 2))


def test_an_edge_one_pixel_off_shares_all_but_two_columns_of_its_band():
    """Bands of 2 + 2 columns; the prediction's are one to the right."""
    truth = (np.arange(12) >= 5).astype(np.uint8)[None].repeat(4, axis=0)
    prediction = np.roll(truth, 1, axis=1)
    prediction[:, 0] = 0
    counter = BoundaryCounter(12, slots=3, distance=2)
    counter.update(truth, prediction)
    # Class 0: truth 3, 4; prediction 4, 5. Class 1: truth 5, 6; prediction 6, 7.
    assert boundary_iou(counter.finish()) == [1 / 3, 1 / 3]


def test_neither_the_raster_s_edge_nor_ignored_pixels_are_a_boundary():
    truth = np.ones((6, 8), np.uint8)
    truth[2:4, 3:5] = 255
    grid = Grid(height=6, width=8)
    labels = ArrayLabels(grid, CLASSES, truth)
    found = evaluate(labels, labels, boundary_px=2)
    assert found_ious(found) == [None, None, None]
    assert found.to_dict()["overall"]["mean_boundary_iou"] is None


def test_as_many_classes_as_there_are_have_boundaries():
    classes = ClassMap.of(*(f"class {i}" for i in range(255)))
    ids = np.arange(255, dtype=np.uint8).reshape(15, 17)
    labels = ArrayLabels(Grid(height=15, width=17), classes, ids)
    assert found_ious(evaluate(labels, labels, boundary_px=1)) == [1.0] * 255


def test_rows_must_come_whole_and_in_order():
    grid, rows = Grid(height=9, width=5), np.zeros((3, 5), np.uint8)
    judge = Evaluator(grid, CLASSES, boundary_px=1)
    judge.update(Window(0, 0, 3, 5), rows, rows)
    with pytest.raises(ConfigError, match="expected row 3 and 5 columns next"):
        judge.update(Window(6, 0, 3, 5), rows, rows)
    with pytest.raises(ConfigError, match="expected row 3 and 5 columns next"):
        judge.update(Window(3, 0, 3, 4), rows[:, :4], rows[:, :4])


def test_a_distance_of_nothing_is_refused():
    with pytest.raises(
        ConfigError, match="boundary_px is 0, expected a whole number of pixels from 1"
    ):
        Evaluator(Grid(height=2, width=2), CLASSES, boundary_px=0)
