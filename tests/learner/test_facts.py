"""What a model knows of its training data."""

from __future__ import annotations

import geopandas
import numpy as np
from shapely.geometry import box

from geoseg.grid import Grid
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
