from collections import Counter

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.evaluation.matching import Pairs, match
from geoseg.window import Window

CLASSES = ClassMap.model_validate([{"name": "a", "id": 7}, {"name": "b", "id": 0}, {"name": "c"}])


def random_maps(seed, shape, ignored=0.05):
    rng = np.random.default_rng(seed)
    ids = np.array(CLASSES.ids, np.uint8)
    coarse = rng.choice(ids, (shape[0] // 2 + 1, shape[1] // 2 + 1))
    truth = coarse.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
    prediction = np.where(rng.random(shape) < 0.9, truth, rng.choice(ids, shape))
    truth[rng.random(shape) < ignored] = 255
    prediction[rng.random(shape) < ignored] = 255
    return truth, prediction


def regions(ids, known):
    """(class, polygon) of each region, by GDAL, in the order of their first pixels."""
    shapes = rasterio.features.shapes(ids, mask=known, connectivity=4)
    found = [(int(value), shapely.geometry.shape(geometry)) for geometry, value in shapes]
    return sorted(found, key=lambda region: _first_pixel(region[1]))


def _first_pixel(polygon):
    left, top, right, _ = map(int, polygon.bounds)
    row = [
        col for col in range(left, right) if polygon.contains(shapely.Point(col + 0.5, top + 0.5))
    ]
    return top, row[0]


def expected_counts(truth, prediction, iou):
    """(truth, predicted, matched) of each class: pairs of polygons, the best first."""
    known = (truth != 255) & (prediction != 255)
    true, predicted = regions(truth, known), regions(prediction, known)
    pairs = []
    for i, (one, polygon) in enumerate(true):
        for j, (other, candidate) in enumerate(predicted):
            shared = polygon.intersection(candidate).area if one == other else 0
            value = shared / (polygon.area + candidate.area - shared)
            if value >= iou:
                pairs.append((-value, i, j))
    left, right, matched = set(), set(), Counter()
    for _, i, j in sorted(pairs):
        if i not in left and j not in right:
            left.add(i)
            right.add(j)
            matched[true[i][0]] += 1
    counts = Counter(one for one, _ in true), Counter(one for one, _ in predicted), matched
    return [tuple(count[i] for count in counts) for i in CLASSES.ids]


def found_counts(counts):
    return list(
        zip(*(n.tolist() for n in (counts.truth, counts.predicted, counts.matched)), strict=True)
    )


@given(
    height=st.integers(1, 16),
    width=st.integers(1, 14),
    steps=st.lists(st.integers(1, 6), min_size=16, max_size=16),
    iou=st.sampled_from([0.2, 0.5, 0.75, 1.0]),
    seed=st.integers(0, 99),
)
def test_strips_of_any_height_find_the_objects_of_the_whole_map(height, width, steps, iou, seed):
    truth, prediction = random_maps(seed, (height, width))
    grid = Grid(height=height, width=width)
    judge, row = Evaluator(grid, CLASSES, object_iou=iou), 0
    for step in steps:
        part = Window(row, 0, step, width).intersection(grid.whole)
        if part is None:
            break
        judge.update(part, truth[part.slices], prediction[part.slices])
        row = part.row_stop
    found = judge.result().objects
    assert found_counts(found) == expected_counts(truth, prediction, iou)


def test_many_rows_at_once_are_worked_on_in_parts(monkeypatch):
    truth, prediction = random_maps(3, (61, 37), ignored=0.02)
    grid = Grid(height=61, width=37)
    pair = [ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)]
    whole = evaluate(*pair, object_iou=0.5).overall.objects
    monkeypatch.setattr("geoseg.labels.evaluation.objects._PIXELS", 100)
    parts = evaluate(*pair, object_iou=0.5).overall.objects
    assert found_counts(parts) == found_counts(whole)
    assert whole.matched.sum() > 20


def test_a_comb_is_one_object_however_late_its_teeth_meet():
    """Teeth that begin apart at the top and join in the last row, many strips later."""
    ids = np.zeros((40, 41), np.uint8)
    ids[:, ::2] = 7
    ids[-1] = 7
    grid = Grid(height=40, width=41)
    judge = Evaluator(grid, CLASSES, object_iou=0.5)
    for row in range(40):
        judge.update(Window(row, 0, 1, 41), ids[row : row + 1], ids[row : row + 1])
    found = judge.result().objects
    assert found_counts(found) == [(1, 1, 1), (20, 20, 20), (0, 0, 0)]


def test_objects_of_different_classes_never_match():
    truth, prediction = np.full((5, 7), 7, np.uint8), np.full((5, 7), 0, np.uint8)
    grid = Grid(height=5, width=7)
    found = evaluate(
        *(ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)), object_iou=0.5
    )
    objects = found.to_dict()["overall"]["objects"]
    assert (objects["truth"], objects["predicted"], objects["matched"]) == (1, 1, 0)
    assert [record["f1"] for record in objects["per_class"]] == [0, 0, None]


def test_pixels_that_touch_in_a_corner_are_two_objects():
    ids = np.array([[7, 0], [0, 7]], np.uint8)
    labels = ArrayLabels(Grid(height=2, width=2), CLASSES, ids)
    found = evaluate(labels, labels, object_iou=0.5).overall.objects
    assert found_counts(found) == [(2, 2, 2), (2, 2, 2), (0, 0, 0)]


def test_scores_follow_from_the_counts_of_each_class_and_of_all():
    truth, prediction = random_maps(11, (30, 33))
    grid = Grid(height=30, width=33)
    found = evaluate(
        *(ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)), object_iou=0.5
    )
    objects = found.to_dict()["overall"]["objects"]
    counts = expected_counts(truth, prediction, 0.5)
    for record, (true, predicted, matched) in zip(objects["per_class"], counts, strict=True):
        assert record["precision"] == matched / predicted
        assert record["recall"] == matched / true
        p, r = record["precision"], record["recall"]
        assert record["f1"] == pytest.approx(2 * p * r / (p + r))
    assert objects["truth"] == sum(true for true, _, _ in counts)
    assert objects["mean_f1"] == pytest.approx(np.mean([c["f1"] for c in objects["per_class"]]))
    line = next(line for line in found.table().splitlines() if line.startswith("all "))
    assert line.split()[1] == f"{objects['f1']:.3f}"


def test_objects_that_are_ignored_everywhere_are_none():
    labels = ArrayLabels(Grid(height=4, width=5), CLASSES, np.full((4, 5), 255, np.uint8))
    found = evaluate(labels, labels, object_iou=0.5)
    assert found_counts(found.overall.objects) == [(0, 0, 0)] * 3
    assert found.to_dict()["overall"]["objects"]["f1"] is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)), max_size=20))
def test_matching_goes_down_the_list_from_the_best(records):
    records = list({(t, p): (t, p, v) for t, p, v in records}.values())
    columns = np.array(records, np.int64).reshape(-1, 3).T
    found = match(Pairs(columns[0], columns[1], columns[2] / 4))
    left, right, expected = set(), set(), []
    for _, t, p, place in sorted((-v, t, p, i) for i, (t, p, v) in enumerate(records)):
        if t not in left and p not in right:
            left.add(t)
            right.add(p)
            expected.append(place)
    assert found.tolist() == sorted(expected)


@pytest.mark.parametrize("iou", [0.0, -1.0, 1.01, float("nan"), True, "0.5"])
def test_an_iou_that_cannot_be_reached_or_always_is_refused(iou):
    with pytest.raises(ConfigError, match="the IoU from which objects match"):
        Evaluator(Grid(height=2, width=2), CLASSES, object_iou=iou)
