import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.algebra import combine, threshold
from geoseg.labels.array import ArrayLabels
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.window import Window

CLASSES = ClassMap.model_validate([{"name": "land", "id": 4}, {"name": "water", "id": 1}, "roof"])
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=37, width=53)


def prediction(seed, grid=GRID, classes=CLASSES, ignored=0.2):
    """Labels with scores; those of ignored pixels are NaN, as they mean nothing."""
    random = np.random.default_rng(seed)
    raised = random.random((len(classes), *grid.shape), np.float32) ** 3
    scores = raised / raised.sum(axis=0)
    ids = classes.id_table()[scores.argmax(axis=0)]
    ids[random.random(grid.shape) < ignored] = classes.ignore_id
    scores[:, ids == classes.ignore_id] = np.nan
    return ArrayLabels(grid, classes, ids, scores)


def whole(labels):
    """(ids, scores in float64, where they are known) of the whole grid."""
    ids = labels.to_array()
    return ids, labels.scores(labels.grid.whole).astype(np.float64), ids != labels.classes.ignore_id


def mean_of(parts, weights):
    """Ids and scores of a combination, from whole arrays in float64."""
    scores = np.ma.stack(
        [np.ma.array(s, mask=np.broadcast_to(~k, s.shape)) for _, s, k in map(whole, parts)]
    )
    mean = np.ma.average(scores, axis=0, weights=weights).filled(0)
    known = ~scores.mask.all(axis=(0, 1))
    ids = np.where(known, np.array(CLASSES.ids)[mean.argmax(axis=0)], 255)
    return ids, mean


@pytest.mark.parametrize("weights", [None, (1, 2, 0.5)])
def test_a_combination_is_the_mean_of_the_scores_that_are_known(weights):
    parts = [prediction(seed, ignored=0.5) for seed in range(3)]
    combined = combine(parts, weights)
    ids, scores = mean_of(parts, weights)
    assert (ids == 255).any()
    np.testing.assert_array_equal(combined.to_array(), ids)
    np.testing.assert_allclose(combined.scores(GRID.whole), scores, atol=1e-6)
    assert combined.scores(GRID.whole).dtype == np.float32
    assert combined.to_array().dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(
    row=st.integers(-50, 50),
    col=st.integers(-70, 70),
    height=st.integers(1, 60),
    width=st.integers(1, 80),
)
def test_a_window_is_the_crop_of_the_whole(row, col, height, width):
    combined = combine([prediction(0), prediction(1)])
    chosen = threshold(combined, {"water": 0.6}, otherwise="roof")
    window = Window(row, col, height, width)
    rows = slice(row + 100, row + 100 + height)
    cols = slice(col + 100, col + 100 + width)
    for labels in (combined, chosen):
        ids = np.pad(labels.to_array(), 100, constant_values=255)
        scores = np.pad(labels.scores(GRID.whole), ((0, 0), (100, 100), (100, 100)))
        np.testing.assert_array_equal(labels.read(window), ids[rows, cols])
        np.testing.assert_array_equal(np.nan_to_num(labels.scores(window)), scores[:, rows, cols])


def test_a_wide_grid_is_computed_in_pieces_that_fit_together():
    grid = Grid(height=3, width=2500)
    parts = [prediction(seed, grid) for seed in range(2)]
    ids, _ = mean_of(parts, None)
    combined = combine(parts)
    np.testing.assert_array_equal(combined.to_array(), ids)
    np.testing.assert_array_equal(combined.read(Window(1, 700, 2, 1500)), ids[1:, 700:2200])


def test_of_equal_scores_the_first_class_is_taken():
    classes, grid = ClassMap.model_validate([{"name": "a", "id": 9}, {"name": "b", "id": 2}]), GRID
    one = np.stack([np.full(grid.shape, share, np.float32) for share in (0.25, 0.75)])
    ids = np.full(grid.shape, 2, np.uint8)
    combined = combine(
        [ArrayLabels(grid, classes, ids, one), ArrayLabels(grid, classes, ids, one[::-1])]
    )
    assert (combined.to_array() == 9).all()


def test_three_hundred_predictions_do_not_wrap_around():
    grid, classes = Grid(height=2, width=3), ClassMap.of("a", "b")
    scores = np.full((2, 2, 3), [[[0.4]], [[0.6]]], np.float32)
    part = ArrayLabels(grid, classes, np.ones(grid.shape, np.uint8), scores)
    combined = combine([part] * 300)
    assert (combined.to_array() == 1).all()
    np.testing.assert_allclose(combined.scores(grid.whole), scores, atol=1e-5)


def test_where_one_knows_nothing_the_other_counts_alone_and_neither_is_changed():
    known, empty = prediction(0, ignored=0), prediction(1, ignored=1)
    before = [copy.deepcopy(whole(labels)) for labels in (known, empty)]
    for parts in ((known, empty), (empty, known)):
        combined = combine(parts)
        np.testing.assert_array_equal(combined.to_array(), known.to_array())
        np.testing.assert_array_equal(combined.scores(GRID.whole), known.scores(GRID.whole))
    for labels, told in zip((known, empty), before, strict=True):
        for one, other in zip(whole(labels), told, strict=True):
            np.testing.assert_array_equal(one, other)


def test_labels_that_cannot_be_combined_are_refused():
    here = prediction(0)
    there = prediction(
        0, Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 5e6], height=37, width=53)
    )
    with pytest.raises(
        GridError, match=r"labels 1 and 3 lie on different grids: .* 4000000.* 5000000"
    ):
        combine([here, here, there])
    with pytest.raises(GridError, match="labels 1 and 2"):
        combine(
            [here, prediction(0, Grid(crs=GRID.crs, transform=GRID.transform, height=36, width=53))]
        )
    renamed = ClassMap.model_validate([{"name": "land", "id": 4}, {"name": "sea", "id": 1}, "roof"])
    with pytest.raises(LabelError, match=r"different class maps: .*1 water.*1 sea"):
        combine([here, prediction(0, classes=renamed)])
    with pytest.raises(ConfigError, match="no labels to combine"):
        combine([])
    for weights in ((1,), (1, 0), (1, -1), (1, float("nan")), (1, float("inf"))):
        with pytest.raises(ConfigError, match=r"expected 2 finite numbers above 0"):
            combine([here, here], weights)
    with pytest.raises(LabelError, match="holds no scores"):
        combine([here, ArrayLabels(GRID, CLASSES, here.to_array())]).to_array()


def reference_threshold(labels, minimum, otherwise):
    """Pixel by pixel, in plain Python."""
    ids, scores, known = whole(labels)
    found = np.full(ids.shape, otherwise)
    for y, x in np.ndindex(ids.shape):
        if not known[y, x]:
            found[y, x] = 255
            continue
        reach = [
            (-scores[c, y, x], c)
            for c, class_id in enumerate(CLASSES.ids)
            if scores[c, y, x] >= minimum.get(class_id, 0)
        ]
        if reach:
            found[y, x] = CLASSES.ids[min(reach)[1]]
    return found


@pytest.mark.parametrize(
    ("minimum", "otherwise", "fill"),
    [
        ({}, None, 255),
        ({4: 0.5, 1: 0.5, 2: 0.5}, None, 255),
        ({4: 0.9, 1: 0.3, 2: 0.7}, 1, 1),
        ({1: 0.8}, None, 255),
        ({4: 1, 1: 1, 2: 1}, "roof", 2),
    ],
)
def test_the_best_class_among_those_that_reach_their_score_is_taken(minimum, otherwise, fill):
    labels = prediction(3)
    chosen = threshold(labels, minimum, otherwise=otherwise)
    found = chosen.to_array()
    np.testing.assert_array_equal(found, reference_threshold(labels, minimum, fill))
    named = threshold(labels, {CLASSES.name_of(i): v for i, v in minimum.items()}, otherwise)
    np.testing.assert_array_equal(named.to_array(), found)
    np.testing.assert_array_equal(chosen.scores(GRID.whole), labels.scores(GRID.whole))


def test_a_score_that_is_just_reached_counts():
    grid, classes = Grid(height=1, width=1), ClassMap.of("a", "b")
    for value in (0.1, 0.3, 0.7, 0.9):
        scores = np.array([[[1 - value]], [[value]]], np.float32)
        labels = ArrayLabels(grid, classes, np.zeros((1, 1), np.uint8), scores)
        assert threshold(labels, {"a": 1, "b": value}).to_array() == 1


def test_least_scores_that_cannot_be_are_refused():
    labels = prediction(0)
    with pytest.raises(ConfigError, match=r"least score of 'water' is 50, expected 0 to 1"):
        threshold(labels, {"water": 50})
    with pytest.raises(LabelError, match="no class is called 'sea'"):
        threshold(labels, {"sea": 0.5})
    with pytest.raises(LabelError, match="no class has the id 9"):
        threshold(labels, {1: 0.5}, otherwise=9)
    with pytest.raises(ConfigError, match="'water' has two least scores"):
        threshold(labels, {1: 0.5, "water": 0.6})
    assert threshold(labels, {4: 1, 1: 1, 2: 1}, otherwise=255).to_array().min() == 255


def test_what_is_combined_can_be_written_read_back_and_pickled(tmp_path):
    parts = [
        GeoTIFFLabelStore(uri=str(tmp_path / f"{seed}.tif"), scores=True).write(prediction(seed))
        for seed in range(2)
    ]
    combined = threshold(combine(parts), {"land": 0.4})
    ids, scores = combined.to_array(), combined.scores(GRID.whole)
    read = GeoTIFFLabelStore(uri=str(tmp_path / "both.tif"), scores=True).write(combined)
    np.testing.assert_array_equal(read.to_array(), ids)
    known = ids != 255
    assert np.abs(read.scores(GRID.whole) - scores)[:, known].max() <= 1 / 508 + 1e-6
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(combined)).to_array(), ids)
