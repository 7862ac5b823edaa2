import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely.geometry import LineString, Point, box

from geoseg.grid import Grid
from geoseg.prepare.vectormasks import files, masks
from geoseg.prepare.vectormasks.ring import near_boundary
from geoseg.sources.features.reshape import Buffer
from geoseg.sources.vector import FileVectorSource

CRS = "EPSG:32619"
TRANSFORM = Affine(2, 0, 500_000, 0, -2, 4_000_000)
GRID = Grid(crs=CRS, transform=TRANSFORM, height=97, width=131)


def on_ground(col, row):
    return TRANSFORM.a * col + TRANSFORM.c, TRANSFORM.e * row + TRANSFORM.f


def square(left, top, right, bottom):
    """A rectangle given in pixels, on the ground."""
    (x0, y1), (x1, y0) = on_ground(left, top), on_ground(right, bottom)
    return box(x0, y0, x1, y1)


def layer(geometries, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geometries), crs=CRS)


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


def blobs(count, seed, grid=GRID, size=(3, 30)):
    """Star-shaped polygons on and around a grid."""
    random = np.random.default_rng(seed)
    col = random.uniform(-5, grid.width + 5, (count, 1))
    row = random.uniform(-5, grid.height + 5, (count, 1))
    angle = (np.arange(9) + random.uniform(0, 0.9, (count, 9))) * (2 * np.pi / 9)
    away = random.uniform(0.3, 1, angle.shape) * random.uniform(*size, (count, 1))
    t = grid.transform
    x = t.a * (col + np.cos(angle) * away) + t.c
    y = t.e * (row + np.sin(angle) * away) + t.f
    return shapely.polygons(np.stack([x, y], axis=-1)), random


def gdal(geometries, ids, grid=GRID, *, fill=0, dtype="uint8", all_touched=False):
    return rasterize(
        zip(geometries, ids, strict=True),
        out_shape=grid.shape,
        transform=grid.transform,
        fill=fill,
        dtype=dtype,
        all_touched=all_touched,
    )


# Pixels


def test_a_mask_equals_gdals_burn_in_file_order(tmp_path):
    geometries, random = blobs(60, seed=1)
    ids = random.integers(1, 6, 60)
    report = masks(layer(geometries, kind=ids), GRID, tmp_path / "m.tif", class_by="kind")
    mask = read(tmp_path / "m.tif")
    np.testing.assert_array_equal(mask, gdal(geometries, ids))
    assert mask.dtype == np.uint8
    assert report.ignore_id == 255
    with rasterio.open(tmp_path / "m.tif") as file:
        assert Grid.of_dataset(file) == GRID
        assert file.nodata == 255
        assert file.profile["tiled"]
        assert file.compression is not None


def brute_force(geometries, ids, priority, fill):
    """Each pixel's centre asked of each polygon; the highest priority, then the latest, wins."""
    row, col = np.mgrid[: GRID.height, : GRID.width] + 0.5
    x, y = on_ground(col, row)
    mask = np.full(GRID.shape, fill, np.int64)
    for i in sorted(range(len(ids)), key=lambda i: (priority[i], i)):
        mask[shapely.contains_xy(geometries[i], x, y)] = ids[i]
    return mask


@settings(max_examples=5)
@given(st.integers(0, 10**6), st.booleans())
def test_priorities_then_file_order_decide_every_pixel(tmp_path_factory, seed, ranked):
    out = tmp_path_factory.mktemp("masks") / "m.tif"
    geometries, random = blobs(25, seed=seed, size=(10, 60))
    ids = np.arange(1, 26)
    priority = random.integers(-2, 2, 25) if ranked else np.zeros(25)
    frame = layer(geometries, kind=ids, rank=priority)
    masks(frame, GRID, out, class_by="kind", priority_by="rank" if ranked else None)
    np.testing.assert_array_equal(read(out), brute_force(geometries, ids, priority, 0))


def test_a_stack_of_equal_polygons_shows_the_last_in_file_order(tmp_path):
    stack = [square(10, 10, 40, 30)] * 50 + [square(20 + i, 15, 60, 50) for i in range(10)]
    masks(layer(stack, kind=range(1, 61)), GRID, tmp_path / "m.tif", class_by="kind")
    mask = read(tmp_path / "m.tif")
    assert mask[12, 12] == 50
    assert mask[40, 50] == 60
    np.testing.assert_array_equal(mask, gdal(stack, range(1, 61)))


def test_parts_of_any_size_give_the_same_mask(tmp_path, monkeypatch):
    geometries, random = blobs(80, seed=3)
    frame = layer(geometries, kind=random.integers(1, 5, 80))
    options = {"class_by": "kind", "ignore_ring_px": 2, "all_touched": {3: True}}
    whole = masks(frame, GRID, tmp_path / "whole.tif", **options)
    monkeypatch.setattr(files, "_ROWS", 16)
    monkeypatch.setattr(files, "_COLS", 48)
    parts = masks(frame, GRID, tmp_path / "parts.tif", **options)
    np.testing.assert_array_equal(read(tmp_path / "parts.tif"), read(tmp_path / "whole.tif"))
    assert parts.masks[0].class_counts == whole.masks[0].class_counts
    assert parts.classes[1].burnt_area_m2 == pytest.approx(whole.classes[1].burnt_area_m2)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    geometries, random = blobs(30, seed=4)
    frame = layer(geometries, kind=random.integers(1, 5, 30))
    for kind in ("parquet", "csv"):
        for name in ("a", "b"):
            masks(frame, GRID, tmp_path / kind / name, class_by="kind", manifest=kind)
        for file in ("mask.tif", f"manifest.{kind}"):
            same = [(tmp_path / kind / name / file).read_bytes() for name in ("a", "b")]
            assert same[0] == same[1]


def test_all_touched_of_one_class_keeps_the_order_of_features(tmp_path):
    geometries, random = blobs(30, seed=5, size=(4, 25))
    ids = random.integers(1, 3, 30)
    masks(
        layer(geometries, kind=ids),
        GRID,
        tmp_path / "m.tif",
        class_by="kind",
        all_touched={2: True},
    )
    expected = np.zeros(GRID.shape, np.uint8)
    wide = Grid(
        crs=CRS,
        transform=TRANSFORM @ Affine.translation(-50, -50),
        height=GRID.height + 100,
        width=GRID.width + 100,
    )  # edges that cross GDAL's raster border are not drawn reliably
    for geometry, one in zip(geometries, ids, strict=True):
        burnt = gdal([geometry], [1], wide, all_touched=bool(one == 2))[50:-50, 50:-50]
        expected[burnt == 1] = one
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), expected)


def test_all_touched_is_told_by_the_report_of_a_narrow_road(tmp_path):
    road = LineString([on_ground(3.2, 5.3), on_ground(120.7, 88.4)]).buffer(0.4)
    plain = masks(layer([road]), GRID, tmp_path / "a.tif")
    touched = masks(layer([road]), GRID, tmp_path / "b.tif", all_touched=True)
    assert abs(plain.classes[1].difference_percent) < 25
    assert touched.classes[1].difference_percent > 200


def test_pixels_without_a_feature_are_ignored_without_a_background(tmp_path):
    geometries, random = blobs(10, seed=6)
    report = masks(
        layer(geometries, kind=random.integers(0, 3, 10)),
        GRID,
        tmp_path / "m.tif",
        class_by="kind",
        background=None,
    )
    mask = read(tmp_path / "m.tif")
    np.testing.assert_array_equal(mask == 255, gdal(geometries, [1] * 10) == 0)
    assert report.background is None
    assert report.masks[0].burnt_pixels == (mask != 255).sum()
    assert report.masks[0].class_counts == {
        one: (mask == one).sum() for one in range(3) if (mask == one).any()
    }


def test_features_of_the_backgrounds_id_are_told(tmp_path):
    frame = layer([square(0, 0, 9, 9), square(20, 20, 30, 30)], kind=[0, 1])
    with pytest.warns(UserWarning, match="1 of 2 features have the id 0.*background=None"):
        masks(frame, GRID, tmp_path / "m.tif", class_by="kind")


def test_metres_of_a_buffer_are_metres_on_the_ground(tmp_path):
    # In web mercator at 60 degrees north a pixel of 2 units is 1 m.
    grid = Grid(
        crs="EPSG:3857",
        transform=Affine(2, 0, 1_000_000, 0, -2, 8_399_738),
        height=301,
        width=331,
    )
    assert grid.ground_resolution[0] == pytest.approx(1, rel=0.01)
    there = Point(1_000_300, 8_399_438)
    frame = gpd.GeoDataFrame({"kind": [1]}, geometry=[there], crs="EPSG:3857")
    report = masks(frame, grid, tmp_path / "m.tif", class_by="kind", buffer_m={1: 50, "*": 3})
    assert report.classes[1].vector_area_m2 == pytest.approx(np.pi * 50**2, rel=2e-3)
    assert report.classes[1].burnt_area_m2 == pytest.approx(np.pi * 50**2, rel=5e-3)
    assert (read(tmp_path / "m.tif") == 1).sum() == pytest.approx(
        np.pi * 50**2 / np.prod(grid.ground_resolution), rel=0.01
    )


def test_a_buffer_that_leaves_nothing_is_counted(tmp_path):
    frame = layer([square(10, 10, 12, 12), square(30, 30, 60, 60)])
    with pytest.warns(UserWarning, match="1 of 2 features shrink to nothing"):
        report = masks(frame, GRID, tmp_path / "m.tif", buffer_m=-4)
    assert report.features_vanished == 1
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), gdal([square(32, 32, 58, 58)], [1]))


def test_points_and_lines_without_a_buffer_are_counted(tmp_path):
    shapes = [Point(on_ground(5, 5)), LineString([on_ground(1, 1), on_ground(9, 9)])]
    frame = layer([*shapes, square(30, 30, 60, 60)])
    with pytest.warns(UserWarning, match="2 of 3 features are no polygons"):
        report = masks(frame, GRID, tmp_path / "m.tif")
    assert (report.features_no_polygon, report.features_outside) == (2, 0)
    assert masks(frame, GRID, tmp_path / "b.tif", buffer_m=4).classes[1].features == 3


def test_a_buffer_in_pixels_of_the_source_is_done_on_the_reference(tmp_path):
    line = LineString([on_ground(10, 20), on_ground(80, 20)])
    path = tmp_path / "lines.gpkg"
    layer([line], kind=[4]).to_file(path)
    source = FileVectorSource(uri=str(path), transforms=(Buffer(lines_px=3, cap="flat"),))
    report = masks(source, GRID, tmp_path / "m.tif", class_by="kind")
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), gdal([square(10, 17, 80, 23)], [4]))
    assert (report.features_no_polygon, report.features_outside) == (0, 0)


def test_a_reference_that_is_turned_and_upside_down_is_burned_as_by_gdal(tmp_path):
    for transform in (
        TRANSFORM @ Affine.rotation(30) @ Affine.scale(0.5, 0.25),
        Affine(2, 0, 500_000, 0, 2, 3_999_800),
    ):
        grid = Grid(crs=CRS, transform=transform, height=61, width=73)
        geometries, random = blobs(40, seed=9)
        ids = random.integers(1, 9, 40)
        report = masks(
            layer(geometries, kind=ids), grid, tmp_path / "m.tif", class_by="kind", mode="overwrite"
        )
        np.testing.assert_array_equal(read(tmp_path / "m.tif"), gdal(geometries, ids, grid))
        one = abs(transform.determinant) / 0.9996**2  # the scale of UTM on its middle meridian
        assert sum(c.burnt_area_m2 for c in report.classes) == pytest.approx(
            report.masks[0].burnt_pixels * one, rel=1e-4
        )


# The ring


def ring_by_force(mask, radius, none):
    """Each pixel's distance to each pixel of another class."""
    row, col = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = np.zeros(mask.shape, bool)
    for y, x in np.argwhere(mask != none):
        far = (row - y) ** 2 + (col - x) ** 2 > radius**2
        near[y, x] = ((mask != mask[y, x]) & (mask != none) & ~far).any()
    return near


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
def test_a_ring_holds_what_is_so_near_to_another_class(radius):
    random = np.random.default_rng(radius)
    coarse = random.integers(-1, 3, (5, 6)).astype(np.int32)
    classes = np.kron(coarse, np.ones((7, 8), np.int32))
    np.testing.assert_array_equal(
        near_boundary(classes, radius),
        ring_by_force(classes, radius, -1)[radius:-radius, radius:-radius],
    )


def test_a_ring_of_a_mask_knows_the_features_past_its_edge(tmp_path):
    geometries, random = blobs(25, seed=7)
    ids = random.integers(1, 4, 25)
    frame = layer(geometries, kind=ids)
    report = masks(frame, GRID, tmp_path / "m.tif", class_by="kind", ignore_ring_px=3)
    around = Grid(
        crs=CRS,
        transform=TRANSFORM @ Affine.translation(-3, -3),
        height=GRID.height + 6,
        width=GRID.width + 6,
    )
    burnt = gdal(geometries, ids, around)
    ring = ring_by_force(burnt, 3, 255)
    expected = np.where(ring, 255, burnt)[3:-3, 3:-3]
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), expected)
    assert report.ring_pixels == ring[3:-3, 3:-3].sum()


def test_a_ring_of_two_pixels_is_ignored_on_both_sides_of_a_straight_boundary(tmp_path):
    frame = layer([square(40, -9, 200, 200)])
    masks(frame, GRID, tmp_path / "m.tif", ignore_ring_px=2)
    row = read(tmp_path / "m.tif")[50]
    assert row[36:45].tolist() == [0, 0, 255, 255, 255, 255, 1, 1, 1]
