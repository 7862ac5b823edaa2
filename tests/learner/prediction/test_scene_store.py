"""Predictions go to the scene's own store, and keep what the store wants of their scores."""

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner, Training
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource

CLASSES = ClassMap.model_validate([{"id": 3, "name": "dark"}, {"id": 1, "name": "bright"}])
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)


class Brightness(nn.Module):
    """Logits of two classes by the first band."""

    def forward(self, image):
        level = image[:, :1].float()
        level = level / 255 if level.max() > 1 else level
        return torch.cat([4 - 8 * level, 8 * level - 4], dim=1)


@pytest.fixture
def learner():
    return Learner(CLASSES, Training(size=32, batch_size=4), model=Brightness())


def scene_with(store):
    data = np.random.default_rng(0).integers(0, 255, (3, *GRID.shape), np.uint8)
    valid = np.ones(GRID.shape, bool)
    valid[:9, :7] = False
    return Scene(id="a", image=ArraySource(data=data, valid=valid, grid=GRID), store=store)


def test_predict_writes_to_the_scenes_store_unless_told_another_place(learner, tmp_path):
    scene = scene_with(GeoTIFFLabelStore(uri=str(tmp_path / "own.tif")))
    expected = learner.predict(scene_with(None)).to_array()
    learner.predict(scene, GeoTIFFLabelStore(uri=str(tmp_path / "other.tif")))
    assert not (tmp_path / "own.tif").exists()
    written = learner.predict(scene)
    assert written.uri == str(tmp_path / "own.tif")
    np.testing.assert_array_equal(written.to_array(), expected)
    np.testing.assert_array_equal(scene.prediction.to_array(), expected)


def test_a_store_that_wants_scores_is_given_those_of_a_prediction_in_memory(learner, tmp_path):
    options = {"scores": True, "confidence": True, "entropy": True}
    scene = scene_with(GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), **options))
    written, memory = learner.predict(scene), learner.predict(scene_with(None))
    known = memory.to_array() != 255
    found, expected = (labels.scores(GRID.whole) for labels in (written, memory))
    assert np.abs(found - expected)[:, known].max() <= 1 / 508 + 1e-6
    assert (~known).sum() == 63
    chip = GeoTIFFSource(uri=str(tmp_path / "map.confidence.tif")).read(GRID.whole)
    np.testing.assert_array_equal(chip.valid, known)
    assert np.abs(chip.data[0] / 254 - expected.max(axis=0))[known].max() <= 1 / 508 + 1e-6


@pytest.mark.parametrize("resume", [True, False])
def test_a_store_that_replaces_nothing_is_refused_before_the_work(learner, tmp_path, resume):
    (tmp_path / "map.tif").touch()
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), mode="error")
    learner.module.forward = None  # what is called is an error of its own
    with pytest.raises(StoreError, match="is there already"):
        learner.predict(scene_with(store), resume=resume)


def test_scores_do_not_replace_the_image(learner, tmp_path):
    image = tmp_path / "map.scores.tif"
    source = scene_with(None).image
    with rasterio.open(
        image, "w", driver="GTiff", dtype="uint8", count=3, height=61, width=83,
        crs=GRID.crs, transform=GRID.transform,
    ) as file:  # fmt: skip
        file.write(source.read(GRID.whole).data)
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), scores=True)
    before = image.read_bytes()
    with pytest.raises(ConfigError, match=r"map\.scores\.tif: is read as an input too"):
        learner.predict(Scene.of(str(image)), store)
    assert image.read_bytes() == before
