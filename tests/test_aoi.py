import os

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.features import geometry_mask
from shapely.errors import GEOSException

from geoseg.aoi import AOI
from geoseg.errors import GridError, SceneError, SourceError
from geoseg.grid import Grid
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.window import Window, sliding

UTM = "EPSG:32619"
GRID = Grid(crs=UTM, transform=[2.0, 0, 500_000, 0, -2.0, 4_600_000], height=61, width=97)
RASTER = shapely.box(0, 0, GRID.width, GRID.height)

# A concave ring with a concave hole, a polygon that overlaps it, one that leaves the raster.
RING = shapely.Polygon(
    [(10.3, 5.2), (60.7, 8.1), (40.2, 30.9), (62.4, 52.3), (12.8, 55.6), (20.1, 30.4)],
    holes=[[(24.2, 14.1), (38.8, 13.2), (28.3, 25.6), (36.1, 44.7), (22.6, 45.9)]],
)
PIXELS = [RING, shapely.box(50.4, 40.2, 75.1, 57.3), shapely.box(85.2, -20.5, 130.7, 12.4)]
COVERED = shapely.union_all(PIXELS)


def on_ground(polygons, crs=UTM):
    """Polygons in pixels of GRID, as a source in a CRS."""
    ground = [
        shapely.transform(p, lambda xy: xy * (2.0, -2.0) + (500_000, 4_600_000)) for p in polygons
    ]
    return FrameSource(frame=gpd.GeoDataFrame(geometry=ground, crs=UTM).to_crs(crs))


@pytest.fixture(scope="module")
def area():
    return AOI(on_ground(PIXELS), GRID)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:2253"])
def test_the_mask_is_gdals_in_every_crs(crs):
    source = on_ground(PIXELS, crs)
    ground = source.read(crs=UTM).geometry
    expected = geometry_mask(ground, GRID.shape, GRID.transform, invert=True)
    area = AOI(source, GRID)
    np.testing.assert_array_equal(area.mask(GRID.whole), expected)
    for window in sliding(GRID, (17, 23), edge="drop"):
        np.testing.assert_array_equal(area.mask(window), expected[window.slices])


def test_the_mask_is_false_outside_the_raster(area):
    window = Window(-7, 80, 31, 29)
    expected = np.zeros(window.shape, bool)
    expected[7:, :17] = area.mask(Window(0, 80, 24, 17))
    assert expected.any()
    np.testing.assert_array_equal(area.mask(window), expected)
    assert not area.mask(Window(61, 0, 5, 7)).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Window,
            st.integers(-30, 80), st.integers(-30, 120), st.integers(1, 30), st.integers(1, 30),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_a_window_is_kept_where_it_shares_ground_with_the_aoi(windows):
    area = AOI.of(on_ground(PIXELS), GRID)
    inside = COVERED.intersection(RASTER)
    expected = [inside.intersection(shapely.box(*w.bounds_px)).area > 1e-3 for w in windows]
    assert area.keep(windows).tolist() == expected
    assert [area.keeps(window) for window in windows] == expected


def test_a_window_in_a_hole_or_beside_the_aoi_is_not_kept():
    square = shapely.box(10, 10, 50, 50) - shapely.box(20, 20, 30, 30)
    for crs in (UTM, "EPSG:4326"):  # in degrees no corner comes back to its pixel exactly
        area = AOI(on_ground([square], crs), GRID)
        assert not area.keeps(Window(20, 20, 10, 10))
        assert not area.keeps(Window(10, 50, 40, 10))
        assert not area.keeps(Window(0, 0, 10, 10))
        assert area.keeps(Window(20, 20, 10, 11))
        assert area.keeps(Window(49, 49, 1, 1))


def test_no_windows_are_none_to_keep(area):
    assert area.keep(()).shape == (0,)


def test_windows_that_meet_the_aoi_outside_the_raster_only_are_not_kept():
    area = AOI(on_ground([shapely.box(90, 10, 200, 20)]), GRID)
    assert area.keeps(Window(5, 90, 10, 20))
    assert not area.keeps(Window(5, 97, 10, 20))


def test_the_area_counts_overlaps_once_and_the_raster_only(area):
    assert area.area_px == pytest.approx(COVERED.intersection(RASTER).area)


def test_sampled_points_are_inside_and_uniform(area):
    rng = np.random.default_rng(3)
    points = np.array([area.sample(rng) for _ in range(4000)])
    row, col = points.T
    inside = COVERED.intersection(RASTER)
    assert shapely.distance(inside, shapely.points(col, row)).max() < 1e-9
    # Cells of a coarse grid are hit as often as their share of the area says (chi-square, 0.1 %).
    cells = [shapely.box(x, y, x + 10, y + 10) for x in range(0, 97, 10) for y in range(0, 61, 10)]
    shares = shapely.area(shapely.intersection(cells, inside)) / inside.area
    hits = np.array([shapely.contains_xy(cell, col, row).sum() for cell in cells])
    large = shares > 0.005
    expected = shares * len(points)
    statistic = ((hits[large] - expected[large]) ** 2 / expected[large]).sum()
    assert large.sum() > 20
    assert statistic < large.sum() + 4 * np.sqrt(2 * large.sum())
    assert hits[shares == 0].sum() == 0


def test_samples_repeat_with_the_seed(area):
    first, again = (np.random.default_rng(7) for _ in range(2))
    assert [area.sample(first) for _ in range(5)] == [area.sample(again) for _ in range(5)]


def _fails(polygon):
    raise GEOSException("no ear")


def _misses(polygon):
    return shapely.GeometryCollection([shapely.Polygon([(0, 0), (1, 0), (0, 1)])])


@pytest.mark.parametrize("cut", [_fails, _misses])
def test_sampling_does_without_triangles_where_they_cannot_be_had(cut, monkeypatch):
    monkeypatch.setattr(shapely, "constrained_delaunay_triangles", cut)
    area = AOI(on_ground(PIXELS), GRID)
    rng = np.random.default_rng(5)
    col, row = np.array([area.sample(rng)[::-1] for _ in range(200)]).T
    assert shapely.distance(COVERED.intersection(RASTER), shapely.points(col, row)).max() < 1e-9


def test_a_sliver_can_be_sampled():
    sliver = shapely.Polygon([(5, 5), (90, 55), (90, 55.0001)])
    area = AOI(on_ground([sliver]), GRID)
    rng = np.random.default_rng(0)
    row, col = np.array([area.sample(rng) for _ in range(50)]).T
    assert shapely.distance(sliver, shapely.points(col, row)).max() < 1e-6


def test_an_invalid_outline_is_taken_as_its_parts():
    bow_tie = shapely.Polygon([(10, 10), (50, 50), (50, 10), (10, 50)])
    with pytest.warns(UserWarning, match="1 are not valid and were repaired"):
        area = AOI(on_ground([bow_tie]), GRID)
    assert area.area_px == pytest.approx(800)
    assert area.keeps(Window(25, 12, 10, 5))
    assert not area.keeps(Window(11, 26, 8, 8))


def test_an_aoi_is_kept_until_its_file_changes(tmp_path):
    path = tmp_path / "aoi.geojson"
    on_ground([shapely.box(0, 0, 20, 20)]).read(crs="EPSG:4326").to_file(path)
    source = FileVectorSource(uri=str(path))
    first = AOI.of(source, GRID)
    assert AOI.of(FileVectorSource(uri=str(path)), GRID) is first
    on_ground([shapely.box(0, 0, 20, 10)]).read(crs="EPSG:4326").to_file(path)
    os.utime(path, (1, 1))
    assert first.area_px == pytest.approx(400, rel=1e-3)
    assert AOI.of(source, GRID).area_px == pytest.approx(200, rel=1e-3)


def test_an_aoi_that_misses_the_image_names_both_bounds(tmp_path):
    path = tmp_path / "aoi.geojson"
    gpd.GeoDataFrame(geometry=[shapely.box(10, 50, 11, 51)], crs="EPSG:4326").to_file(path)
    with pytest.raises(SceneError) as caught:
        AOI.of(FileVectorSource(uri=str(path)), GRID)
    text = str(caught.value)
    assert text.startswith(f"{path}: the AOI misses the image")
    assert "(10, 50, 11, 51) in EPSG:4326" in text
    assert "(500000, 4599878, 500194, 4600000) in EPSG:32619" in text
    assert "(-69, 41.5" in text  # where that is in the AOI's own CRS


def test_an_aoi_that_only_touches_the_image_misses_it():
    with pytest.raises(SceneError, match="misses the image"):
        AOI(on_ground([shapely.box(-20, 0, 0, 20)]), GRID)


def test_lines_and_points_are_no_aoi():
    line = on_ground([shapely.LineString([(0, 0), (20, 20)])])
    with pytest.raises(SourceError, match=r"none of the 1 features .* \(LineString\); .*Buffer"):
        AOI(line, GRID)


def test_an_empty_aoi_is_an_error():
    with pytest.raises(SceneError, match="no feature at all"):
        AOI(on_ground([]), GRID)


def test_an_aoi_on_an_image_without_a_crs_is_an_error():
    with pytest.raises(GridError, match="the image has no CRS"):
        AOI(on_ground(PIXELS), Grid(height=61, width=97))


# A UTM grid of 96 pixels a side, and polygons in degrees that reach far past it.
SMALL = Grid(
    crs="EPSG:32617", transform=[10.0, 0, 430_000, 0, -10.0, 3_350_000], height=91, width=96
)
CONTAINING = {
    "far past the image": shapely.box(-170, 5, -50, 84),
    "first vertex without a place": shapely.Polygon([(-171, 0), (-50, 0), (-50, 84), (-171, 84)]),
    "folded by the projection": shapely.box(-180, -85, 180, 85),
    "to the poles": shapely.box(-180, -90, 180, 90),
}
COUNTRY = shapely.Polygon(
    [(-150, 10), (-60, 0), (-81.7273, 30.2777), (-81.7193, 30.2827), (-60, 80), (-150, 70)]
)


def degrees_of_centres(grid):
    """(lon, lat) of each pixel's centre, by pyproj."""
    row, col = np.indices(grid.shape) + 0.5
    move = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    return move.transform(*(grid.transform * (col, row)))


@pytest.mark.parametrize("case", CONTAINING)
def test_an_aoi_that_reaches_far_past_the_image_covers_it_wholly(case):
    frame = gpd.GeoDataFrame(geometry=[CONTAINING[case]], crs="EPSG:4326")
    area = AOI(FrameSource(frame=frame), SMALL)
    assert area.mask(SMALL.whole).all()
    assert area.area_px == pytest.approx(SMALL.height * SMALL.width)


def test_the_border_of_a_country_crosses_the_image_where_it_lies_in_degrees():
    area = AOI(FrameSource(frame=gpd.GeoDataFrame(geometry=[COUNTRY], crs="EPSG:4326")), SMALL)
    expected = shapely.contains_xy(COUNTRY, *degrees_of_centres(SMALL))
    assert 0.2 < expected.mean() < 0.8
    np.testing.assert_array_equal(area.mask(SMALL.whole), expected)
