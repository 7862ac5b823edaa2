"""Which blocks of large scenes are looked at."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.sampling import thinned
from geoseg.sampling.thinned import Thinned, check_ids, share_of
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource


def scene_of(height, width, *, aoi=None, ids=None):
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, height], height=height, width=width)
    frame = None
    if aoi is not None:
        left, top, right, bottom = aoi
        frame = geopandas.GeoDataFrame(
            geometry=[box(left, height - bottom, right, height - top)], crs="EPSG:32619"
        )
    labels = None
    if ids is not None:
        labels = RasterLabels(
            source=ArraySource(data=ids, grid=grid), classes=ClassMap.of("bg", "x")
        )
    return Scene(
        id="a",
        image=ArraySource(data=np.ones((1, height, width), np.uint8), grid=grid),
        labels=labels,
        aoi=None if frame is None else FrameSource(frame=frame),
    )


@given(
    height=st.integers(1, 900),
    width=st.integers(1, 5),
    share=st.floats(0.001, 1.0),
    seed=st.integers(0, 5),
)
def test_blocks_are_apart_inside_the_scene_and_about_as_many_as_asked_for(
    height, width, share, seed
):
    part = Thinned.of(scene_of(height, width), share, seed=seed)
    seen = np.zeros((height, width), int)
    for window in part:
        assert window.row_stop <= height
        assert window.col_stop <= width
        seen[window.slices] += 1
    assert seen.max() == 1
    assert seen.sum() == part.read
    assert part.pixels == height * width
    assert part.whole == bool(seen.all())
    block = max(window.height for window in part.windows) * width
    assert abs(part.read - share * height * width) <= 2 * block
    if share == 1:
        assert part.whole


def test_every_row_of_a_small_scene_is_looked_at_for_some_seed():
    seen = np.zeros(64, bool)
    for seed in range(200):
        for window in Thinned.of(scene_of(64, 3), 0.1, seed=seed):
            seen[window.row : window.row_stop] = True
    assert seen.all()


def test_only_blocks_that_meet_the_aoi_are_looked_at_and_counted():
    scene = scene_of(1500, 7, aoi=(2, 600, 5, 700))
    part = Thinned.of(scene, 1.0)
    assert [(w.row, w.row_stop) for w in part.windows] == [(512, 768)]
    assert part.pixels == 256 * 7
    assert share_of([scene], 256 * 7) == 1
    assert share_of([scene, scene_of(1500, 7)], 7) == pytest.approx(1 / (256 + 1500))


def test_a_strange_id_between_the_blocks_is_told_without_a_look_at_the_image(monkeypatch):
    ids = np.zeros((900, 5), np.uint8)
    ids[701, 3] = 7
    monkeypatch.setattr(thinned, "_ROWS", 2)
    scene = scene_of(900, 5, ids=ids)

    def refuse(*args):
        raise AssertionError("the image is read")

    monkeypatch.setattr(Scene, "read", refuse)
    with pytest.raises(LabelError, match="no class: 7"):
        check_ids(scene)
    check_ids(scene_of(900, 5, ids=np.ones((900, 5), np.uint8)))
    check_ids(scene_of(900, 5))
