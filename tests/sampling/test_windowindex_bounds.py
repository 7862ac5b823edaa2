"""Windows from bounds on the ground: CRSs, snapping, reprojection, and what is no window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
from affine import Affine

from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.sampling.windowindex import WindowIndex
from geoseg.window import Window

NAMES = ("minx", "miny", "maxx", "maxy")
PLACE = Affine(0.5, 0, 533_000.25, 0, -0.5, 9_300_100.5)
DEGREES = pyproj.Transformer.from_crs("EPSG:32737", "EPSG:4326", always_xy=True)


@pytest.fixture
def mask(write_raster):
    """Writes a mask of 300 x 217 pixels of half a metre in Zanzibar, or elsewhere."""

    def write(name="a.tif", *, crs="EPSG:32737", transform=PLACE, shape=(300, 217)):
        return write_raster(name, np.zeros(shape, np.uint8), crs=crs, transform=transform)

    return write


def table(masks, bounds, names=NAMES, **columns):
    """A table of bounds (row, 4)."""
    parts = dict(zip(names, np.array(bounds, float).reshape(-1, 4).T, strict=True))
    masks = [masks] * len(next(iter(parts.values()))) if isinstance(masks, str) else masks
    return pd.DataFrame({"mask_path": masks, **parts, **columns})


def ground(*window, transform=PLACE):
    """minx, miny, maxx, maxy of (row, col, height, width), by rasterio."""
    row, col, height, width = window
    return rasterio.windows.bounds(rasterio.windows.Window(col, row, width, height), transform)


def read(frame, **options):
    return WindowIndex.from_table(frame, **options).windows


def test_bounds_give_the_windows_that_rasterio_finds(mask):
    rng = np.random.default_rng(0)
    windows = [
        (int(row), int(col), int(h), int(w))
        for row, col, h, w in zip(*rng.integers([[0]] * 2 + [[1]] * 2, 90, (4, 50)), strict=True)
    ]
    frame = table(mask(), [ground(*window) for window in windows])
    assert read(frame) == [Window(*window) for window in windows]
    for bounds, window in zip(frame[list(NAMES)].to_numpy(), windows, strict=True):
        found = rasterio.windows.from_bounds(*bounds, PLACE)
        assert (found.row_off, found.col_off, found.height, found.width) == pytest.approx(window)


@pytest.mark.parametrize("flip", [Affine(0.5, 0, 7, 0, 0.5, 9), Affine(-2, 0, 7, 0, -3, 9)])
def test_grids_that_do_not_point_north_up_work(mask, flip):
    frame = table(mask(transform=flip), [ground(10, 20, 30, 40, transform=flip)])
    left, bottom, right, top = frame[list(NAMES)].to_numpy()[0]
    frame[list(NAMES)] = [min(left, right), min(bottom, top), max(left, right), max(bottom, top)]
    assert read(frame) == [Window(10, 20, 30, 40)]


def test_swapped_sides_are_sorted(mask):
    minx, miny, maxx, maxy = ground(10, 20, 30, 40)
    swapped = [(maxx, miny, minx, maxy), (minx, maxy, maxx, miny), (maxx, maxy, minx, miny)]
    assert read(table(mask(), swapped)) == [Window(10, 20, 30, 40)] * 3


def test_bounds_off_the_pixel_grid_are_an_error_that_states_the_offset(mask):
    uri, here = mask(), np.array(ground(10, 20, 30, 40))
    near = here + 0.5 * 0.009
    assert read(table(uri, [near])) == [Window(10, 20, 30, 40)]
    told = (
        r"the table: row 1 \(from 0; 1 of 2 rows\): the bounds are 0\.3 px off the pixel grid of the mask "
        r".*a\.tif, allowed are 0\.01 px; .*snap=True"
    )
    with pytest.raises(GridError, match=told):
        read(table(uri, [near, here + 0.5 * 0.3]))
    with pytest.raises(GridError, match=r"0\.011 px off"):
        read(table(uri, [here + np.array([0, 0, 0.5 * 0.011, 0])]))


def test_snapped_bounds_are_the_nearest_pixels_of_the_same_size(mask):
    uri = mask()
    shifts = np.array([-0.4, 0.3, 0.49, 1.2])
    boxes = [np.array(ground(10, 20, 30, 40)) + 0.5 * shift for shift in shifts]
    assert read(table(uri, boxes), snap=True) == [
        Window(10 - round(shift), 20 + round(shift), 30, 40) for shift in shifts
    ]
    halves = [ground(i, i, 31, 31) + np.array([0.25, -0.25, 0.25, -0.25]) for i in range(9)]
    windows = read(table(uri, halves), snap=True)
    assert [(w.row, w.col, *w.shape) for w in windows] == [(i + 1, i + 1, 31, 31) for i in range(9)]


def test_empty_bounds_bounds_outside_and_rotated_masks_have_their_own_messages(mask):
    uri, good = mask(), ground(10, 20, 30, 40)
    flat = (good[0], good[1], good[0], good[3])
    with pytest.raises(
        GridError, match=r"row 1 .* are empty: expected minx below maxx and miny below maxy"
    ):
        read(table(uri, [good, flat]))
    with pytest.raises(
        GridError, match=r"row 0 .*: the bounds \(nan, .*\) are not all finite numbers"
    ):
        read(table(uri, [(np.nan, *good[1:])]))
    thin = np.array(good)
    thin[2] = thin[0] + 0.002
    with pytest.raises(GridError, match=r"are empty on the mask .*: less than half a pixel"):
        read(table(uri, [thin]))
    far = np.array(good) + 5000.1
    with pytest.raises(
        GridError, match=r"row 0 .* lie wholly outside the mask .*a\.tif, which spans \(533000"
    ):
        read(table(uri, [far]), outside="pad")
    turned = mask("turned.tif", transform=PLACE @ Affine.rotation(30))
    with pytest.raises(
        GridError, match=r"the mask .*turned\.tif is rotated: .*write pixel columns"
    ):
        read(table(turned, [good]))
    rows = pd.DataFrame({"mask_path": [turned], "row_off": [1], "col_off": [2], "patch_size": [3]})
    assert read(rows) == [Window(1, 2, 3, 3)]


def test_bounds_past_the_edge_are_an_error_unless_they_may_be(mask):
    uri, past = mask(), ground(-5, 200, 30, 40)
    with pytest.raises(GridError, match="reaches past the edge of its mask"):
        read(table(uri, [past]))
    assert read(table(uri, [past]), outside="pad") == [Window(-5, 200, 30, 40)]


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:32737",
        "32737",
        32737,
        32737.0,
        pyproj.CRS.from_epsg(32737).to_wkt(),
        pyproj.CRS.from_epsg(32737).to_wkt("WKT1_GDAL"),
        "+proj=utm +zone=37 +south +datum=WGS84 +units=m +no_defs",
        None,
        " ",
    ],
)
def test_crss_are_compared_by_meaning(mask, crs):
    frame = table(mask(), [ground(10, 20, 30, 40)], crs=pd.Series([crs], dtype=object))
    assert read(frame) == [Window(10, 20, 30, 40)]


def test_longitude_first_is_no_other_crs(mask):
    place = Affine(1e-4, 0, 39, 0, -1e-4, -6)
    frame = table(
        mask(crs="EPSG:4326", transform=place),
        [ground(3, 4, 5, 6, transform=place)],
        crs="OGC:CRS84",
    )
    assert read(frame) == [Window(3, 4, 5, 6)]


def test_another_crs_is_an_error_that_names_both_and_the_file(mask):
    uri = mask()
    frame = table(uri, [ground(10, 20, 30, 40)] * 3, crs=[None, "EPSG:32736", "EPSG:32736"])
    told = (
        r"row 1 \(from 0\) of .*a\.tif: the bounds of 2 rows are in EPSG:32736, the mask is in EPSG:32737; "
        ".*reproject_bounds=True"
    )
    with pytest.raises(GridError, match=told):
        read(frame)
    with pytest.raises(GridError, match=r"row 0 .*: the crs 'UTM 37' names no CRS"):
        read(frame.assign(crs="UTM 37"))
    bare = mask("bare.tif", crs=None)
    with pytest.raises(GridError, match="in EPSG:32736, the mask has no CRS; give the mask one"):
        read(frame.assign(crs="EPSG:32736", mask_path=bare), reproject_bounds=True)
    assert read(frame.assign(crs=None, mask_path=bare)) == [Window(10, 20, 30, 40)] * 3


def test_reprojected_bounds_place_a_window_of_the_patch_size_by_their_centre(mask):
    uri = mask()
    expected = [(20, 30), (101, 57), (230, 150)]
    boxes = []
    for row, col in expected:
        x, y = PLACE @ (col + 32, row + 32)
        lon, lat = DEGREES.transform(x, y)
        boxes.append((lon - 1e-4, lat - 2e-4, lon + 1e-4, lat + 2e-4))
    frame = table(uri, boxes, crs="EPSG:4326")
    windows = [Window(row, col, 64, 64) for row, col in expected]
    assert read(frame, reproject_bounds=True, patch_size=64) == windows
    sized = frame.assign(patch_size=64)
    assert read(sized, reproject_bounds=True, patch_size=9) == windows
    mixed = pd.concat([frame, table(uri, [ground(1, 2, 3, 4)], crs="EPSG:32737")])
    assert read(mixed, reproject_bounds=True, patch_size=64) == [*windows, Window(1, 2, 3, 4)]
    with pytest.raises(GridError, match="reaches past the edge"):
        read(frame, reproject_bounds=True, patch_size=200)
    padded = read(frame, reproject_bounds=True, patch_size=200, outside="pad")
    assert padded[0] == Window(20 + 32 - 100, 30 + 32 - 100, 200, 200)


def test_without_a_patch_size_the_enclosing_box_must_stay_on_the_mask_and_its_grid(mask):
    uri = mask()
    row, col, height, width = 40, 50, 60, 70
    # A box of the mask, seen in degrees, encloses more than itself: meridians converge.
    cols = np.concatenate(
        [np.linspace(col, col + width, 999)] * 2 + [[col] * 999, [col + width] * 999]
    )
    rows = np.concatenate(
        [[row] * 999, [row + height] * 999] + [np.linspace(row, row + height, 999)] * 2
    )
    lon, lat = DEGREES.transform(*PLACE @ (cols, rows))
    frame = table(uri, [(lon.min(), lat.min(), lon.max(), lat.max())], crs="EPSG:4326")
    with pytest.raises(GridError, match="px off the pixel grid"):
        read(frame, reproject_bounds=True)
    (found,) = read(frame, reproject_bounds=True, snap=True)
    back = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32737", always_xy=True)
    left, bottom, right, top = back.transform_bounds(
        *frame[list(NAMES)].to_numpy()[0], densify_pts=999
    )
    (c0, r0), (c1, r1) = ~PLACE @ (left, top), ~PLACE @ (right, bottom)
    assert abs(np.array([found.row, found.col]) - [r0, c0]).max() < 0.51
    assert abs(np.array(found.shape) - [r1 - r0, c1 - c0]).max() < 0.51
    with pytest.raises(
        GridError,
        match=r"the box around the reprojected bounds leaves the mask .*; give patch_size",
    ):
        read(table(uri, [np.array(frame[list(NAMES)].to_numpy()[0]) - [3e-4, 0, 3e-4, 0]], crs="EPSG:4326"),
             reproject_bounds=True, snap=True, outside="pad")  # fmt: skip


def test_an_enclosing_box_on_the_grid_is_taken_as_it_is(mask):
    place = Affine(2, 0, 4e6, 0, -2, 0)
    uri = mask(crs="EPSG:3857", transform=place)
    to_degrees = pyproj.Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
    left, bottom, right, top = ground(10, 20, 30, 40, transform=place)
    west, south = to_degrees.transform(left, bottom)
    east, north = to_degrees.transform(right, top)
    frame = table(uri, [(west, south, east, north)], crs="EPSG:4326")
    assert read(frame, reproject_bounds=True) == [Window(10, 20, 30, 40)]


def test_bounds_without_a_place_in_the_masks_crs_are_an_error(mask):
    frame = table(mask(), [(1e30, 0, 2e30, 1)], crs="EPSG:3857")
    with pytest.raises(GridError, match="have no place in EPSG:32737"):
        read(frame, reproject_bounds=True, patch_size=9)


def test_each_mask_has_its_own_crs_and_is_opened_once(mask, monkeypatch):
    place = Affine(1e-4, 0, 39, 0, -1e-4, -6)
    masks = [mask("a.tif"), mask("b.tif", crs="EPSG:4326", transform=place)]
    windows = [(10 + i, 20, 30, 40) for i in range(40)]
    boxes = [ground(*w, transform=(PLACE, place)[i % 2]) for i, w in enumerate(windows)]
    frame = table(masks * 20, boxes, crs=["EPSG:32737", "EPSG:4326"] * 20)
    opened = []
    real = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: opened.append(path) or real(path, *a, **k)
    )
    assert read(frame) == [Window(*window) for window in windows]
    assert opened == masks


def test_text_in_bounds_is_an_error(mask):
    frame = table(mask(), [ground(10, 20, 30, 40)]).astype({"maxx": object})
    frame["maxx"] = ["wide"]
    with pytest.raises(ConfigError, match="maxx is 'wide', expected a number"):
        read(frame)
    with pytest.raises(SourceError, match=r"gone\.tif: no such file"):
        read(frame.assign(mask_path="gone.tif"))


def test_a_whole_number_with_a_point_is_a_crs(mask, tmp_path):
    frame = table(mask(), [ground(10, 20, 30, 40)] * 2, crs=["32737.0", ""])
    frame.to_csv(tmp_path / "own.csv", index=False)
    assert len(WindowIndex.read(str(tmp_path / "own.csv"))) == 2
    with pytest.raises(GridError, match=r"the bounds of 1 rows are in EPSG:32736"):
        read(frame.assign(crs=["32736.0", ""]))


@pytest.mark.parametrize("left", [179.0, -181.0])
def test_bounds_across_the_antimeridian_have_the_larger_longitude_first(mask, left):
    place = Affine(0.01, 0, left, 0, -0.01, 10)
    uri = mask(crs="EPSG:4326", transform=place)
    frame = table(uri, [(179.9, 9.7, -179.9, 9.9)])
    assert read(frame) == [Window(10, 90, 20, 20)]
    assert read(frame.assign(crs="OGC:CRS84")) == [Window(10, 90, 20, 20)]


def test_bounds_across_the_antimeridian_are_placed_on_a_mask_in_metres(mask):
    place = Affine(1000, 0, 150_000, 0, -1000, 200_000)
    uri = mask(crs="EPSG:32601", transform=place)
    found = read(table(uri, [(179.9, 1.0, -179.9, 1.2)], crs="EPSG:4326"), reproject_bounds=True,
                 patch_size=8)  # fmt: skip
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(
        180, 1.1
    )
    col, row = ~place @ (x, y)
    assert abs(found[0].row + 4 - row) <= 0.5
    assert abs(found[0].col + 4 - col) <= 0.5


def test_swapped_longitudes_that_are_near_are_still_sorted(mask):
    place = Affine(0.01, 0, 10, 0, -0.01, 10)
    frame = table(mask(crs="EPSG:4326", transform=place), [(10.4, 9.7, 10.2, 9.9)])
    assert read(frame) == [Window(10, 20, 20, 20)]
