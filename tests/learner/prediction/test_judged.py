"""A prediction is judged in the pass that makes it, as its map would be judged afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from geoseg.errors import LabelError, SceneError
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.judging import judging
from geoseg.labels.sources import RasterLabels
from geoseg.learner.training import Prediction
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from tests.learner.prediction.runs import CLASSES, Stop, learner, names, stop_after, write_scene

MEASURES = {"boundary_px": 2, "object_iou": 0.5, "bootstrap": 20, "block_px": 64}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A tall scene with random labels, some of them ignored."""
    image = Scene.of(write_scene(tmp_path_factory.mktemp("judged")))
    ids = np.random.default_rng(4).integers(0, 4, (163, 12), np.uint8).repeat(8, 0).repeat(8, 1)
    ids = ids[: image.grid.height, : image.grid.width]
    ids[ids == 3] = 255
    source = ArraySource(data=ids[None], valid=ids != 255, grid=image.grid)
    labels = RasterLabels(source=source, classes=CLASSES)
    return image.model_copy(update={"labels": labels, "id": "tall"})


def with_store(scene, folder):
    return scene.model_copy(update={"store": GeoTIFFLabelStore(uri=str(folder / "map.tif"))})


@pytest.mark.parametrize("measures", [{}, MEASURES])
def test_a_judged_prediction_has_the_numbers_of_its_map(scene, tmp_path, measures):
    map_ = learner().predict(scene, GeoTIFFLabelStore(uri=str(tmp_path / "map.tif")), stride=48)
    expected = evaluate(scene.labels.on(scene.grid), map_, name="tall", **measures).to_dict()
    options = Prediction(stride=48)
    found = learner().evaluate([scene], prediction=options, scoring=Scoring(**measures))
    assert found.to_dict() == expected
    assert json.loads(found.to_json())["scenes"]["tall"]["ignored"] > 0


def test_nothing_is_left_of_a_scene_without_a_store_and_the_map_of_one_with_it(scene, tmp_path):
    nowhere = learner().evaluate([scene])
    assert names(tmp_path) == []
    stored = learner().evaluate([with_store(scene, tmp_path)])
    assert names(tmp_path) == ["map.tif", "map.tif.aux.xml"]
    assert stored.to_dict() == nowhere.to_dict()


@pytest.mark.parametrize("kind", ["memory", "store", "shards"])
def test_finished_rows_are_seen_once_and_in_order(scene, tmp_path, kind):
    rows, found = [], np.full(scene.grid.shape, 7, np.uint8)

    def seen(window, ids):
        rows.extend(range(window.row, window.row_stop))
        found[window.slices] = ids

    store = None if kind == "memory" else GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    for shard in [(0, 2), (1, 2)] if kind == "shards" else [None]:
        learner().predict(scene, store, stride=48, shard=shard, seen=seen)
    assert rows == list(range(scene.grid.height))
    np.testing.assert_array_equal(found, learner().predict(scene, stride=48).to_array())


def test_a_map_of_errors_is_written_in_the_same_pass(scene, tmp_path):
    truth, errors = scene.labels.on(scene.grid), str(tmp_path / "errors.tif")
    with judging(truth, scene.grid, CLASSES, error_map=errors) as judge:
        ids = learner().predict(scene, seen=judge).to_array()
    expected = np.where(truth.to_array() == ids, 0, 1)
    expected[(truth.to_array() == 255) | (ids == 255)] = 255
    with rasterio.open(errors) as file:
        np.testing.assert_array_equal(file.read(1), expected)


def test_an_error_of_the_judge_ends_the_prediction_and_leaves_no_map(scene, tmp_path):
    def seen(window, ids):
        raise LabelError(f"not {window}")

    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    with pytest.raises(LabelError, match="not Window"):
        learner().predict(scene, store, seen=seen, keep=False)
    assert names(tmp_path) == []


def test_a_truth_on_another_grid_is_brought_there_and_the_report_says_so(scene):
    coarse = scene.grid.crop(scene.grid.whole)
    other = Scene.of(scene.image.uri).grid.model_copy(update={"height": 700})
    ids = np.zeros(other.shape, np.uint8)
    with judging(ArrayLabels(other, CLASSES, ids), coarse) as judge:
        judge(coarse.whole, np.zeros(coarse.shape, np.uint8))
    found = judge.evaluation()
    assert "was brought onto the prediction's grid" in found.notes[0]
    assert found.overall.confusion[0, 0] == 700 * 90


def test_scenes_without_labels_or_of_one_name_are_refused(scene):
    with pytest.raises(SceneError, match="has no labels"):
        learner().evaluate([Scene.of(scene.image.uri)])
    with pytest.raises(SceneError, match="two scenes are called 'tall'"):
        learner().evaluate([scene, scene])


def test_a_resumed_run_shows_all_rows_those_of_the_earlier_run_too(scene, tmp_path, monkeypatch):
    store, rows = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif")), []
    found = np.full(scene.grid.shape, 7, np.uint8)

    def seen(window, ids):
        rows.extend(range(window.row, window.row_stop))
        found[window.slices] = ids

    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(Stop):
            learner().predict(scene, store, stride=48)
    assert names(tmp_path) == [".map.tif.resume"]
    learner().predict(scene, store, stride=48, resume=True, seen=seen)
    assert rows == list(range(scene.grid.height))
    with rasterio.open(store.uri) as file:
        np.testing.assert_array_equal(found, file.read(1))
