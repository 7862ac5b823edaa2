import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.evaluation.errormap import error_classes
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.sources.vector import FrameSource

CLASSES = ClassMap.model_validate(
    [{"name": "water", "id": 9, "color": "#0000ff"}, {"name": "land", "color": "#00ff00", "id": 4}]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=531, width=77)


def random_ids(seed, ignored):
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.array(CLASSES.ids, np.uint8), GRID.shape)
    ids[rng.random(GRID.shape) < ignored] = 255
    return ids


def test_the_map_of_errors_tells_right_from_wrong_and_what_was_left_out(tmp_path):
    truth, prediction = random_ids(0, 0.2), random_ids(1, 0.1)
    polygon = shapely.Polygon([(500113, 3999871), (500700, 3995333), (500031, 3996007)])
    aoi = FrameSource(frame=gpd.GeoDataFrame(geometry=[polygon], crs="EPSG:32619"))
    inside = rasterio.features.rasterize([polygon], GRID.shape, transform=GRID.transform) == 1
    uri = str(tmp_path / "new" / "errors.tif")
    pair = [ArrayLabels(GRID, CLASSES, ids) for ids in (truth, prediction)]
    found = evaluate(*pair, aoi, error_map=uri)
    expected = (truth != prediction).astype(np.uint8)
    expected[(truth == 255) | (prediction == 255) | ~inside] = 255
    with rasterio.open(uri) as file:
        np.testing.assert_array_equal(file.read(1), expected)
        assert (file.nodata, file.crs.to_epsg(), file.transform) == (255, 32619, GRID.transform)
        assert file.profile["tiled"]
        assert file.colormap(1)[1] == (190, 30, 150, 255)
    assert GeoTIFFLabelStore(uri=uri).read().classes.names == ("right", "wrong")
    counts = found.overall.confusion
    assert (expected == 0).sum() == np.trace(counts)
    assert (expected == 1).sum() == counts.sum() - np.trace(counts)


def test_a_map_of_pairs_tells_true_and_predicted_class(tmp_path):
    truth, prediction = random_ids(2, 0.2), random_ids(3, 0.1)
    uri = str(tmp_path / "pairs.tif")
    pair = [ArrayLabels(GRID, CLASSES, ids) for ids in (truth, prediction)]
    evaluate(*pair, error_map=uri, error_kind="pairs")
    labels = GeoTIFFLabelStore(uri=uri).read()
    assert labels.classes.names == (
        "water", "water, predicted as land", "land, predicted as water", "land",
    )  # fmt: skip
    assert labels.classes.classes[1].color == (0, 255, 0)
    ids = labels.to_array()
    for t, true in enumerate(CLASSES.ids):
        for p, other in enumerate(CLASSES.ids):
            np.testing.assert_array_equal(ids == 2 * t + p, (truth == true) & (prediction == other))
    np.testing.assert_array_equal(ids == 255, (truth == 255) | (prediction == 255))


def test_too_many_classes_for_pairs_are_refused_and_nothing_is_written(tmp_path):
    classes = ClassMap.of(*map(str, range(16)))
    assert len(error_classes(ClassMap.of(*map(str, range(15))), "pairs")) == 225
    labels = ArrayLabels(GRID, classes, np.zeros(GRID.shape, np.uint8))
    with pytest.raises(ConfigError, match="16 classes make 256 pairs"):
        evaluate(labels, labels, error_map=str(tmp_path / "e.tif"), error_kind="pairs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", [True, False])
def test_an_unknown_kind_is_refused_and_nothing_is_written(tmp_path, named):
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 9, np.uint8))
    uri = str(tmp_path / "e.tif") if named else None
    with pytest.raises(ConfigError, match="error_kind is 'zz', expected one of: right, pairs"):
        evaluate(labels, labels, error_map=uri, error_kind="zz")
    assert list(tmp_path.iterdir()) == []


class _Faulty(Labels):
    grid, classes = GRID, CLASSES

    def read(self, window):
        return np.full(window.shape, 9 if window.row == 0 else 77, np.uint8)


def test_an_evaluation_that_fails_leaves_no_map(tmp_path):
    right = ArrayLabels(GRID, CLASSES, random_ids(4, 0))
    with pytest.raises(LabelError, match="77"):
        evaluate(right, _Faulty(), error_map=str(tmp_path / "e.tif"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["e.png", "e", "tif", "e.tif.pdf"])
def test_a_map_of_errors_with_the_name_of_another_format_is_refused(tmp_path, name):
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 9, np.uint8))
    with pytest.raises(
        ConfigError, match=rf"{name}: .* expected a name that ends in .tif or .tiff"
    ):
        evaluate(labels, labels, error_map=str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []
