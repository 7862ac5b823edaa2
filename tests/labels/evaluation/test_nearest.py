import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from pyproj import Transformer

from geoseg.classes import ClassMap
from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.evaluation.nearest import NearestLabels
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource
from geoseg.window import Window

CLASSES = ClassMap.of("a", "b", "c")
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=131, width=77)
OTHERS = {
    "another crs": Grid(
        crs="EPSG:3857", transform=[9, 0, -7_680_900, 0, -9, 4_321_500], height=190, width=120
    ),
    "half a pixel off": Grid(
        crs="EPSG:32619", transform=[10, 0, 5e5 + 5, 0, -10, 4e6 + 2], height=120, width=80
    ),
    "coarse": Grid(crs="EPSG:32619", transform=[70, 0, 5e5, 0, -90, 4e6], height=20, width=9),
    "rotated": Grid(
        crs="EPSG:32619", transform=[6, 3, 5e5, 3, -6, 4e6 - 100], height=140, width=90
    ),
    "south up": Grid(
        crs="EPSG:32619", transform=[3, 0, 5e5, 0, 4, 4e6 - 1300], height=350, width=99
    ),
    "shifted": Grid(
        crs="EPSG:32619", transform=[10, 0, 5e5 - 30, 0, -10, 4e6 + 40], height=60, width=50
    ),
}


def random_labels(seed, grid, ignored=0.1):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 3, grid.shape).astype(np.uint8)
    ids[rng.random(grid.shape) < ignored] = 255
    return ArrayLabels(grid, CLASSES, ids)


def on_grid(labels, grid):
    """Each pixel's centre looked up by pyproj, one by one."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    a, b, c, d, e, f = grid.transform[:6]
    own = labels.grid
    to_own = Transformer.from_crs(grid.crs.to_string(), own.crs.to_string(), always_xy=True)
    x, y = to_own.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    a, b, c, d, e, f = (~own.transform)[:6]
    col = np.floor(a * x + b * y + c + 1e-6).astype(int)
    row = np.floor(d * x + e * y + f + 1e-6).astype(int)
    inside = (col >= 0) & (row >= 0) & (col < own.width) & (row < own.height)
    ids = labels.to_array()[np.where(inside, row, 0), np.where(inside, col, 0)]
    return np.where(inside, ids, 255)


@pytest.mark.parametrize("name", OTHERS)
def test_a_truth_on_another_grid_is_brought_onto_the_prediction_s(name):
    truth, prediction = random_labels(0, OTHERS[name]), random_labels(1, GRID)
    found = evaluate(truth, prediction)
    moved = on_grid(truth, GRID)
    assert (moved != 255).sum() > 500
    expected = evaluate(ArrayLabels(GRID, CLASSES, moved), prediction)
    assert found.to_dict()["overall"] == expected.to_dict()["overall"]
    (note,) = found.notes
    assert OTHERS[name].describe() in note
    assert note.endswith(": nearest")
    assert found.to_dict()["notes"] == [note]
    assert f"note: {note}" in found.table()
    assert expected.notes == ()


@pytest.mark.parametrize("limit", ["_WINDOW", "_RECTANGLE"])
def test_a_window_is_the_crop_of_the_whole_however_it_is_cut(monkeypatch, limit):
    labels = random_labels(2, OTHERS["another crs"])
    whole = NearestLabels(labels, GRID).to_array()
    np.testing.assert_array_equal(whole, on_grid(labels, GRID))
    monkeypatch.setattr(f"geoseg.labels.evaluation.nearest.{limit}", 50)
    cut = NearestLabels(labels, GRID)
    np.testing.assert_array_equal(cut.to_array(), whole)
    window = Window(-3, 20, 40, 70)
    expected = np.full(window.shape, 255)
    expected[3:, :57] = whole[:37, 20:]
    np.testing.assert_array_equal(cut.read(window), expected)


def test_a_label_raster_is_warped_as_it_says_itself():
    fine = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=655, width=385)
    ids = random_labels(3, fine, ignored=0).to_array()
    source = RasterLabels(
        source=ArraySource(data=ids, grid=fine), classes=CLASSES, resampling="mode"
    )
    prediction = random_labels(4, GRID)
    (note,) = evaluate(source.on(GRID), prediction).notes
    assert fine.describe() in note
    assert note.endswith(": mode")
    assert evaluate(source.on(fine), prediction).to_dict() == (
        evaluate(source.on(GRID), prediction).to_dict()
    )


def test_polygons_are_burned_on_the_prediction_s_grid():
    polygon = shapely.Polygon([(500113, 3999871), (500700, 3999033), (500031, 3998907)])
    frame = gpd.GeoDataFrame(geometry=[polygon], crs="EPSG:32619")
    labels = VectorLabels(
        source=FrameSource(frame=frame), classes=CLASSES, default_class="b", background=0
    )
    prediction = random_labels(5, GRID)
    found = evaluate(labels.on(OTHERS["coarse"]), prediction)
    burned = rasterio.features.rasterize([polygon], GRID.shape, transform=GRID.transform)
    expected = evaluate(ArrayLabels(GRID, CLASSES, burned.astype(np.uint8)), prediction)
    assert found.to_dict()["overall"] == expected.to_dict()["overall"]


def test_notes_of_scenes_name_the_scene():
    one = evaluate(random_labels(6, GRID), random_labels(7, GRID))
    two = evaluate(random_labels(8, OTHERS["coarse"]), random_labels(9, GRID))
    pooled = Evaluation.pool({"north": one, "south": two})
    assert [note.split(":")[0] for note in pooled.notes] == ["south"]


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (Grid(transform=GRID.transform, height=131, width=77), "without a CRS of both"),
        (Grid(height=131, width=77), "without a CRS of both"),
        (
            Grid(crs="EPSG:32619", transform=[10, 0, 9e5, 0, -10, 4e6], height=9, width=9),
            "share no ground",
        ),
        (
            Grid(crs="EPSG:32618", transform=GRID.transform, height=131, width=77),
            "share no ground",
        ),
    ],
    ids=["no crs", "no georeference", "far away", "the zone beside"],
)
def test_grids_that_cannot_be_compared_are_refused_with_both(other, text):
    with pytest.raises(GridError, match=text) as error:
        evaluate(random_labels(10, other), random_labels(11, GRID))
    assert GRID.describe() in str(error.value)
    assert other.describe() in str(error.value)
