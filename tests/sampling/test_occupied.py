"""Windows of scenes that are almost empty, as their sources tell without reading."""

from __future__ import annotations

from typing import Literal

import geopandas
import numpy as np
import pytest
from shapely.geometry import box

from geoseg.grid import Grid
from geoseg.sampling import RandomWindows, Sampling
from geoseg.sampling.occupied import Occupied, around
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource
from geoseg.window import Window

SHAPE = 2_900, 3_100
TILES = [Window(2_000, 1_033, 64, 64), Window(300, 2_800, 40, 90), Window(310, 700, 64, 64)]


class Sparse(ArraySource):
    """A raster that tells where it holds pixels, and refuses to be read."""

    type: Literal["sparse-array"] = "sparse-array"  # type: ignore[assignment]

    def read(self, window):
        raise AssertionError("nothing is to be read")

    def surely_empty(self, window):
        return all(window.intersection(tile) is None for tile in TILES)


def sparse_scene(name="s", *, aoi=None):
    area = None
    if aoi is not None:
        left, top, right, bottom = aoi.bounds_px
        ground = box(left, -bottom, right, -top)
        area = FrameSource(frame=geopandas.GeoDataFrame(geometry=[ground], crs="EPSG:32619"))
    height, width = SHAPE
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, 0], height=height, width=width)
    image = Sparse(data=np.broadcast_to(np.zeros((), np.uint8), (1, *SHAPE)), grid=grid)
    return Scene(id=name, image=image, aoi=area)


@pytest.mark.parametrize("size", [(16, 20), (64, 64), (200, 150)])
@pytest.mark.parametrize("weights", ["area", "equal"])
def test_all_windows_of_a_sparse_scene_may_hold_a_pixel(size, weights):
    # A thousandth of the scene: 32 tries anywhere fail nineteen times in twenty.
    scenes = [sparse_scene(), sparse_scene("b")]
    windows = RandomWindows(
        scenes, size, length=150, seed=1, sampling=Sampling(scene_weights=weights)
    )
    boxes = windows.draw_many(range(150))
    tiles = [
        [Window(*w).intersection(tile) is not None for tile in TILES] for _, *w in boxes.tolist()
    ]
    assert np.any(tiles, axis=1).all()
    assert np.any(tiles, axis=0).all()
    assert set(boxes[:, 0]) == {0, 1}
    assert all(Window(0, 0, *SHAPE).contains(Window(*w)) for _, *w in boxes.tolist())
    assert windows.draw(77) == (int(boxes[77, 0]), Window(*boxes[77, 1:]))


def test_an_aoi_keeps_windows_from_what_lies_outside():
    inside = Window(250, 600, 300, 1_000)  # around the third tile alone
    windows = RandomWindows([sparse_scene(aoi=inside)], 16, length=60)
    for _, *window in windows.draw_many(range(60)).tolist():
        assert Window(*window).intersection(TILES[2]) is not None


def test_rectangles_hold_all_that_may_be_there_and_little_else():
    found = Occupied([sparse_scene().pixels], [None], least=32, equal_scenes=False)
    covered = np.zeros(SHAPE, int)
    for _, *window in found.parts.tolist():
        assert max(window[2:]) <= 32
        covered[Window(*window).slices] += 1
    assert covered.max() == 1
    assert all(covered[tile.slices].all() for tile in TILES)
    assert covered.sum() < 4 * sum(tile.height * tile.width for tile in TILES)


def test_a_window_covers_a_rectangle_or_lies_in_it():
    rng = np.random.default_rng(0)
    parts = np.array([[0, 10, 20, 8, 8], [0, 0, 50, 40, 13], [0, 52, 60, 8, 10]])
    shapes = np.array([[60, 70]] * 3)
    for size in ((8, 8), (5, 30), (90, 3)):
        for _ in range(50):
            boxes = around(parts, np.array([size] * 3), shapes, rng.random((2, 3)))
            for part, window in zip(parts.tolist(), boxes.tolist(), strict=True):
                for axis in (0, 1):
                    start, length = window[1 + axis], window[3 + axis]
                    first, side = part[1 + axis], part[3 + axis]
                    assert length == size[axis]
                    scene = shapes[0, axis]
                    assert start == 0 if length > scene else 0 <= start <= scene - length
                    covers = start <= first and first + side <= start + length
                    assert covers or first <= start <= start + length <= first + side
