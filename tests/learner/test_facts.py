"""What a model knows of its training data."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from shapely.geometry import box

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.learner import facts as facts_module
from geoseg.learner.facts import DataFacts, facts_of
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource


def test_statistics_look_at_valid_pixels_inside_the_aoi_only():
    rng = np.random.default_rng(0)
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, 1100], height=1100, width=13)
    data = rng.normal(500, 90, (2, 1100, 13)).astype(np.float32)
    valid = rng.random((1100, 13)) > 0.2
    aoi = FrameSource(
        frame=geopandas.GeoDataFrame(geometry=[box(2, 100, 9, 1000)], crs="EPSG:32619")
    )
    image = ArraySource(data=data, valid=valid, grid=grid)
    facts = facts_of([Scene(id="a", image=image, aoi=aoi)])
    inside = np.zeros((1100, 13), bool)
    inside[100:1000, 2:9] = True
    pixels = data[:, inside & valid].astype(float)
    assert facts.statistics.count == pixels.shape[1]
    assert np.allclose(facts.statistics.mean, pixels.mean(axis=1))
    assert np.allclose(facts.statistics.std, pixels.std(axis=1))
    assert facts.dtype == "float32"


def test_the_image_is_measured_on_the_scenes_grid_and_facts_survive_yaml():
    grid = Grid(crs="EPSG:4326", transform=[0.001, 0, 10, 0, -0.001, 60], height=20, width=30)
    image = ArraySource(data=np.ones((1, 20, 30), np.uint8), grid=grid, band_names=("b",))
    facts = facts_of([Scene(id="a", image=image)])
    x, y = facts.resolution_m
    assert 55 < x < 57
    assert 111 < y < 112
    assert DataFacts.from_yaml(facts.to_yaml()) == facts


def test_statistics_of_a_large_scene_look_everywhere_before_they_find_nothing(monkeypatch):
    monkeypatch.setattr(facts_module, "_ENOUGH", 700)
    rng = np.random.default_rng(0)
    data = rng.integers(1, 200, (1, 2000, 7), dtype=np.uint8)
    valid = np.zeros((2000, 7), bool)
    valid[1234, 2:6] = True
    found = facts_of([Scene(id="a", image=ArraySource(data=data, valid=valid))]).statistics
    assert found.count == 4
    assert np.allclose(found.mean, data[0, 1234, 2:6].mean())
    with pytest.raises(SourceError, match="no valid pixel"):
        facts_of([Scene(id="a", image=ArraySource(data=data, valid=valid & False))])


def test_statistics_of_a_small_aoi_in_a_large_scene_are_exact(monkeypatch):
    monkeypatch.setattr(facts_module, "_ENOUGH", 256 * 7)
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, 2000], height=2000, width=7)
    data = np.random.default_rng(0).normal(0, 1, (1, 2000, 7)).astype(np.float32)
    aoi = FrameSource(
        frame=geopandas.GeoDataFrame(geometry=[box(1, 1600, 5, 1700)], crs="EPSG:32619")
    )
    scene = Scene(id="a", image=ArraySource(data=data, grid=grid), aoi=aoi)
    found = facts_of([scene]).statistics
    assert found.count == 400
    assert np.allclose(found.mean, data[0, 300:400, 1:5].mean(dtype=float))


def test_statistics_of_thinned_scenes_are_about_those_of_all_pixels(monkeypatch):
    monkeypatch.setattr(facts_module, "_ENOUGH", 20_000)
    rng = np.random.default_rng(0)
    data = [rng.normal(n, 5, (1, 97, 103)).astype(np.float32) for n in range(9)]
    scenes = [Scene(id=f"s{n}", image=ArraySource(data=part)) for n, part in enumerate(data)]
    found = facts_of(scenes).statistics
    assert found.count < 30_000
    assert np.allclose(found.mean, np.mean(data), atol=0.3)
    assert np.allclose(found.std, np.std(data), rtol=0.05)
