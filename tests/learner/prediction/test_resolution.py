"""A scene of other pixels than the training's, on a grid with those."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import BundleError, ConfigError, SceneError
from geoseg.grid import Grid
from geoseg.labels.evaluate import evaluate
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner.facts import facts_of
from geoseg.learner.prediction.resolution import at_resolution, scaled
from geoseg.learner.training import Prediction
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.warp import WarpedSource
from tests.learner.prediction.runs import CLASSES, learner, write_scene


@pytest.fixture
def scene(tmp_path):
    """Pixels of 1 m in EPSG:32619; labels by the value of the second band."""
    scene = Scene.of(write_scene(tmp_path, height=301))
    ids = scene.image.read(scene.grid.whole).data[1] // 86
    labels = RasterLabels(source=ArraySource(data=ids[None], grid=scene.grid), classes=CLASSES)
    return scene.model_copy(update={"labels": labels})


def trained_on(scene, resolution_m):
    made = learner()
    made.data = facts_of([scene]).model_copy(update={"resolution_m": resolution_m})
    made._module = made._build(2)
    return made


@given(
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    across=st.floats(0.1, 30),
    down=st.floats(0.1, 30),
    turn=st.floats(-180, 180),
)
def test_a_scaled_grid_covers_the_ground_and_no_more_than_a_pixel_beyond(shape, across, down, turn):
    transform = Affine.translation(5e5, 4e6) @ Affine.rotation(turn) @ Affine.scale(0.7, -0.7)
    grid = Grid(crs="EPSG:32619", transform=transform, height=shape[0], width=shape[1])
    found = scaled(grid, across, down)
    col, row = ~found.transform @ (grid.transform @ (grid.width, grid.height))
    assert -1e-4 < found.width - col < 1 or found.width == 1
    assert -1e-4 < found.height - row < 1 or found.height == 1
    assert found.transform @ (0, 0) == pytest.approx(grid.transform @ (0, 0))


def test_the_map_at_the_trained_resolution_is_that_of_the_warped_image(scene):
    made = trained_on(scene, (2.5, 2.5))
    metre = scene.grid.ground_resolution[0]
    found = made.predict(scene, resolution="trained", stride=48)
    assert found.grid.ground_resolution == pytest.approx((2.5, 2.5), rel=1e-6)
    assert found.grid.shape == (-(-301 * metre // 2.5), -(-90 * metre // 2.5))
    warped = WarpedSource(source=scene.image, onto=found.grid)
    by_hand = made.predict(scene.model_copy(update={"image": warped}), stride=48)
    np.testing.assert_array_equal(found.to_array(), by_hand.to_array())
    with pytest.warns(UserWarning, match='resolution="trained" brings it there'):
        assert made.predict(scene).grid == scene.grid


def test_it_is_judged_on_that_grid_and_read_back_from_the_store(scene, tmp_path):
    made = trained_on(scene, (2.0, 3.0))
    scene = scene.model_copy(update={"store": GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))})
    found = made.evaluate([scene], prediction=Prediction(resolution="trained"))
    map_ = scene.prediction
    assert map_.grid.ground_resolution == pytest.approx((2, 3), rel=1e-6)
    expected = evaluate(scene.labels.on(map_.grid), map_, name=scene.id)
    assert found.to_dict()["scenes"] == expected.to_dict()["scenes"]
    assert found.notes == (f"{scene.id}: {expected.notes[0]}",)
    elsewhere = scene.grid.model_copy(update={"transform": Affine(1, 0, 6e5, 0, -1, 4e6)})
    with pytest.raises(SceneError, match="is of another grid"):
        scene.model_copy(update={"reference": elsewhere}).prediction  # noqa: B018


def test_pixels_that_are_alike_stay_as_they_are(scene):
    own = scene.grid.ground_resolution
    assert at_resolution(scene, (own[0] * 1.005, own[1])) is scene
    assert at_resolution(scene, (own[0] * 1.02, own[1])).grid.width == 89
    made = trained_on(scene, own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made.predict(scene, resolution="trained").grid == scene.grid


def test_a_resolution_that_nobody_knows_is_refused(scene, tmp_path):
    flat = Scene(id="flat", image=ArraySource(data=np.ones((2, 40, 50), np.uint8)))
    with pytest.raises(BundleError, match=r"'flat' has no georeference .* resolution=\"image\""):
        at_resolution(flat, (1, 1))
    with pytest.raises(BundleError, match="the training scenes had no georeference"):
        trained_on(scene, None).predict(scene, resolution="trained")
    with pytest.raises(BundleError, match="the training scenes had no georeference"):
        learner().predict(scene, resolution="trained")
    with pytest.raises(
        ConfigError, match="resolution is 'fine': Input should be 'image' or 'trained'"
    ):
        learner().predict(scene, resolution="fine")
