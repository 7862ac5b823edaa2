"""Regular windows over masks, and an index as a sequence of them."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.sampling.windowindex import IndexedWindow, WindowIndex
from geoseg.sampling.windowindex.building import regular_boxes
from geoseg.sampling.windowindex.coverage import covered_pixels
from geoseg.window import Window


@pytest.fixture
def mask(write_raster):
    """Writes a mask of a shape under a name."""

    def write(name="a.tif", shape=(50, 70), **options):
        return write_raster(name, np.zeros(shape, np.uint8), **options)

    return write


def count_along(length, size, stride, edge):
    """How many windows lie along a side, by the formulas."""
    if edge == "drop":
        return 0 if length < size else (length - size) // stride + 1
    return 1 if length <= size else math.ceil((length - size) / stride) + 1


SIDES = st.integers(1, 40)


@given(
    SIDES, SIDES, st.integers(1, 15), st.integers(1, 15), st.sampled_from(["flush", "pad", "drop"])
)
def test_counts_and_places_follow_the_formulas(height, width, size, stride, edge):
    stride = min(size, stride)
    boxes = regular_boxes(Grid(height=height, width=width), size=size, stride=stride, edge=edge)
    down, across = (count_along(side, size, stride, edge) for side in (height, width))
    assert len(boxes) == down * across
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    expected = []
    for i in range(down):
        for j in range(across):
            row, col = i * stride, j * stride
            if edge == "flush":
                row = min(row, max(height - size, 0))
                col = min(col, max(width - size, 0))
            expected.append((row, col, size, size))
    assert [tuple(box) for box in boxes.tolist()] == expected


def test_masks_come_in_the_order_given_with_their_bounds_and_crs(mask):
    far = Affine(2, 0, 39.0, 0, -3, -6.0)
    masks = [mask("z.tif", (50, 70)), mask("a.tif", (33, 20), crs="EPSG:4326", transform=far)]
    index = WindowIndex.build(masks, patch_size=(32, 20), edge="pad")
    assert index.masks == tuple(masks)
    assert index.mask_paths == (masks[0],) * 8 + (masks[1],) * 2
    assert index.table.columns.tolist() == [
        *["mask_path", "row_off", "col_off", "width", "height"],
        *["minx", "miny", "maxx", "maxy", "crs"],
    ]
    assert (index.table.width == 20).all()
    assert (index.table.height == 32).all()
    for row, item in zip(index.table.itertuples(), index, strict=True):
        with rasterio.open(item.mask) as file:
            window = rasterio.windows.Window(row.col_off, row.row_off, row.width, row.height)
            bounds = rasterio.windows.bounds(window, file.transform)
            assert (row.minx, row.miny, row.maxx, row.maxy) == pytest.approx(bounds, abs=1e-9)
            assert row.crs == file.crs.to_string()
    assert index.table.dtypes[["row_off", "col_off", "width", "height"]].eq(np.int64).all()


def test_an_item_is_the_mask_the_window_and_the_row(mask):
    uri = mask()
    index = WindowIndex.build([uri], patch_size=32)
    assert index[2] == IndexedWindow(uri, Window(0, 38, 32, 32), 2)
    assert index[-1] == IndexedWindow(uri, Window(18, 38, 32, 32), 5)
    assert [item.window for item in index] == index.windows
    assert list(index[4:]) == [index[4], index[5]]
    assert index.grid_of(uri) == Grid.of(uri)
    with pytest.raises(IndexError):
        index[6]
    with pytest.raises(ConfigError, match=r"other\.tif: is no mask of the index"):
        index.grid_of("other.tif")


def test_each_mask_is_opened_once(mask, monkeypatch):
    masks = [mask(f"{name}.tif") for name in "abc"]
    opened = []
    real = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: opened.append(path) or real(path, *a, **k)
    )
    index = WindowIndex.build(masks, patch_size=5)
    assert [index.grid_of(path).shape for path in index.mask_paths[::40]]
    assert opened == masks


def test_dropped_pixels_are_counted_in_a_warning(mask):
    masks = [mask("a.tif", (50, 70)), mask("tiny.tif", (31, 99))]
    told = (
        rf"{50 * 70 - 32 * 64 + 31 * 99} of {50 * 70 + 31 * 99} pixels .* are in no window; 1 masks have no "
        r'window, the first is .*tiny\.tif; edge="flush" or edge="pad" covers them'
    )
    with pytest.warns(UserWarning, match=told):
        index = WindowIndex.build(masks, patch_size=32, edge="drop")
    assert len(index) == 2
    assert index.coverage().pixels == 50 * 70 + 31 * 99
    assert index.coverage().covered == 32 * 64
    assert index.coverage().to_dict()["uncovered_share"] == pytest.approx(1 - 2048 / 6569)


@given(
    st.lists(
        st.tuples(st.integers(-9, 28), st.integers(-9, 18), st.integers(1, 12), st.integers(1, 12))
    ),
    st.booleans(),
)
def test_covered_pixels_are_those_of_a_bitmap(windows, regular):
    seen = np.zeros((31, 17), bool)
    boxes = np.array(windows, np.int64).reshape(-1, 4)
    if regular and len(boxes):
        boxes = np.array([(row, col, 5, 4) for row in boxes[:, 0] for col in boxes[:, 1]])
    for row, col, height, width in boxes:
        seen[max(row, 0) : max(row + height, 0), max(col, 0) : max(col + width, 0)] = True
    assert covered_pixels(boxes, seen.shape) == seen.sum()


@pytest.mark.parametrize("edge", ["flush", "pad", "drop"])
@pytest.mark.parametrize("wrong", [{"stride": 0}, {"patch_size": 0}, {"stride": -3}])
def test_a_size_or_stride_below_one_is_an_error(mask, edge, wrong):
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        WindowIndex.build([mask()], **{"patch_size": 32, **wrong}, edge=edge)


def test_a_mask_named_twice_or_missing_is_an_error(mask, tmp_path, monkeypatch):
    uri = mask()
    with pytest.raises(ConfigError, match=r"a\.tif' is named twice"):
        WindowIndex.build([uri, uri], patch_size=32)
    monkeypatch.chdir(tmp_path)
    for other in ("a.tif", "./a.tif", Path("sub") / ".." / "a.tif"):
        with pytest.raises(ConfigError, match=r"is named twice"):
            WindowIndex.build([uri, other], patch_size=32)
    with pytest.raises(ConfigError, match="no masks are given"):
        WindowIndex.build([], patch_size=32)
    with pytest.raises(SourceError, match=r"b\.tif: no such file; did you mean a\.tif"):
        WindowIndex.build([uri, str(tmp_path / "b.tif")], patch_size=32)


def test_rows_are_selected_by_bools_and_by_numbers(mask):
    masks = [mask("a.tif"), mask("b.tif")]
    index = WindowIndex.build(masks, patch_size=32).with_columns({"n": range(12)})
    odd = index.select(index.table.n % 2 == 1)
    assert odd.table.n.tolist() == [1, 3, 5, 7, 9, 11]
    assert odd.table.index.tolist() == list(range(6))
    assert odd.windows == index.windows[1::2]
    back = index.select([11, 7, 7])
    assert back.table.n.tolist() == [11, 7, 7]
    assert back.masks == (masks[1],)
    assert back[0] == IndexedWindow(masks[1], index.windows[11], 0)
    assert len(index.select([])) == 0
    assert back.uri is None
    for wrong in ([12], [-1], [True], [0.5], [[1]]):
        with pytest.raises(ConfigError, match="do not tell rows of an index of 12"):
            index.select(wrong)


def test_columns_are_added_by_place_not_by_the_label_of_a_series(mask):
    index = WindowIndex.build([mask()], patch_size=32)
    shuffled = pd.Series([5, 4, 3, 2, 1, 0], index=[5, 4, 3, 2, 1, 0])
    more = index.with_columns({"rank": shuffled, "split": "train", "fold": np.arange(6)})
    assert more.table["rank"].tolist() == [5, 4, 3, 2, 1, 0]
    assert more.table.split.tolist() == ["train"] * 6
    assert more.table.fold.dtype == np.int64
    assert "rank" not in index.table
    with pytest.raises(ConfigError, match="'rank' has 2 values for 6 rows"):
        index.with_columns({"rank": [1, 2]})
    with pytest.raises(ConfigError, match="'row_off' tells where the windows are"):
        index.with_columns({"row_off": range(6)})


def test_an_index_survives_a_pickle_which_is_small(mask):
    index = WindowIndex.build([mask(shape=(500, 500))], patch_size=16)
    assert len(index.windows) == len(index.mask_paths) == 1024
    copy = pickle.loads(pickle.dumps(index))
    assert list(copy) == list(index)
    assert len(pickle.dumps(index)) < 250 * len(index)


def test_a_picture_without_georeference_is_a_mask_too(mask):
    index = WindowIndex.build(
        [mask("a.png", (9, 12), driver="PNG", crs=None, transform=Affine.identity())], patch_size=4
    )
    assert index.table.crs.isna().all()
    assert index.table.loc[5, ["minx", "miny", "maxx", "maxy"]].tolist() == [8, 4, 12, 8]


def test_one_mask_may_be_given_by_itself_and_as_a_path(mask):
    uri = mask()
    assert WindowIndex.build(uri, patch_size=32).masks == (uri,)
    assert WindowIndex.build([Path(uri)], patch_size=32).masks == (uri,)


def test_relative_paths_mean_the_same_after_the_working_directory_changed(
    mask, tmp_path, monkeypatch
):
    uri = mask()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    built = WindowIndex.build(["a.tif"], patch_size=32)
    taken = WindowIndex.from_table(built.table.assign(mask_path="a.tif", image_path="x.tif"))
    more = built.with_columns({"image_path": "x.tif"})
    grid = built.grid_of("a.tif")
    built.write("own.csv")
    read = WindowIndex.read("own.csv")
    monkeypatch.chdir(tmp_path / "sub")
    for index in (built, taken, read):
        assert index.masks == (uri,)
        assert index.grid_of(uri) == grid
    assert taken.image_paths == more.image_paths == (str(tmp_path / "x.tif"),) * 6
    assert read.uri == str(tmp_path / "own.csv")
    more.write("more.csv")
    assert pd.read_csv("more.csv")[["image_path", "mask_path"]].iloc[0].tolist() == [
        "../x.tif",
        "../a.tif",
    ]
