import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import (
    GeometryCollection,
    LineString,
    MultiPolygon,
    Point,
    Polygon,
    box,
)

from geoseg.burn import Edges, burn
from geoseg.errors import ConfigError, GridError

HEIGHT, WIDTH = 23, 31
IDENTITY = Affine.identity()
SCENE = {"rows": (0, HEIGHT), "columns": (0, WIDTH)}
FILL = 9


def objects(geometries):
    out = np.empty(len(geometries), object)
    out[:] = geometries
    return out


def ids(values):
    return np.array(values, np.uint8)


def gdal(geometries, values, transform=IDENTITY, shape=(HEIGHT, WIDTH)):
    return rasterize(
        zip(geometries, values, strict=True),
        out_shape=shape,
        fill=FILL,
        transform=transform,
        dtype="uint8",
    )


def coordinates(step):
    """Coordinates in and around the scene, on multiples of the step or anywhere."""
    if step is None:
        return st.floats(-8, 40, allow_nan=False)
    return st.integers(int(-8 / step), int(40 / step)).map(lambda count: count * step)


@st.composite
def polygonal(draw, step):
    """A valid polygon or multipolygon, some with holes, some with rings turned the other way."""
    number = coordinates(step)
    points = draw(st.lists(st.tuples(number, number), min_size=3, max_size=8))
    shape = draw(st.sampled_from(["ring", "hull", "box", "two boxes"]))
    if shape == "ring":
        whole = shapely.make_valid(Polygon(points))
    elif shape == "hull":
        whole = shapely.convex_hull(shapely.MultiPoint(points))
    elif shape == "box":
        whole = shapely.box(*shapely.MultiPoint(points[:2]).bounds)
    else:
        whole = shapely.MultiPoint(points[:2]).envelope.union(
            shapely.MultiPoint(points[1:3]).envelope
        )
    hole = shapely.MultiPoint(draw(st.lists(st.tuples(number, number), min_size=2, max_size=2)))
    if draw(st.booleans()):
        whole = whole.difference(hole.envelope)
    parts = [part for part in shapely.get_parts(whole) if isinstance(part, Polygon)]
    parts = [part for part in parts if not part.is_empty]
    if draw(st.booleans()):
        parts = [shapely.reverse(part) for part in parts]
    return MultiPolygon(parts) if len(parts) != 1 else parts[0]


@st.composite
def layers(draw):
    """Overlapping polygons and their ids."""
    step = draw(st.sampled_from([None, 1, 0.5, 0.25]))
    geometries = draw(st.lists(polygonal(step), min_size=1, max_size=5))
    geometries = [one for one in geometries if not one.is_empty]
    return geometries, list(range(10, 10 + len(geometries)))


def to_binary_fractions(xy):
    return np.round(xy * 2**20) / 2**20


def scene_of(geometries, values, **options):
    edges = Edges.of(objects(geometries), ids(values), **options)
    return burn(edges, **SCENE, fill=FILL)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(layers())
def test_the_whole_scene_equals_gdal(drawn):
    geometries, values = drawn
    expected = gdal(geometries, values) if geometries else np.full((HEIGHT, WIDTH), FILL)
    np.testing.assert_array_equal(scene_of(geometries, values), expected)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(layers())
def test_mirrored_ties_equal_gdal_on_a_north_up_grid(drawn):
    drawn_geometries, values = drawn
    # Flipping must not round, or ties are lost.
    geometries = [shapely.transform(one, to_binary_fractions) for one in drawn_geometries]
    on_map = [affinity.affine_transform(one, [1, 0, 0, -1, 0, HEIGHT]) for one in geometries]
    north_up = Affine(1, 0, 0, 0, -1, HEIGHT)
    expected = gdal(on_map, values, north_up) if on_map else np.full((HEIGHT, WIDTH), FILL)
    np.testing.assert_array_equal(scene_of(geometries, values, mirrored=True), expected)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(layers(), st.integers(2, 11), st.integers(3, 13), st.booleans())
def test_windows_of_odd_sizes_equal_the_whole_scene(drawn, height, width, all_touched):
    edges = Edges.of(objects(drawn[0]), ids(drawn[1]), all_touched=all_touched)
    around = burn(edges, rows=(-7, HEIGHT + 7), columns=(-5, WIDTH + 5), fill=FILL)
    for top in range(-7, HEIGHT, height):
        for left in range(-5, WIDTH, width):
            rows = (top, min(top + height, HEIGHT + 7))
            columns = (left, min(left + width, WIDTH + 5))
            np.testing.assert_array_equal(
                burn(edges, rows=rows, columns=columns, fill=FILL),
                around[rows[0] + 7 : rows[1] + 7, columns[0] + 5 : columns[1] + 5],
            )


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(layers(), st.data())
def test_priorities_equal_a_painter_who_burns_one_polygon_after_another(drawn, data):
    geometries, values = drawn
    size = len(geometries)
    drawn_priority = data.draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size))
    expected = np.full((HEIGHT, WIDTH), FILL, np.uint8)
    for which in sorted(range(size), key=lambda one: (drawn_priority[one], one)):
        expected = np.where(gdal([geometries[which]], [1]) == 1, values[which], expected)
    priority = np.array(drawn_priority, float)
    np.testing.assert_array_equal(scene_of(geometries, values, priority=priority), expected)


@pytest.mark.parametrize(
    "geometry",
    [
        box(1.5, 1.5, 5.5, 4.5),
        shapely.reverse(box(1.5, 1.5, 5.5, 4.5)),
        Polygon(box(0.5, 0.5, 8.5, 6.5).exterior, [box(2.5, 2.5, 5.5, 4.5).exterior]),
        Polygon([(1, 2.5), (7, 2.5), (3, 2.5)]),
        Polygon([(1, 1), (9, 1.01), (20, 1.02), (9, 1.5), (1, 1.49)]),
        Polygon([(2, 2), (4, 2), (6, 2), (6, 6), (6, 7), (2, 7), (2, 5)]),
        Polygon([(1, 1), (9, 1), (9, 9), (5, 5), (7, 3), (3, 3), (5, 5), (1, 9)]),
        MultiPolygon([box(1, 1, 5, 5), box(3, 3, 7, 7)]),
        MultiPolygon([box(1.5, 1.5, 4.5, 4.5), box(4.5, 1.5, 8.5, 4.5)]),
        box(-5, -5, 100, 100),
        box(40, 2, 50, 9),
    ],
    ids=[
        "corners on centres",
        "turned the other way",
        "a hole on centres",
        "a flat sliver on centres",
        "a sliver",
        "collinear points",
        "a ring that touches itself",
        "parts that overlap",
        "parts that share an edge on centres",
        "all of the scene",
        "outside",
    ],
)
def test_a_special_shape_equals_gdal(geometry):
    np.testing.assert_array_equal(scene_of([geometry], [3]), gdal([geometry], [3]))


def random_scene(count, side, radius, seed):
    """Star-shaped polygons, a third with a hole."""
    random = np.random.default_rng(seed)
    centre = random.uniform(0, side, (count, 1, 2))
    angle = np.sort(random.uniform(0, 2 * np.pi, (count, 11)), axis=1)
    away = random.uniform(0.4, 1, angle.shape) * random.uniform(1, radius, (count, 1))
    arm = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * away[..., np.newaxis]
    geometries = shapely.polygons(centre + arm)
    geometries[::3] = [
        Polygon(shell, [hole])
        for shell, hole in zip((centre + arm)[::3], (centre + 0.4 * arm)[::3], strict=True)
    ]
    return geometries, random.integers(0, 5, count).astype(np.uint8)


@pytest.mark.parametrize("radius", [12, 900], ids=["short spans", "long spans"])
def test_a_scene_of_several_strips_equals_gdal(radius):
    geometries, values = random_scene(700, 611, radius, seed=5)
    edges = Edges.of(geometries, values)
    expected = gdal(geometries, values.tolist(), shape=(611, 577))
    whole = burn(edges, rows=(0, 611), columns=(0, 577), fill=FILL)
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(
        burn(edges, rows=(100, 607), columns=(33, 210), fill=FILL), expected[100:607, 33:210]
    )


def test_a_mask_of_one_large_polygon_equals_gdal():
    aoi = Point(300, 290).buffer(280, quad_segs=400).difference(box(250, 200, 340.5, 380.5))
    edges = Edges.of(objects([aoi]), ids([1]))
    mask = burn(edges, rows=(0, 599), columns=(0, 605), fill=0)
    expected = rasterize([aoi], out_shape=(599, 605), dtype="uint8")
    np.testing.assert_array_equal(mask, expected)
    assert 200_000 < mask.sum() < 250_000


@settings(max_examples=100, deadline=None)
@given(polygonal(0.5))
def test_all_touched_fills_the_pixels_that_share_area_with_a_polygon(geometry):
    got = scene_of([geometry], [1], all_touched=True) == 1
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    # Corners that an edge meets to the last bit may round either way.
    for shrink, includes in ((1e-9, got), (-1e-9, ~got)):
        pixels = shapely.box(column + shrink, row + shrink, column + 1 - shrink, row + 1 - shrink)
        shares = shapely.relate_pattern(pixels, geometry, "T********")
        assert includes[shares if shrink > 0 else ~shares].all()


def test_all_touched_equals_gdal_off_the_grid():
    geometries, values = random_scene(60, 200, 25, seed=8)
    margin = 90  # the edges that cross GDAL's raster border are not drawn reliably
    whole = rasterize(
        zip(geometries, values.tolist(), strict=True),
        out_shape=(200 + 2 * margin, 190 + 2 * margin),
        transform=Affine.translation(-margin, -margin),
        fill=FILL,
        all_touched=True,
        dtype="uint8",
    )
    edges = Edges.of(geometries, values, all_touched=True)
    np.testing.assert_array_equal(
        burn(edges, rows=(0, 200), columns=(0, 190), fill=FILL),
        whole[margin:-margin, margin:-margin],
    )


def test_geometries_without_polygons_are_counted_and_fill_nothing():
    collection = GeometryCollection(
        [Point(1, 1), GeometryCollection([MultiPolygon([box(2, 2, 4, 4), box(6, 2, 8, 4)])])]
    )
    others = [Point(5, 5), LineString([(0, 0), (9, 9)]), Polygon(), None, GeometryCollection()]
    edges = Edges.of(objects([*others, collection]), ids([1, 2, 3, 4, 5, 6]))
    assert edges.skipped == 5
    expected = np.full((HEIGHT, WIDTH), FILL)
    expected[2:4, 2:4] = expected[2:4, 6:8] = 6
    np.testing.assert_array_equal(burn(edges, **SCENE, fill=FILL), expected)


def test_a_scene_without_polygons_is_all_fill():
    edges = Edges.of(objects([]), ids([]))
    assert edges.skipped == 0
    assert (burn(edges, **SCENE, fill=FILL) == FILL).all()
    assert burn(edges, rows=(3, 3), columns=(0, 5), fill=FILL).shape == (0, 5)


def test_polygons_that_reach_past_32_bits_are_burned():
    # GDAL itself burns nothing of these.
    geometries = [box(-1e12, -1e12, 1e12, 5), box(3e9, 1, 4e9, 2), box(-1e12, 8, 7, 1e12)]
    expected = np.full((HEIGHT, WIDTH), FILL)
    expected[:5] = 1
    expected[8:, :7] = 3
    np.testing.assert_array_equal(scene_of(geometries, [1, 2, 3]), expected)


def test_the_table_is_compact():
    edges = Edges.of(*random_scene(300, 500, 40, seed=1))
    assert 44 * len(edges.y1) <= edges.nbytes < 60 * len(edges.y1)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_ids_above_255_equal_gdal(dtype):
    geometries, _ = random_scene(300, 200, 30, seed=4)
    values = np.arange(40_000, 40_300).astype(dtype)
    expected = rasterize(
        zip(geometries, values.tolist(), strict=True), out_shape=(200, 190), fill=FILL, dtype=dtype
    )
    got = burn(Edges.of(geometries, values), rows=(0, 200), columns=(0, 190), fill=FILL)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


def test_out_is_overwritten_and_returned():
    edges = Edges.of(objects([box(1, 1, 3, 3)]), ids([4]))
    out = np.full((HEIGHT, WIDTH), 77, np.uint8)
    assert burn(edges, **SCENE, fill=0, out=out) is out
    assert out.sum() == 4 * 4


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((HEIGHT, WIDTH + 1), np.uint8),
        np.zeros((HEIGHT, WIDTH), np.int16),
        np.zeros((WIDTH, HEIGHT), np.uint8).T,
    ],
    ids=["shape", "dtype", "order"],
)
def test_out_that_does_not_fit_is_an_error(out):
    with pytest.raises(ConfigError, match=rf"expected C-contiguous uint8 \({HEIGHT}, {WIDTH}\)"):
        burn(Edges.of(objects([]), ids([])), **SCENE, fill=0, out=out)


def test_values_and_priorities_that_do_not_fit_are_errors():
    squares = objects([box(0, 0, 1, 1), box(1, 1, 2, 2)])
    with pytest.raises(ConfigError, match=r"values are uint8 \(1,\); expected uint8 \(2,\)"):
        Edges.of(squares, ids([1]))
    with pytest.raises(ConfigError, match="values are int64"):
        Edges.of(squares, np.array([1, 2]))
    with pytest.raises(ConfigError, match="with 1 NaN"):
        Edges.of(squares, ids([1, 2]), priority=np.array([0.0, np.nan]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_coordinates_that_are_not_finite_are_an_error(wrong):
    square = shapely.set_coordinates(box(0, 0, 5, 5), [(5, 0), (5, 5), (0, wrong), (0, 0), (5, 0)])
    with pytest.raises(GridError, match="1 of 5 polygon vertices are not finite"):
        Edges.of(objects([square]), ids([1]))
