"""MBTilesSource against GDAL's own reading of the same file."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sampling import RandomWindows
from geoseg.scene import Scene
from geoseg.sources import RasterSource, mbtiles
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.tiles.database import close_tiles
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window
from tests.sources.tilemaking import (
    HALF,
    change,
    degrees,
    gdal_tiles,
    picture,
    png,
    textured,
    write_tiles,
)


def image(height=700, width=900, *, bands=3, seed=0):
    rng = np.random.default_rng(seed)
    smooth = np.add.outer(np.arange(height), np.arange(width)) // 7
    array = (smooth + rng.integers(0, 30, (bands, height, width))).astype(np.uint8)
    if bands in (2, 4):
        array[-1] = 255
        array[-1, 100:300, 200:500] = 0
    return array


def place_of_gdal(source, file):
    """(row, col) of GDAL's first pixel on our grid, in pixels and parts of one."""
    ours, theirs = source.grid.transform, file.transform
    return (theirs.f - ours.f) / ours.e, (theirs.c - ours.c) / ours.a


def assert_equals_gdal(source, **options):
    """Every pixel of GDAL's raster, and nothing valid around it."""
    with rasterio.open(source.uri, **options) as file:
        row, col = (round(number) for number in place_of_gdal(source, file))
        expected = file.read()
        chip = source.read(Window(row, col, *file.shape))
    shown = expected[3] > 0
    assert shown.any()
    assert np.array_equal(chip.valid, shown)
    assert np.array_equal(chip.data[:, shown], expected[:3][:, shown])


@pytest.mark.parametrize(
    ("bands", "options"),
    [
        (3, {"TILE_FORMAT": "PNG"}),
        (3, {"TILE_FORMAT": "JPEG", "QUALITY": 60}),
        (3, {"TILE_FORMAT": "WEBP"}),
        (3, {"TILE_FORMAT": "PNG8"}),
        (3, {"TILE_FORMAT": "PNG", "BLOCKSIZE": 512}),
        (3, {"TILE_FORMAT": "JPEG", "BLOCKSIZE": 512}),
        (4, {"TILE_FORMAT": "PNG"}),
        (4, {"TILE_FORMAT": "WEBP"}),
        (1, {"TILE_FORMAT": "PNG"}),
        (1, {"TILE_FORMAT": "JPEG"}),
        (2, {"TILE_FORMAT": "PNG"}),
    ],
)
def test_pixels_equal_gdals(tmp_path, bands, options):
    source = MBTilesSource(uri=gdal_tiles(tmp_path, image(330, 560, bands=bands), **options))
    assert source.band_names == ("red", "green", "blue")
    assert source.dtype == np.uint8
    assert_equals_gdal(source)


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [256, 512])
def test_windows_at_corners_of_tiles_equal_crops_of_the_whole(tmp_path, driver, size):
    blobs = {
        (5, 10 + x, 20 + y): picture(textured(size, 10 * x + y), driver)
        for x in range(3)
        for y in range(2)
    }
    uri = write_tiles(tmp_path / "a.mbtiles", blobs)
    source = MBTilesSource(uri=uri)
    with rasterio.open(uri) as file:
        expected = file.read()
        assert file.transform.almost_equals(source.grid.transform, precision=1e-6)
    assert source.grid.shape == (2 * size, 3 * size) == expected.shape[1:]
    for row, col in [(0, 0), (size - 1, size - 1), (size, size), (size + 1, 2 * size - 1)]:
        window = Window(row, col, size - 1, size)
        chip = source.read(window)
        there = window.intersection(source.grid.whole).slices
        inside = slice(0, there[0].stop - row), slice(0, there[1].stop - col)
        assert np.array_equal(
            chip.data[(slice(None), *inside)], expected[:3][(slice(None), *there)]
        )
        assert chip.valid[inside].all()
        assert chip.valid.sum() == chip.valid[inside].size


def test_grey_palette_and_alpha_pictures_in_one_file_equal_gdals(tmp_path):
    grey = textured(256, 1, bands=1)
    colors = {i: (i, 255 - i, i // 2, 0 if i < 60 else 255) for i in range(256)}
    alpha = np.where(grey < 90, 0, 255).astype(np.uint8)
    few = {i: (9 * i, 200 - i, 3, 255) for i in range(16)}
    blobs = {
        (6, 30, 40): picture(grey),
        (6, 31, 40): picture(grey, colormap=colors),
        (6, 32, 40): picture(np.concatenate([grey, alpha])),
        (6, 33, 40): picture(np.concatenate([textured(256, 2), alpha])),
        (6, 30, 41): picture(grey, "JPEG"),
        (6, 31, 41): picture(grey % 16, colormap=few, NBITS=4),
        (6, 32, 41): picture(textured(256, 3), "WEBP", LOSSLESS=True),
        (6, 33, 41): picture(textured(256, 4), "JPEG", PROGRESSIVE="ON"),
    }
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs, format="png"))
    assert_equals_gdal(source)
    assert not source.read(source.grid.whole).valid.all()
    assert source.preflight().formats == (("png", 5), ("jpg", 2), ("webp", 1))


def test_bounds_that_cut_no_pixel_give_gdals_grid(tmp_path):
    uri = gdal_tiles(tmp_path, image())
    source = MBTilesSource(uri=uri)
    with rasterio.open(uri) as file:
        assert source.grid.shape == file.shape == (700, 900)
        row, col = place_of_gdal(source, file)
        assert abs(row) < 0.01
        assert abs(col) < 0.01


def test_the_grid_is_the_tile_matrix_where_bounds_cut_pixels_and_gdals_is_off(tmp_path):
    left, bottom, right, top = degrees(5, 10, 20, 12, 21)
    blobs = {(5, 10 + x, 20 + y): png(seed=x + 3 * y) for x in range(3) for y in range(2)}
    step = 360 / 2**13
    bounds = (left + 30.4 * step, bottom, right - 10.3 * step, top)
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs, bounds=bounds))
    assert source.grid.shape == (512, 768 - 30 - 10)
    column = (source.grid.transform.c + HALF) / (2 * HALF / 2**13)
    assert column == 10 * 256 + 30
    with rasterio.open(source.uri) as file:
        assert place_of_gdal(source, file)[1] == pytest.approx(0.4, abs=1e-6)
    assert_equals_gdal(source)


@pytest.mark.parametrize("bounds", ["-180,-85.05,180,85.05", "nonsense", "1,2,3", None])
def test_bounds_of_the_world_or_of_nothing_give_whole_tiles(tmp_path, bounds):
    blobs = {(12, 2000, 2500): png(), (12, 2001, 2502): png(seed=1)}
    metadata = {} if bounds is None else {"bounds": bounds}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs, **metadata))
    assert source.grid.shape == (768, 512)
    valid = source.read(source.grid.whole).valid
    expected = np.zeros((3, 2), bool)
    expected[2, 0] = expected[0, 1] = True
    assert np.array_equal(valid, np.kron(expected, np.ones((256, 256), bool)))


def test_bounds_smaller_than_the_tiles_crop_and_the_report_says_so(tmp_path):
    blobs = {(9, 100 + x, 300): png(seed=x) for x in range(4)}
    bounds = degrees(9, 101, 300, 102, 300)
    uri = write_tiles(tmp_path / "a.mbtiles", blobs, bounds=bounds)
    source = MBTilesSource(uri=uri)
    assert source.grid.shape == (256, 512)
    assert_equals_gdal(source)
    assert any("leave out tiles" in note for note in source.preflight(decode="none").notes)
    whole = MBTilesSource(uri=uri, use_bounds=False)
    assert whole.grid.shape == (256, 1024)
    assert_equals_gdal(whole, USE_BOUNDS="NO")


def test_a_colour_marks_the_collar_of_jpeg_tiles(tmp_path):
    array = textured(256, 0) + 20
    array[:, :, 100:] = 0
    uri = write_tiles(tmp_path / "a.mbtiles", {(3, 2, 2): picture(array, "JPEG")})
    assert MBTilesSource(uri=uri).read(Window(0, 0, 256, 256)).valid.all()
    chip = MBTilesSource(uri=uri, nodata_color=(0, 0, 0)).read(Window(0, 0, 256, 256))
    assert np.array_equal(chip.valid, (chip.data != 0).any(axis=0))
    assert not chip.valid[:, 120:].any()
    assert chip.valid[:, :90].all()


def test_a_zoom_is_chosen_by_number_and_the_largest_by_default(tmp_path):
    uri = gdal_tiles(tmp_path, image(1100, 1300))
    with rasterio.open(uri, "r+") as file:
        file.build_overviews([2, 4])
    source = MBTilesSource(uri=uri)
    assert source.preflight(decode="none").zooms == (15, 16, 17)
    assert source.grid == MBTilesSource(uri=uri, zoom=17).grid
    for zoom in (15, 16, 17):
        at = MBTilesSource(uri=uri, zoom=zoom)
        assert at.grid.resolution[0] == pytest.approx(2 * HALF / 256 / 2**zoom, rel=1e-12)
        with rasterio.open(uri, ZOOM_LEVEL=zoom) as file:
            row, col = (round(number) for number in place_of_gdal(at, file))
            expected = file.read()
            chip = at.read(Window(row, col, *file.shape))
        # Bounds that cut a pixel: GDAL rounds to the nearest, so its last pixels may lie outside ours.
        both = chip.valid & (expected[3] > 0)
        assert both[1:-1, 1:-1].all()
        assert np.array_equal(chip.data[:, both], expected[:3][:, both])


def test_a_zoom_that_is_not_there_names_those_that_are(tmp_path):
    blobs = {(4, 3, 3): png(), (7, 24, 24): png()}
    uri = write_tiles(tmp_path / "a.mbtiles", blobs)
    with pytest.raises(SourceError, match=r"no tiles at zoom 5, it has them at 4, 7"):
        MBTilesSource(uri=uri, zoom=5).check()


def test_a_pyramid_without_some_zooms_is_read_and_coarsened(tmp_path):
    blobs = {(9, 80 + x, 200 + y): png(seed=x + y) for x in range(2) for y in range(2)}
    blobs |= {(6, 10, 25): png(seed=9)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs))
    assert source.coarser(7.9) == source
    lower = source.coarser(8)
    assert lower.preflight().zoom == 6
    assert lower.grid.bounds == pytest.approx(source.grid.bounds)
    assert lower.grid.shape == (64, 64)
    assert np.array_equal(lower.read(lower.grid.whole).data, textured(256, 9)[:, -64:, :64])
    assert lower.coarser(100) == lower
    assert MBTilesSource(uri=source.uri, zoom=9).coarser(100).zoom == 9


def test_a_zoom_that_lacks_a_tile_over_the_finer_ones_is_not_taken(tmp_path):
    blobs = {(9, 80 + x, 200): png(seed=x) for x in range(4)}
    blobs |= {(8, 40, 100): png(), (7, 20, 50): png()}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs))
    assert source.coarser(2) == source
    assert source.coarser(4).zooms_lower == 2


def test_a_lower_zoom_that_covers_more_ground_is_cut_to_the_same(tmp_path):
    blobs = {(7, 50 + x, 60): png(seed=x) for x in range(2)}
    blobs |= {(1, x, y): png(seed=x) for x in range(2) for y in range(2)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs))
    lower = source.coarser(64)
    assert lower.zooms_lower == 6
    assert lower.grid.bounds == pytest.approx(source.grid.bounds)


@given(
    zoom=st.integers(1, 22),
    steps=st.integers(1, 4),
    data=st.data(),
)
def test_a_coarser_grid_covers_the_ground_of_the_finer_within_a_pixel(zoom, steps, data):
    from geoseg.sources.tiles.placement import TileGrid, _on_same_ground

    steps = min(steps, zoom)
    side = 256 << zoom
    row, col = (data.draw(st.integers(0, side - 1)) for _ in range(2))
    height, width = (data.draw(st.integers(1, min(side - first, 3000))) for first in (row, col))
    fine = TileGrid(zoom, 256, "tms", Window(row, col, height, width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geoseg.sources.tiles.placement.tile_size", lambda uri, zoom: 256)
        table = type("Table", (), {"uri": "a"})
        coarse = _on_same_ground(table, fine, zoom - steps).grid
    inner, outer, pixel = fine.grid.bounds, coarse.bounds, coarse.resolution[0]
    grown = [inner[0] - outer[0], inner[1] - outer[1], outer[2] - inner[2], outer[3] - inner[3]]
    assert all(-1e-7 < by < pixel for by in grown)


def test_a_window_past_the_edge_is_filled_and_not_valid(tmp_path):
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()}))
    chip = source.read(Window(-10, 250, 300, 40))
    assert chip.valid.sum() == 256 * 6
    assert not chip.data[:, ~chip.valid].any()
    assert np.array_equal(chip.data[:, 10:266, :6], textured(256, 0)[:, :, 250:])


@pytest.fixture(scope="module")
def read_whole(tmp_path_factory):
    """(source, all of its pixels)."""
    source = MBTilesSource(uri=gdal_tiles(tmp_path_factory.mktemp("tiles"), image(bands=4)))
    return source, source.read(source.grid.whole)


@given(
    row=st.integers(-300, 1000),
    col=st.integers(-300, 1200),
    height=st.integers(1, 600),
    width=st.integers(1, 600),
)
def test_any_window_equals_the_crop_of_the_whole(read_whole, row, col, height, width):
    source, whole = read_whole
    window = Window(row, col, height, width)
    data, valid = np.zeros((3, height, width), np.uint8), np.zeros((height, width), bool)
    common = window.intersection(source.grid.whole)
    if common is not None:
        into = common.relative_to(window).slices
        data[(slice(None), *into)] = whole.data[(slice(None), *common.slices)]
        valid[into] = whole.valid[common.slices]
    chip = source.read(window)
    assert np.array_equal(chip.data, data)
    assert np.array_equal(chip.valid, valid)


def test_rows_of_a_scan_equal_the_whole(tmp_path):
    source = MBTilesSource(uri=gdal_tiles(tmp_path, image(bands=4)))
    whole = source.read(source.grid.whole)
    for row, chip in source.iter_rows(200, 150):
        assert np.array_equal(chip.valid, whole.valid[row : row + 200])
        assert np.array_equal(chip.data, whole.data[:, row : row + 200])


def test_each_tile_is_decoded_once_for_overlapping_windows(tmp_path, monkeypatch):
    import geoseg.sources.mbtiles as module

    calls = []
    decode = module.decode
    monkeypatch.setattr(
        module, "decode", lambda blob, size: calls.append(1) or decode(blob, size=size)
    )
    blobs = {(8, 70 + x, 90 + y): png(seed=x + 3 * y) for x in range(3) for y in range(3)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs))
    for row in range(0, 600, 64):
        for col in range(0, 600, 64):
            source.read(Window(row, col, 128, 128))
    assert len(calls) == 9


def test_what_was_read_may_be_written_to(tmp_path):
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()}))
    first = source.read(source.grid.whole)
    kept = first.data.copy()
    first.data[:] = 0
    first.valid[:] = False
    second = source.read(source.grid.whole)
    assert np.array_equal(second.data, kept)
    assert second.valid.all()


def test_a_source_is_equal_by_value_and_survives_yaml_and_pickle(tmp_path):
    uri = write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()})
    source = MBTilesSource(
        uri=uri, zoom=8, nodata_color=(0, 1, 2), on_bad_tile="warn", scheme="tms"
    )
    source.read(Window(0, 0, 1, 1))
    assert RasterSource.from_yaml(source.to_yaml()) == source
    assert len({source, pickle.loads(pickle.dumps(source))}) == 1


def test_plain_text_that_ends_in_mbtiles_stands_for_the_source(tmp_path):
    uri = write_tiles(tmp_path / "A.MBTILES", {(8, 70, 90): png()})
    warped = WarpedSource(source=uri, onto=MBTilesSource(uri=uri).grid)
    assert isinstance(warped.source, MBTilesSource)


@pytest.mark.parametrize("wrong", [(0, 0), (0, 0, 256), (0, 0, -1)])
def test_a_colour_is_three_bytes(wrong):
    with pytest.raises(ValueError, match="nodata_color"):
        MBTilesSource(uri="a.mbtiles", nodata_color=wrong)


def test_a_file_may_have_any_name_and_be_named_from_the_working_folder(tmp_path, monkeypatch):
    write_tiles(tmp_path / "a b#c?d%41.mbtiles", {(8, 70, 90): png()})
    monkeypatch.chdir(tmp_path)
    assert MBTilesSource(uri="a b#c?d%41.mbtiles").read(Window(0, 0, 256, 256)).valid.all()


def test_a_file_that_changes_is_read_anew(tmp_path):
    uri = write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()})
    source = MBTilesSource(uri=uri)
    before = source.read(source.grid.whole)
    change(uri, "UPDATE tiles SET tile_data = ?", (png(seed=5),))
    after = source.read(source.grid.whole)
    assert np.array_equal(before.data, textured(256, 0))
    assert np.array_equal(after.data, textured(256, 5))


def test_changes_that_lie_in_the_write_ahead_log_are_read(tmp_path):
    uri = write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()})
    with closing(sqlite3.connect(uri)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        source = MBTilesSource(uri=uri)
        assert np.array_equal(source.read(source.grid.whole).data, textured(256, 0))
        writer.execute("UPDATE tiles SET tile_data = ?", (png(seed=5),))
        writer.commit()
        assert np.array_equal(source.read(source.grid.whole).data, textured(256, 5))
        close_tiles()


def test_tiles_may_be_a_view(tmp_path):
    blobs = {(8, 70 + x, 90): png(seed=x) for x in range(2)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs, view=True))
    assert source.preflight().tables == "view"
    assert_equals_gdal(source)


def test_handles_of_ended_threads_are_closed(tmp_path):
    uri = write_tiles(tmp_path / "a.mbtiles", {(8, 70, 90): png()})
    from geoseg.sources.tiles import database as tilefile

    before = len(tilefile._connections)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: tilefile.ask(uri, "SELECT COUNT(*) FROM tiles"), range(8)))
    gc.collect()
    assert len(tilefile._connections) <= before


class Windows(Dataset):
    """Random windows of a source as plain arrays."""

    def __init__(self, source):
        self.source = source
        rng = np.random.default_rng(1)
        height, width = source.grid.shape
        self.places = [
            (int(rng.integers(-50, height)), int(rng.integers(-50, width))) for _ in range(40)
        ]

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        chip = self.source.read(Window(*self.places[index], 130, 90))
        return chip.data.tobytes() + chip.valid.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # on newer Pythons
def test_workers_of_either_start_give_the_same_bytes(tmp_path, start, workers):
    data = Windows(MBTilesSource(uri=gdal_tiles(tmp_path, image(bands=4), TILE_FORMAT="WEBP")))
    serial = [data[i] for i in range(len(data))]
    mbtiles._decoded.clear()  # so that forked workers read the file, which is open here
    context = multiprocessing.get_context(start)
    loader = DataLoader(
        data, None, num_workers=workers, multiprocessing_context=context, in_order=True
    )
    assert list(loader) == serial


@pytest.mark.slow
def test_threads_on_one_source_give_the_same_bytes(tmp_path):
    data = Windows(MBTilesSource(uri=gdal_tiles(tmp_path, image(bands=4), TILE_FORMAT="JPEG")))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(data.__getitem__, list(range(len(data))) * 5))
    assert found == [data[i] for i in range(len(data))] * 5


def test_a_colour_between_tolerances_is_not_valid_and_lower_zooms_are_not_read_for_it(tmp_path):
    array = np.full((3, 256, 256), 200, np.uint8)
    rows, cols = np.indices((256, 256))
    collar = cols + rows // 3 < 90  # a slanted edge, around which JPEG rings
    array[:, collar] = 0
    blobs = {(12, 1000, 2000): picture(array, "JPEG", QUALITY=75)}
    blobs |= {(11, 500, 1000): picture(array[:, ::2, ::2].repeat(2, 1).repeat(2, 2), "JPEG")}
    uri = write_tiles(tmp_path / "collar.mbtiles", blobs)
    exact = MBTilesSource(uri=uri, nodata_color="#000000")
    source = MBTilesSource(uri=uri, nodata_color=(0, 0, 0), nodata_tolerance=60)

    assert exact.read(exact.grid.whole).valid[collar].any()
    chip = source.read(source.grid.whole)
    far = np.abs(cols + rows // 3 - 90) > 16  # of a block of 8 pixels on both sides
    np.testing.assert_array_equal(chip.valid[far], ~collar[far])
    assert not chip.valid[collar].any()
    assert source.coarser(2) is source
    assert MBTilesSource(uri=uri).coarser(2).zooms_lower == 1


def test_it_is_known_without_decoding_where_no_tile_is(tmp_path, monkeypatch):
    blobs = {(9, 300 + x, 200 + y): png(seed=x + y) for x, y in ((0, 0), (3, 1), (1, 4))}
    source = MBTilesSource(uri=write_tiles(tmp_path / "sparse.mbtiles", blobs))
    rng = np.random.default_rng(5)
    windows = [
        Window(*(int(n) for n in (rng.integers(-300, 1500), rng.integers(-300, 1300), 90, 130)))
        for _ in range(80)
    ]
    expected = [not source.read(window).valid.any() for window in windows]
    monkeypatch.setattr(mbtiles, "_tile", None)
    assert [source.surely_empty(window) for window in windows] == expected
    assert {True, False} == set(expected)


def test_random_windows_of_a_sparse_pyramid_hold_pixels(tmp_path):
    # A window in ten meets a tile; of 32 tries all fail once in thirty times.
    blobs = {(9, 300 + 2 * i, 200 + 2 * i): png(seed=i) for i in range(4)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "sparse.mbtiles", blobs))
    onto = source.grid.reprojected("EPSG:4326")
    for image in (source, WarpedSource(source=source, onto=onto)):
        windows = RandomWindows([Scene(id="s", image=image)], 32, length=40, seed=2)
        drawn = windows.draw_many(range(40), epoch=1)
        held = [image.read(Window(*box)).valid.any() for _, *box in drawn.tolist()]
        assert np.mean(held) > 0.9
        one_by_one = [windows.draw(i, epoch=1) for i in range(40)]
        assert one_by_one == [(scene, Window(*box)) for scene, *box in drawn.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("zooms_to_go", [0, 3])
def test_a_warped_pyramid_is_surely_empty_where_no_pixel_comes_of_it_and_hardly_less(
    tmp_path, zooms_to_go
):
    blobs = {(9, 300 + 2 * i, 200 + 2 * i): png(seed=i) for i in range(4)}
    lower = {(9 - z, x >> z, y >> z) for z in range(1, zooms_to_go + 1) for _, x, y in blobs}
    blobs |= {place: png(seed=1) for place in lower}
    source = MBTilesSource(uri=write_tiles(tmp_path / "sparse.mbtiles", blobs))
    pixel = 0.0026 * (1 if zooms_to_go == 0 else 17)
    onto = source.grid.reprojected("EPSG:4326", resolution=pixel)
    for method in ("exact", "gdal"):
        warped = WarpedSource(source=source, onto=onto, method=method)
        assert (warped.plan.source == source) == (zooms_to_go == 0)
        valid = warped.read(onto.whole).valid
        rng = np.random.default_rng(3)
        told, found = [], []
        for size in (1, 7, 32) * 200:
            row, col = (int(rng.integers(-5, side)) for side in onto.shape)
            window = Window(row, col, size, size)
            told.append(warped.surely_empty(window))
            part = window.intersection(onto.whole)
            found.append(part is None or not valid[part.slices].any())
        told, found = np.array(told), np.array(found)
        assert not (told & ~found).any()
        assert (found & ~told).mean() < (0.01 if zooms_to_go == 0 else 0.12)


def test_a_pyramid_found_from_the_other_side_of_the_antimeridian_is_not_surely_empty(tmp_path):
    blobs = {(6, column, 30): png(seed=column) for column in (0, 1, 60)}
    source = MBTilesSource(uri=write_tiles(tmp_path / "pacific.mbtiles", blobs))
    step = 2 * HALF / 2**14
    east = Grid(
        crs="EPSG:3857",
        transform=Affine(step, 0, HALF - 500.5 * step, 0, -step, source.grid.bounds[3]),
        height=256,
        width=1000,
    )
    warped = WarpedSource(source=source, onto=east)
    valid = warped.read(east.whole).valid
    assert valid[:, 505:900].all()
    for col in range(0, 968, 32):
        window = Window(100, col, 32, 32)
        assert not (warped.surely_empty(window) and valid[window.slices].any())
