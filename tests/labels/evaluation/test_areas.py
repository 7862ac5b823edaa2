import numpy as np
import pytest
from pyproj import Geod, Transformer

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.evaluation.areas import area_records, row_areas
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.window import Window

CLASSES = ClassMap.of("a", "b", "c")
GRIDS = {
    "degrees": Grid(crs="EPSG:4326", transform=[0.01, 0, -70, 0, -0.02, 46], height=301, width=57),
    "mercator": Grid(
        crs="EPSG:3857", transform=[30, 0, -8e6, 0, -30, 7.5e6], height=913, width=201
    ),
    "utm": Grid(crs="EPSG:32619", transform=[10, 0, 2e5, 0, -10, 5e6], height=350, width=1001),
    "south up": Grid(crs="EPSG:32733", transform=[2, 0, 6e5, 0, 2, 8e6], height=150, width=99),
    "rotated": Grid(crs="EPSG:3857", transform=[8, 6, 1e6, 6, -8, 6e6], height=400, width=333),
    "tiny pixels": Grid(
        crs="EPSG:3857", transform=[0.05, 0, 4e6, 0, -0.05, -7e5], height=77, width=50
    ),
    "the whole Earth": Grid(
        crs="EPSG:4326", transform=[1, 0, -180, 0, -1, 90], height=180, width=360
    ),
    "across the antimeridian": Grid(
        crs="EPSG:32601", transform=[100, 0, 1e5, 0, -100, 7e6], height=90, width=2000
    ),
}


def geodesic_area(grid, row, col, height, width):
    """Square metres of a rectangle of pixels, its edges cut into many short ones."""
    t = np.linspace(0, 1, 400)
    zero, one = np.zeros_like(t), np.ones_like(t)
    cols = col + width * np.concatenate([t, one, 1 - t, zero])
    rows = row + height * np.concatenate([zero, t, one, 1 - t])
    a, b, c, d, e, f = grid.transform[:6]
    to_degrees = Transformer.from_crs(grid.crs.to_string(), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize("name", [n for n in GRIDS if n not in ("the whole Earth", "rotated")])
def test_pixels_of_each_row_cover_what_a_geodesic_polygon_covers(name):
    grid = GRIDS[name]
    areas = row_areas(grid)
    assert areas.shape == (grid.height,)
    for row in (0, grid.height // 3, grid.height - 1):
        expected = geodesic_area(grid, row, 0, 1, grid.width) / grid.width
        assert areas[row] == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("name", ["rotated", "mercator", "utm"])
def test_pixels_of_all_rows_cover_what_the_grid_covers(name):
    grid = GRIDS[name]
    expected = geodesic_area(grid, 0, 0, grid.height, grid.width)
    assert row_areas(grid).sum() * grid.width == pytest.approx(expected, rel=2e-5)


def test_the_whole_earth_has_the_area_of_the_ellipsoid():
    grid = GRIDS["the whole Earth"]
    assert row_areas(grid).sum() * grid.width == pytest.approx(5.10065622e14, rel=1e-4)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(height=3, width=4),
        Grid(crs="EPSG:4326", transform=[1, 0, 0, 0, -1, 95], height=9, width=4),
    ],
    ids=["no crs", "past the pole"],
)
def test_a_grid_without_a_place_has_no_areas(grid):
    labels = ArrayLabels(grid, CLASSES, np.zeros(grid.shape, np.uint8))
    result = evaluate(labels, labels)
    assert result.overall.areas is None
    assert "areas" not in result.to_dict()["overall"]
    assert "area in ha" not in result.table()


def test_the_estimator_gives_the_numbers_of_olofsson_and_others():
    """Olofsson et al. 2014, tables 8 and 9: areas in pixels of 0.09 ha, 95 % intervals."""
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    mapped = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09
    classes = ClassMap.of("deforestation", "gain", "forest", "other")
    found = area_records(counts.T, counts.T.astype(float), mapped, classes)
    published = [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282)]
    for record, (area, interval) in zip(found, published, strict=True):
        assert record["adjusted_m2"] == pytest.approx(area, abs=1)
        assert 1.96 * record["standard_error_m2"] == pytest.approx(interval, abs=1)


@pytest.mark.parametrize("name", ["degrees", "mercator", "the whole Earth"])
def test_areas_are_those_of_the_pixels_row_by_row(name):
    grid = GRIDS[name]
    rng = np.random.default_rng(0)
    # Classes lie at other latitudes, so that a mean pixel would be wrong.
    lean = np.linspace(0, 2.5, grid.height)[:, None]
    prediction = np.clip(rng.random(grid.shape) + lean, 0, 2).astype(np.uint8)
    truth = np.where(rng.random(grid.shape) < 0.8, prediction, rng.integers(0, 3, grid.shape))
    truth = truth.astype(np.uint8)
    pair = [ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)]
    found = evaluate(*pair).to_dict()["overall"]["areas"]
    weights = row_areas(grid)[:, None]
    for i, record in enumerate(found):
        assert record["mapped_m2"] == pytest.approx(((prediction == i) * weights).sum(), rel=1e-5)
        # Where all of the map has truth, adjusting gives the truth.
        assert record["adjusted_m2"] == pytest.approx(((truth == i) * weights).sum(), rel=2e-5)
        assert record["standard_error_m2"] is None


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_areas_do_not_depend_on_the_strips_that_come(rows):
    grid = GRIDS["mercator"]
    ids = np.random.default_rng(3).integers(0, 3, grid.shape).astype(np.uint8)
    judge = Evaluator(grid, CLASSES)
    for row in range(0, grid.height, rows):
        part = Window(row, 0, rows, grid.width).intersection(grid.whole)
        judge.update(part, ids[part.slices], ids[part.slices])
    labels = ArrayLabels(grid, CLASSES, ids)
    for whole in (evaluate(labels, labels), evaluate(labels, labels, bootstrap=20, block_px=64)):
        np.testing.assert_allclose(judge.result().areas.known, whole.overall.areas.known, 1e-12)


def test_all_of_the_map_counts_as_mapped_and_what_has_truth_adjusts_it():
    grid = Grid(crs="EPSG:6933", transform=[10, 0, 0, 0, -10, 5e5], height=80, width=61)
    rng = np.random.default_rng(1)
    prediction = rng.integers(0, 2, grid.shape).astype(np.uint8)
    truth = np.where(rng.random(grid.shape) < 0.7, prediction, 2).astype(np.uint8)
    truth[rng.random(grid.shape) < 0.8] = 255
    found = evaluate(*(ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)))
    records = found.to_dict()["overall"]["areas"]
    mapped = [100 * (prediction == i).sum() for i in range(3)]
    assert [r["mapped_m2"] for r in records] == pytest.approx(mapped, rel=1e-4)
    shares = [
        [np.mean(truth[(prediction == i) & (truth != 255)] == j) for j in range(3)] for i in (0, 1)
    ]
    adjusted = np.array(mapped[:2]) @ np.array(shares)
    assert [r["adjusted_m2"] for r in records] == pytest.approx(adjusted, rel=1e-4)
    line = next(x for x in found.table().splitlines() if x.startswith("area in ha"))
    assert line.split()[3:] == ["mapped", "error-adjusted", "standard", "error"]


def test_without_truth_in_a_mapped_class_nothing_is_adjusted():
    grid = GRIDS["utm"]
    prediction = np.zeros(grid.shape, np.uint8)
    prediction[:5] = 1
    truth = np.where(prediction == 1, 255, 0).astype(np.uint8)
    found = evaluate(*(ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)))
    records = found.to_dict()["overall"]["areas"]
    assert {r["adjusted_m2"] for r in records} == {None}
    assert {r["standard_error_m2"] for r in records} == {None}
    assert records[1]["mapped_m2"] > 0


def test_areas_of_scenes_add_up_unless_one_has_none():
    parts = {}
    for name in ("utm", "mercator"):
        ids = np.random.default_rng(2).integers(0, 3, GRIDS[name].shape).astype(np.uint8)
        labels = ArrayLabels(GRIDS[name], CLASSES, ids)
        parts[name] = evaluate(labels, labels)
    pooled = Evaluation.pool(parts).overall.areas
    expected = sum(part.overall.areas.mapped for part in parts.values())
    np.testing.assert_allclose(pooled.mapped, expected)
    nowhere = ArrayLabels(Grid(height=2, width=2), CLASSES, np.zeros((2, 2), np.uint8))
    parts["nowhere"] = evaluate(nowhere, nowhere)
    assert Evaluation.pool(parts).overall.areas is None


def judged_areas(truth, prediction, grid):
    found = evaluate(*(ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction)))
    return found.to_dict()["overall"], found.table()


def test_standard_errors_come_with_what_they_assume():
    ids = np.random.default_rng(5).integers(0, 2, (2, 90, 71)).astype(np.uint8)
    truth, prediction = ids
    grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=90, width=71)
    whole, table = judged_areas(truth, prediction, grid)
    assert {record["standard_error_m2"] for record in whole["areas"]} == {None}
    assert "the truth covers the whole map" in whole["areas_note"]
    assert whole["areas_note"] in table
    truth[3, 4] = 255
    part, table = judged_areas(truth, prediction, grid)
    assert all(record["standard_error_m2"] > 0 for record in part["areas"][:2])
    assert "random sample" in part["areas_note"]
    assert "independent of the others" in part["areas_note"]
    assert part["areas_note"] in table
    truth[prediction == 1] = 255
    assert "too few pixels with truth" in judged_areas(truth, prediction, grid)[0]["areas_note"]


def test_the_truth_of_pooled_scenes_covers_them_too():
    parts = {}
    for name in ("utm", "mercator", "degrees"):
        rng = np.random.default_rng(len(parts))
        ids = [rng.integers(0, 3, GRIDS[name].shape).astype(np.uint8) for _ in range(2)]
        parts[name] = evaluate(*(ArrayLabels(GRIDS[name], CLASSES, each) for each in ids))
    assert "covers the whole map" in Evaluation.pool(parts).to_dict()["overall"]["areas_note"]


def test_areas_that_hectares_would_round_to_nothing_are_in_square_metres():
    grid = Grid(crs="EPSG:6933", transform=[0.5, 0, 0, 0, -0.5, 1000], height=40, width=60)
    ids = np.zeros(grid.shape, np.uint8)
    ids[:6, :6] = 1
    lines = judged_areas(ids, ids, grid)[1].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("area in m2"))
    shown = [lines[first + 1 + i].split()[:3] for i in range(3)]
    assert shown[1] == ["b", "9.0", "9.0"]  # 36 pixels of a quarter of a square metre
    assert shown[0] == ["a", "591.0", "591.0"]
    assert shown[2] == ["c", "0.0", "0.0"]
    ids[:] = 1
    coarse = Grid(crs="EPSG:6933", transform=[10, 0, 0, 0, -10, 1000], height=40, width=60)
    assert "area in ha" in judged_areas(ids, ids, coarse)[1]
