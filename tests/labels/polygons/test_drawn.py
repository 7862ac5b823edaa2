"""Files of polygons remember what they leave out of the map, and evaluations say so."""

import warnings

import numpy as np
import pytest

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.polygons.drawn import Drawn
from geoseg.labels.vector import VectorLabelStore

CLASSES = ClassMap.of("background", "building", "road")
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=60, width=41)


def map_of(seed=0):
    ids = np.random.default_rng(seed).integers(0, 3, (20, 14)).repeat(3, 0).repeat(3, 1)
    return ArrayLabels(GRID, CLASSES, ids[:60, :41].astype(np.uint8))


def written(path, **options):
    store = VectorLabelStore(uri=str(path), **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*left out as asked")
        store.write(map_of())
    return store.read()


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_a_file_remembers_what_it_leaves_out(tmp_path, suffix):
    options = {"min_area_m2": 500.0, "denoise_px": 2, "simplify_m": 4.0, "rectangle_iou": 0.5}
    labels = written(tmp_path / f"some{suffix}", only=(2, "building"), **options)
    assert labels.drawn == Drawn(only=("building", "road"), **options)
    whole = written(tmp_path / f"all{suffix}", only=("road", "building", 0), denoise_px=1)
    assert whole.drawn == Drawn()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"only": "building"}, "classes other than 'building'"),
        ({"min_area_m2": 1200}, "regions below 1200 m2"),
        ({"only": 1, "denoise_px": 4},
         "classes other than 'building' and pixels that no 4 x 4 square covers"),
    ],
    ids=["only", "area", "both"],
)  # fmt: skip
def test_scores_of_polygons_that_leave_something_out_come_with_a_warning(tmp_path, options, told):
    labels = written(tmp_path / "some.gpkg", **options)
    text = f"the prediction {labels.uri} was written without {told}: their pixels count as not predicted"
    with pytest.warns(UserWarning, match="so that recall and IoU are too high") as caught:
        found = evaluate(map_of(1), labels)
    (warned,) = caught
    assert str(warned.message).startswith(text)
    assert found.notes == (str(warned.message),)
    assert found.overall.unpredicted == (labels.to_array() == 255).sum() > 0


def test_changed_outlines_are_noted_and_whole_polygons_are_not(tmp_path):
    labels = written(tmp_path / "some.gpkg", simplify_m=9, rectangle_iou=0.7)
    (note,) = evaluate(map_of(1), labels).notes
    assert "simplified by 9 m and made rectangles from an IoU of 0.7 on" in note
    assert evaluate(map_of(1), written(tmp_path / "all.gpkg")).notes == ()


def test_a_truth_that_leaves_something_out_is_noted(tmp_path):
    labels = written(tmp_path / "some.gpkg", only=("road", "building"))
    found = evaluate(labels, map_of(1))
    (note,) = found.notes
    assert note.startswith(
        f"the truth {labels.uri} was written without classes other than 'building'"
    )
    assert note.endswith("'road': their pixels are ignored")
    assert found.overall.ignored == (map_of().to_array() == 0).sum()
