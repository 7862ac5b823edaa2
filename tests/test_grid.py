import math
import os
import pickle
import warnings

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rasterio.crs import CRS

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid, apply, compose, to_crs, transformer
from geoseg.window import Window

UTM = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=300, width=200)
ROTATED = Grid(crs="EPSG:32619", transform=[8, 6, 5e5, 6, -8, 4e6], height=30, width=50)
SOUTH_UP = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, 10, 4e6], height=30, width=50)

windows = st.builds(
    Window, st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 999), st.integers(1, 999)
)
straight = st.builds(
    lambda x, y, left, top, east, north: Grid(
        crs="EPSG:3857",
        transform=[x * east, 0, left, 0, y * north, top],
        height=70,
        width=90,
    ),
    *[st.floats(0.01, 1000)] * 2,
    *[st.floats(-2e7, 2e7)] * 2,
    *[st.sampled_from([-1, 1])] * 2,
)
rotated = st.builds(
    lambda angle, x, y, shear: Grid(
        crs="EPSG:32619",
        transform=[
            x * math.cos(angle),
            y * math.sin(angle) + shear,
            5e5,
            x * math.sin(angle),
            -y * math.cos(angle),
            4e6,
        ],
        height=70,
        width=90,
    ),
    st.floats(0, 6.28),
    *[st.floats(0.5, 50)] * 2,
    st.floats(-0.2, 0.2),
)


def corners(window):
    """(x, y) pixel positions of a window's four corners."""
    left, top, right, bottom = window.col, window.row, window.col_stop, window.row_stop
    return np.array([(left, top), (right, top), (left, bottom), (right, bottom)], float).T


def outline(bounds, points=2001):
    """Points along the edges of a box, many of them."""
    left, bottom, right, top = bounds
    along = np.linspace(0, 1, points)
    x = np.concatenate([left + along * (right - left)] * 2 + [np.full(points, left)] * 2)
    x[-points:] = right
    y = np.concatenate(
        [np.full(points, bottom), np.full(points, top)] + [bottom + along * (top - bottom)] * 2
    )
    return x, y


# Windows and bounds


@given(straight, windows)
def test_the_window_of_a_windows_bounds_is_that_window(grid, window):
    assert grid.window(grid.window_bounds(window)) == window


@given(rotated, windows)
def test_a_windows_bounds_are_those_of_its_corners_on_a_rotated_grid(grid, window):
    x, y = apply(grid.transform, *corners(window))

    assert grid.window_bounds(window) == (x.min(), y.min(), x.max(), y.max())
    assert grid.window(grid.window_bounds(window)).contains(window)


@given(rotated, windows)
def test_the_window_of_bounds_is_the_smallest_that_holds_their_corners(grid, window):
    left, bottom, right, top = bounds = grid.window_bounds(window)
    x, y = np.array([left, left, right, right]), np.array([bottom, top, bottom, top])
    col, row = apply(~grid.transform, x, y)
    found = grid.window(bounds)

    assert found.row == pytest.approx(row.min(), abs=1.001)
    assert found.col == pytest.approx(col.min(), abs=1.001)
    assert found.row_stop == pytest.approx(row.max(), abs=1.001)
    assert found.col_stop == pytest.approx(col.max(), abs=1.001)
    assert found.row <= row.min() + 1e-5
    assert found.col_stop >= col.max() - 1e-5


def test_bounds_are_those_of_rasterio():
    expected = rasterio.transform.array_bounds(300, 200, UTM.transform)

    assert UTM.bounds == expected == (500_000, 3_997_000, 502_000, 4_000_000)
    assert SOUTH_UP.bounds == (500_000, 4_000_000, 500_500, 4_000_300)
    assert UTM.window_bounds(Window(-1, -2, 2, 3)) == (499_980, 3_999_990, 500_010, 4_000_010)


def test_a_box_inside_one_pixel_gives_that_pixel():
    assert UTM.window((500_013, 3_999_982, 500_014, 3_999_983)) == Window(1, 1, 1, 1)
    assert UTM.window((500_013, 3_999_982, 500_013, 3_999_982)) == Window(1, 1, 1, 1)


def test_noise_in_the_last_digits_adds_no_pixel():
    left, bottom, right, top = UTM.window_bounds(Window(3, 4, 5, 6))

    assert UTM.window((left - 1e-6, bottom - 1e-6, right + 1e-6, top + 1e-6)) == Window(3, 4, 5, 6)
    assert UTM.window((left - 1e-3, bottom, right, top)) == Window(3, 3, 5, 7)


# Boxes in another CRS


@pytest.mark.parametrize(
    ("grid", "bounds", "crs"),
    [
        (UTM, (-69.5, 35.9, -68.6, 36.3), "EPSG:4326"),
        (Grid(crs="EPSG:4326", transform=[1e-3, 0, -75, 0, -1e-3, 45], height=9, width=9),
         (3e5, 38e5, 8e5, 48e5), "EPSG:32619"),
        (Grid(crs="EPSG:3413", transform=[500, 0, -3e6, 0, -500, 3e6], height=9, width=9),
         (-60, 60, 80, 85), "EPSG:4326"),
        (Grid(crs="EPSG:32719", transform=[30, 0, 4e5, 0, -30, 8e6], height=9, width=9),
         (-7.8e6, -2.5e6, -7.6e6, -2.2e6), "EPSG:3857"),
        (ROTATED, (-69.1, 36.0, -68.9, 36.2), "EPSG:4326"),
    ],
)  # fmt: skip
def test_a_box_in_another_crs_is_covered_along_its_bent_edges(grid, bounds, crs):
    to_grid = pyproj.Transformer.from_crs(crs, grid.crs.to_wkt(), always_xy=True)
    col, row = apply(~grid.transform, *to_grid.transform(*outline(bounds)))
    found = grid.window(bounds, crs=crs)

    slack = 1e-3 * max(found.shape)  # edges are sampled: what bends between two samples is not seen
    assert found.row == pytest.approx(row.min(), abs=1 + slack)
    assert found.col == pytest.approx(col.min(), abs=1 + slack)
    assert found.row_stop == pytest.approx(row.max(), abs=1 + slack)
    assert found.col_stop == pytest.approx(col.max(), abs=1 + slack)


@given(st.floats(166_000, 800_000), st.floats(100_000, 8_900_000), st.floats(100, 100_000))
def test_a_scene_in_utm_is_covered_in_degrees_as_pyproj_says(x, y, side):
    grid = Grid(crs="EPSG:4326", transform=[1e-4, 0, -180, 0, -1e-4, 90], height=9, width=9)
    bounds = (x, y, x + side, y + side * 1.5)
    to_degrees = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    left, bottom, right, top = to_degrees.transform_bounds(*bounds, densify_pts=2001)
    expected = Window(
        math.floor((90 - top) * 1e4),
        math.floor((left + 180) * 1e4),
        math.ceil((90 - bottom) * 1e4) - math.floor((90 - top) * 1e4),
        math.ceil((right + 180) * 1e4) - math.floor((left + 180) * 1e4),
    )
    found = grid.window(bounds, crs="EPSG:32633")

    # Where an edge meets a pixel edge to 1e-2 px, the two may round apart.
    difference = np.subtract(found.bounds_px, expected.bounds_px)
    assert np.abs(difference).max() <= 1


def test_two_corners_would_not_do():
    bounds = (-49, 70, -41, 71)  # in the north of Greenland: its lowest point is halfway
    grid = Grid(crs="EPSG:3413", transform=[100, 0, -3e6, 0, -100, 3e6], height=9, width=9)
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True)
    lowest = to_grid.transform(-45, 70)[1]
    _, corners_y = to_grid.transform([-49, -41, -49, -41], [70, 70, 71, 71])
    _, bottom, _, _ = grid.window_bounds(grid.window(bounds, crs="EPSG:4326"))

    assert lowest < min(corners_y) - 5000
    assert bottom == pytest.approx(lowest, abs=101)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
def test_a_polar_box_reaches_the_pole_and_all_longitudes(crs, pole):
    grid = Grid(crs="EPSG:4326", transform=[0.5, 0, -180, 0, -0.5, 90], height=360, width=720)
    bounds = (-1e6, -1.2e6, 1.5e6, 1e6)
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    expected = to_degrees.transform_bounds(*bounds, densify_pts=101)
    left, bottom, right, top = grid.window_bounds(grid.window(bounds, crs=crs))

    assert (left, right) == (-180, 180)
    assert (top if pole > 0 else bottom) == pole
    assert bottom == pytest.approx(expected[1], abs=0.5)
    assert top == pytest.approx(expected[3], abs=0.5)


def test_the_same_crs_in_other_words_is_no_reprojection():
    bounds = (500_003.0, 3_998_001.0, 500_777.0, 3_999_999.0)

    for crs in (
        32619,
        CRS.from_epsg(32619),
        CRS.from_epsg(32619).to_wkt(),
        pyproj.CRS("EPSG:32619"),
    ):
        assert UTM.window(bounds, crs=crs) == UTM.window(bounds)


@pytest.mark.parametrize(
    ("bounds", "crs", "message"),
    [
        ((3, 0, 1, 1), None, r"not finite numbers in the order \(left, bottom, right, top\)"),
        ((0, 2, 1, 1), None, "antimeridian"),
        ((0, 0, math.nan, 1), None, "not finite numbers"),
        ((-math.inf, 0, 1, 1), None, "not finite numbers"),
        ((0, 0, 1, 1), "EPSG:none", "'EPSG:none' names no CRS; write e.g. 'EPSG:32619' or WKT"),
    ],
)
def test_bounds_without_a_place_on_the_grid_are_refused(bounds, crs, message):
    with pytest.raises(GridError, match=message):
        UTM.window(bounds, crs=crs)


def test_bounds_that_another_crs_cannot_express_are_refused():
    seen_from_orbit = Grid(crs="+proj=geos +h=35785831 +lon_0=0", height=9, width=9)

    with pytest.raises(GridError, match=r"in EPSG:4326 have no place in .*; clip them"):
        seen_from_orbit.window((-180, -90, 180, 90), crs="EPSG:4326")


def test_bounds_in_a_crs_have_no_place_on_a_grid_without_one():
    with pytest.raises(GridError, match="bounds in EPSG:4326 on a grid without a CRS; give pixel"):
        Grid(height=3, width=3).window((0, 0, 1, 1), crs="EPSG:4326")


# Lattices


@given(rotated, windows)
def test_a_crop_lies_where_its_window_says(grid, window):
    crop = grid.crop(window)
    x, y = apply(grid.transform, *corners(window))
    crop_x, crop_y = apply(crop.transform, *corners(crop.whole))

    assert crop.shape == window.shape
    np.testing.assert_allclose((crop_x, crop_y), (x, y), rtol=0, atol=1e-6)
    assert grid.offset_of(crop) == (window.row, window.col)
    assert grid.aligned_with(crop)
    assert crop.aligned_with(grid)
    assert crop.offset_of(grid) == (-window.row, -window.col)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (UTM.model_copy(update={"crs": CRS.from_epsg(32618)}), "another CRS"),
        (UTM.model_copy(update={"crs": None}), "no CRS"),
        (Grid(crs="EPSG:32619", transform=[10, 0, 5e5 + 3, 0, -10, 4e6], height=3, width=2), "sub-pixel"),
        (Grid(crs="EPSG:32619", transform=[20, 0, 5e5, 0, -20, 4e6], height=3, width=2), "resolution"),
        (Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, 10, 4e6], height=3, width=2), "south-up"),
        (Grid(crs="EPSG:32619", transform=[10, 0.1, 5e5, 0, -10, 4e6], height=30, width=2), "shear"),
        (Grid(crs="EPSG:32619", transform=[10.001, 0, 5e5, 0, -10, 4e6], height=3, width=900), "drift"),
    ],
)  # fmt: skip
def test_another_lattice_is_not_aligned(other, why):
    assert not UTM.aligned_with(other)
    assert not other.aligned_with(UTM)
    assert UTM.offset_of(other) is None


def test_noise_far_below_a_pixel_does_not_part_two_lattices():
    other = Grid(
        crs="EPSG:32619", transform=[10, 0, 5e5 + 30.001, 0, -10, 4e6 - 20], height=3, width=2
    )

    assert UTM.offset_of(other) == (2, 3)


def test_covering_starts_at_the_top_left_corner_and_reaches_past_the_others():
    grid = UTM.covering((500_003, 3_999_000, 500_101, 3_999_995), resolution=(20, 50))

    assert grid.crs == UTM.crs
    assert tuple(grid.transform)[:6] == (20, 0, 500_003, 0, -50, 3_999_995)
    assert grid.shape == (20, 5)
    assert UTM.covering((0, 0, 30.0000001, 60), resolution=10).shape == (6, 3)
    assert UTM.covering((0, 0, 3, 6), resolution=[10, 10]).shape == (1, 1)


@pytest.mark.parametrize(
    ("bounds", "resolution"),
    [((0, 0, 0, 5), 1), ((0, 5, 5, 0), 1), ((0, 0, 5, 5), 0), ((0, 0, 5, 5), (1, -1)), ((0, 0, math.nan, 5), 1)],
)  # fmt: skip
def test_covering_nothing_is_refused(bounds, resolution):
    with pytest.raises(GridError, match="hold no pixel; expected"):
        UTM.covering(bounds, resolution)


# Resolution


def test_resolution_is_positive_and_that_of_the_pixel_also_where_rotated():
    assert UTM.resolution == (10, 10)
    assert SOUTH_UP.resolution == (10, 10)
    assert ROTATED.resolution == (10, 10)
    assert Grid(transform=[3, 0, 0, 4, 2, 0], height=1, width=1).resolution == (5, 2)


def test_ground_resolution_in_mercator_shrinks_with_the_cosine_of_latitude():
    x, y = transformer("EPSG:4326", "EPSG:3857").transform(10.0, 60.0)
    grid = Grid(crs="EPSG:3857", transform=[10, 0, x - 50, 0, -10, y + 50], height=10, width=10)
    lon, lat = pyproj.Transformer.from_crs(3857, 4326, always_xy=True).transform(
        [x, x + 10, x], [y, y, y - 10]
    )
    _, _, metres = pyproj.Geod(ellps="WGS84").inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])

    assert grid.ground_resolution == pytest.approx(metres, rel=1e-9)
    assert grid.ground_resolution == pytest.approx((5, 5), rel=0.01)


def test_ground_resolution_in_degrees_and_utm():
    degrees = Grid(crs="EPSG:4326", transform=[1e-4, 0, 10, 0, -1e-4, 60], height=1, width=1)

    assert degrees.ground_resolution == pytest.approx((5.58, 11.14), abs=0.01)
    assert UTM.ground_resolution == pytest.approx((10, 10), rel=1e-3)
    assert ROTATED.ground_resolution == pytest.approx((10, 10), rel=1e-3)


def test_ground_resolution_is_none_where_nothing_tells_it():
    site = 'LOCAL_CS["site",UNIT["metre",1]]'

    assert Grid(height=2, width=2).ground_resolution is None
    assert Grid(crs=site, height=2, width=2).ground_resolution is None
    with pytest.raises(GridError, match="no transformation leads from EPSG:4326 to LOCAL_CS"):
        Grid(crs=site, height=2, width=2).window((0, 0, 1, 1), crs="EPSG:4326")


# Values


@pytest.mark.parametrize(
    "grid", [UTM, ROTATED, SOUTH_UP, Grid(height=3, width=4), UTM.crop(Window(1, 1, 7, 9))]
)
def test_a_grid_survives_yaml_pickle_and_hash(grid):
    for again in (Grid.from_yaml(grid.to_yaml()), pickle.loads(pickle.dumps(grid))):
        assert again == grid
        assert hash(again) == hash(grid)


def test_grids_are_equal_where_all_four_parts_are():
    text = CRS.from_epsg(32619).to_wkt()
    same = Grid(crs=text, transform=tuple(UTM.transform), height=300, width=200)
    parts = {"crs": None, "transform": Affine(10, 0, 0, 0, -10, 0), "height": 1, "width": 1}

    assert same == UTM
    assert hash(same) == hash(UTM)
    for name, value in parts.items():
        assert UTM.model_copy(update={name: value}) != UTM
    assert UTM != "a grid"


def test_a_crs_without_a_number_survives_as_wkt():
    crs = "+proj=laea +lat_0=52 +lon_0=10 +x_0=7 +datum=WGS84 +units=m"
    grid = Grid(crs=crs, height=2, width=2)

    assert grid.crs == CRS.from_string(crs)
    assert Grid.from_yaml(grid.to_yaml()) == grid


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"height": 0}, "greater than or equal to 1"),
        ({"width": -3}, "greater than or equal to 1"),
        ({"width": 2.5}, "valid integer"),
        (
            {"transform": [1, 0, 0, 1, 0, 0]},
            r"the transform \(1.0, .*\) flattens the raster to a line",
        ),
        (
            {"transform": [1, 0, math.nan, 0, 1, 0]},
            "holds NaN or infinity, expected finite numbers",
        ),
        ({"transform": [1, 0, 0]}, "instance of Affine"),
        ({"crs": "hello"}, "'hello' names no CRS; write e.g. 'EPSG:32619' or WKT"),
        ({"crs": CRS()}, "names no CRS"),
        ({"heigth": 3}, "unknown key; nearest known key: height"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Grid(**({"height": 2, "width": 3} | fields))


def test_a_crs_is_known_in_many_forms():
    forms = [
        4326,
        "EPSG:4326",
        "epsg:4326",
        CRS.from_epsg(4326),
        pyproj.CRS(4326),
        CRS.from_epsg(4326).to_wkt(),
    ]

    assert {to_crs(form).to_string() for form in forms} == {"EPSG:4326"}
    for wrong in ("", "EPSG:", 3.5, [1], "nothing"):
        with pytest.raises(GridError, match="names no CRS; write"):
            to_crs(wrong)


def test_a_grid_describes_itself_in_one_line():
    assert UTM.describe() == "EPSG:32619, 300 x 200 px of 10 x 10"
    assert Grid(height=3, width=4).describe() == "no CRS, 3 x 4 px of 1 x 1"
    laea = Grid(crs="+proj=laea +lat_0=52 +datum=WGS84", height=3, width=4).describe()
    assert "\n" not in laea
    assert len(laea) < 60


def test_compose_does_the_inner_first():
    outer, inner = Affine(2, 1, 3, -1, 4, 5), Affine(0, -2, 1, 1, 3, -4)
    x, y = np.array([0.0, 1, 2]), np.array([5.0, -1, 7])
    expected = apply(outer, *apply(inner, x, y))

    np.testing.assert_allclose(apply(compose(outer, inner), x, y), expected, rtol=0, atol=1e-9)


# Files


@pytest.mark.parametrize(
    "crs", ["EPSG:32619", "EPSG:4326", "+proj=laea +lat_0=52 +datum=WGS84", None]
)
@pytest.mark.parametrize("transform", [UTM.transform, ROTATED.transform, SOUTH_UP.transform])
def test_the_grid_of_a_file_is_what_rasterio_says(write_raster, crs, transform):
    uri = write_raster("a.tif", np.zeros((2, 7, 11), "uint8"), crs=crs, transform=transform)
    grid = Grid.of(uri)

    with rasterio.open(uri) as file:
        assert grid.crs == file.crs
        assert grid.transform == file.transform
        assert grid.shape == file.shape
        assert sorted(grid.bounds) == pytest.approx(sorted(file.bounds))


def test_two_files_of_one_grid_have_equal_grids(write_raster):
    one = write_raster("one.tif", np.zeros((7, 11), "uint8"))
    other = write_raster("other.tif", np.zeros((3, 7, 11), "float32"), compress="deflate")

    assert Grid.of(one) == Grid.of(other)
    assert hash(Grid.of(one)) == hash(Grid.of(other))


def test_a_picture_without_georeference_has_the_identity_and_warns_of_nothing(write_raster):
    uri = write_raster("a.png", np.zeros((7, 11), "uint8"), driver="PNG", crs=None, transform=None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Grid.of(uri) == Grid(height=7, width=11)


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names, few links")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file; did you mean b.tif?"),
        (lambda path: path.touch(), r"is empty \(0 bytes\), expected a raster"),
        (lambda path: path.write_text("words"), "is no raster that GDAL can open"),
        (lambda path: path.mkdir(), "is a folder, expected a raster file"),
        (lambda path: path.symlink_to("c.tif"), "is a link to c.tif, which is not there"),
        (lambda path: os.mkfifo(path, 0o600), "is a pipe or a device, expected a raster file"),
    ],
    ids=["missing", "empty", "text", "folder", "link", "pipe"],
)
def test_the_grid_of_what_is_no_raster_is_an_error_that_says_what_it_is(tmp_path, make, reason):
    (tmp_path / "b.tif").write_text("words")
    make(tmp_path / "a.tif")

    with pytest.raises(SourceError, match=rf"a\.tif: {reason}"):
        Grid.of(str(tmp_path / "a.tif"))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32618", "EPSG:3035"])
@pytest.mark.parametrize("resolution", [None, 1, (3.5, 2)])
def test_a_reprojected_grid_covers_all_pixels_and_little_more(crs, resolution):
    grid = Grid(crs="EPSG:32619", transform=[10, 2, 5e5, 1, -11, 4.6e6], height=57, width=91)
    if resolution is not None and crs == "EPSG:4326":
        resolution = 1e-4
    there = grid.reprojected(crs, resolution)

    cols, rows = np.meshgrid(np.arange(92.0), np.arange(58.0))
    x, y = apply(grid.transform, cols, rows)
    x, y = pyproj.Transformer.from_crs("EPSG:32619", crs, always_xy=True).transform(x, y)
    cols, rows = apply(~there.transform, x, y)
    assert there.crs.to_string() == crs
    assert min(cols.min(), rows.min()) > -1e-3
    assert cols.max() < there.width + 1e-3
    assert rows.max() < there.height + 1e-3
    if resolution is None:  # a rotated box is larger than what lies in it
        assert np.hypot(57, 91) * 0.9 < np.hypot(*there.shape) < np.hypot(57, 91) * 1.6
    else:
        assert there.resolution == pytest.approx(np.broadcast_to(resolution, 2))


def test_a_grid_without_a_crs_is_not_reprojected():
    with pytest.raises(GridError, match="without a CRS"):
        Grid(height=2, width=3).reprojected("EPSG:4326")
