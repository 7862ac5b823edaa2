"""An index that is built once: when it is built anew, and several processes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg.errors import ConfigError, GridError, StaleIndexError, StoreError
from geoseg.sampling.windowindex import WindowIndex, turns
from geoseg.sampling.windowindex.note import Note, side_note
from geoseg.window import Window
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def masks(write_raster):
    """Two masks of 50 x 70 pixels."""
    return [write_raster(f"{name}.tif", np.zeros((50, 70), np.uint8)) for name in "ab"]


@pytest.fixture(params=["csv", "parquet"])
def uri(request, tmp_path):
    """The path of an index that is not there yet."""
    return str(tmp_path / "kept" / f"index.{request.param}")


@pytest.fixture
def opened(monkeypatch):
    """The files that rasterio opens."""
    found = []
    real = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: found.append(path) or real(path, *a, **k)
    )
    return found


def anew(told=""):
    """Expects to be told that an index is built anew, and why."""
    return pytest.warns(UserWarning, match=f"was built otherwise and is built anew: .*{told}")


def state(uri):
    """What changes when a file is written."""
    found = Path(uri).stat()
    return found.st_mtime_ns, found.st_ino


def files_beside(uri):
    return set(Path(uri).parent.iterdir())


def cached(uri, masks, **options):
    return WindowIndex.cached(uri, masks, **{"patch_size": 32, **options})


def test_it_is_built_once_and_read_then(uri, masks, opened):
    built = cached(uri, masks)
    assert opened == masks
    assert list(built) == list(WindowIndex.build(masks, patch_size=32))
    before = state(uri)
    again = cached(uri, masks)
    assert list(again) == list(built)
    assert state(uri) == before
    assert opened[4:] == masks
    pd.testing.assert_frame_equal(again.table, built.table)
    assert list(cached(uri, None)) == list(built)
    assert files_beside(uri) == {Path(uri), *([side_note(uri)] if uri.endswith("csv") else [])}


def touch(path):
    os.utime(path, ns=(1, 1))


def regrid(path):
    with rasterio.open(path, "r+") as file:
        file.transform = Affine(10, 0, 500_030, 0, -10, 4_000_000)


def grow(path):
    with rasterio.open(path) as file:
        profile = file.profile
    with rasterio.open(path, "w", **{**profile, "height": 90}) as file:
        file.write(np.zeros((90, 70), np.uint8), 1)


CHANGES = {
    "patch": (
        {"patch_size": 16},
        "patch_size was 32 x 32, is 16 x 16; stride was 32 x 32, is 16 x 16",
    ),
    "stride": ({"stride": 8}, "otherwise: stride was 32 x 32, is 8 x 8; remove"),
    "edge": ({"edge": "pad"}, "otherwise: edge was 'flush', is 'pad'; remove"),
    "key": ({"key": "label"}, "otherwise: the mask column was 'mask_path', is 'label'; remove"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_settings_make_it_anew_or_are_told(uri, masks, change):
    options, told = CHANGES[change]
    cached(uri, masks)
    before = state(uri)
    with pytest.raises(StaleIndexError, match=told):
        cached(uri, masks, **options, on_stale="raise")
    assert state(uri) == before
    with anew(told.removeprefix("otherwise: ").removesuffix("; remove")):
        found = cached(uri, masks, **options)
    expected = WindowIndex.build(masks, **{"patch_size": 32, **options})
    assert list(found) == list(expected)
    assert list(cached(uri, masks, **options, on_stale="raise")) == list(expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (touch, r"the mask \.\./b\.tif was changed; remove"),
        (regrid, r"the mask \.\./b\.tif has another grid"),
        (grow, r"the mask \.\./b\.tif has another grid; the mask \.\./b\.tif has another size"),
    ],
)
def test_a_mask_that_was_changed_makes_it_anew_or_is_told(uri, masks, change, told):
    cached(uri, masks)
    change(masks[1])
    with pytest.raises(StaleIndexError, match=told):
        cached(uri, masks, on_stale="raise")
    with anew(told.removesuffix("; remove")):
        found = cached(uri, None)
    pd.testing.assert_series_equal(
        found.table.minx, WindowIndex.build(masks, patch_size=32).table.minx
    )
    assert list(cached(uri, masks, on_stale="raise")) == list(found)


def test_other_masks_are_told(uri, masks, write_raster):
    third = write_raster("c.tif", np.zeros((9, 9), np.uint8))
    cached(uri, masks)
    told = r"the mask \.\./c\.tif is new; the mask \.\./a\.tif is no longer wanted"
    with pytest.raises(StaleIndexError, match=told):
        cached(uri, [masks[1], third], on_stale="raise")
    with pytest.raises(StaleIndexError, match="the masks come in another order"):
        cached(uri, masks[::-1], on_stale="raise")
    with anew("the masks come in another order"):
        assert cached(uri, masks[::-1]).mask_paths[0] == masks[1]


def test_a_folder_that_moves_with_its_masks_is_not_stale(tmp_path, write_raster):
    (tmp_path / "old").mkdir()
    mask = write_raster("old/a.tif", np.zeros((50, 70), np.uint8))
    cached(str(tmp_path / "old" / "index.csv"), [mask])
    (tmp_path / "old").rename(tmp_path / "new")
    moved = str(tmp_path / "new" / "a.tif")
    index = cached(str(tmp_path / "new" / "index.csv"), [moved], on_stale="raise")
    assert set(index.mask_paths) == {moved}


def test_masks_named_from_the_working_directory_are_the_same_masks(
    uri, masks, tmp_path, monkeypatch
):
    cached(uri, masks)
    monkeypatch.chdir(tmp_path)
    assert len(cached(uri, ["a.tif", "./b.tif"], on_stale="raise")) == 12


def own_file(uri, masks):
    """Rows of somebody, without any note."""
    Path(uri).parent.mkdir()
    frame = pd.DataFrame({"mask_path": masks, "row_off": 1, "col_off": 2, "patch_size": 7})
    frame.to_csv(uri, index=False) if uri.endswith("csv") else frame.to_parquet(uri)


def test_a_file_of_somebody_is_read_and_never_written(uri, masks):
    own_file(uri, masks)
    before = state(uri), Path(uri).read_bytes()
    for on_stale in ("rebuild", "raise"):
        index = cached(uri, [masks[0]], on_stale=on_stale)
        assert index.windows == [Window(1, 2, 7, 7)] * 2
        assert index.mask_paths == tuple(masks)
    assert (state(uri), Path(uri).read_bytes()) == before


def test_a_file_that_was_changed_since_is_somebodys(uri, masks):
    cached(uri, masks)
    if uri.endswith("csv"):
        pd.read_csv(uri).iloc[:3].to_csv(uri, index=False)
    else:
        pq.write_table(pq.read_table(uri).slice(0, 3), uri)  # keeps the metadata
    before = state(uri)
    index = cached(uri, masks, patch_size=16, on_stale="rebuild")
    assert index.windows == WindowIndex.build(masks, patch_size=32).windows[:3]
    assert state(uri) == before


def test_an_index_with_more_than_regular_windows_is_never_built_anew(uri, masks):
    split = WindowIndex.build(masks, patch_size=32).with_columns({"split": "train"})
    split.write(uri)
    before = state(uri)
    index = cached(uri, masks, patch_size=16)
    assert list(index) == list(split)
    assert index.table.split.tolist() == ["train"] * 12
    assert state(uri) == before


def test_a_file_of_somebody_is_checked(uri, masks):
    own_file(uri, masks)
    frame = pd.read_csv(uri) if uri.endswith("csv") else pd.read_parquet(uri)
    frame["row_off"] = 47
    frame.to_csv(uri, index=False) if uri.endswith("csv") else frame.to_parquet(uri)
    with pytest.raises(GridError, match="reaches past the edge"):
        cached(uri, masks)
    assert len(cached(uri, masks, outside="pad")) == 2


def test_a_file_by_another_format_of_geoseg_is_made_anew(uri, masks, monkeypatch):
    monkeypatch.setattr(Note.__init__, "__defaults__", (0,))
    cached(uri, masks)
    monkeypatch.undo()
    with pytest.raises(StaleIndexError, match="its format was 0, is 1"):
        cached(uri, masks, on_stale="raise")
    with anew("its format was 0, is 1"):
        cached(uri, masks)
    cached(uri, masks, on_stale="raise")


def test_nothing_to_build_from_is_an_error(uri):
    with pytest.raises(ConfigError, match="no such file, and no masks are given to build it from"):
        cached(uri, None)
    with pytest.raises(ConfigError, match="on_stale is 'ask', expected one of: raise, rebuild"):
        cached(uri, None, on_stale="ask")


def test_a_note_that_is_damaged_makes_the_file_somebodys(masks, tmp_path):
    uri = str(tmp_path / "index.csv")
    cached(uri, masks)
    for text in ("", "[]", "{}", '{"built": 1}', "[" * 5000):
        side_note(uri).write_text(text)
        assert len(cached(uri, masks, patch_size=9)) == 12


def test_a_file_in_a_folder_that_cannot_be_written_is_read(masks, tmp_path, monkeypatch):
    uri = str(tmp_path / "index.csv")
    cached(uri, masks)
    frame = pd.read_csv(uri)
    frame.iloc[:3].to_csv(uri, index=False)

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(turns, "opened", refuse)
    assert len(cached(uri, masks)) == 3
    with pytest.raises(
        StoreError, match=r"nothing can be written to the folder .*: Permission denied"
    ):
        cached(str(tmp_path / "new.csv"), masks)


_READER = """
import sys
from geoseg.sampling.windowindex import WindowIndex
print("ready", flush=True)
sys.stdin.readline()
uri, size, *masks = sys.argv[1:]
index = WindowIndex.cached(uri, masks, patch_size=int(size))
print(len(index), index.windows[-1].height)
"""


def start(code, *args):
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize("stale", [False, True])
def test_processes_that_start_at_once_all_get_the_whole_index(uri, masks, stale):
    expected = len(WindowIndex.build(masks, patch_size=4))
    if stale:
        cached(uri, masks, patch_size=5)
    readers = [start(_READER, uri, "4", *masks) for _ in range(2)]
    for reader in readers:
        reader.stdin.write("\n")
        reader.stdin.flush()
    assert [reader.communicate()[0] for reader in readers] == [f"{expected} 4\n"] * 2
    assert len(files_beside(uri)) == 1 + uri.endswith("csv")


_KILLED = """
import sys, time
from pathlib import Path
from geoseg.sampling.windowindex import WindowIndex, writing
def wait(*args):
    print("ready", flush=True)
    time.sleep(900)
when, uri, *masks = sys.argv[1:]
if when == "written":
    writing._filled = wait
else:
    replace = Path.replace
    Path.replace = lambda path, to: wait() if path.name == "index.csv" else replace(path, to)
WindowIndex.cached(uri, masks, patch_size=32)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_a_writer_that_is_killed_leaves_no_file_and_the_next_one_tidies(uri, masks):
    writer = start(_KILLED, "written", uri, *masks)
    waiting = start(_READER, uri, "32", *masks)
    waiting.stdin.write("\n")
    waiting.stdin.flush()
    time.sleep(0.5)
    assert waiting.poll() is None
    assert not Path(uri).exists()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert waiting.communicate(timeout=PATIENCE)[0] == "12 32\n"
    assert all(not path.name.startswith(".") for path in files_beside(uri))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_an_index_whose_writer_was_killed_between_its_two_files_is_not_taken_for_somebodys(
    masks, tmp_path
):
    uri = str(tmp_path / "index.csv")
    cached(uri, masks, patch_size=16)
    writer = start(_KILLED, "named", uri, *masks)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    with pytest.raises(StaleIndexError, match="patch_size was 16 x 16, is 9 x 9"):
        cached(uri, masks, patch_size=9, on_stale="raise")
    with anew("patch_size was 16 x 16, is 32 x 32"):
        found = cached(uri, masks)
    assert list(found) == list(WindowIndex.build(masks, patch_size=32))


def split_into(uri, masks):
    """An index that geoseg cannot build anew."""
    WindowIndex.build(masks, patch_size=32).with_columns({"split": "train"}).write(uri)


def to_degrees(path):
    with rasterio.open(path, "r+") as file:
        file.crs = "EPSG:32620"


MOVED = {
    "moved": (
        regrid,
        r"6 of 12 windows lie elsewhere, the first is row 6 .* of .*b\.tif, 3 px off",
    ),
    "grown": (
        grow,
        r"1 of 2 masks have other sizes, the first is .*b\.tif: 50 x 70 px then, 90 x 70",
    ),
    "crs": (to_degrees, "6 of 12 windows were in another CRS.* EPSG:32619 then, EPSG:32620 now"),
}


@pytest.mark.parametrize("change", MOVED)
def test_an_index_that_cannot_be_built_anew_is_an_error_where_a_mask_has_another_grid(
    uri, masks, change
):
    move, told = MOVED[change]
    split_into(uri, masks)
    move(masks[1])
    with pytest.raises(StaleIndexError, match=told):
        WindowIndex.read(uri)
    with pytest.raises(StaleIndexError, match=told):
        cached(uri, masks)


def test_a_regular_index_is_not_read_either_where_a_mask_has_another_grid(uri, masks):
    cached(uri, masks)
    grow(masks[0])
    with pytest.raises(StaleIndexError, match="1 of 2 masks have other sizes"):
        WindowIndex.read(uri)


def test_the_rows_of_a_mask_that_moved_are_found_again_by_their_bounds(uri, masks):
    split_into(uri, masks)
    with rasterio.open(masks[1], "r+") as file:
        file.transform = Affine(10, 0, 499_990, 0, -10, 4_000_000)
    before = WindowIndex.build([masks[0]], patch_size=32).windows
    found = WindowIndex.read(uri, coordinates="bounds", outside="pad").windows
    assert found[6:] == [Window(w.row, w.col + 1, 32, 32) for w in before]


def test_edited_labels_of_an_index_that_cannot_be_built_anew_are_a_warning(uri, masks):
    split_into(uri, masks)
    touch(masks[0])
    assert len(WindowIndex.read(uri)) == 12
    with rasterio.open(masks[1]) as file:
        profile = file.profile
    with rasterio.open(masks[1], "w", **{**profile, "compress": "deflate"}) as file:
        file.write(np.ones((50, 70), np.uint8), 1)
    with pytest.warns(
        UserWarning, match=r"1 of 2 masks were changed since .* the first is .*b\.tif"
    ):
        assert len(cached(uri, masks)) == 12


def test_a_choice_of_rows_in_another_order_is_checked_against_the_right_masks(
    uri, masks, write_raster
):
    third = write_raster("c.tif", np.zeros((40, 33), np.uint8))
    index = WindowIndex.build([third, *masks], patch_size=32)
    index.select([11, 10, 1, 0]).write(uri)
    assert WindowIndex.read(uri).windows == index.select([11, 10, 1, 0]).windows


def test_an_index_that_was_copied_finds_its_masks_below_the_base(uri, masks, tmp_path):
    built = cached(str(tmp_path / f"index{Path(uri).suffix}"), masks)
    Path(uri).parent.mkdir()
    for path in tmp_path.glob("index.*"):
        path.rename(Path(uri).parent / path.name)
    before = state(uri)
    for given in (None, masks):
        index = cached(uri, given, mask_base_path=tmp_path, on_stale="raise")
        assert list(index) == list(built)
    assert list(WindowIndex.read(uri, mask_base_path=str(tmp_path))) == list(built)
    assert state(uri) == before


def test_a_base_does_not_hide_masks_from_the_index_that_was_built_with_it(uri, masks, tmp_path):
    (tmp_path / "some" / "where").mkdir(parents=True)
    base = str(tmp_path / "some" / "where")
    for _ in range(2):
        index = cached(uri, masks, mask_base_path=base, on_stale="raise")
        assert set(index.mask_paths) == set(masks)
    assert set(WindowIndex.read(uri, mask_base_path=base).mask_paths) == set(masks)


def test_a_mask_that_is_too_small_now_is_told_as_such(uri, masks, write_raster):
    split_into(uri, masks)
    write_raster("b.tif", np.zeros((20, 70), np.uint8))
    with pytest.raises(StaleIndexError, match="50 x 70 px then, 20 x 70 px now"):
        WindowIndex.read(uri)
