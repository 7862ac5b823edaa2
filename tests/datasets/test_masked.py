"""MBTilesMaskWindowedDataset: pixels, classes, windows and what is told when it is made."""

from __future__ import annotations

import math
import pickle
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from pyproj import Transformer
from torch.utils.data import DataLoader, WeightedRandomSampler

import geoseg
from geoseg.datasets import MBTilesMaskWindowedDataset
from geoseg.errors import (
    ConfigError,
    GridError,
    LabelError,
    SceneError,
    SourceError,
    StaleIndexError,
)
from geoseg.sampling import WindowIndex
from geoseg.sources import MBTilesSource
from tests.datasets.masking import corner_in_utm, nearest, padded, tiles, write_mask
from tests.sources.tilemaking import change


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
    """Tiles with a hole."""
    return tiles(tmp_path_factory.mktemp("tiles"), hole=(slice(100, 140), slice(30, 200)))[0]


@pytest.fixture
def layers(tmp_path, pyramid):
    """(tiles, mask, its ids): the mask begins before the tiles."""
    uri = shutil.copy(pyramid, str(tmp_path / "a.mbtiles"))
    x, y = corner_in_utm(uri)
    ids = np.random.default_rng(1).integers(0, 3, (160, 130)).astype(np.uint8)
    return uri, write_mask(tmp_path / "masks/a.tif", ids, corner=(x - 9.3, y + 6.2)), ids


@pytest.fixture
def plain(write_raster):
    """Makes (image, mask) files of the same 2-band grid from ids."""

    def make(ids, *, dtype="uint8", name="mask.tif", nodata=None):
        top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 9
        rng = np.random.default_rng(3)
        image = rng.integers(1, top, (2, *ids.shape)).astype(dtype)
        return write_raster(f"of_{name}", image), write_raster(name, ids, nodata=nodata), image

    return make


def items(data):
    return [data[number] for number in range(len(data))]


def test_pixels_are_those_under_the_centres_of_the_mask_and_alpha_is_valid(layers):
    uri, mask, ids = layers
    truth = nearest(uri, mask)
    data = MBTilesMaskWindowedDataset(
        uri, [mask], patch_size=(40, 65), n_classes=3, image_resampling="Nearest"
    )
    assert len(data) == 4 * 2
    for item in items(data):
        part = slice(item["row_off"], item["row_off"] + 40), slice(item["col_off"], item["col_off"] + 65)  # fmt: skip
        valid = truth[3][part] > 0
        assert item["image"].dtype == torch.float32
        assert item["image"].shape == (3, 40, 65)
        assert np.array_equal(item["valid"].numpy(), valid)
        expected = np.where(valid, truth[:3][(slice(None), *part)], 0) / np.float32(255)
        assert np.array_equal(item["image"].numpy(), expected.astype(np.float32))
        assert item["mask"].dtype == torch.int64
        assert np.array_equal(item["mask"].numpy(), np.where(valid, ids[part], 255))
        assert item["mask_path"] == mask
    assert not truth[3].all()
    assert (truth[3][40:] == 0).any()
    alone = MBTilesMaskWindowedDataset(
        uri, [mask], patch_size=40, n_classes=3, return_metadata=False, edge="flush"
    )[3]
    assert sorted(alone) == ["image", "mask", "valid"]


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
def test_a_window_equals_the_crop_of_a_larger_one(layers, resampling):
    uri, mask, _ = layers
    options = {"n_classes": 3, "image_resampling": resampling}
    (whole,) = items(MBTilesMaskWindowedDataset(uri, [mask], patch_size=(160, 130), **options))
    for item in items(MBTilesMaskWindowedDataset(uri, [mask], patch_size=(32, 26), **options)):
        rows = slice(item["row_off"], item["row_off"] + 32)
        cols = slice(item["col_off"], item["col_off"] + 26)
        for key in ("image", "mask", "valid"):
            assert torch.equal(item[key], whole[key][..., rows, cols])


@pytest.mark.filterwarnings("ignore:.*are in no window")
@pytest.mark.filterwarnings("ignore:.*there is no window to serve")
@pytest.mark.parametrize("edge", ["drop", "pad", "flush"])
@pytest.mark.parametrize(("size", "stride"), [((16, 16), None), ((16, 24), (7, 9)), (40, 40)])
@pytest.mark.parametrize("shape", [(33, 48), (9, 50)])
def test_every_edge_policy_gives_the_windows_and_full_patches_that_it_says(
    plain, edge, size, stride, shape
):
    ids = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    image, mask, pixels = plain(ids)
    data = MBTilesMaskWindowedDataset(
        image, mask, patch_size=size, stride=stride, n_classes=4, edge=edge
    )
    size = size if isinstance(size, tuple) else (size, size)
    step = stride if isinstance(stride, tuple) else size
    sides = []
    for length, p, s in zip(shape, size, step, strict=True):
        drop = 0 if length < p else (length - p) // s + 1
        pad = 1 if length <= p else math.ceil((length - p) / s) + 1
        places = [i * s for i in range(drop if edge == "drop" else pad)]
        if edge == "flush":
            places[-1] = max(length - p, 0)
        sides.append(places)
    expected = [(row, col) for row in sides[0] for col in sides[1]]
    found = items(data)
    assert [(item["row_off"], item["col_off"]) for item in found] == expected
    assert [(w["row_off"], w["col_off"], w["height"], w["width"]) for w in data.windows] == [
        (*place, *size) for place in expected
    ]
    for item in found:
        place = item["row_off"], item["col_off"], *size
        inside = padded(np.ones(shape, bool), place, False)
        assert np.array_equal(item["valid"].numpy(), inside)
        assert np.array_equal(item["mask"].numpy(), padded(ids, place, 255))
        assert torch.equal(item["image"], torch.from_numpy(padded(pixels, place, 0)).div(255))


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"patch_size": 0}, {"stride": -3}, {"edge": "cut"},
                                   {"patch_size": "64"}, {"n_classes": 0}, {"image_dtype": "int8"},
                                   {"image_resampling": "lanczos"}, {"selected_bands": [0]},
                                   {"selected_bands": [3]}, {"ignore_index": 1}, {"on_stale": "no"},
                                   {"mask_paths": [3]}, {"mask_paths": None}])  # fmt: skip
def test_wrong_arguments_are_told_when_it_is_made(plain, tmp_path, wrong):
    image, mask, _ = plain(np.zeros((20, 20), np.uint8))
    if "on_stale" in wrong:
        wrong |= {"window_index_cache": tmp_path / "a.csv"}
    with pytest.raises((ConfigError, SourceError)):
        MBTilesMaskWindowedDataset(**{"mbtiles_path": image, "mask_paths": [mask], "patch_size": 20} | wrong)  # fmt: skip


def test_an_unknown_keyword_is_told_with_the_nearest_name(plain):
    image, mask, _ = plain(np.zeros((20, 20), np.uint8))
    with pytest.raises(ConfigError, match=r"'patchsize' \(nearest: 'patch_size'\)"):
        MBTilesMaskWindowedDataset(image, [mask], patchsize=20)


def test_missing_files_and_folders_are_told_when_it_is_made(tmp_path, layers):
    uri, mask, _ = layers
    with pytest.raises(SourceError, match=r"no\.mbtiles"):
        MBTilesMaskWindowedDataset(tmp_path / "no.mbtiles", [mask])
    with pytest.raises(SourceError, match=r"none\.tif"):
        MBTilesMaskWindowedDataset(uri, [tmp_path / "none.tif"])
    with pytest.raises(ConfigError, match="no such folder"):
        MBTilesMaskWindowedDataset(uri, mask_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"ends in '\.TIF', but 1 file \(a.tif\)"):
        MBTilesMaskWindowedDataset(uri, mask_dir=tmp_path / "masks", mask_extension=".TIF")
    with pytest.raises(ConfigError, match="there are no masks"):
        MBTilesMaskWindowedDataset(uri)
    with pytest.raises(ConfigError, match=r"band 4.*`valid`"):
        MBTilesMaskWindowedDataset(uri, [mask], selected_bands=[1, 2, 3, 4])


def test_masks_are_found_in_all_folders_in_order_and_a_list_goes_before(plain, tmp_path):
    image, mask, _ = plain(np.zeros((20, 20), np.uint8))
    content = (tmp_path / "mask.tif").read_bytes()
    for name in ("m/b.tif", "m/sub/a.tif", "m/a.tif", "m/c.TIF", "m/.d.tif", "m/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.warns(UserWarning, match=r"1 file \(c.TIF\) left alone"):
        data = MBTilesMaskWindowedDataset(image, mask_dir=tmp_path / "m", patch_size=20)
    assert data.mask_paths == [str(tmp_path / "m" / name) for name in ("a.tif", "b.tif", "sub/a.tif")]  # fmt: skip
    assert [w["mask_path"] for w in data.windows] == data.mask_paths
    only = MBTilesMaskWindowedDataset(image, [mask], mask_dir=tmp_path / "m", patch_size=20)
    assert only.mask_paths == [mask]


def test_a_mask_without_imagery_is_told_when_it_is_made(tmp_path, layers):
    uri, mask, ids = layers
    x, y = corner_in_utm(uri)
    far = write_mask(tmp_path / "far.tif", ids, corner=(x + 90_000, y))
    with pytest.raises(SceneError, match=r"under 1 of 2 masks, the first is .*far\.tif"):
        MBTilesMaskWindowedDataset(uri, [mask, far], patch_size=64, edge="pad")
    hole_uri, _ = tiles(tmp_path, name="b.mbtiles", hole=(slice(0, 300), slice(0, 300)))
    hidden = write_mask(tmp_path / "hidden.tif", ids, corner=(x + 5, y - 5))
    with pytest.raises(SceneError, match=r"no valid pixel under 1 of 1 masks"):
        MBTilesMaskWindowedDataset(hole_uri, [hidden], patch_size=64, edge="pad")
    bare = write_mask(tmp_path / "bare.tif", ids, corner=(x, y), crs=None)
    with pytest.raises(GridError, match="no CRS"):
        MBTilesMaskWindowedDataset(uri, [bare], patch_size=64, edge="pad")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64", "int64"])
@pytest.mark.parametrize("nodata", [None, 9])
def test_of_two_classes_all_above_0_is_1_but_what_is_declared_stays_ignored(plain, dtype, nodata):
    values = np.array([[0, 1, 2, 9], [255, 7, 0, 250], [3, 9, 255, 1]]).astype(dtype)
    if dtype != "uint8":
        values[0, 0] = 256
    image, mask, _ = plain(values, nodata=nodata)
    options = {"patch_size": (3, 4)}
    (item,) = items(MBTilesMaskWindowedDataset(image, [mask], ignore_index=255, **options))
    known = (values != 255) & (np.full(values.shape, nodata is None) | (values != 9))
    assert np.array_equal(item["mask"].numpy(), np.where(known, values > 0, 255))
    data = MBTilesMaskWindowedDataset(image, [mask], **options)
    with pytest.warns(UserWarning, match=r"2 of 12 pixels .* are 255"):
        item = data[0]
    known = np.full(values.shape, nodata is None) | (values != 9)
    assert np.array_equal(item["mask"].numpy(), np.where(known, values > 0, 255))
    assert torch.equal(data[0]["mask"], item["mask"])  # and it is told once


def test_values_that_are_no_class_are_told_with_file_value_and_count(plain):
    wide = np.array([[0, 1, 2], [300, 2, 300], [1, 0, 255]], np.uint16)
    image, mask, _ = plain(wide)
    data = MBTilesMaskWindowedDataset(image, [mask], patch_size=3, n_classes=3, ignore_index=255)
    with pytest.raises(LabelError, match=rf"item 0, .*{re.escape(mask)}.*300 \(2 pixels\)"):
        data[0]
    data = MBTilesMaskWindowedDataset(image, [mask], patch_size=3, n_classes=301, ignore_index=-100)
    assert np.array_equal(data[0]["mask"].numpy(), wide)
    with pytest.raises(ConfigError, match="255, which is one of the 301 classes"):
        MBTilesMaskWindowedDataset(image, [mask], patch_size=3, n_classes=301)
    for values in ([[-1, 0, 1]], [[0.5, 0.0, 1.0]]):
        array = np.repeat(np.array(values, np.float32), 3, axis=0)
        image, mask, _ = plain(array, name="odd.tif")
        data = MBTilesMaskWindowedDataset(image, [mask], patch_size=3, n_classes=3)
        with pytest.raises(LabelError, match=r"\(3 pixels\); expected 0..2"):
            data[0]
    negative = np.array([[-7, 0, 1]], np.int16).repeat(3, axis=0)
    image, mask, _ = plain(negative, name="negative.tif")
    with pytest.raises(LabelError, match=r"-7 \(3 pixels\)"):
        MBTilesMaskWindowedDataset(image, [mask], patch_size=3)[0]


def test_nodata_that_is_the_id_of_a_class_is_logged(plain, caplog):
    image, mask, _ = plain(np.eye(4, dtype=np.uint8), nodata=0)
    data = MBTilesMaskWindowedDataset(image, [mask], patch_size=4)
    assert "1 of 1 masks declare the id of a class" in caplog.text
    assert np.array_equal(data[0]["mask"].numpy(), np.where(np.eye(4, dtype=bool), 1, 255))


def test_masks_of_several_bands_are_told(plain, write_raster):
    image, _, _ = plain(np.zeros((8, 8), np.uint8))
    three = write_raster("three.tif", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(LabelError, match=r"three\.tif: has 3 bands"):
        MBTilesMaskWindowedDataset(image, [three], patch_size=8)


def test_dtypes_are_scaled_or_kept_and_never_wrap(plain):
    ids = np.zeros((8, 12), np.uint8)
    image, mask, pixels = plain(ids, dtype="uint16")
    options = {"mask_paths": [mask], "patch_size": (8, 12)}
    wide = MBTilesMaskWindowedDataset(image, image_dtype="uint16", **options)[0]["image"]
    assert torch.equal(wide, torch.from_numpy(pixels.astype(np.float32)).div(65535))
    for name in ("float32", "native"):
        as_it_is = MBTilesMaskWindowedDataset(image, image_dtype=name, **options)[0]["image"]
        assert torch.equal(as_it_is, torch.from_numpy(pixels.astype(np.float32)))
    too_many = int((pixels > 255).any(axis=0).sum())
    with pytest.raises(SourceError, match=rf"{too_many} of 96 do not fit image_dtype=\"uint8\""):
        MBTilesMaskWindowedDataset(image, **options)[0]
    second = MBTilesMaskWindowedDataset(image, image_dtype="uint16", selected_bands=(2,), **options)
    assert torch.equal(second[0]["image"], wide[1:])


def test_any_source_is_an_image_and_bands_are_chosen_by_number(layers):
    uri, mask, _ = layers
    options = {"mask_paths": [mask], "patch_size": 64, "n_classes": 3, "edge": "pad"}
    expected = MBTilesMaskWindowedDataset(uri, **options)[2]["image"]
    for given in (MBTilesSource(uri=uri), {"type": "mbtiles", "uri": uri}):
        found = MBTilesMaskWindowedDataset(given, **options, selected_bands=[3, 1])[2]["image"]
        assert torch.equal(found, expected[[2, 0]])


def test_windows_past_the_edge_are_an_error_or_padded(plain, tmp_path):
    ids = np.random.default_rng(5).integers(0, 3, (20, 30)).astype(np.uint8)
    image, _, pixels = plain(ids)
    table = pd.DataFrame({"mask_path": ["mask.tif"] * 3, "row_off": [-3, 15, 2], "col_off": [0, 26, -4], "width": 8, "height": 9})  # fmt: skip
    table.to_csv(tmp_path / "w.csv", index=False)
    options = {"window_index_cache": tmp_path / "w.csv", "patch_size": (9, 8), "n_classes": 3}
    with pytest.raises(GridError, match="past the edge"):
        MBTilesMaskWindowedDataset(image, **options)
    data = MBTilesMaskWindowedDataset(image, **options, edge="pad")
    for item, row in zip(items(data), table.itertuples(), strict=True):
        place = row.row_off, row.col_off, 9, 8
        assert np.array_equal(item["mask"].numpy(), padded(ids, place, 255))
        assert np.array_equal(item["valid"].numpy(), padded(np.ones(ids.shape, bool), place, False))  # fmt: skip
        assert torch.equal(item["image"], torch.from_numpy(padded(pixels, place, 0)).div(255))


def test_an_index_of_bounds_is_read_as_it_is_asked_for(plain, tmp_path):
    image, _, _ = plain(np.zeros((20, 30), np.uint8))
    (tmp_path / "index").mkdir()
    uri = tmp_path / "index/w.csv"
    # Pixels of 10 m from 500,000 east and 4,000,000 north: 40 % of a pixel off, towards row 2 and column 3.
    box = {"minx": 500_034, "maxx": 500_114, "miny": 3_999_876, "maxy": 3_999_976}
    table = pd.DataFrame(
        [{"mask_path": "mask.tif", **box, "row_off": 7, "col_off": 7, "patch_size": 4}]
    )
    table.to_csv(uri, index=False)
    options = {
        "mbtiles_path": image,
        "window_index_cache": uri,
        "mask_base_path": tmp_path,
        "patch_size": 4,
    }
    with pytest.warns(UserWarning, match="bounds are not where the pixels are"):
        assert MBTilesMaskWindowedDataset(**options).windows[0]["row_off"] == 7
    options["window_index_coordinate_mode"] = "bounds"
    with pytest.raises(GridError, match="off the"):
        MBTilesMaskWindowedDataset(**options)
    (found,) = MBTilesMaskWindowedDataset(**options, snap=True).windows
    assert (found["row_off"], found["col_off"], found["height"], found["width"]) == (2, 3, 10, 8)
    to_degrees = Transformer.from_crs("EPSG:32619", "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(500_030, 3_999_880, 500_110, 3_999_980)
    table = table.assign(minx=west, miny=south, maxx=east, maxy=north, crs="EPSG:4326")
    table.drop(columns=["patch_size", "row_off"]).to_csv(uri, index=False)
    with pytest.raises(GridError, match="EPSG:4326"):
        MBTilesMaskWindowedDataset(**options)
    (found,) = MBTilesMaskWindowedDataset(**options, reproject_bounds=True).windows
    assert (found["row_off"], found["col_off"], found["height"], found["width"]) == (5, 5, 4, 4)


def test_excluded_rows_are_left_out_and_extra_columns_line_up_with_items(plain, tmp_path, caplog):
    caplog.set_level("INFO")
    ids = np.arange(16, dtype=np.uint8).repeat(16).reshape(16, 16) // 4
    image, _, _ = plain(ids)
    table = pd.DataFrame({
        "sampler_weight": [0.0, 5.0, 0.0, 1e-12, 3.0, 2.0], "mask_path": "mask.tif",
        "row_off": [0, 4, 8, 12, 0, 4], "col_off": [0, 0, 0, 0, 8, 8], "patch_size": 4,
        "excluded": ["True", "no", "1", None, "False", "TRUE"],
    })  # fmt: skip
    table.to_csv(tmp_path / "w.csv", index=False)
    data = MBTilesMaskWindowedDataset(image, window_index_cache=tmp_path / "w.csv", n_classes=4, patch_size=4)  # fmt: skip
    assert (len(data), data.excluded) == (3, 3)
    assert "3 of 6 rows are excluded" in caplog.text
    assert data.df["sampler_weight"].tolist() == [5.0, 1e-12, 3.0]
    assert [item["row_off"] for item in items(data)] == data.df["row_off"].tolist() == [4, 12, 0]
    weights = data.df["sampler_weight"].tolist()
    sampler = WeightedRandomSampler(weights, 200, generator=torch.Generator().manual_seed(0))
    drawn = [
        int(batch["row_off"][i])
        for batch in DataLoader(data, 10, sampler=sampler)
        for i in range(10)
    ]
    assert set(drawn) == {0, 4}
    assert 200 * 5 / 8 - 25 < drawn.count(4) < 200 * 5 / 8 + 25
    table["excluded"] = "perhaps"
    table.to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(ConfigError, match=r"w\.csv: row 0 .*'perhaps'"):
        MBTilesMaskWindowedDataset(image, window_index_cache=tmp_path / "w.csv", patch_size=4)


def test_a_split_of_an_index_is_served(plain, tmp_path):
    image, mask, _ = plain(np.zeros((8, 16), np.uint8))
    index = WindowIndex.build([mask], patch_size=4)
    index = index.with_columns({"split": ["train", "val", "dropped", "train"] * 2})
    index.write(str(tmp_path / "split.parquet"))
    options = {"mbtiles_path": image, "patch_size": 4}
    for given in (tmp_path / "split.parquet", index):
        train = MBTilesMaskWindowedDataset(**options, window_index_cache=given, split="train")
        assert [(w["row_off"], w["col_off"]) for w in train.windows] == [(0, 0), (0, 12), (4, 0), (4, 12)]  # fmt: skip
        assert len(MBTilesMaskWindowedDataset(**options, window_index_cache=given)) == 8
    with pytest.raises(
        ConfigError, match="no row is of split 'test', there are: dropped, train, val"
    ):
        MBTilesMaskWindowedDataset(**options, window_index_cache=index, split="test")
    with pytest.raises(ConfigError, match="no column 'split'"):
        MBTilesMaskWindowedDataset(**options, mask_paths=[mask], split="test")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_index_is_kept_built_anew_or_refused_and_the_table_is_always_there(
    plain, tmp_path, suffix, caplog
):
    image, mask, _ = plain(np.zeros((24, 24), np.uint8))
    kept = tmp_path / f"w.{suffix}"
    options = {"mbtiles_path": image, "mask_paths": [mask], "window_index_cache": kept}
    first = MBTilesMaskWindowedDataset(**options, patch_size=8)
    assert len(first) == len(first.df) == 9
    content = kept.read_bytes()
    again = MBTilesMaskWindowedDataset(**options, patch_size=8)
    assert [dict(w) for w in again.windows] == first.windows
    assert kept.read_bytes() == content
    with pytest.raises(StaleIndexError, match="patch_size"):
        MBTilesMaskWindowedDataset(**options, patch_size=12, on_stale="raise")
    with pytest.warns(UserWarning, match="was built otherwise and is built anew: patch_size"):
        assert len(MBTilesMaskWindowedDataset(**options, patch_size=12)) == 4
    assert kept.read_bytes() != content
    no_folder = {"mbtiles_path": image, "mask_dir": tmp_path / "gone", "window_index_cache": kept}
    assert len(MBTilesMaskWindowedDataset(**no_folder, patch_size=12)) == 4
    own = tmp_path / f"own.{suffix}"
    table = pd.DataFrame({"m": [mask], "row_off": [1], "col_off": [2], "width": [5], "height": [6]})
    table.to_csv(own, index=False) if suffix == "csv" else table.to_parquet(own)
    content = own.read_bytes()
    data = MBTilesMaskWindowedDataset(
        image, window_index_cache=own, patch_size=8, window_index_mask_path_key="m"
    )
    assert data[0]["mask"].shape == (6, 5)
    assert "its windows are 6 x 5 px (1), patch_size is 8 x 8" in caplog.text
    assert own.read_bytes() == content


@pytest.mark.parametrize("tile", [b"", b"\x89PNG\r\n garbage"])
def test_read_errors_tell_path_window_and_index(layers, tile):
    uri, mask, ids = layers
    first = "tile_column = (SELECT min(tile_column) FROM tiles WHERE zoom_level = 17)"
    change(uri, f"UPDATE tiles SET tile_data = ? WHERE zoom_level = 17 AND {first}", (tile,))
    data = MBTilesMaskWindowedDataset(uri, [mask], patch_size=32, n_classes=3, edge="pad")
    with pytest.raises(SourceError, match=rf"item 6, the window of 32 x 32 px at row 32, column 32 of {re.escape(mask)}: {re.escape(uri)}"):  # fmt: skip
        data[6]
    source = MBTilesSource(uri=uri, on_bad_tile="ignore")
    options = {"patch_size": (160, 130), "n_classes": 3, "image_resampling": "nearest"}
    item = MBTilesMaskWindowedDataset(source, [mask], **options)[0]
    good = nearest(uri, mask)[3] > 0  # GDAL reads bad tiles as transparent
    assert good.any()
    assert np.array_equal(item["valid"].numpy(), good)
    assert np.array_equal(item["mask"].numpy(), np.where(good, ids, 255))


def test_a_damaged_mask_is_told_with_path_window_and_index(plain, tmp_path):
    image, mask, _ = plain(np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8))
    data = MBTilesMaskWindowedDataset(image, [mask], patch_size=32)
    data[3]
    size = (tmp_path / "mask.tif").stat().st_size
    with (tmp_path / "mask.tif").open("r+b") as file:
        file.truncate(size - 1500)
    with pytest.raises(SourceError, match=r"item 3, the window of 32 x 32 px at row 32, column 32.*mask\.tif"):  # fmt: skip
        data[3]


def test_numbers_count_from_both_ends_and_end(plain):
    image, mask, _ = plain(np.zeros((8, 8), np.uint8))
    data = MBTilesMaskWindowedDataset(image, [mask], patch_size=4)
    assert data[-1]["row_off"] == data[torch.tensor(3)]["row_off"] == 4
    with pytest.raises(IndexError):
        data[4]
    assert len(list(data)) == 4


def test_a_data_set_that_was_read_is_pickled_small_and_holds_no_handle(layers):
    uri, mask, _ = layers
    data = MBTilesMaskWindowedDataset(uri, [mask], patch_size=32, n_classes=3, edge="pad")
    before = data[4]
    _ = data.windows
    text = pickle.dumps(data)
    assert len(text) < 20_000
    assert b"rasterio.io" not in text
    assert b"sqlite" not in text
    after = pickle.loads(text)
    assert torch.equal(after[4]["image"], before["image"])
    assert after.windows == data.windows
    assert after.df.equals(data.df)


def test_the_names_are_public():
    for name in ("MBTilesMaskWindowedDataset", "RasterPatchDataset", "CSVWindowedSegmentationDataset"):  # fmt: skip
        assert getattr(geoseg, name) is getattr(geoseg.datasets, name)
        assert name in geoseg.__all__
