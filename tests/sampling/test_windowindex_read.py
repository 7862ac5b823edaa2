"""Tables of others: which columns tell the windows, what is wrong with them, and where masks are."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.grid import Grid
from geoseg.sampling.windowindex import WindowIndex
from geoseg.window import Window

TILES = ("tile_minx", "tile_miny", "tile_maxx", "tile_maxy")
BOUNDS = ("minx", "miny", "maxx", "maxy")


@pytest.fixture(autouse=True)
def masks(write_raster):
    """Two masks, of 50 x 70 and of 40 x 30 pixels."""
    return [
        write_raster("a.tif", np.zeros((50, 70), np.uint8)),
        write_raster("b.tif", np.zeros((40, 30), np.uint8)),
    ]


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    """Writes columns as somebody's own file and returns its path."""

    def write(name="own", **columns):
        path = str(tmp_path / f"{name}.{request.param}")
        frame = pd.DataFrame(columns)
        frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path)
        return path

    return write


def ground(row, col, height, width):
    """minx, miny, maxx, maxy of pixels of the masks."""
    left, top = 500_000 + 10 * col, 4_000_000 - 10 * row
    return left, top - 10 * height, left + 10 * width, top


PIXELS = {"row_off": [3, 0], "col_off": [1, 2]}


def test_all_rows_and_columns_stay_in_their_order(table, masks):
    uri = table(
        class_entropy=[0.5, 0.25, 0.5],
        col_off=[1, 2, 1],
        mask_path=["b.tif", "a.tif", "b.tif"],
        height=[8, 9, 8],
        width=[5, 6, 5],
        row_off=[3.0, 4.0, 3.0],
        excluded=[False, True, False],
    )
    index = WindowIndex.read(uri)
    assert index.windows == [Window(3, 1, 8, 5), Window(4, 2, 9, 6), Window(3, 1, 8, 5)]
    assert index.mask_paths == (masks[1], masks[0], masks[1])
    assert index.table.columns.tolist() == [
        *["class_entropy", "col_off", "mask_path", "height", "width", "row_off", "excluded"]
    ]
    assert index.table.mask_path.tolist() == ["b.tif", "a.tif", "b.tif"]
    assert index.table.excluded.tolist() == [False, True, False]
    assert index.uri == uri


def test_width_and_height_go_before_patch_size(table):
    uri = table(mask_path=["a.tif"] * 2, **PIXELS, patch_size=[16, 17])
    assert WindowIndex.read(uri).windows == [Window(3, 1, 16, 16), Window(0, 2, 17, 17)]
    uri = table(mask_path=["a.tif"] * 2, **PIXELS, patch_size=[16, 17], width=[4, 5], height=[6, 7])
    assert WindowIndex.read(uri).windows == [Window(3, 1, 6, 4), Window(0, 2, 7, 5)]
    uri = table(mask_path=["a.tif"] * 2, **PIXELS, patch_size=[16, 17], width=[4, 5])
    assert WindowIndex.read(uri).windows == [Window(3, 1, 16, 16), Window(0, 2, 17, 17)]


def test_auto_takes_pixels_then_bounds_then_tile_bounds_and_never_mixes(table):
    plain = dict(zip(BOUNDS, ([v] for v in ground(10, 11, 12, 13)), strict=True))
    tiles = dict(zip(TILES, ([v] for v in ground(20, 21, 6, 7)), strict=True))
    pixels = {"row_off": [1], "col_off": [2], "patch_size": [5]}
    named = {"mask_path": ["a.tif"]}
    with pytest.warns(UserWarning, match="the bounds are not where the pixels are"):
        index = WindowIndex.read(table(**named, **tiles, **plain, **pixels))
    assert index.windows == [Window(1, 2, 5, 5)]
    assert WindowIndex.read(table(**named, **tiles, **plain)).windows == [Window(10, 11, 12, 13)]
    assert WindowIndex.read(table(**named, **tiles)).windows == [Window(20, 21, 6, 7)]
    del pixels["patch_size"], plain["minx"]
    assert WindowIndex.read(table(**named, **tiles, **plain, **pixels)).windows == [
        Window(20, 21, 6, 7)
    ]


def test_one_kind_of_column_can_be_asked_for(table):
    plain = dict(zip(BOUNDS, ([v] for v in ground(10, 11, 12, 13)), strict=True))
    uri = table(mask_path=["a.tif"], row_off=[1], col_off=[2], patch_size=[5], **plain)
    assert WindowIndex.read(uri, coordinates="bounds").windows == [Window(10, 11, 12, 13)]
    with pytest.warns(
        UserWarning,
        match=r"in 1 of 1 rows the bounds are not where .* row 0 .* by 17 px; the pixels",
    ):
        assert WindowIndex.read(uri, coordinates="pixel").windows == [Window(1, 2, 5, 5)]
    with pytest.raises(
        ConfigError, match="coordinates is 'px', expected one of: auto, bounds, pixel"
    ):
        WindowIndex.read(uri, coordinates="px")


def test_missing_columns_are_named(table):
    uri = table(mask_path=["a.tif"], row_off=[1], width=[3], tile_minx=[1], tile_miny=[2], minx=[4])
    lacking = r"pixel columns lack col_off, width and height \(or patch_size\)"
    with pytest.raises(
        ConfigError, match=lacking + r"; bounds lack tile_maxx, tile_maxy; found mask_path, row"
    ):
        WindowIndex.read(uri)
    with pytest.raises(ConfigError, match=lacking + "; found"):
        WindowIndex.read(uri, coordinates="pixel")
    with pytest.raises(
        ConfigError, match="tell the windows: bounds lack tile_maxx, tile_maxy; found"
    ):
        WindowIndex.read(uri, coordinates="bounds")


def test_the_mask_column_has_any_name(table):
    uri = table(label_file=["a.tif"] * 2, **PIXELS, patch_size=[4, 4])
    assert WindowIndex.read(uri, key="label_file").key == "label_file"
    told = r"has no column 'mask_path' for the masks, but label_file, row_off, col_off, patch_size; name"
    with pytest.raises(ConfigError, match=told):
        WindowIndex.read(uri)
    with pytest.raises(ConfigError, match="is it 'label_file'"):
        WindowIndex.read(uri, key="label_files")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"row_off": [3, 0.5]},
            r"row 1 \(from 0; 1 of 2 rows\): row_off is 0.5, expected a whole number",
        ),
        (
            {"row_off": [None, 0.5]},
            r"row 0 \(from 0; 2 of 2 rows\): row_off is nan, expected a whole",
        ),
        ({"col_off": ["1", "two"]}, r"row 1 .*: col_off is 'two', expected a number"),
        (
            {"patch_size": [0, -4]},
            r"row 0 \(from 0; 2 of 2 rows\): the window is 0 x 0 pixels; expected at",
        ),
        ({"mask_path": ["a.tif", None]}, r"row 1 .*: the column 'mask_path' names no mask"),
    ],
)
def test_cells_that_tell_no_window_are_errors_with_their_row(table, wrong, told):
    columns = {"mask_path": ["a.tif"] * 2, **PIXELS, "patch_size": [4, 4], **wrong}
    with pytest.raises(ConfigError, match=told):
        WindowIndex.read(table(**columns))


def test_a_window_past_the_edge_is_an_error_unless_it_may_be(table):
    uri = table(mask_path=["a.tif", "b.tif"], row_off=[0, -1], col_off=[0, 27], patch_size=[9, 9])
    told = (
        r"own.*: row 1 \(from 0; 1 of 2 rows\): the window of 9 x 9 px at row -1, column 27 of .*b\.tif "
        r"\(40 x 30 px\) reaches past the edge"
    )
    with pytest.raises(GridError, match=told):
        WindowIndex.read(uri)
    index = WindowIndex.read(uri, outside="pad")
    assert index.windows == [Window(0, 0, 9, 9), Window(-1, 27, 9, 9)]
    assert index.outside == "pad"


@pytest.mark.parametrize("place", [(50, 0), (-9, 0), (0, 70), (0, -9)])
def test_a_window_wholly_outside_is_an_error_always(table, place):
    row, col = place
    uri = table(mask_path=["a.tif"], row_off=[row], col_off=[col], patch_size=[9])
    with pytest.raises(GridError, match="lies wholly outside its mask"):
        WindowIndex.read(uri, outside="pad")


def test_a_table_in_memory_is_read_alike(masks):
    frame = pd.DataFrame({"mask_path": masks, **PIXELS, "patch_size": 7}, index=[9, 9])
    index = WindowIndex.from_table(frame)
    assert index.windows == [Window(3, 1, 7, 7), Window(0, 2, 7, 7)]
    assert index.table.index.tolist() == [0, 1]
    assert index.uri is None


def test_masks_whose_grids_are_given_are_not_opened(masks):
    frame = pd.DataFrame({"mask_path": ["made/later.tif"] * 2, **PIXELS, "patch_size": 7})
    grid = Grid.of(masks[0])
    index = WindowIndex.from_table(frame, grids={"made/later.tif": grid})
    assert index.grid_of("made/later.tif") == grid
    assert index.mask_paths == (str(Path("made/later.tif").absolute()),) * 2


def test_relative_paths_are_meant_from_the_folder_of_the_index(table, masks, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    uri = table("deep/own", mask_path=["../a.tif", "../b.tif"], **PIXELS, patch_size=[4, 4])
    monkeypatch.chdir(tmp_path / "deep")
    for name in (uri, Path(uri).name):
        assert WindowIndex.read(name).mask_paths == tuple(masks)


def test_paths_are_meant_from_a_base_that_is_given_but_absolute_ones_stay(table, masks, tmp_path):
    (tmp_path / "other").mkdir()
    Path(masks[0]).rename(tmp_path / "other" / "a.tif")
    uri = table(mask_path=["a.tif", masks[1]], **PIXELS, patch_size=[4, 4])
    index = WindowIndex.read(uri, mask_base_path=tmp_path / "other")
    assert index.mask_paths == (str(tmp_path / "other" / "a.tif"), masks[1])


def test_a_mask_in_the_working_directory_is_found_with_a_warning(
    table, masks, tmp_path, monkeypatch
):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    uri = table("deep/own", mask_path=["a.tif", "b.tif"], **PIXELS, patch_size=[4, 4])
    told = r"2 of 2 files are not in its folder .*deep but in the working directory, the first is a\.tif"
    with pytest.warns(UserWarning, match=told):
        index = WindowIndex.read(uri)
    assert index.mask_paths == tuple(masks)
    with pytest.raises(
        SourceError, match=r"the mask of row 0 \(from 0\): .*deep.a\.tif: no such file"
    ):
        WindowIndex.read(uri, mask_base_path=str(tmp_path / "deep"))


def test_a_missing_mask_is_an_error_with_its_row(table):
    uri = table(mask_path=["a.tif", "c.tif"], **PIXELS, patch_size=[4, 4])
    with pytest.raises(
        SourceError, match=r"own.*: the mask of row 1 \(from 0\): .*c\.tif: no such file; did"
    ):
        WindowIndex.read(uri)


def test_images_are_resolved_like_masks(table, tmp_path):
    uri = table(
        mask_path=["a.tif"] * 2, **PIXELS, patch_size=[4, 4], image_path=["images/x.tif", None]
    )
    assert WindowIndex.read(uri).image_paths == (str(tmp_path / "images" / "x.tif"), None)


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(SourceError, match=r"none\.csv: no such file; build a window index"):
        WindowIndex.read(str(tmp_path / "none.csv"))
    with pytest.raises(
        SourceError, match=r"none\.txt: the format .* goes by the suffix, expected one of: \.csv"
    ):
        WindowIndex.read(str(tmp_path / "none.txt"))
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(SourceError, match=r"broken\.parquet: cannot read this window index: Arrow"):
        WindowIndex.read(str(broken))
    for text, told in {
        "mask_path,row_off,row_off\n": "the column 'row_off' is there twice",
        "mask_path,row_off\na.tif,1,2,3\n": "more cells than there are columns",
        "mask_path,row_off\na.tif,1\na.tif,1,2\n": "Expected 2 fields in line 3, saw 3",
        "": "has no column 'mask_path'|no columns|No columns",
    }.items():
        path = tmp_path / "own.csv"
        path.write_text(text)
        with pytest.raises((SourceError, ConfigError), match=told):
            WindowIndex.read(str(path))


def test_a_parquet_file_with_an_index_of_pandas_is_read(tmp_path):
    frame = pd.DataFrame(
        {"row_off": [1, 2, 3], "col_off": 4, "patch_size": 5, "mask_path": "a.tif"}
    )
    frame.iloc[[0, 2]].to_parquet(tmp_path / "some.parquet")
    index = WindowIndex.read(str(tmp_path / "some.parquet"))
    assert index.windows == [Window(1, 4, 5, 5), Window(3, 4, 5, 5)]
    assert index.table.columns.tolist() == frame.columns.tolist()
    frame.set_index("mask_path").to_parquet(tmp_path / "named.parquet")
    assert len(WindowIndex.read(str(tmp_path / "named.parquet"))) == 3


def test_a_csv_with_a_byte_order_mark_and_names_like_numbers_is_read(tmp_path, write_raster):
    write_raster("007", np.zeros((9, 9), np.uint8))
    path = tmp_path / "own.csv"
    path.write_bytes("\ufeffmask_path,row_off,col_off,patch_size\n007,1,2,3\n".encode())
    assert WindowIndex.read(str(path)).mask_paths == (str(tmp_path / "007"),)


def test_however_many_rows_name_a_mask_it_is_opened_once(table, monkeypatch):
    rng = np.random.default_rng(3)
    which = rng.integers(0, 2, 5000)
    rows, cols = rng.integers(0, 30, 5000), rng.integers(0, 20, 5000)
    boxes = np.array([ground(row, col, 8, 9) for row, col in zip(rows, cols, strict=True)])
    uri = table(
        mask_path=np.array(["a.tif", "./b.tif"], object)[which],
        **dict(zip(BOUNDS, boxes.T, strict=True)),
    )
    opened = []
    real = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: opened.append(path) or real(path, *a, **k)
    )
    index = WindowIndex.read(uri)
    assert len(opened) == 2
    assert index.windows == [
        Window(*place, 8, 9) for place in zip(rows.tolist(), cols.tolist(), strict=True)
    ]


def test_nothing_is_warned_of_when_all_is_well(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WindowIndex.read(table(mask_path=["a.tif"] * 2, **PIXELS, patch_size=[4, 4]))


def test_rounded_bounds_and_those_in_another_crs_agree_with_pixels_of_somebody(table):
    bounds = np.array([ground(3, 1, 4, 4), ground(0, 2, 4, 4)]) + 0.4 * 10
    named = {"mask_path": ["a.tif"] * 2, **PIXELS, "patch_size": [4, 4]}
    columns = dict(zip(BOUNDS, bounds.T, strict=True))
    assert len(WindowIndex.read(table(**named, **columns))) == 2
    degrees = dict(zip(BOUNDS, np.full((4, 2), -69.0), strict=True))
    assert len(WindowIndex.read(table(**named, **degrees, crs=["EPSG:4326"] * 2))) == 2


def csv(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_text(text)
    return str(path)


TEXTS = {
    "leading zeros": ["001", "12"],
    "a word for nothing": ["NA", "null"],
    "a plus": ["+5", "7"],
    "many digits": ["12345678901234567", ""],
    "an exponent": ["12e4", "77e3"],
    "zeros of a fraction": ["00.5", "0.5"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_of_a_csv_file_stays_as_it_is_from_file_to_file(tmp_path, kind):
    rows = "".join(f"a.tif,1,2,3,{cell}\n" for cell in TEXTS[kind])
    uri = csv(tmp_path, "mask_path,row_off,col_off,patch_size,tile_id\n" + rows)
    index = WindowIndex.read(uri)
    assert [cell if isinstance(cell, str) else "" for cell in index.table.tile_id] == TEXTS[kind]
    for name in ("copy.csv", "copy.parquet"):
        back = WindowIndex.read(index.write(str(tmp_path / name))).table.tile_id
        assert [cell if isinstance(cell, str) else "" for cell in back] == TEXTS[kind]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["0", "-12", "7"], [0, -12, 7]),
        (["0.50", "12", "-.5"], [0.5, 12, -0.5]),
        (["1e-05", "2.5E+10", "3."], [1e-5, 2.5e10, 3]),
        (["4", "", "5"], [4, np.nan, 5]),
        (["0.1000000000000000055511151231257827", "1", "2"], [0.1, 1, 2]),
    ],
)
def test_numbers_of_a_csv_file_are_numbers(tmp_path, cells, numbers):
    rows = "".join(f"a.tif,01,2,3,{cell}\n" for cell in cells)
    index = WindowIndex.read(csv(tmp_path, "mask_path,row_off,col_off,patch_size,w\n" + rows))
    np.testing.assert_array_equal(index.table.w.to_numpy(float), numbers)
    assert index.table.w.dtype.kind in "if"
    assert index.table.row_off.tolist() == [1] * len(cells)


@pytest.mark.parametrize("header", ["row_off,col_off,patch_size", "minx,miny,maxx,maxy"])
def test_a_table_without_rows_is_told(tmp_path, header):
    with pytest.warns(UserWarning, match=r"own\.csv: holds no window"):
        assert len(WindowIndex.read(csv(tmp_path, f"mask_path,{header}\n"))) == 0


def test_two_names_of_one_file_are_one_mask(table, masks, tmp_path):
    (tmp_path / "link.tif").symlink_to(masks[0])
    uri = table(mask_path=["link.tif", "a.tif"], **PIXELS, patch_size=[4, 4])
    index = WindowIndex.read(uri)
    assert index.masks == (str(tmp_path / "link.tif"),)
    assert index.coverage().pixels == 50 * 70


def test_a_table_of_somewhere_is_named_and_its_paths_are_meant_from_there(masks, tmp_path):
    frame = pd.DataFrame({"mask_path": ["a.tif"], "row_off": 1, "col_off": 2, "patch_size": 3})
    index = WindowIndex.from_table(frame, where="the survey", folder=tmp_path)
    assert index.mask_paths == (masks[0],)
    with pytest.raises(GridError, match=r"the survey: row 0 .* lies wholly outside"):
        WindowIndex.from_table(frame.assign(row_off=99), where="the survey", folder=str(tmp_path))
