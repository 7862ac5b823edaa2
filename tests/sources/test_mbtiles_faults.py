"""MBTiles that are damaged, mislabelled, locked, or none at all: each is found and told with its place."""

from __future__ import annotations

import gzip
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources import mbtiles
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.tiles import database as tilefile
from geoseg.sources.tiles.image import BadTileError, decode, size_of
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window
from tests.sources.tilemaking import (
    change,
    degrees,
    picture,
    png,
    textured,
    write_tiles,
)

ZOOM, COLUMN, ROW = 10, 600, 540
BLOBS = {(ZOOM, COLUMN + x, ROW + y): png(seed=x + 3 * y) for x in range(3) for y in range(2)}
BOUNDS = degrees(ZOOM, COLUMN, ROW, COLUMN + 2, ROW + 1)
PLACE = (ZOOM, COLUMN + 1, ROW)
"""The tile that is damaged: the lower one in the middle."""
UNDER_IT = Window(256, 256, 256, 256)
TEXT = f"{ZOOM}/{COLUMN + 1}/{ROW}"
WHERE = "zoom_level = ? AND tile_column = ? AND tile_row = ?"
PNG, JPEG, WEBP = (picture(textured(256, 7), driver) for driver in ("PNG", "JPEG", "WEBP"))

FAULTS = {
    "garbage": (b"this is no picture", "no PNG, JPEG or WebP"),
    "empty": (b"", "empty"),
    "null": (None, "empty"),
    "half a png": (png(seed=4)[: len(png(seed=4)) // 2], "breaks off"),
    "a png without its end": (png(seed=4)[:-5], "breaks off"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "damaged"),
    "a jpeg without its end": (JPEG[:-2], "damaged"),
    "half a webp": (WEBP[: len(WEBP) // 2], "damaged"),
    "a png with noise in it": (png(seed=4)[:900] + b"noise" + png(seed=4)[905:], "damaged"),
    "a jpeg with noise in it": (JPEG[:900] + b"noise" * 5 + JPEG[925:], "damaged"),
    "another size": (png(128), "128 x 128 px, the others are 256 x 256"),
    "16 bits": (picture(textured(256, 1).astype(np.uint16)), "uint16"),
    "vector": (gzip.compress(b"features"), "no PNG, JPEG or WebP"),
    "five bytes of png": (png()[:12], "breaks off"),
}


def good(folder, blobs=BLOBS, name="a.mbtiles", **metadata):
    return write_tiles(folder / name, blobs, **{"bounds": BOUNDS, "format": "png", **metadata})


def damaged(folder, blob):
    uri = good(folder)
    change(uri, f"UPDATE tiles SET tile_data = ? WHERE {WHERE}", (blob, *PLACE))
    return uri


@pytest.mark.parametrize(("blob", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_a_bad_tile_is_found_with_place_and_reason(tmp_path, blob, reason):
    source = MBTilesSource(uri=damaged(tmp_path, blob))
    report = source.preflight()
    assert [bad[:3] for bad in report.bad_tiles] == [PLACE]
    assert reason in report.bad_tiles[0][3]
    assert f"tile {TEXT} (on web maps y={2**ZOOM - 1 - ROW})" in str(report)
    assert (report.missing, report.decoded) == (0, 6)
    for read in (source.check, lambda: source.read(source.grid.whole)):
        with pytest.raises(SourceError, match=rf"a\.mbtiles.*{TEXT}.*{reason}"):
            read()
    assert source.read(Window(0, 0, 256, 700)).valid.all()  # the tiles above are good


@pytest.mark.parametrize("blob", [FAULTS["garbage"][0], FAULTS["half a png"][0], b""])
def test_a_bad_tile_that_is_ignored_is_not_valid(tmp_path, blob):
    source = MBTilesSource(uri=damaged(tmp_path, blob), on_bad_tile="ignore")
    source.check()
    valid = source.read(source.grid.whole).valid
    expected = np.ones((512, 768), bool)
    expected[UNDER_IT.slices] = False
    assert np.array_equal(valid, expected)
    assert [bad[:3] for bad in source.preflight().bad_tiles] == [PLACE]


def test_of_each_bad_tile_it_is_warned_once(tmp_path):
    uri = damaged(tmp_path, b"garbage")
    change(uri, f"UPDATE tiles SET tile_data = ? WHERE {WHERE}", (b"", ZOOM, COLUMN, ROW))
    source = MBTilesSource(uri=uri, on_bad_tile="warn")
    with pytest.warns(UserWarning, match=rf"1 tile cannot .*{TEXT}"):
        chip = source.read(UNDER_IT)
    assert not chip.valid.any()
    source.read(UNDER_IT)
    with pytest.warns(UserWarning, match=rf"1 tile cannot .*{ZOOM}/{COLUMN}/{ROW}"):
        source.check()
    source.read(source.grid.whole)


def test_many_bad_tiles_are_one_warning_with_their_number(tmp_path):
    blobs = {(ZOOM, COLUMN + x, ROW + 20): b"x" for x in range(15)}
    uri = good(tmp_path, {**BLOBS, **blobs}, bounds="none", scheme="tms")
    source = MBTilesSource(uri=uri, on_bad_tile="warn")
    with pytest.warns(UserWarning, match="15 tiles cannot be decoded.* and 5 more") as caught:
        source.check()
    assert len(caught) == 1


def test_a_deleted_tile_is_reported_and_not_valid(tmp_path):
    uri = good(tmp_path)
    change(uri, f"DELETE FROM tiles WHERE {WHERE}", PLACE)
    source = MBTilesSource(uri=uri)
    source.check()
    report = source.preflight()
    assert (report.missing, report.first_missing, report.bad_tiles) == (1, (PLACE,), ())
    assert f"missing tiles: 1, first {TEXT}" in str(report)
    valid = source.read(source.grid.whole).valid
    assert not valid[UNDER_IT.slices].any()
    assert valid.sum() == 5 * 256 * 256


@settings(max_examples=12)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=35))
def test_exactly_the_tiles_that_are_not_there_are_missing(there):
    rows = [row for _, row in there]
    columns = [column for column, _ in there]
    expected = [
        (5, column, row)
        for row in range(max(rows), min(rows) - 1, -1)
        for column in range(min(columns), max(columns) + 1)
        if (column, row) not in there
    ]
    with tempfile.TemporaryDirectory() as folder:
        blobs = {(5, column, row): PNG for column, row in there}
        report = MBTilesSource(uri=write_tiles(f"{folder}/a.mbtiles", blobs)).preflight(
            decode="none"
        )
        tilefile.close_tiles()
    assert report.missing == len(expected)
    assert list(report.first_missing) == expected[:10]


def test_the_size_is_that_of_most_tiles_wherever_the_odd_one_lies(tmp_path):
    uri = good(tmp_path, {**BLOBS, (ZOOM, COLUMN, ROW): png(128)})
    report = MBTilesSource(uri=uri).preflight()
    assert report.tile_size == 256
    assert [bad[:3] for bad in report.bad_tiles] == [(ZOOM, COLUMN, ROW)]


def test_what_gdal_reads_as_black_is_not_valid_here(tmp_path):
    uri = damaged(tmp_path, b"garbage")
    with rasterio.open(uri) as file:
        black = file.read()[:, 256:, 256:512]
    assert not black.any()  # and GDAL says nothing
    chip = MBTilesSource(uri=uri, on_bad_tile="ignore").read(UNDER_IT)
    assert not chip.valid.any()


def test_a_sample_looks_at_some_tiles_and_none_at_none(tmp_path):
    blobs = {(ZOOM, COLUMN + x, ROW): b"x" if x else png(8) for x in range(400)}
    source = MBTilesSource(uri=good(tmp_path, blobs, bounds="none"))
    whole, some, none = (source.preflight(decode=how) for how in ("all", "sample", "none"))
    assert (len(whole.bad_tiles), whole.decoded) == (399, 400)
    assert (len(some.bad_tiles), some.decoded) == (255, 256)
    assert (len(none.bad_tiles), none.decoded) == (0, 0)
    assert none.tiles == 400


@pytest.mark.parametrize("maxzoom", [8, 14])
def test_a_wrong_maxzoom_is_warned_of_naming_both_and_the_zoom_that_exists_is_read(
    tmp_path, maxzoom
):
    source = MBTilesSource(uri=good(tmp_path, maxzoom=str(maxzoom)))
    with pytest.warns(UserWarning, match=f"maxzoom {maxzoom}, but .* zoom with tiles is {ZOOM}"):
        source.check()
    assert source.read(source.grid.whole).valid.all()
    assert any(f"maxzoom {maxzoom}" in note for note in source.preflight().notes)
    MBTilesSource(uri=source.uri, zoom=ZOOM).check()  # a zoom that is named is meant


def numbers(bounds):
    return [f"{number:.3f}"[:-1] for number in bounds]


def test_swapped_bounds_are_an_error_with_bounds_and_extent(tmp_path):
    left, bottom, right, top = BOUNDS
    source = MBTilesSource(uri=good(tmp_path, bounds=(bottom, left, top, right)))
    with pytest.raises(SourceError, match="latitude and longitude swapped") as caught:
        source.check()
    report = source.preflight()
    assert report.problems == (str(caught.value),)
    for number in numbers(BOUNDS):
        assert str(caught.value).count(number) == 2, number
    cured = MBTilesSource(uri=source.uri, use_bounds=False)
    cured.check()
    assert cured.read(cured.grid.whole).valid.all()


def test_swapped_bounds_with_a_longitude_above_90_are_found_too(tmp_path):
    blobs = {(8, 230, 150): png()}
    left, bottom, right, top = degrees(8, 230, 150, 230, 150)
    assert left > 91
    source = MBTilesSource(uri=good(tmp_path, blobs, bounds=(bottom, left, top, right)))
    with pytest.raises(SourceError, match="swapped"):
        source.check()


def test_bounds_elsewhere_are_an_error_with_bounds_and_extent(tmp_path):
    source = MBTilesSource(uri=good(tmp_path, bounds="-70.0,-20.0,-60.0,-10.0"))
    with pytest.raises(SourceError, match=r"hold none of its tiles.*use_bounds=False"):
        source.check()


def from_top(blobs):
    return {(z, x, 2**z - 1 - row): blob for (z, x, row), blob in blobs.items()}


def test_rows_from_the_top_are_an_error_or_repaired_to_the_same_pixels(tmp_path):
    right = MBTilesSource(uri=good(tmp_path))
    wrong = good(tmp_path, from_top(BLOBS), name="xyz.mbtiles")
    with pytest.raises(SourceError, match=r"count from the top \(XYZ\).*scheme='xyz'"):
        MBTilesSource(uri=wrong).check()
    report = MBTilesSource(uri=wrong).preflight()
    assert report.scheme == "xyz"
    assert "count from the top" in str(report)
    assert right.preflight().scheme == "tms"
    repaired = MBTilesSource(uri=wrong, scheme="xyz")
    repaired.check()
    assert repaired.grid == right.grid
    expected, found = (source.read(right.grid.whole) for source in (right, repaired))
    assert np.array_equal(expected.data, found.data)
    assert found.valid.all()
    assert repaired.preflight().missing == 0


def test_bad_tiles_of_rows_from_the_top_have_one_name(tmp_path):
    blobs = from_top({**BLOBS, PLACE: b"x"})
    source = MBTilesSource(uri=good(tmp_path, blobs), scheme="xyz")
    assert source.preflight().bad_tiles[0][:3] == (ZOOM, COLUMN + 1, 2**ZOOM - 1 - ROW)
    assert f"tile {ZOOM}/{COLUMN + 1}/{2**ZOOM - 1 - ROW}: it" in str(source.preflight())


def test_a_scheme_in_the_metadata_counts_where_bounds_tell_nothing(tmp_path):
    unclear = good(tmp_path, bounds="-180,-85,180,85", scheme="xyz")
    with pytest.raises(SourceError, match="no bounds tell"):
        MBTilesSource(uri=unclear).check()
    MBTilesSource(uri=unclear, scheme="tms").check()
    MBTilesSource(uri=good(tmp_path, name="b.mbtiles", scheme="xyz")).check()  # the bounds say tms


@given(zoom=st.integers(3, 20), data=st.data())
def test_the_way_rows_count_is_found_wherever_the_tiles_lie(zoom, data):
    from geoseg.sources.tiles.placement import place
    from geoseg.sources.tiles.table import Extent, TileTable

    n = 2**zoom
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first, min(first + 9, n - 1)))
    bounds = degrees(zoom, 5, first, 7, last)
    metadata = {"bounds": ",".join(map(repr, bounds))}
    for scheme, rows in (("tms", (first, last)), ("xyz", (n - 1 - last, n - 1 - first))):
        table = TileTable("a", "table", metadata, {zoom: Extent(1, 5, 7, *rows)})
        found = place(table, scheme=None, use_bounds=True)
        symmetric = first + last == n - 1
        if not symmetric:
            assert found.found == scheme
        assert bool(found.problem) == (scheme == "xyz" and not symmetric)


def test_the_center_tells_which_way_rows_count_where_bounds_do_not(tmp_path):
    left, bottom, right, top = BOUNDS
    for center in (f"{(left + right) / 2},{(bottom + top) / 2},{ZOOM}", f"{left},{top},3"):
        world = {"bounds": "-180,-85.0511,180,85.0511", "center": center}
        right_way = MBTilesSource(uri=good(tmp_path, name="tms.mbtiles", **world))
        wrong = good(tmp_path, from_top(BLOBS), name="xyz.mbtiles", **world)
        right_way.check()
        assert right_way.preflight().scheme == "tms"
        with pytest.raises(SourceError, match=r"count from the top .* hold the center"):
            MBTilesSource(uri=wrong).check()
        repaired = MBTilesSource(uri=wrong, scheme="xyz")
        repaired.check()
        assert repaired.grid == right_way.grid
        for file in tmp_path.iterdir():
            file.unlink()
    bounded = good(tmp_path, name="b.mbtiles", center="-70,30")  # a center elsewhere tells nothing
    MBTilesSource(uri=bounded).check()


@pytest.mark.parametrize("center", ["0,0,3", "here", "nan,nan"])
def test_it_is_warned_of_where_nothing_tells_which_way_rows_count(tmp_path, center):
    world = {"bounds": "-180,-85.0511,180,85.0511", "center": center}
    source = MBTilesSource(uri=good(tmp_path, **world))
    text = r"nothing tells which way tile rows count.*give scheme='tms' or scheme='xyz'"
    with pytest.warns(UserWarning, match=text):
        source.check()
    assert any("nothing tells which way" in note for note in source.preflight().notes)
    MBTilesSource(uri=source.uri, scheme="tms").check()
    MBTilesSource(uri=good(tmp_path, name="said.mbtiles", scheme="tms", **world)).check()
    middle = {(3, 5, row): png(seed=row) for row in range(2, 6)}  # the same either way
    MBTilesSource(uri=good(tmp_path, middle, name="middle.mbtiles", **world)).check()


def chunk(kind, content):
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("kind", [0, 2, 6])
def test_a_png_that_lacks_rows_is_bad_though_all_its_chunks_are_whole(size, kind):
    def png_of(rows):
        row = b"\0" + bytes([100]) * (size * {0: 1, 2: 3, 6: 4}[kind])
        head = struct.pack(">IIBBBBB", size, size, 8, kind, 0, 0, 0)
        body = zlib.compress(row * rows)
        parts = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + parts

    assert (decode(png_of(size), size=size).data == 100).all()
    for rows in (size - 1, size // 2, 1):
        for _ in range(4):  # what GDAL finds in the missing rows hangs on memory
            with pytest.raises(BadTileError, match="damaged"):
                decode(png_of(rows), size=size)


def test_rows_of_the_table_without_whole_numbers_are_no_tiles(tmp_path):
    uri = good(tmp_path)
    for place in ((3.5, 1, 1), (ZOOM, COLUMN + 0.5, ROW), (ZOOM, COLUMN, "some"), (None, 1, 1)):
        change(uri, "INSERT INTO tiles VALUES (?, ?, ?, ?)", (*place, png()))
    source = MBTilesSource(uri=uri)
    source.check()
    report = source.preflight()
    assert (report.zooms, report.tiles) == ((ZOOM,), 6)


def test_tiles_without_an_index_are_noted(tmp_path):
    uri = good(tmp_path)

    def noted():
        return any(
            "no index finds a tile" in note for note in MBTilesSource(uri=uri).preflight().notes
        )

    assert not noted()
    change(uri, "DROP INDEX place")
    assert noted()
    change(uri, "CREATE INDEX zooms ON tiles (zoom_level)")
    assert noted()
    change(uri, "CREATE INDEX place ON tiles (zoom_level, tile_column, tile_row)")
    assert not noted()
    view = write_tiles(tmp_path / "view.mbtiles", BLOBS, view=True, bounds=BOUNDS)
    uri = view
    assert noted()
    change(view, "CREATE UNIQUE INDEX m ON map (zoom_level, tile_column, tile_row)")
    assert noted()  # pictures are looked for by their id
    change(view, "CREATE UNIQUE INDEX i ON images (tile_id)")
    assert not noted()


def test_a_bad_tile_of_a_lower_zoom_is_found_by_the_check_of_the_warp_that_reads_it(tmp_path):
    fine = {(ZOOM + 3, 8 * COLUMN + x, 8 * ROW + y): PNG for x in range(8) for y in range(8)}
    lower = {(ZOOM + 1, 2 * COLUMN + x, 2 * ROW + y): PNG for x in range(2) for y in range(2)}
    lower[ZOOM + 1, 2 * COLUMN + 1, 2 * ROW] = b"garbage!"
    bounds = degrees(ZOOM, COLUMN, ROW, COLUMN, ROW)
    source = MBTilesSource(uri=good(tmp_path, {**fine, **lower}, bounds=bounds))
    source.check()
    grid = source.grid
    coarse = Grid(crs=grid.crs, transform=grid.transform @ Affine.scale(9), height=227, width=227)
    warped = WarpedSource(source=source, onto=coarse)
    assert warped.plan.source.zooms_lower == 2
    with pytest.raises(SourceError, match=rf"{ZOOM + 1}/{2 * COLUMN + 1}/{2 * ROW}"):
        warped.check()
    WarpedSource(source=source, onto=coarse, overviews="none").check()


def test_files_that_are_no_mbtiles_have_messages_of_their_own(tmp_path):
    def message(uri):
        with pytest.raises(SourceError) as caught:
            MBTilesSource(uri=uri).check()
        with pytest.raises(SourceError):
            MBTilesSource(uri=uri).preflight()
        assert uri in str(caught.value)
        return str(caught.value).replace(uri, "")

    def written(name, content):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    vector = {(5, 3, 3): gzip.compress(b"\x1a\x04layer")}
    with closing(sqlite3.connect(tmp_path / "other.mbtiles")) as file:
        file.execute("CREATE TABLE roads (id integer)")
    with closing(sqlite3.connect(tmp_path / "columns.mbtiles")) as file:
        file.execute("CREATE TABLE tiles (zoom_level integer)")
    with closing(sqlite3.connect(tmp_path / "geopackage.mbtiles")) as file:
        file.execute("CREATE TABLE gpkg_contents (id integer)")
    whole = Path(good(tmp_path, name="whole.mbtiles")).read_bytes()
    (tmp_path / "folder.mbtiles").mkdir()
    expected = {
        good(
            tmp_path, vector, name="vector.mbtiles", format="pbf"
        ): "holds vector tiles (format pbf)",
        written("text.mbtiles", b"tiles of Zanzibar, 2017"): "is a text file",
        written("empty.mbtiles", b""): "is empty (0 bytes)",
        good(tmp_path, name="renamed.db"): "rename it to end in .mbtiles",
        str(tmp_path / "other.mbtiles"): "without a table tiles (it has roads)",
        str(tmp_path / "columns.mbtiles"): "lacks the column tile_column, tile_data, tile_row",
        str(tmp_path / "geopackage.mbtiles"): "is a GeoPackage",
        written("cut.mbtiles", whole[: len(whole) // 2]): "truncated or damaged",
        written("cut2.mbtiles", whole[:60]): "truncated or damaged",
        good(tmp_path, {}, name="none.mbtiles"): "holds no tile",
        str(tmp_path / "whle.mbtiles"): "did you mean whole.mbtiles?",
        str(tmp_path / "folder.mbtiles"): "is a folder",
        f"/vsizip/{tmp_path}/a.zip/a.mbtiles": "unpack or download",
        "https://example.org/a.mbtiles": "unpack or download",
        written("zip.mbtiles", b"PK\x03\x04 and more"): "is a zip archive",
        written("pm.mbtiles", b"PMTiles\x03 and more"): "is a PMTiles archive",
        good(tmp_path, dict.fromkeys(BLOBS, b"junk!"), name="junk.mbtiles"): "none of its 6 tiles",
        good(tmp_path, dict.fromkeys(BLOBS, b""), name="blank.mbtiles"): "6 are empty",
    }
    found = {uri: message(uri) for uri in expected}
    for uri, text in expected.items():
        assert text in found[uri], found[uri]
    assert len({text[:25] for text in found.values()}) >= len(expected) - 4


def test_a_file_without_metadata_is_read_and_the_report_says_so(tmp_path):
    uri = good(tmp_path)
    change(uri, "DROP TABLE metadata")
    source = MBTilesSource(uri=uri)
    with pytest.warns(UserWarning, match="nothing tells which way tile rows count"):
        source.check()
    report = source.preflight()
    assert "there is no table metadata" in report.notes
    assert (report.format, report.bounds) == (None, None)
    assert source.read(source.grid.whole).valid.all()


def test_a_format_in_the_metadata_that_is_not_true_is_reported(tmp_path):
    report = MBTilesSource(uri=good(tmp_path, format="jpg")).preflight()
    assert (report.format, report.formats) == ("jpg", (("png", 6),))


def test_a_minzoom_in_the_metadata_that_is_not_true_is_reported(tmp_path):
    report = MBTilesSource(uri=good(tmp_path, minzoom="3")).preflight()
    assert any(f"minzoom 3, but the smallest zoom with tiles is {ZOOM}" in n for n in report.notes)


def test_a_zoom_whose_tiles_lie_outside_the_bounds_is_an_error(tmp_path):
    source = MBTilesSource(uri=good(tmp_path, {**BLOBS, (3, 0, 0): png()}), zoom=3)
    with pytest.raises(
        SourceError, match=r"no tile of zoom 3 lies in the bounds.*use_bounds=False"
    ):
        source.check()
    MBTilesSource(uri=source.uri, zoom=3, use_bounds=False).check()


def test_tiles_that_are_not_square_are_an_error(tmp_path):
    wide = picture(textured(256, 1)[:, :128])
    with pytest.raises(SourceError, match="are 256 x 128 px, expected squares"):
        MBTilesSource(uri=good(tmp_path, dict.fromkeys(BLOBS, wide))).check()


def test_changes_in_a_log_that_cannot_be_read_are_told_of(tmp_path):
    uri = good(tmp_path)
    Path(f"{uri}-wal").write_bytes(b"not merged yet")
    for text in ("unable to open database file", "attempt to write a readonly database"):
        error = sqlite3.OperationalError(text)
        with pytest.raises(sqlite3.OperationalError):
            tilefile._as_it_lies(uri, error)
        assert "copy both files" in tilefile._why_no_answer(uri, error)


def test_a_tile_that_is_there_twice_is_reported(tmp_path):
    uri = good(tmp_path)
    change(uri, "DROP INDEX place")
    change(uri, "INSERT INTO tiles VALUES (?, ?, ?, ?)", (*PLACE, png(seed=9)))
    report = MBTilesSource(uri=uri).preflight()
    assert report.missing == 0
    assert any("1 tiles at zoom 10 are there more than once" in note for note in report.notes)


def test_places_outside_the_world_are_no_tiles(tmp_path):
    uri = good(tmp_path, {**BLOBS, (3, 8, 0): png(), (3, 0, -1): png(), (77, 0, 0): png()})
    assert MBTilesSource(uri=uri).preflight().zooms == (ZOOM,)


def test_a_writer_that_has_changed_nothing_yet_does_not_stop_readers(tmp_path, monkeypatch):
    monkeypatch.setattr(tilefile, "_PATIENCE_S", 0.05)
    source = MBTilesSource(uri=good(tmp_path))
    with closing(sqlite3.connect(source.uri, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.warns(UserWarning, match="another program holds it"):
            chip = source.read(source.grid.whole)
        assert chip.valid.all()
        assert np.array_equal(chip.data[:, :256, :256], textured(256, 3))
        writer.execute("UPDATE tiles SET tile_data = ?", (png(seed=5),))
        writer.execute("COMMIT")
    assert np.array_equal(source.read(Window(0, 0, 256, 256)).data, textured(256, 5))
    assert tilefile.ask(source.uri, "PRAGMA journal_mode") == [("delete",)]


def test_a_writer_half_way_through_a_change_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tilefile, "_PATIENCE_S", 0.05)
    source = MBTilesSource(uri=good(tmp_path))
    with closing(sqlite3.connect(source.uri, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("UPDATE tiles SET tile_data = ?", (png(seed=5),))
        with pytest.raises(SourceError, match="another program is writing to it"):
            source.check()
        writer.execute("ROLLBACK")
    source.check()


READ_ONLY = """
import os, sys
from geoseg.sources.mbtiles import MBTilesSource

def read(uri):
    source = MBTilesSource(uri=uri)
    source.check()
    assert source.read(source.grid.whole).valid.all()

read(sys.argv[1])  # so that all is imported that only root may read
if os.getuid() == 0:
    os.setuid(65534)
read(sys.argv[2])
try:
    open(sys.argv[2] + "-shm", "wb")
except PermissionError:
    print("read")
"""


@pytest.mark.slow  # starts a Python
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_file_in_a_folder_that_may_not_be_written_is_read(tmp_path, journal):
    # Not below tmp_path: only its owner may look into that.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = good(folder)
        change(uri, f"PRAGMA journal_mode={journal}")
        assert [file.name for file in folder.iterdir()] == ["a.mbtiles"]
        Path(uri).chmod(0o444)
        folder.chmod(0o555)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", READ_ONLY, good(tmp_path), uri],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        folder.chmod(0o755)
    assert done.stdout == "read\n", done.stderr


@settings(max_examples=40)
@given(cut=st.integers(1, 5000), blob=st.sampled_from([PNG, JPEG, WEBP]))
def test_no_picture_that_was_cut_is_read(cut, blob):
    with pytest.raises(BadTileError):
        decode(blob[: -min(cut, len(blob))], size=256)


@pytest.mark.parametrize(
    ("driver", "bands", "options"),
    [
        ("PNG", 3, {}),
        ("PNG", 4, {}),
        ("JPEG", 3, {}),
        ("JPEG", 3, {"PROGRESSIVE": True}),
        ("WEBP", 3, {}),
        ("WEBP", 4, {}),
        ("WEBP", 3, {"LOSSLESS": True}),
        ("WEBP", 4, {"LOSSLESS": True}),
    ],
)
def test_the_head_of_a_picture_tells_its_size(driver, bands, options):
    array = np.concatenate([textured(300, 1)[:, :200], textured(300, 1)[:, :200]])[:bands]
    array[-1] //= 2  # alpha that is not whole is kept
    assert size_of(picture(array, driver, **options)) == (200, 300)


def test_decoding_warns_of_nothing_whatever_gdal_is_set_to():
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"),
    ):
        warnings.simplefilter("error")
        for blob in (PNG, JPEG, WEBP):
            assert decode(blob, size=256).valid is None


def test_of_very_many_tiles_a_check_decodes_some_that_are_spread_evenly_and_says_so(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(mbtiles, "_CHECKED", 5)
    blobs = {(6, 20 + i, 30): png(seed=i) for i in range(13)}
    blobs |= {(6, 26, 30): b"garbage"}
    uri = write_tiles(tmp_path / "many.mbtiles", blobs, scheme="tms")

    with caplog.at_level("INFO", "geoseg"), pytest.raises(SourceError, match="6/26/30"):
        MBTilesSource(uri=uri).check()
    assert "5 of 13 tiles" in caplog.text
    assert len(MBTilesSource(uri=uri).preflight().bad_tiles) == 1
