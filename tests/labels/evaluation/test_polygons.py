import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.labels.evaluation.polygons import match_polygons
from geoseg.sources.vector import FileVectorSource, FrameSource

CLASSES = ClassMap.of("house", "shed")


def frame(boxes, **columns):
    """Boxes of (left, bottom, right, top) in metres."""
    shapes = [shapely.box(*box) if isinstance(box, tuple) else box for box in boxes]
    return (
        gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32619")
        .translate(5e5, 4e6)
        .to_frame("geometry")
        .assign(**columns)
    )


def source(boxes, **columns):
    return FrameSource(frame=frame(boxes, **columns))


def counts(found):
    return found.truth.tolist(), found.predicted.tolist(), found.matched.tolist()


def test_each_object_matches_one_of_its_own_class():
    truth = source(
        [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)],
        kind=["house", "house", "shed", "shed"],
    )
    prediction = source(
        [
            (0, 0, 10, 9),  # IoU 0.9
            (0, 0, 10, 8),  # the same house again: not another match
            (20, 0, 24, 10),  # IoU 0.4
            (40, 0, 50, 10),  # the right place, the wrong class
            (60, 0, 65, 10),  # IoU 0.5, just enough
        ],
        kind=["house", "house", "house", "house", "shed"],
    )
    found = match_polygons(truth, prediction, CLASSES, class_by="kind")
    assert counts(found) == ([2, 2], [4, 1], [1, 1])
    strict = match_polygons(truth, prediction, CLASSES, class_by="kind", iou=0.95)
    assert counts(strict) == ([2, 2], [4, 1], [0, 0])


def test_many_boxes_match_as_a_look_at_every_pair_tells(monkeypatch):
    monkeypatch.setattr("geoseg.labels.evaluation.polygons._PAIRS", 7)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 200, (80, 2))
    sizes = rng.uniform(5, 30, (80, 2))
    true = np.hstack([corners, corners + sizes])
    predicted = true + rng.normal(0, 3, true.shape)
    predicted[:, 2:] = np.maximum(predicted[:, 2:], predicted[:, :2] + 1)
    kinds = rng.integers(0, 2, (2, 80))

    def overlap(one, other):
        wide = min(one[2], other[2]) - max(one[0], other[0])
        high = min(one[3], other[3]) - max(one[1], other[1])
        shared = max(wide, 0) * max(high, 0)
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
        return shared / (sum(areas) - shared)

    pairs = sorted(
        (-overlap(a, b), i, j)
        for i, a in enumerate(true)
        for j, b in enumerate(predicted)
        if kinds[0, i] == kinds[1, j] and overlap(a, b) >= 0.3
    )
    left, right, matched = set(), set(), [0, 0]
    for _, i, j in pairs:
        if i not in left and j not in right:
            left.add(i)
            right.add(j)
            matched[kinds[0, i]] += 1
    found = match_polygons(
        source([tuple(box) for box in true], truth_kind=kinds[0]),
        source([tuple(box) for box in predicted], own=kinds[1]),
        CLASSES,
        class_by="truth_kind",
        predicted_class_by="own",
        iou=0.3,
    )
    assert found.matched.tolist() == matched
    assert sum(matched) > 10
    assert found.truth.tolist() == np.bincount(kinds[0]).tolist()


def test_a_prediction_in_another_crs_is_compared_in_the_truth_s(tmp_path):
    boxes = [(0, 0, 10, 10), (20, 0, 30, 10)]
    path = tmp_path / "p.geojson"
    frame(boxes).to_crs(4326).to_file(path)
    found = match_polygons(
        source(boxes), FileVectorSource(uri=str(path)), ClassMap.of("house"), iou=0.99
    )
    assert counts(found) == ([2], [2], [2])


def test_both_are_cut_to_the_aoi():
    aoi = source([(0, 0, 25, 10), (100, 0, 110, 10)])
    found = match_polygons(
        source([(0, 0, 10, 10), (20, 0, 30, 10), (50, 0, 60, 10)]),
        source([(1, 0, 10, 10), (20, 0, 60, 10)]),
        ClassMap.of("house"),
        aoi=aoi,
    )
    assert counts(found) == ([2], [2], [2])


def test_what_is_ignored_or_no_polygon_is_no_object():
    truth = source([(0, 0, 10, 10), (20, 0, 30, 10), shapely.Point(3, 3)], kind=[0, 255, 0])
    with pytest.warns(UserWarning, match="1 of 3 features are no polygons"):
        found = match_polygons(truth, source([(0, 0, 10, 10)], kind=[0]), CLASSES, class_by="kind")
    assert counts(found) == ([1, 0], [1, 0], [1, 0])


def test_features_without_a_known_class_are_an_error_unless_one_is_the_default():
    one, other = source([(0, 0, 1, 1)], kind=["barn"]), source([(0, 0, 1, 1)], kind=["shed"])
    with pytest.raises(LabelError, match="'barn' \\(1 features\\)"):
        match_polygons(one, other, CLASSES, class_by="kind")
    found = match_polygons(one, other, CLASSES, class_by="kind", default_class="shed")
    assert counts(found) == ([0, 1], [0, 1], [0, 1])
    with pytest.raises(ConfigError, match="default_class='barn' is no class"):
        match_polygons(one, other, CLASSES, class_by="kind", default_class="barn")


def test_an_aoi_without_a_polygon_and_an_iou_of_nothing_are_refused():
    boxes = source([(0, 0, 1, 1)])
    with pytest.raises(SceneError, match="an AOI is made of polygons"):
        match_polygons(boxes, boxes, ClassMap.of("a"), aoi=source([shapely.Point(1, 1)]))
    with pytest.raises(ConfigError, match="the IoU from which objects match is 0"):
        match_polygons(boxes, boxes, ClassMap.of("a"), iou=0)
