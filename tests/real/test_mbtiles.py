"""A sparse pyramid of OpenAerialMap over Zanzibar: JPEG tiles, three zooms."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window


@pytest.fixture(scope="module")
def source(data_folder):
    return MBTilesSource(uri=str(data_folder / "oam_buildings" / "zanzibar.mbtiles"))


def place_in(grid, file):
    """(row, col) of a file's first pixel on a grid, in pixels and parts of one."""
    ours, theirs = grid.transform, file.transform
    return (theirs.f - ours.f) / ours.e, (theirs.c - ours.c) / ours.a


def test_the_look_over_finds_three_zooms_and_no_bad_tile(source):
    report = source.preflight()
    assert report.zooms == (19, 20, 21)
    assert (report.tables, report.format, report.scheme) == ("table", "jpg", "tms")
    assert (report.tiles, report.decoded) == (736, 736)
    assert report.formats == (("jpg", 736),)
    assert report.missing == 32 * 148 - 736
    assert (report.bad_tiles, report.problems) == ((), ())
    source.check()


@pytest.mark.slow
@pytest.mark.parametrize("zoom", [19, 20, pytest.param(21, marks=pytest.mark.slow)])
def test_every_pixel_equals_gdals(source, zoom):
    ours = MBTilesSource(uri=source.uri, zoom=zoom)
    seen = 0
    with rasterio.open(source.uri, ZOOM_LEVEL=zoom) as file:
        places = place_in(ours.grid, file)
        row, col = (round(place) for place in places)
        # Bounds printed with seven decimals cut pixels: GDAL's transform is a little off, ours is not.
        assert max(abs(places[0] - row), abs(places[1] - col)) < 0.2
        for first in range(0, file.height, 2048):
            window = Window(first, 0, min(2048, file.height - first), file.width)
            expected = file.read(window=window.to_rasterio())
            chip = ours.read(Window(first + row, col, *window.shape))
            shown = expected[3] > 0
            assert np.array_equal(chip.valid, shown)
            assert np.array_equal(chip.data[:, shown], expected[:3][:, shown])
            seen += shown.sum()
    assert seen == {19: 46, 20: 184, 21: 736}[zoom] * 256 * 256


def test_the_grid_is_the_tile_matrix_to_a_hundredth_of_a_pixel(source):
    half = 20037508.342789244
    t = source.grid.transform
    resolution = 2 * half / 256 / 2**21
    col, row = (t.c + half) / resolution, (half - t.f) / resolution
    assert abs(col - 1277168 * 256) < 0.01
    assert abs(row - (2**21 - 1 - 1013311) * 256) < 0.01
    assert t.a == -t.e == resolution


@pytest.mark.parametrize("crs", [None, "EPSG:32737"])
def test_a_nearest_warp_onto_another_grid_equals_pyproj_and_floor(data_folder, source, crs):
    onto = GeoTIFFSource(uri=str(data_folder / "oam_buildings" / "zanzibar_a_z19.tif"))
    if crs is not None:
        grid = onto.grid.reprojected(crs, resolution=0.41)
        onto = ArraySource(data=np.zeros(grid.shape, np.uint8), grid=grid)
    at = MBTilesSource(uri=source.uri, zoom=19)
    warped = WarpedSource(source=at, onto=onto.grid, resampling="nearest")
    chip = warped.read(onto.grid.whole)
    assert chip.valid.mean() > 0.9
    whole = at.read(at.grid.whole)
    rng = np.random.default_rng(0)
    rows, cols = (rng.integers(0, length, 100_000) for length in onto.grid.shape)
    t, there = onto.grid.transform, at.grid.transform
    x, y = t.c + (cols + 0.5) * t.a, t.f + (rows + 0.5) * t.e
    x, y = Transformer.from_crs(onto.grid.crs, at.grid.crs, always_xy=True).transform(x, y)
    col, row = (x - there.c) / there.a, (y - there.f) / there.e
    i, j = np.floor(row).astype(int), np.floor(col).astype(int)
    height, width = at.grid.shape
    tie = np.minimum(abs(row - np.rint(row)), abs(col - np.rint(col))) < 1e-5
    ok = (i >= 0) & (j >= 0) & (i < height) & (j < width) & ~tie
    assert ok.mean() > 0.9
    expected_valid = whole.valid[i[ok], j[ok]]
    assert np.array_equal(chip.valid[rows[ok], cols[ok]], expected_valid)
    shown = np.flatnonzero(ok)[expected_valid]
    assert np.array_equal(chip.data[:, rows[shown], cols[shown]], whole.data[:, i[shown], j[shown]])


@pytest.mark.slow
def test_a_coarse_utm_grid_reads_a_lower_zoom_close_to_the_full_one(source):
    left, bottom, right, top = source.grid.bounds
    to_utm = Transformer.from_crs("EPSG:3857", "EPSG:32737", always_xy=True)
    x, y = to_utm.transform([left, right], [bottom, top])
    grid = Grid(crs="EPSG:32737", height=1, width=1).covering((x[0], y[0], x[1], y[1]), 1.0)
    lower = WarpedSource(source=source, onto=grid)
    full = WarpedSource(source=source, onto=grid, overviews="none")
    assert lower.plan.source.zooms_lower in {1, 2}
    a, b = lower.read(grid.whole), full.read(grid.whole)
    both = a.valid & b.valid
    assert both.sum() > 0.95 * b.valid.sum()
    assert np.abs(a.data[:, both].astype(int) - b.data[:, both]).mean() < 4
