import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.sources.warping.pixelmap import PixelMap, covering
from geoseg.window import Window


def grid(crs, transform, height=400, width=500):
    return Grid(crs=crs, transform=transform, height=height, width=width)


UTM19 = grid("EPSG:32619", Affine(10, 0, 300_000, 0, -10, 4_100_000))
ORTHO = "+proj=ortho +lat_0=0 +lon_0=0 +datum=WGS84"
SOURCES = {
    "next zone": grid("EPSG:32618", Affine(12, 0, 820_000, 0, -12, 4_110_000)),
    "degrees": grid("EPSG:4326", Affine(1e-4, 0, -71.3, 0, -1e-4, 37.1)),
    "web mercator": grid("EPSG:3857", Affine(7, 0, -7_930_000, 0, -7, 4_440_000)),
    "rotated": grid("EPSG:32618", Affine(8, 5, 820_000, 5, -8, 4_110_000)),
    "south up": grid("EPSG:32618", Affine(12, 0, 820_000, 0, 12, 4_090_000)),
}


def truth(target, source, window):
    """Every pixel centre through pyproj."""
    cols = np.arange(window.col, window.col_stop) + 0.5
    rows = np.arange(window.row, window.row_stop) + 0.5
    cols, rows = np.meshgrid(cols, rows)
    t, s = target.transform, ~source.transform
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    if target.crs != source.crs:
        project = Transformer.from_crs(target.crs, source.crs, always_xy=True).transform
        x, y = project(x, y)
        x, y = (np.where(np.isfinite(x), values, np.nan) for values in (x, y))
    return s.a * x + s.b * y + s.c, s.d * x + s.e * y + s.f


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_interpolated_centres_are_those_of_pyproj(source):
    window = Window(37, 121, 203, 190)
    found = PixelMap.between(UTM19, source).centres(window)
    np.testing.assert_allclose(found, truth(UTM19, source, window), atol=1e-3, rtol=0)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_settled_places_have_the_floor_of_pyproj(source):
    window = Window(0, 0, 400, 500)
    pixels = PixelMap.between(UTM19, source)
    places = pixels.centres(window)
    pixels.settle_ties(window, places)
    for found, expected in zip(places, truth(UTM19, source, window), strict=True):
        tie = np.abs(expected - np.rint(expected)) < 1e-7
        assert ((np.floor(found) == np.floor(expected)) | tie).all()


@pytest.mark.parametrize(("pixel_m", "step"), [(10, 32), (100, 8), (1000, 2), (10_000, 2)])
def test_nodes_are_denser_where_the_mapping_bends_more(pixel_m, step):
    size = min(3_000_000 // pixel_m, 3000)
    target = grid("EPSG:3035", Affine(pixel_m, 0, 3e6, 0, -pixel_m, 4e6), size, size)
    degrees = pixel_m / 111_000
    source = grid("EPSG:4326", Affine(degrees, 0, -10, 0, -degrees, 70))
    pixels = PixelMap.between(target, source)
    assert pixels.step == step
    window = Window(size // 3, size // 3, 90, 110)
    np.testing.assert_allclose(
        pixels.centres(window), truth(target, source, window), atol=2e-3, rtol=0
    )


@settings(max_examples=30, deadline=None)
@given(
    row=st.integers(-90, 380),
    col=st.integers(-90, 380),
    height=st.integers(1, 130),
    width=st.integers(1, 130),
    name=st.sampled_from(sorted(SOURCES)),
)
def test_a_pixel_has_the_same_place_in_every_window(row, col, height, width, name):
    pixels = PixelMap.between(UTM19, SOURCES[name])
    whole = Window(-100, -100, 640, 640)
    window = Window(row, col, height, width)
    part = window.relative_to(whole).slices
    for all_, some in zip(pixels.boxes(whole), pixels.boxes(window), strict=True):
        np.testing.assert_array_equal(all_[part], some)


def test_places_where_the_target_crs_does_not_reach_are_nan():
    target = grid(ORTHO, Affine(30_000, 0, -7.5e6, 0, -30_000, 7.5e6), 500, 500)
    source = grid("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90), 720, 1440)
    window = Window(13, 20, 470, 240)
    cols, rows = PixelMap.between(target, source).centres(window)
    expected_cols, expected_rows = truth(target, source, window)
    np.testing.assert_array_equal(np.isnan(cols), np.isnan(expected_cols))
    assert 0.1 < np.isnan(cols).mean() < 0.9
    np.testing.assert_allclose(cols, expected_cols, atol=5e-3, rtol=0)
    np.testing.assert_allclose(rows, expected_rows, atol=5e-3, rtol=0)


def test_the_break_at_the_antimeridian_is_not_interpolated():
    target = grid("EPSG:32601", Affine(5_000, 0, 80_000, 0, -5_000, 1_000_000), 150, 200)
    source = grid("EPSG:4326", Affine(0.05, 0, -180, 0, -0.05, 90), 3600, 7200)
    pixels = PixelMap.between(target, source)
    expected = truth(target, source, target.whole)
    assert (np.abs(np.diff(expected[0], axis=1)) > 7_000).any()
    np.testing.assert_allclose(pixels.centres(target.whole), expected, atol=2e-3, rtol=0)
    _, _, wide, high = pixels.boxes(target.whole)
    assert wide.max() < 2
    assert high.max() < 2


def test_box_sizes_are_the_scale_of_the_mapping():
    source = grid("EPSG:32619", Affine(2.5, 0, 300_000, 0, -5, 4_100_000), 1600, 2000)
    _, _, wide, high = PixelMap.between(UTM19, source).boxes(Window(3, 5, 7, 11))
    np.testing.assert_allclose(wide, 4, rtol=1e-9)
    np.testing.assert_allclose(high, 2, rtol=1e-9)


def test_one_grid_without_a_crs_is_an_error_and_two_are_affine():
    bare = Grid(height=50, width=60)
    for target, source, which in ((UTM19, bare, "source"), (bare, UTM19, "target")):
        with pytest.raises(GridError, match=f"the {which} grid has no CRS.*give the file"):
            PixelMap.between(target, source)
    half = Grid(transform=Affine(0.5, 0, 3, 0, 0.5, 4), height=10, width=10)
    cols, rows = PixelMap.between(half, bare).centres(Window(0, 0, 1, 2))
    assert cols.tolist() == [[3.25, 3.75]]
    assert (rows == 4.25).all()


def test_the_covering_rectangle_stops_three_pixels_past_the_source():
    source = Grid(height=40, width=50)
    cols, rows = np.array([[-90.0, 7.2, np.nan]]), np.array([[38.5, 20.0, np.nan]])
    assert covering(source, (cols, rows), (2.0, 2.0)) == Window(18, -3, 23, 13)
    assert covering(source, (cols - 60, rows), (2.0, 2.0)) is None
    assert covering(source, (cols * np.nan, rows * np.nan), (2.0, 2.0)) is None


def test_a_tiny_grid_of_which_a_part_is_on_the_earth_has_places():
    target = grid(ORTHO, Affine(3e6, 0, -7.5e6, 0, -3e6, 7.5e6), height=5, width=5)
    source = grid("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90), height=720, width=1440)
    found = PixelMap.between(target, source).centres(target.whole)
    np.testing.assert_allclose(found, truth(target, source, target.whole), atol=1e-6)
    assert np.isfinite(found[0]).sum() == 13
