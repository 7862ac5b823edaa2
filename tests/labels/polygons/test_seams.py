"""Regions by strips against one pass of GDAL over the whole array."""

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.labels.polygons.seams import SeamUnion, owners
from geoseg.labels.polygons.trace import Regions, sums_within, trace

IGNORE = 255

RINGS = np.zeros((13, 11), np.uint8)
for _depth in range(6):
    RINGS[_depth : 13 - _depth, _depth : 11 - _depth] = _depth % 2
CHECKERS = np.indices((7, 9)).sum(axis=0).astype(np.uint8) % 2
SPIRAL = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 1, 0, 1],
        [1, 0, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 1, 1],
    ],
    np.uint8,
)
COMB = np.tile(np.array([1, 0, 2, 0], np.uint8), (9, 3))
COMB[-1] = 1
DIAGONAL_LOOP = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1]], np.uint8)
LAYERS = np.repeat(np.array([1, 2, IGNORE, 1], np.uint8), 3)[:, None].repeat(5, axis=1)
ONE = np.full((8, 5), 3, np.uint8)
NOTHING = np.full((8, 5), IGNORE, np.uint8)
SHAPES = [RINGS, CHECKERS, SPIRAL, COMB, DIAGONAL_LOOP, LAYERS, ONE, NOTHING]


@st.composite
def maps(draw):
    """Small maps of noise or of patches, with a strip height for each."""
    height, width = draw(st.integers(1, 16)), draw(st.integers(1, 14))
    cell = draw(st.integers(1, 4))
    values = draw(st.sampled_from([(0, 1), (0, 1, 2), (1, IGNORE), (0, 1, 2, IGNORE)]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    coarse = rng.choice(np.array(values, np.uint8), (height // cell + 1, width // cell + 1))
    ids = coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return ids, draw(st.integers(1, height))


def by_strips(ids, rows, scores=None):
    """All regions, through strips of some rows."""
    union, found = SeamUnion(ids.shape[1]), []
    for top in range(0, len(ids), rows):
        strip = ids[top : top + rows]
        part = None if scores is None else scores[top : top + rows]
        pieces = trace(strip, ignore_id=IGNORE, top=top, scores=part)
        bottom = top + len(strip)
        found += union.push(pieces, top=top, bottom=bottom, last=bottom == len(ids))
    return found


def as_texts(polygons, ids):
    """What can be compared whatever the order and wherever rings begin."""
    texts = shapely.to_wkt(shapely.normalize(polygons))
    return sorted(zip([int(i) for i in ids], texts, strict=True))


def one_pass(ids):
    """GDAL's polygons of the whole array."""
    found = list(rasterio.features.shapes(ids, mask=ids != IGNORE, connectivity=4))
    polygons = [shapely.geometry.shape(geometry) for geometry, _ in found]
    return as_texts(np.array(polygons, object), [value for _, value in found])


def joined_texts(found):
    return sorted(text for regions in found for text in as_texts(regions.polygons, regions.ids))


@given(maps())
def test_strips_of_any_height_give_the_geometries_of_one_pass(example):
    ids, rows = example
    found = by_strips(ids, rows)
    assert joined_texts(found) == one_pass(ids)
    for regions in found:
        assert shapely.is_valid(regions.polygons).all()
        assert (shapely.get_type_id(regions.polygons) == shapely.GeometryType.POLYGON).all()
        np.testing.assert_array_equal(shapely.area(regions.polygons), regions.pixels)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("ids", SHAPES, ids=range(len(SHAPES)))
def test_rings_within_rings_spirals_combs_and_diagonals_are_as_in_one_pass(ids, rows):
    assert joined_texts(by_strips(ids, rows)) == one_pass(ids)


def test_a_region_is_given_once_it_has_ended():
    ids = np.array([[1, 1, 0], [1, 2, 2], [0, 2, 0], [0, 0, 0]], np.uint8)
    union, ended = SeamUnion(3), []
    for row in range(4):
        pieces = trace(ids[row : row + 1], ignore_id=IGNORE, top=row)
        found = union.push(pieces, top=row, bottom=row + 1, last=row == 3)
        ended.append(sorted((i, n) for r in found for i, n in zip(r.ids, r.pixels, strict=True)))
    assert ended == [[], [(0, 1)], [(1, 3)], [(0, 5), (2, 3)]]


@settings(max_examples=30)
@given(maps())
def test_sums_of_scores_are_those_of_the_pixels(example):
    ids, rows = example
    scores = np.random.default_rng(ids.size).normal(size=ids.shape)
    scores[ids == IGNORE] = 0
    for regions in by_strips(ids, rows, scores):
        for polygon, total in zip(regions.polygons, regions.scores, strict=True):
            inside = rasterio.features.geometry_mask(
                [polygon], ids.shape, rasterio.Affine.identity()
            )
            assert total == pytest.approx(scores[~inside].sum(), abs=1e-9)


def test_sums_do_not_depend_on_which_way_rings_turn():
    values = np.random.default_rng(0).uniform(size=(6, 7))
    shape = shapely.box(1, 11, 6, 16) - shapely.box(2, 13, 4, 15)
    expected = values[1:, 1:6].sum() - values[3:5, 2:4].sum()
    for ccw in (True, False):
        hole = shapely.linearrings(shape.interiors[0].coords[:: 1 if ccw else -1])
        for shell in (shape.exterior, shape.exterior.reverse()):
            polygon = np.array([shapely.Polygon(shell, [hole])], object)
            assert sums_within(polygon, values, top=10)[0] == pytest.approx(expected)


def test_owners_are_those_whose_edge_lies_on_the_line():
    polygons = np.array(
        [shapely.box(0, 0, 2, 3), shapely.box(3, 1, 5, 3), shapely.box(5, 0, 7, 2)], object
    )
    np.testing.assert_array_equal(owners(polygons, 3, 8), [0, 0, -1, 1, 1, -1, -1, -1])
    np.testing.assert_array_equal(owners(polygons, 9, 8), np.full(8, -1))


def test_a_strip_without_regions_ends_those_before():
    union = SeamUnion(2)
    ids = np.full((1, 2), 4, np.uint8)
    assert union.push(trace(ids, ignore_id=IGNORE, top=0), top=0, bottom=1, last=False) == []
    nothing = trace(np.full((1, 2), IGNORE, np.uint8), ignore_id=IGNORE, top=1)
    assert len(nothing) == 0
    (found,) = union.push(nothing, top=1, bottom=2, last=False)
    assert isinstance(found, Regions)
    assert found.polygons[0].equals(shapely.box(0, 0, 2, 1))
