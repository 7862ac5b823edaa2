import json
import tracemalloc

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from sklearn import metrics as sklearn

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.evaluation.areas import row_areas
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource
from geoseg.window import Window, sliding

CLASSES = ClassMap.model_validate(
    [{"name": "background"}, {"name": "building", "id": 9}, {"name": "road", "id": 4}]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=1231, width=77)


def random_ids(seed, classes=CLASSES, grid=GRID, ignored=0.0):
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.array(classes.ids, np.uint8), grid.shape)
    ids[rng.random(grid.shape) < ignored] = classes.ignore_id
    return ids


def labels(ids, classes=CLASSES, grid=GRID):
    return ArrayLabels(grid, classes, ids)


def expected(truth, prediction, counted, order=CLASSES.ids):
    return sklearn.confusion_matrix(truth[counted], prediction[counted], labels=order).tolist()


def test_pixels_are_counted_by_truth_and_prediction_in_the_order_of_the_classes():
    truth, prediction = random_ids(0, ignored=0.2), random_ids(1, ignored=0.1)
    result = evaluate(labels(truth), labels(prediction)).to_dict()["overall"]
    counted = (truth != 255) & (prediction != 255)
    assert result["confusion"] == expected(truth, prediction, counted)
    assert result["ignored"] == (truth == 255).sum()
    assert result["unpredicted"] == ((truth != 255) & (prediction == 255)).sum()
    total = np.sum(result["confusion"]) + result["ignored"] + result["unpredicted"]
    assert total == truth.size


def test_the_dictionary_holds_scikit_learns_metrics_under_the_promised_keys():
    truth, prediction = random_ids(2), random_ids(3)
    evaluation = evaluate(labels(truth), labels(prediction), name="north")
    result = evaluation.to_dict()
    assert set(result) == {"overall", "scenes", "notes"}
    assert result["scenes"] == {"north": result["overall"]}
    assert result["notes"] == []
    part = result["overall"]
    t, p = truth.ravel(), prediction.ravel()
    assert part["accuracy"] == pytest.approx(sklearn.accuracy_score(t, p))
    assert part["kappa"] == pytest.approx(sklearn.cohen_kappa_score(t, p))
    ious = sklearn.jaccard_score(t, p, average=None, labels=CLASSES.ids)
    assert part["mean_iou"] == pytest.approx(ious.mean())
    assert evaluation.mean_iou == part["mean_iou"]
    f1s = sklearn.f1_score(t, p, average=None, labels=CLASSES.ids)
    assert part["mean_f1"] == pytest.approx(f1s.mean())
    for i, record in enumerate(part["per_class"]):
        assert set(record) == {"id", "name", "iou", "f1", "precision", "recall"}
        assert (record["id"], record["name"]) == (CLASSES.ids[i], CLASSES.names[i])
        assert record["iou"] == pytest.approx(ious[i])
        assert record["f1"] == pytest.approx(f1s[i])


@pytest.mark.parametrize("count", [1, 14, 15, 16, 40])
def test_any_number_of_classes_is_counted(count):
    classes = ClassMap.of(*(f"class {i}" for i in range(count)))
    truth, prediction = (random_ids(seed, classes, ignored=0.1) for seed in (4, 5))
    result = evaluate(labels(truth, classes), labels(prediction, classes))
    counted = (truth != 255) & (prediction != 255)
    wanted = np.zeros((count, count), int)
    np.add.at(wanted, (truth[counted], prediction[counted]), 1)
    np.testing.assert_array_equal(result.overall.confusion, wanted)


def test_each_side_keeps_its_own_order_and_ignore_id():
    other = ClassMap.model_validate({"classes": CLASSES.classes[::-1], "ignore_id": 200})
    truth, prediction = random_ids(6, ignored=0.1), random_ids(7, other, ignored=0.1)
    result = evaluate(labels(truth), labels(prediction, other))
    counted = (truth != 255) & (prediction != 200)
    assert result.overall.confusion.tolist() == expected(truth, prediction, counted)
    assert result.classes == CLASSES


@pytest.mark.parametrize("pixels_at_once", [1000, 1 << 20])
def test_pixels_outside_the_aoi_are_ignored(monkeypatch, pixels_at_once):
    monkeypatch.setattr("geoseg.labels.evaluation.evaluator._PIXELS", pixels_at_once)
    truth, prediction = random_ids(8, ignored=0.1), random_ids(9, ignored=0.1)
    polygon = shapely.Polygon([(500113, 3999871), (500700, 3988333), (500031, 3990007)])
    frame = gpd.GeoDataFrame(geometry=[polygon], crs="EPSG:32619")
    inside = rasterio.features.rasterize([polygon], GRID.shape, transform=GRID.transform) == 1
    result = evaluate(labels(truth), labels(prediction), FrameSource(frame=frame)).overall
    counted = inside & (truth != 255) & (prediction != 255)
    assert 0 < counted.sum() < truth.size
    assert result.confusion.tolist() == expected(truth, prediction, counted)
    assert result.ignored == (~inside | (truth == 255)).sum()
    assert result.unpredicted == (inside & (truth != 255) & (prediction == 255)).sum()


def test_scenes_are_pooled_pixel_by_pixel():
    small = Grid(height=40, width=30)
    pairs = {
        "north": (random_ids(10, ignored=0.2), random_ids(11)),
        "south": (random_ids(12, grid=small), random_ids(13, grid=small)),
    }
    parts = {
        name: evaluate(labels(t, grid=grid), labels(p, grid=grid))
        for (name, (t, p)), grid in zip(pairs.items(), (GRID, small), strict=True)
    }
    pooled = Evaluation.pool(parts).to_dict()
    assert list(pooled["scenes"]) == ["north", "south"]
    for name, part in parts.items():
        assert pooled["scenes"][name] == part.to_dict()["overall"]
    truth = np.concatenate([t.ravel() for t, _ in pairs.values()])
    prediction = np.concatenate([p.ravel() for _, p in pairs.values()])
    assert pooled["overall"]["confusion"] == expected(truth, prediction, truth != 255)
    assert pooled["overall"]["ignored"] == (truth == 255).sum()


def test_only_evaluations_of_the_same_classes_are_pooled():
    other = ClassMap.of("background", "building")
    one, two = (evaluate(labels(i, c), labels(i, c)) for i, c in _same_ids_two_class_maps(other))
    with pytest.raises(LabelError, match="'a' and 'b' have different classes"):
        Evaluation.pool({"a": one, "b": two})
    with pytest.raises(ConfigError, match="at least one"):
        Evaluation.pool({})


def _same_ids_two_class_maps(other):
    ids = np.zeros(GRID.shape, np.uint8)
    return [(ids, CLASSES), (ids, other)]


def test_json_is_strict_also_where_nothing_can_be_computed(tmp_path):
    ignored = labels(np.full(GRID.shape, 255, np.uint8))
    evaluation = evaluate(ignored, ignored)

    def refuse(constant):
        raise AssertionError(constant)

    result = json.loads(evaluation.to_json(), parse_constant=refuse)
    assert result == evaluation.to_dict()
    assert result["overall"]["accuracy"] is None
    assert result["overall"]["per_class"][0]["iou"] is None
    assert "-" in evaluation.table()
    evaluation.save(str(tmp_path / "new" / "evaluation.json"))
    saved = tmp_path / "new" / "evaluation.json"
    assert json.loads(saved.read_text(encoding="utf-8")) == result
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="nothing can be written"):
        evaluation.save(str(tmp_path / "file" / "evaluation.json"))


def test_the_table_is_aligned_and_tells_what_was_left_out():
    truth, prediction = random_ids(14, ignored=0.1), random_ids(15)
    evaluation = evaluate(labels(truth), labels(prediction))
    table = evaluation.table()
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["class", *CLASSES.names, "mean"]
    assert len({len(line) for line in lines[:5]}) == 1
    record = evaluation.to_dict()["overall"]["per_class"][1]
    assert lines[2].split()[1:5] == [
        f"{record[key]:.3f}" for key in ("iou", "f1", "precision", "recall")
    ]
    assert lines[2].split()[5] == f"{(truth == 9).sum():,}"
    assert f"{(truth == 255).sum():,} pixels ignored" in table
    assert "not predicted" not in table
    prediction[truth == 9] = 255
    table = evaluate(labels(truth), labels(prediction)).table()
    assert f"{(truth == 9).sum():,} pixels with truth were not predicted" in table


def test_the_table_of_several_scenes_has_a_line_for_each():
    one = evaluate(labels(random_ids(16)), labels(random_ids(17)))
    assert "mean IoU" not in one.table()
    table = Evaluation.pool({"north": one, "south": one}).table()
    assert [line.split()[0] for line in table.splitlines()[-3:]] == ["scene", "north", "south"]


def test_rounding_of_a_transform_is_no_other_grid():
    ids, transform = random_ids(19), [10, 0, 5e5 + 1e-6, 0, -10, 4e6]
    near = Grid(crs=GRID.crs, transform=transform, height=1231, width=77)
    result = evaluate(labels(ids), labels(ids, grid=near))
    assert result.to_dict()["overall"]["accuracy"] == 1
    assert result.notes == ()


@pytest.mark.parametrize("names", [("background", "building"), ("background", "road", "building")])
def test_other_classes_are_refused(names):
    ids = np.zeros(GRID.shape, np.uint8)
    with pytest.raises(LabelError, match="ids and names must agree"):
        evaluate(labels(ids), labels(ids, ClassMap.of(*names)))


class _Unchecked(Labels):
    """Labels that let any id through, as a file may."""

    def __init__(self, ids):
        self.grid, self.classes, self._ids = GRID, CLASSES, ids

    def read(self, window):
        return self._ids[window.slices]


@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_ids_outside_the_class_map_are_an_error_that_counts_them(side):
    good, wrong = random_ids(20), random_ids(21)
    wrong[600, :5] = 77
    pair = {"truth": labels(good), "prediction": labels(good), side: _Unchecked(wrong)}
    with pytest.raises(LabelError, match=rf"{side} of 'scene' .*77 \(5 px\)"):
        evaluate(pair["truth"], pair["prediction"])


@pytest.mark.parametrize(("side", "other"), [("truth", "prediction"), ("prediction", "truth")])
def test_what_has_no_grid_of_its_own_is_refused(side, other):
    good = labels(random_ids(24))
    source = RasterLabels(source=ArraySource(data=random_ids(24)[None], grid=GRID), classes=CLASSES)
    wrong = {"truth": good, "prediction": good, side: source}
    text = rf"the {side} is a RasterLabels, .* as in {side}\.on\({other}\.grid\)"
    with pytest.raises(LabelError, match=text):
        evaluate(wrong["truth"], wrong["prediction"])
    assert evaluate(good, source.on(GRID)).to_dict()["overall"]["accuracy"] == 1
    with pytest.raises(LabelError, match=rf"the {side} is a str, expected labels on a grid"):
        evaluate(**(wrong | {side: "truth.tif"}))


def test_files_are_evaluated_like_arrays(tmp_path):
    truth, prediction = random_ids(22, ignored=0.1), random_ids(23, ignored=0.1)
    files = []
    for name, ids in [("truth", truth), ("prediction", prediction)]:
        store = GeoTIFFLabelStore(uri=str(tmp_path / f"{name}.tif"))
        with store.writer(GRID, CLASSES) as writer:
            writer.write(GRID.whole, ids)
        files.append(store.read())
    assert evaluate(*files).to_dict() == evaluate(labels(truth), labels(prediction)).to_dict()


class _Striped(Labels):
    """Labels of any height that take no memory."""

    def __init__(self, height):
        self.grid, self.classes = Grid(height=height, width=500), CLASSES

    def read(self, window):
        return np.full(window.shape, 9, np.uint8)


@pytest.mark.parametrize("options", [{}, {"boundary_px": 3, "object_iou": 0.5}])
def test_memory_does_not_grow_with_the_height(options):
    def peak(height):
        tracemalloc.start()
        result = evaluate(_Striped(height), _Striped(height), **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result.overall.confusion[1, 1] == height * 500
        return most

    peak(1000)
    assert peak(20000) < 1.1 * peak(3000)


@pytest.mark.parametrize("size", [(1, 77), (13, 77), (500, 20), (7, 11)])
def test_blocks_may_come_in_any_size(size):
    truth, prediction = random_ids(24, ignored=0.1), random_ids(25, ignored=0.1)
    inside = np.random.default_rng(0).random(GRID.shape) < 0.5
    judge = Evaluator(GRID, CLASSES)
    for window in sliding(GRID, size, edge="pad"):
        part = window.intersection(GRID.whole)
        judge.update(part, *(array[part.slices] for array in (truth, prediction, inside)))
    found = judge.result()
    counted = inside & (truth != 255) & (prediction != 255)
    assert found.confusion.tolist() == expected(truth, prediction, counted)
    assert found.ignored == (~inside | (truth == 255)).sum()
    everywhere = inside & (prediction != 255)
    weights = row_areas(GRID)[:, None]
    mapped = [(weights * ((prediction == i) & everywhere)).sum() for i in CLASSES.ids]
    assert found.areas.mapped == pytest.approx(mapped, rel=1e-5)


def test_a_prediction_is_judged_while_it_is_made():
    truth, prediction = random_ids(30, ignored=0.1), random_ids(31, ignored=0.1)
    box = shapely.box(500100, 3990000, 500600, 3999500)
    aoi = FrameSource(frame=gpd.GeoDataFrame(geometry=[box], crs="EPSG:32619"))
    options = {"boundary_px": 2, "object_iou": 0.5, "bootstrap": 20, "block_px": 64}
    judge = Evaluator(GRID, CLASSES, **options)
    compare = judge.against(labels(truth), aoi)
    for window in sliding(GRID, (100, 77), edge="pad"):
        part = window.intersection(GRID.whole)
        compare(part, prediction[part.slices])
    found = Evaluation(CLASSES, {"scene": judge.result()})
    whole = evaluate(labels(truth), labels(prediction), aoi, **options)
    assert found.to_dict()["overall"].pop("areas") == [
        pytest.approx(record) for record in whole.to_dict()["overall"]["areas"]
    ]
    for key in ("confusion", "ignored", "unpredicted", "objects", "intervals", "per_class"):
        assert found.to_dict()["overall"][key] == whole.to_dict()["overall"][key]


def test_blocks_that_do_not_fit_are_refused():
    judge, ids = Evaluator(GRID, CLASSES, name="north"), np.zeros((5, 7), np.uint8)
    with pytest.raises(ConfigError, match=r"north: .* reaches past the grid of 1231 x 77 px"):
        judge.update(Window(0, 75, 5, 7), ids, ids)
    with pytest.raises(LabelError, match=r"truth of 'north' .* shape \(5, 7\), expected \(5, 6\)"):
        judge.update(Window(0, 0, 5, 6), ids, ids)
    with pytest.raises(LabelError, match=r"prediction of 'north' .* int64, expected uint8"):
        judge.update(Window(0, 0, 5, 7), ids, ids.astype(int))


def test_an_evaluator_gives_scores_and_a_table():
    rng = np.random.default_rng(11)
    truth, ids = rng.integers(0, len(CLASSES), (2, 17, 23)).astype(np.uint8)
    truth, ids = (np.array(CLASSES.ids, np.uint8)[each] for each in (truth, ids))
    grid = Grid(height=17, width=23)
    judge = Evaluator(grid, CLASSES, name="field")
    judge.update(grid.whole, truth, ids)
    found = judge.evaluation()
    expected = evaluate(
        ArrayLabels(grid, CLASSES, truth), ArrayLabels(grid, CLASSES, ids), name="field"
    )
    assert found.to_dict() == expected.to_dict()
    assert found.table() == expected.table()
    assert found.mean_iou == expected.mean_iou


def test_all_measures_of_labels_that_are_ignored_everywhere_are_plain_json():
    ignored = labels(np.full(GRID.shape, 255, np.uint8))
    found = evaluate(ignored, ignored, boundary_px=2, object_iou=0.5, bootstrap=20)
    result = json.loads(found.to_json())["overall"]
    assert result["mean_boundary_iou"] is result["objects"]["f1"] is None
    assert result["intervals"]["mean_iou"] is None
    assert [record["mapped_m2"] for record in result["areas"]] == [0, 0, 0]
    assert "boundary IoU" in found.table()


def test_after_the_result_nothing_is_counted():
    ids = random_ids(32)
    judge = Evaluator(GRID, CLASSES, boundary_px=2, object_iou=0.5)
    judge.update(GRID.whole, ids, ids)
    assert judge.result() is judge.result()
    with pytest.raises(ConfigError, match="comes too late"):
        judge.update(GRID.whole, ids, ids)


def test_measures_that_a_scene_lacks_are_left_out_of_the_whole():
    one = evaluate(labels(random_ids(26)), labels(random_ids(27)), boundary_px=2, object_iou=0.5)
    two = evaluate(labels(random_ids(28)), labels(random_ids(29)), boundary_px=2)
    pooled = Evaluation.pool({"north": one, "south": two}).overall
    assert pooled.objects is None
    np.testing.assert_array_equal(
        pooled.boundary.confusion,
        one.overall.boundary.confusion + two.overall.boundary.confusion,
    )
    three = evaluate(labels(random_ids(28)), labels(random_ids(29)), boundary_px=3, object_iou=0.6)
    assert Evaluation.pool({"south": two, "east": three}).overall.boundary is None
    assert Evaluation.pool({"north": one, "east": three}).overall.objects is None
    both = Evaluation.pool({"north": one, "again": one}).overall.objects
    np.testing.assert_array_equal(both.matched, 2 * one.overall.objects.matched)
