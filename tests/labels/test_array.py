import numpy as np
import pytest

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.ids import unknown_ids
from geoseg.window import Window

CLASSES = ClassMap.of("background", "building", "road")
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=7, width=5)


@pytest.fixture
def ids():
    ids = np.random.default_rng(0).integers(0, 3, GRID.shape, np.uint8)
    ids[2, 3] = 255
    return ids


def padded(array, window, fill):
    """The same window cut from an array with a wide margin."""
    margin = 20
    sides = [(0, 0)] * (array.ndim - 2) + [(margin, margin)] * 2
    wide = np.pad(array, sides, constant_values=fill)
    rows = slice(window.row + margin, window.row_stop + margin)
    return wide[..., rows, window.col + margin : window.col_stop + margin]


WINDOWS = [
    Window(0, 0, 7, 5),
    Window(1, 2, 3, 2),
    Window(-3, -2, 5, 4),
    Window(4, 3, 9, 9),
    Window(-2, -3, 12, 11),
    Window(7, 0, 2, 2),
    Window(-5, -5, 5, 5),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_ids_outside_the_grid_are_ignored(ids, window):
    labels = ArrayLabels(GRID, CLASSES, ids)
    np.testing.assert_array_equal(labels.read(window), padded(ids, window, 255))
    assert labels.read(window).dtype == np.uint8


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_scores_outside_the_grid_are_zero(ids, window):
    scores = np.random.default_rng(1).random((3, *GRID.shape), np.float32)
    labels = ArrayLabels(GRID, CLASSES, ids, scores)
    np.testing.assert_array_equal(labels.scores(window), padded(scores, window, 0))
    assert labels.scores(window).dtype == np.float32


def test_what_was_read_can_be_changed_without_changing_the_labels(ids):
    labels = ArrayLabels(GRID, CLASSES, ids.copy(), np.ones((3, *GRID.shape), np.float32))
    labels.read(GRID.whole)[:] = 9
    labels.scores(GRID.whole)[:] = 9
    np.testing.assert_array_equal(labels.to_array(), ids)
    assert (labels.scores(GRID.whole) == 1).all()


def test_blocks_of_whole_rows_make_up_the_labels():
    grid = Grid(height=1100, width=3)
    ids = np.random.default_rng(2).integers(0, 3, grid.shape, np.uint8)
    labels = ArrayLabels(grid, CLASSES, ids)
    blocks = list(labels.blocks())
    assert [block.height for block in blocks] == [512, 512, 76]
    np.testing.assert_array_equal(np.concatenate([labels.read(b) for b in blocks]), ids)


def test_labels_without_scores_say_so(ids):
    with pytest.raises(LabelError, match="holds no scores"):
        ArrayLabels(GRID, CLASSES, ids).scores(GRID.whole)


def test_arrays_that_do_not_fit_the_grid_are_refused(ids):
    with pytest.raises(LabelError, match=r"ids have shape \(5, 7\), expected \(7, 5\)"):
        ArrayLabels(GRID, CLASSES, ids.T)
    with pytest.raises(LabelError, match=r"scores have shape \(2, 7, 5\), expected \(3, 7, 5\)"):
        ArrayLabels(GRID, CLASSES, ids, np.zeros((2, 7, 5), np.float32))
    with pytest.raises(LabelError, match="ids are int64, expected uint8"):
        ArrayLabels(GRID, CLASSES, ids.astype(np.int64))


def test_ids_outside_the_class_map_are_counted_in_the_error(ids):
    ids[0, :2] = 7
    ids[1, 1] = 254
    with pytest.raises(LabelError, match=r"7 \(2 px\), 254 \(1 px\); expected one of \(0, 1, 2\)"):
        ArrayLabels(GRID, CLASSES, ids)


def test_unknown_ids_are_counted_over_arrays_larger_than_a_chunk():
    classes = ClassMap.model_validate({"classes": [{"name": "a", "id": 3}], "ignore_id": 9})
    ids = np.random.default_rng(3).integers(0, 12, (1501, 1001), np.uint8)
    values, counts = np.unique(ids[(ids != 3) & (ids != 9)], return_counts=True)
    assert unknown_ids(ids, classes) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert unknown_ids(ids[:, ::2], classes)[0] == (ids[:, ::2] == 0).sum()
