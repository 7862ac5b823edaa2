"""Polygons straight from a model: in one run, resumed, merged of shards, and in pieces of columns."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import torch
from geopandas.testing import assert_geodataframe_equal

from geoseg.errors import StoreError
from geoseg.labels.evaluate import evaluate
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.parts import merge
from geoseg.labels.vector import VectorLabelStore
from geoseg.learner import Learner, Training
from geoseg.learner.models import UNet
from geoseg.scene import Scene
from tests.learner.prediction.runs import (
    CLASSES,
    Stop,
    learner,
    names,
    run,
    stop_after,
    write_scene,
)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("polygons"))


@pytest.mark.parametrize("scores", [False, True])
def test_polygons_of_a_resumed_run_are_those_of_the_map(image, tmp_path, monkeypatch, scores):
    store = VectorLabelStore(uri=str(tmp_path / "map.gpkg"), scores=scores)
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(Stop):
            learner().predict(Scene.of(image), store, stride=48)
    assert names(tmp_path) == [".map.gpkg.resume"]
    labels = learner().predict(Scene.of(image), store, stride=48, resume=True)
    assert names(tmp_path) == ["map.gpkg"]
    memory = learner().predict(Scene.of(image), stride=48)
    direct = VectorLabelStore(uri=str(tmp_path / "direct.gpkg"), scores=scores)
    direct.write(memory)
    assert_geodataframe_equal(
        geopandas.read_file(tmp_path / "map.gpkg"), geopandas.read_file(tmp_path / "direct.gpkg")
    )
    np.testing.assert_array_equal(labels.to_array(), memory.to_array())
    same = evaluate(memory, labels).overall
    assert same.confusion.sum() == np.trace(same.confusion) == (memory.to_array() != 255).sum()


def test_polygons_of_merged_shards_are_those_of_one_run(image, tmp_path):
    parts = [str(tmp_path / f"{i}.tif") for i in range(3)]
    for i, part in enumerate(parts):
        run(image, part, shard=(i, 3))
    merge(parts, VectorLabelStore(uri=str(tmp_path / "merged.geojson")))
    learner().predict(
        Scene.of(image), VectorLabelStore(uri=str(tmp_path / "one.geojson")), stride=48
    )
    merged, one = (geopandas.read_file(tmp_path / f"{n}.geojson") for n in ("merged", "one"))
    assert_geodataframe_equal(merged, one)


def test_a_failing_writer_leaves_no_polygons_and_rows_to_go_on_from(image, tmp_path, monkeypatch):
    from geoseg.labels.polygons.writer import VectorLabelWriter

    def full(self):
        raise StoreError("map.gpkg: cannot be written: No space left on device")

    store = VectorLabelStore(uri=str(tmp_path / "map.gpkg"))
    with monkeypatch.context() as patch:
        patch.setattr(VectorLabelWriter, "finish", full)
        with pytest.raises(StoreError, match="No space left") as error:
            learner().predict(Scene.of(image), store, stride=48)
    assert "3 finished bands of rows are kept" in error.value.__notes__[0]
    assert names(tmp_path) == [".map.gpkg.resume"]
    with monkeypatch.context() as patch:
        again = stop_after(patch, None)
        learner().predict(Scene.of(image), store, stride=48, resume=True)
    assert again == []  # all was there
    assert names(tmp_path) == ["map.gpkg"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["geotiff", "vector"])
def test_a_wide_scene_in_pieces_is_that_in_whole_rows_for_a_real_network(
    tmp_path, kind, write_raster
):
    rng = np.random.default_rng(3)
    data = rng.integers(1, 255, (2, 80, 260), np.uint8).repeat(8, 1).repeat(8, 2)[:, :611, :2050]
    scene = Scene.of(write_raster("wide.tif", data, nodata=0))
    torch.manual_seed(0)
    network = UNet(2, 3, width=4, depth=2)
    network.coarse.bias.data.zero_()
    network.fine[1].weight.data.mul_(30)  # else one class is everywhere
    made = Learner(CLASSES, Training(size=64, batch_size=4), model=network)
    stores = [
        GeoTIFFLabelStore(uri=str(tmp_path / f"{n}.tif"))
        if kind == "geotiff"
        else VectorLabelStore(uri=str(tmp_path / f"{n}.gpkg"))
        for n in ("whole", "pieces")
    ]
    whole = made.predict(scene, stores[0]).to_array()
    pieces = made.predict(scene, stores[1], max_memory=4_600_000).to_array()
    assert (whole != pieces).mean() < 1e-4  # other batches, so the last digits: ties only
    assert len(np.unique(whole)) > 1
