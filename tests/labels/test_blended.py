import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Labels
from geoseg.labels.blend import blend_weights
from geoseg.window import Window, sliding

CLASSES = ClassMap.model_validate([{"name": "land", "id": 4}, {"name": "water", "id": 1}])
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=23, width=31)


def scores_of(windows, seed=0, classes=2):
    raised = np.random.default_rng(seed).random((len(windows), classes, *windows[0].shape))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def blended_whole(grid, windows, scores, blend):
    """(class, height, width) mean weighted with `blend`, from whole arrays in float64; NaN uncovered."""
    height, width = windows[0].shape
    weight = np.ones((height, width))
    if blend != "mean":
        weight = np.outer(blend_weights(blend, height), blend_weights(blend, width))
    total = np.zeros((scores.shape[1], grid.height + height, grid.width + width))
    for window, part in zip(windows, scores, strict=True):
        total[:, window.row : window.row_stop, window.col : window.col_stop] += part * weight
    total = total[:, : grid.height, : grid.width]
    with np.errstate(invalid="ignore"):
        return total / total.sum(axis=0)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    data=st.data(),
)
def test_any_windows_of_sliding_equal_a_whole_array(height, width, size, data):
    stride = tuple(data.draw(st.integers(1, side)) for side in size)
    blend = data.draw(st.sampled_from(["mean", "hann", "linear", "gaussian"]))
    grid = Grid(height=height, width=width)
    windows = sliding(grid, size, stride)
    scores = scores_of(windows)
    labels = Labels.from_windows(windows, iter(scores), grid, CLASSES, blend=blend)
    expected = blended_whole(grid, windows, scores, blend)
    found = labels.scores(grid.whole)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    clear = np.abs(expected[0] - expected[1]) > 1e-4
    ids = np.where(expected[1] > expected[0], 1, 4)
    np.testing.assert_array_equal(labels.to_array()[clear], ids[clear])


@pytest.mark.parametrize("convert", [torch.tensor, np.float64, lambda part: part.tolist()])
def test_scores_may_be_tensors_arrays_or_lists(convert):
    windows = sliding(GRID, 8, 5)
    scores = scores_of(windows)
    plain = Labels.from_windows(windows, scores, GRID, CLASSES)
    other = Labels.from_windows(windows, [convert(part) for part in scores], GRID, CLASSES)
    np.testing.assert_array_equal(other.scores(GRID.whole), plain.scores(GRID.whole))


def test_a_tensor_that_numpy_cannot_take_is_told_how_to_become_one():
    windows = sliding(GRID, (23, 31))
    scores = torch.full((2, 23, 31), 0.5, requires_grad=True)
    with pytest.raises(LabelError, match=r"scores\.detach\(\)\.float\(\)\.cpu\(\)"):
        Labels.from_windows(windows, [scores], GRID, CLASSES)


def test_with_center_a_pixel_is_the_window_in_whose_middle_it_lies():
    windows = sliding((1, 12), (1, 6), (1, 3))
    scores = [np.full((2, 1, 6), [[[share]], [[1 - share]]]) for share in (0.9, 0.8, 0.7)]
    labels = Labels.from_windows(windows, scores, Grid(height=1, width=12), CLASSES, blend="center")
    found = labels.scores(Window(0, 0, 1, 12))[0, 0]
    np.testing.assert_allclose(found[[0, 3, 5, 6, 8, 11]], [0.9, 0.9, 0.8, 0.8, 0.7, 0.7])


def test_pixels_without_a_window_or_a_valid_one_are_ignored():
    windows = sliding(GRID, 8, 8)
    kept = [window for window in windows if window.row != 8]
    scores = scores_of(kept)
    valid = [np.ones((8, 8), bool) for _ in kept]
    valid[0][:, :4] = False
    scores[0][:, :, :4] = np.nan
    labels = Labels.from_windows(kept, scores, GRID, CLASSES, valid=valid, size=8, stride=8)
    ids = labels.to_array()
    expected = np.zeros(GRID.shape, bool)
    expected[8:15] = True  # the last row of windows begins at 15
    expected[:8, :4] = True
    np.testing.assert_array_equal(ids == 255, expected)
    assert (labels.scores(GRID.whole)[:, expected] == 0).all()


def test_windows_out_of_order_or_from_elsewhere_are_refused():
    windows = list(sliding(GRID, 8, 5))
    scores = scores_of(windows)
    with pytest.raises(GridError, match="give each window once, row by row"):
        Labels.from_windows(windows[::-1], scores, GRID, CLASSES)
    for wrong in (Window(1, 0, 8, 8), Window(0, 0, 8, 7)):
        with pytest.raises(
            GridError, match=r"(none|columns) of sliding\(grid, size=.*, stride=.*\)"
        ):
            Labels.from_windows([*windows, wrong], [*scores, scores[0]], GRID, CLASSES)
    few = [window for window in windows if window.col != 10]
    with pytest.raises(GridError, match=r"lack whole rows or columns .* pass size= and stride="):
        Labels.from_windows(few, scores, GRID, CLASSES)
    Labels.from_windows(few, scores[: len(few)], GRID, CLASSES, stride=5)
    padded = sliding(GRID, 8, 5, edge="pad")
    with pytest.raises(GridError, match="with its default edge"):
        Labels.from_windows(padded, scores_of(padded), GRID, CLASSES)
    apart = sliding(GRID, 4, 9, edge="pad")
    with pytest.raises((GridError, ConfigError), match=r"stride"):
        Labels.from_windows(apart, scores_of(apart), GRID, CLASSES)


def test_windows_and_scores_must_be_as_many():
    windows = sliding(GRID, 8, 5)
    scores = scores_of(windows)
    masks = [np.ones((8, 8), bool)] * len(windows)
    with pytest.raises(LabelError, match=rf"{len(windows)} windows, but fewer of `scores`"):
        Labels.from_windows(windows, scores[:-1], GRID, CLASSES)
    with pytest.raises(LabelError, match="but more of `scores`"):
        Labels.from_windows(windows, [*scores, scores[0]], GRID, CLASSES)
    with pytest.raises(LabelError, match="but fewer of `valid`"):
        Labels.from_windows(windows, scores, GRID, CLASSES, valid=masks[1:])
    with pytest.raises(LabelError, match="but more of `valid`"):
        Labels.from_windows(windows, scores, GRID, CLASSES, valid=[*masks, masks[0]])
    with pytest.raises(LabelError, match="there are no windows"):
        Labels.from_windows([], [], GRID, CLASSES)


def test_logits_and_other_shapes_are_refused():
    windows = sliding(GRID, (23, 31))
    with pytest.raises(LabelError, match=r"lie from -2 to -2, expected probabilities .* softmax"):
        Labels.from_windows(windows, [np.full((2, 23, 31), -2)], GRID, CLASSES)
    with pytest.raises(LabelError, match=r"lie from 3 to 3, expected probabilities"):
        Labels.from_windows(windows, [np.full((2, 23, 31), 3)], GRID, CLASSES)
    with pytest.raises(LabelError, match=r"shape \(3, 23, 31\), expected \(2, 23, 31\)"):
        Labels.from_windows(windows, [np.full((3, 23, 31), 0.3)], GRID, CLASSES)
    with pytest.raises(LabelError, match=r"valid of .* has shape \(2, 2\)"):
        Labels.from_windows(
            windows, [np.full((2, 23, 31), 0.5)], GRID, CLASSES, valid=[np.ones((2, 2))]
        )


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_scores_that_are_infinite_are_refused_where_they_mean_something(value):
    windows = sliding(GRID, (23, 31))
    scores = np.full((2, 23, 31), 0.5)
    scores[1, 7, 30] = value
    valid = np.ones((23, 31), bool)
    with pytest.raises(LabelError, match=r"(to inf|from -inf to 0\.5), expected"):
        Labels.from_windows(windows, [scores], GRID, CLASSES, valid=[valid])
    valid[7, 30] = False
    labels = Labels.from_windows(windows, [scores], GRID, CLASSES, valid=[valid])
    np.testing.assert_array_equal(labels.to_array() == 255, ~valid)
    assert (labels.scores(GRID.whole)[:, valid] == 0.5).all()


def test_scores_that_are_nan_are_refused_where_they_mean_something():
    windows = sliding(GRID, (23, 31))
    scores = np.full((2, 23, 31), 0.5)
    scores[1, 7, 30] = np.nan
    with pytest.raises(LabelError, match="row 7, col 30 are NaN"):
        Labels.from_windows(windows, [scores], GRID, CLASSES)
    scores[0, 3, 3] = -1
    with pytest.raises(LabelError, match=r"lie from -1 to 0\.5"):
        Labels.from_windows(windows, [scores], GRID, CLASSES)
