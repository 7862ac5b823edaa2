"""Which windows are looked at."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.sampling import RandomWindows, SlidingWindows
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource
from geoseg.window import Window, sliding


def scene(height, width, *, aoi=None, name="a"):
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, height], height=height, width=width)
    source = None
    if aoi is not None:
        # Pixel coordinates (column, row) of the polygons, put on the ground.
        ground = [Polygon([(x, height - y) for x, y in shape.exterior.coords]) for shape in aoi]
        source = FrameSource(frame=geopandas.GeoDataFrame(geometry=ground, crs="EPSG:32619"))
    data = np.zeros((1, height, width), np.uint8)
    return Scene(id=name, image=ArraySource(data=data, grid=grid), aoi=source)


def test_sliding_windows_go_through_the_scenes_in_order():
    scenes = [scene(40, 30), scene(21, 50, name="b")]
    windows = SlidingWindows(scenes, 16, 8)
    expected = [(0, w) for w in sliding((40, 30), 16, 8)] + [
        (1, w) for w in sliding((21, 50), 16, 8)
    ]
    assert list(windows) == expected
    assert windows[-1] == expected[-1]
    with pytest.raises(IndexError):
        windows[len(expected)]


def test_windows_that_cross_the_aoi_edge_are_kept_and_those_outside_are_not():
    shape = box(10, 5, 23, 19)
    windows = SlidingWindows([scene(60, 47, aoi=[shape])], (7, 9), (5, 4))
    expected = [
        w
        for w in sliding((60, 47), (7, 9), (5, 4))
        if box(w.col, w.row, w.col_stop, w.row_stop).intersection(shape).area > 0
    ]
    assert [w for _, w in windows] == expected
    assert len(expected) > 4


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 1000),
)
def test_random_windows_lie_in_the_scene_where_they_fit(shape, size, seed):
    windows = RandomWindows([scene(*shape)], size, length=20, seed=seed)
    for i in range(20):
        number, w = windows.draw(i)
        assert number == 0
        assert w.shape == size
        for start, stop, length in ((w.row, w.row_stop, shape[0]), (w.col, w.col_stop, shape[1])):
            assert start >= 0
            assert stop <= length or (start == 0 and stop > length)


def test_every_place_where_a_window_fits_is_equally_likely():
    windows = RandomWindows([scene(7, 5)], (3, 4), length=5000, seed=3)
    places = [windows.draw(i)[1] for i in range(5000)]
    counts = np.zeros((5, 2), int)
    for w in places:
        counts[w.row, w.col] += 1
    assert (np.abs(counts - 500) < 5 * np.sqrt(500)).all()


def test_with_an_aoi_every_window_meets_it_and_every_part_of_it_is_met():
    shapes = [Polygon([(3, 3), (30, 4), (4, 30)]), box(50, 40, 53, 58)]
    windows = RandomWindows([scene(60, 57, aoi=shapes)], (8, 6), length=2000)
    seen = np.zeros((60, 57), bool)
    for i in range(2000):
        w = windows.draw(i)[1]
        rectangle = box(w.col, w.row, w.col_stop, w.row_stop)
        assert any(rectangle.intersects(shape) for shape in shapes)
        assert Window(0, 0, 60, 57).contains(w)
        seen[w.slices] = True
    assert seen[41:58, 50:53].all()
    assert seen[5:25, 5:8].all()


def test_scenes_are_drawn_by_their_area():
    windows = RandomWindows([scene(30, 30), scene(30, 90, name="b")], 8, length=4000, seed=1)
    share = np.mean([windows.draw(i)[0] for i in range(4000)])
    assert abs(share - 0.75) < 0.03


def test_a_draw_depends_on_seed_epoch_and_index_alone():
    one, two = (RandomWindows([scene(90, 80)], 16, length=50, seed=7) for _ in range(2))
    assert [one.draw(i) for i in range(50)] == [two.draw(i) for i in reversed(range(50))][::-1]
    assert [one.draw(i, epoch=1) for i in range(50)] != [one.draw(i) for i in range(50)]
    other = RandomWindows([scene(90, 80)], 16, length=50, seed=8)
    assert [other.draw(i) for i in range(50)] != [one.draw(i) for i in range(50)]


def test_sizes_vary_in_their_range_and_keep_their_shape():
    windows = RandomWindows([scene(200, 200)], (20, 40), length=300, size_range=(10, 30))
    heights = set()
    for i in range(300):
        height, width = windows.draw(i)[1].shape
        assert width == 2 * height
        heights.add(height)
    assert heights == set(range(10, 31))


def test_senseless_options_are_errors():
    with pytest.raises(ConfigError, match="length"):
        RandomWindows([scene(9, 9)], 4, length=0)
    with pytest.raises(ConfigError, match="size_range"):
        RandomWindows([scene(9, 9)], 4, length=1, size_range=(5, 3))
    with pytest.raises(ConfigError, match="no scene"):
        RandomWindows([], 4, length=1)


@pytest.mark.parametrize("size_range", [None, (5, 30)])
def test_windows_drawn_at_once_are_those_drawn_one_by_one(size_range):
    scenes = [
        scene(40, 90),
        scene(60, 57, aoi=[box(3, 4, 30, 40)], name="b"),
        scene(7, 9, name="c"),
    ]
    windows = RandomWindows(scenes, (8, 6), length=200, seed=4, size_range=size_range)
    one_by_one = [windows.draw(i, epoch=2) for i in range(200)]
    for numbers in (range(200), range(17, 150), range(5, 5)):
        drawn = windows.draw_many(numbers, epoch=2).tolist()
        assert [(n, Window(*place)) for n, *place in drawn] == one_by_one[
            numbers.start : numbers.stop
        ]
    assert {number for number, _ in one_by_one} == {0, 1, 2}
