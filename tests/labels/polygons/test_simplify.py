"""Fewer corners, the same borders on both sides."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.grid import Grid
from geoseg.labels.polygons.rings import straightened, with_common_vertices, with_pixel_vertices
from geoseg.labels.polygons.simplify import simplified
from geoseg.labels.polygons.trace import trace

GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=40, width=30)


def noise(seed, cell=3, ignored=True):
    values = np.array([0, 1, 2, 255] if ignored else [0, 1, 2], np.uint8)
    coarse = np.random.default_rng(seed).choice(values, (40 // cell + 1, 30 // cell + 1))
    return coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:40, :30]


def polygons_of(ids):
    return trace(ids, ignore_id=255, top=0).polygons


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1.0, 3.0, 8.0, 50.0]))
def test_neighbours_go_on_sharing_their_borders(seed, cell, metres):
    before = polygons_of(noise(seed, cell))
    after = simplified(before, GRID, metres=metres)
    assert len(after) == len(before)
    assert shapely.is_valid(after).all()
    assert not shapely.is_empty(after).any()
    assert (shapely.get_type_id(after) == shapely.GeometryType.POLYGON).all()
    assert shapely.coverage_is_valid(after)


def test_a_map_without_gaps_stays_without_gaps():
    after = simplified(polygons_of(noise(1, 4, ignored=False)), GRID, metres=5)
    union = shapely.union_all(after)
    assert len(union.interiors) == 0
    assert shapely.area(after).sum() == pytest.approx(union.area)


def test_a_staircase_becomes_a_slope():
    ids = np.tri(40, 30, dtype=np.uint8)
    before, after = polygons_of(ids), simplified(polygons_of(ids), GRID, metres=4)
    assert shapely.get_num_coordinates(before).sum() > 100
    assert shapely.get_num_coordinates(after).sum() < 20
    np.testing.assert_allclose(shapely.area(after), shapely.area(before), rtol=0.1)


def test_the_tolerance_is_a_length_on_the_ground():
    """Steps of 3 pixels of 2 m: corners of 18 m2, or of 4.2 m a side."""
    ids = np.tri(10, 10, dtype=np.uint8).repeat(3, axis=0).repeat(3, axis=1)
    before = shapely.get_num_coordinates(polygons_of(ids)).sum()
    assert shapely.get_num_coordinates(simplified(polygons_of(ids), GRID, metres=4)).sum() == before
    assert (
        shapely.get_num_coordinates(simplified(polygons_of(ids), GRID, metres=4.5)).sum() < before
    )


def test_nothing_is_simplified_to_nothing():
    assert len(simplified(np.zeros(0, object), GRID, metres=3)) == 0


@pytest.mark.slow
@given(st.integers(0, 10_000))
def test_vertices_are_added_and_taken_away_again(seed):
    polygons = polygons_of(noise(seed, 2))
    dense = with_pixel_vertices(polygons)
    assert (shapely.get_num_coordinates(dense) >= shapely.length(polygons)).all()
    same = shapely.normalize(straightened(dense)) == shapely.normalize(polygons)
    assert same.all()
    common = with_common_vertices(polygons)
    assert shapely.coverage_is_valid(common)
    assert shapely.equals(common, polygons).all()


def test_straightening_takes_the_vertex_where_a_ring_begins():
    ring = shapely.Polygon([(1, 0), (2, 0), (2, 2), (0, 2), (0, 1), (0, 0), (1, 0)])
    (found,) = straightened(np.array([ring], object))
    assert shapely.get_num_coordinates(found) == 5
    assert found.equals(shapely.box(0, 0, 2, 2))


def test_only_edges_along_chosen_rows_get_vertices():
    (found,) = with_pixel_vertices(np.array([shapely.box(0, 0, 4, 3)], object), np.array([3]))
    assert shapely.get_num_coordinates(found) == 5 + 3
    assert (shapely.get_coordinates(found)[:, 1] == 3).sum() == 5
