"""tile: patches of every kind against rasterio and numpy, what is left out, and how sets are trained from."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine

from geoseg.datasets import ImageFolderDataset
from geoseg.errors import ConfigError, StoreError
from geoseg.prepare import tile
from geoseg.prepare.tiling import pixels
from geoseg.sampling import WindowIndex
from geoseg.sources import handles
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.window import Window

SHAPE = 61, 83
WHOLE = Window(0, 0, 40, 40)
CLASSES = ("ground", "road", "roof", "water")


def image_data(dtype=np.uint8):
    data = np.random.default_rng(0).integers(1, 256, (3, *SHAPE)).astype(dtype)
    data[:, :11, :13:2] = 0
    data[:, 33:47, 60:80:2] = 0
    return data


def mask_data():
    data = np.random.default_rng(1).integers(0, 4, SHAPE, np.uint8)
    data[:30, :40] = 0
    data[17:29] = 255
    return data


@pytest.fixture
def image(write_raster):
    return write_raster("image.tif", image_data(), nodata=0)


@pytest.fixture
def mask(write_raster):
    return write_raster("mask.tif", mask_data())


@pytest.fixture
def sources(image, mask):
    return image, mask


def cut(array, row, size, fill):
    """A window of an array (..., height, width), filled where it reaches past it."""
    found = np.full((*array.shape[:-2], size, size), fill, array.dtype)
    part = array[
        ..., row.source_row_off : row.source_row_off + size, row.source_col_off : row.source_col_off + size
    ]  # fmt: skip
    found[..., : part.shape[-2], : part.shape[-1]] = part
    return found


@pytest.mark.parametrize(
    ("edge", "starts"),
    [
        ("flush", ([0, 20, 29], [0, 20, 40, 51])),
        ("pad", ([0, 20, 40], [0, 20, 40, 60])),
        ("drop", ([0, 20], [0, 20, 40])),
    ],
)
@pytest.mark.parametrize("output", ["geotiff", "png"])
@pytest.mark.filterwarnings("ignore:.*are in no window")
def test_files_hold_the_windows_of_each_edge_policy(sources, tmp_path, edge, starts, output):
    report = tile(*sources, tmp_path / "out", patch_size=32, stride=20, edge=edge, output=output)
    table = pd.read_parquet(report.index)
    places = list(zip(table["source_row_off"], table["source_col_off"], strict=True))
    assert places == [(row, col) for row in starts[0] for col in starts[1]]
    assert report.windows == report.written == len(places)
    for row in table.itertuples():
        expected = cut(image_data(), row, 32, 0)
        with rasterio.open(tmp_path / "out" / row.image_path) as file:
            np.testing.assert_array_equal(file.read((1, 2, 3)), expected)
            np.testing.assert_array_equal(file.dataset_mask() > 0, expected[0] > 0)
            assert file.crs == "EPSG:32619"
            assert file.transform.c == 500_000 + 10 * row.source_col_off
            assert file.transform.f == 4_000_000 - 10 * row.source_row_off
        with rasterio.open(tmp_path / "out" / row.mask_path) as file:
            np.testing.assert_array_equal(file.read(1), cut(mask_data(), row, 32, 255))
    columns = list(table.columns)
    assert columns[:10] == ["image_path", "mask_path", "row_off", "col_off", "width", "height", "minx", "miny", "maxx", "maxy"]  # fmt: skip
    assert columns[10:14] == ["crs", "valid_share", "labelled_share", "class_counts"]


def test_windows_are_left_out_by_reason_and_counted(image, mask, tmp_path):
    report = tile(
        image,
        mask,
        tmp_path / "out",
        patch_size=16,
        edge="pad",
        min_valid=0.6,
        min_labelled=0.5,
        empty="drop",
    )
    valid = np.pad(image_data()[0] > 0, ((0, 3), (0, 13)))
    labels = np.pad(mask_data(), ((0, 3), (0, 13)), constant_values=255)
    expected, kept = {"min_valid": 0, "min_labelled": 0, "empty": 0}, []
    for row in range(0, 61, 16):
        for col in range(0, 83, 16):
            here = np.s_[row : row + 16, col : col + 16]
            known = labels[here][labels[here] != 255]
            if valid[here].mean() < 0.6:
                expected["min_valid"] += 1
            elif known.size < 128:
                expected["min_labelled"] += 1
            elif not (known > 0).any():
                expected["empty"] += 1
            else:
                kept.append((row, col))
    assert report.left_out == expected
    assert min(expected.values()) > 0
    table = pd.read_parquet(report.index)
    assert list(zip(table["source_row_off"], table["source_col_off"], strict=True)) == kept
    assert report.written + sum(expected.values()) == report.windows == 24


def test_a_share_of_the_empty_windows_is_kept_by_the_seed(write_raster, tmp_path):
    image = write_raster("full.tif", np.ones((1, *SHAPE), np.uint8))
    mask = write_raster("empty.tif", np.zeros(SHAPE, np.uint8))
    options = {"patch_size": 6, "empty": 0.3, "edge": "drop"}
    with pytest.warns(UserWarning, match="are in no window"):
        counts = [
            tile(image, mask, tmp_path / f"{i}", seed=seed, **options).written
            for i, seed in enumerate((0, 0, 1))
        ]
    assert counts[0] == counts[1]
    assert all(20 < count < 60 for count in counts)  # of 130
    names = [sorted(p.name for p in (tmp_path / f"{i}/masks").iterdir()) for i in range(3)]
    assert names[0] == names[1] != names[2]
    kept = tile(image, mask, tmp_path / "b", patch_size=16, empty="drop", background=(1, 2))
    assert kept.left_out == {}


def test_arrays_are_mapped_and_hold_the_windows(image, mask, tmp_path):
    report = tile(image, mask, tmp_path / "out", patch_size=32, stride=20, output="npy")
    index = WindowIndex.read(report.index)
    for entry, row in zip(index, index.table.itertuples(), strict=True):
        here = entry.window.slices
        data = np.load(tmp_path / "out" / row.image_npy, mmap_mode="r")
        assert isinstance(data, np.memmap)
        np.testing.assert_array_equal(data, image_data()[(slice(None), *here)])
        seen = image_data()[0][here] > 0
        expected = np.where(seen, mask_data()[here], 255)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / row.mask_npy), expected)
        if seen.all():
            assert pd.isna(row.valid_npy)
        else:
            np.testing.assert_array_equal(np.load(tmp_path / "out" / row.valid_npy), seen)
        np.testing.assert_array_equal(
            GeoTIFFSource(uri=entry.mask).read(entry.window).data[0], mask_data()[here]
        )


def test_fractions_are_nan_where_they_are_not_valid(write_raster, mask, tmp_path):
    data = image_data(np.float32)
    image = write_raster("f.tif", data, nodata=0)
    report = tile(image, mask, tmp_path / "out", patch_size=61, edge="pad", output="npy")
    row = next(pd.read_parquet(report.index).itertuples())
    found = np.load(tmp_path / "out" / row.image_npy)
    expected = np.where(data[:, :, :61] > 0, data[:, :, :61], np.nan)
    np.testing.assert_array_equal(found, expected)


def test_a_store_holds_the_windows(image, mask, tmp_path):
    report = tile(image, mask, tmp_path / "out", patch_size=32, stride=20, output="lmdb")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "index.parquet",
        "patches",
        "tile.json",
    ]
    index = WindowIndex.read(report.index)
    for entry, row in zip(index, index.table.itertuples(), strict=True):
        store = {"uri": str(tmp_path / "out" / row.store), "key": row.store_key}
        found = LMDBSource(**store, bands=("image",))
        window, here = Window(0, 0, 32, 32), entry.window.slices
        np.testing.assert_array_equal(found.read(window).data, image_data()[(slice(None), *here)])
        assert found.grid == index.grid_of(entry.mask).crop(entry.window)
        valid = LMDBSource(**store, bands=("valid",)).read(window).data[0] > 0
        np.testing.assert_array_equal(valid, image_data()[0][here] > 0)
        labels = LMDBSource(**store, bands=("mask",)).read(window)
        np.testing.assert_array_equal(labels.data[0], np.where(valid, mask_data()[here], 255))
        np.testing.assert_array_equal(labels.valid, labels.data[0] != 255)


@pytest.mark.parametrize("output", ["geotiff", "png", "npy"])
def test_a_folder_is_a_data_set_of_pictures(image, mask, tmp_path, output):
    report = tile(image, mask, tmp_path / "out", patch_size=32, stride=20, output=output)
    data = ImageFolderDataset(
        tmp_path / "out", classes=CLASSES, axes="chw" if output == "npy" else None
    )
    data.check()
    assert len(data) == report.written
    for i in range(len(data)):
        item = data[i]
        row, col = (int(part[1:]) for part in item["scene"].split("__")[1].split("_"))
        here = np.s_[row : row + 32, col : col + 32]
        seen = image_data()[0][here] > 0
        np.testing.assert_array_equal(
            np.round(item["image"].numpy() * 255), image_data()[(slice(None), *here)]
        )
        np.testing.assert_array_equal(item["mask"].numpy(), np.where(seen, mask_data()[here], 255))


def test_sixteen_bits_go_into_a_png_and_fractions_do_not(write_raster, mask, tmp_path):
    data = np.random.default_rng(0).integers(1, 65_536, (1, *SHAPE)).astype(np.uint16)
    wide = write_raster("wide.tif", data)
    report = tile(wide, mask, tmp_path / "out", patch_size=61, edge="flush", output="png")
    row = next(pd.read_parquet(report.index).itertuples())
    with rasterio.open(tmp_path / "out" / row.image_path) as file:
        assert file.dtypes == ("uint16",)
        np.testing.assert_array_equal(file.read(), data[:, :, :61])
    for name, array in (
        ("f.tif", data.astype(np.float32)),
        ("two.tif", np.ones((2, *SHAPE), np.uint8)),
    ):
        with pytest.raises(ConfigError, match="do not go into a PNG"):
            tile(write_raster(name, array), mask, tmp_path / "no", patch_size=9, output="png")
    assert not (tmp_path / "no").exists()


def test_an_image_on_another_grid_is_warped_onto_the_mask(write_raster, mask, tmp_path):
    data = np.random.default_rng(0).integers(1, 255, (1, 200, 200), np.uint8)
    image = write_raster("fine.tif", data, transform=Affine(5, 0, 500_000, 0, -5, 4_000_000))
    tile(image, mask, tmp_path / "out", patch_size=40, resampling="nearest")
    with rasterio.open(tmp_path / "out/images/mask__r000000_c000000.tif") as file:
        np.testing.assert_array_equal(file.read(), data[:, 1:80:2, 1:80:2])


def test_rows_of_an_index_keep_their_columns_and_the_dropped_are_counted(image, mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=20, edge="pad")
    parts = ["train", "val", "dropped", "train"] * 5
    index = index.with_columns(
        {"split": parts, "sampler_weight": range(20), "excluded": [i == 4 for i in range(20)]}
    )
    report = tile(image, index, tmp_path / "out")
    assert report.left_out == {"excluded": 1, "split: dropped": 5}
    assert report.splits == {"train": 9, "val": 5}
    table = WindowIndex.read(report.index).table
    kept = [i for i in range(20) if parts[i] != "dropped" and i != 4]
    assert table["sampler_weight"].tolist() == kept
    assert table["split"].tolist() == [parts[i] for i in kept]
    with pytest.raises(ConfigError, match="an index tells its windows"):
        tile(image, index, tmp_path / "b", patch_size=20)


def test_sources_are_opened_once(image, mask, tmp_path, monkeypatch):
    opened = []
    plain = handles._open
    monkeypatch.setattr(
        handles, "_open", lambda uri, *rest: opened.append(uri) or plain(uri, *rest)
    )
    tile(image, mask, tmp_path / "out", patch_size=10, stride=5)
    assert opened.count(image) <= 1
    assert opened.count(mask) <= 1
    assert opened


def test_another_set_is_replaced_only_when_asked_for(image, mask, tmp_path):
    out = tmp_path / "out"
    first = tile(image, mask, out, patch_size=20, edge="pad")
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert tile(image, mask, out, patch_size=20, edge="pad").resumed == first.windows
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == times
    with pytest.raises(StoreError, match=r"overwrite \(--overwrite\)"):
        tile(image, mask, out, patch_size=30, edge="pad")
    second = tile(image, mask, out, patch_size=30, edge="pad", overwrite=True)
    assert len(list((out / "masks").iterdir())) == second.written == 9
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"patch_size": 0}, r"patch_size \(--patch-size\) is 0, expected at least 1 pixel"),
        ({"patch_size": (9, -1)}, "patch_size .* is 9 x -1, expected at least 1 pixel"),
        ({"patch_size": 9, "stride": 0}, r"stride \(--stride\) is 0, expected at least 1 pixel"),
        ({"patch_size": 9, "stride": -3}, "stride .* is -3, expected at least 1 pixel"),
        ({"patch_size": 9, "stride": 12}, "larger than size"),
        ({"patch_size": 9, "min_valid": 1.5}, "expected a share"),
        ({"patch_size": 9, "empty": "some"}, "empty is 'some'"),
        ({"patch_size": 9, "empty": 1.5}, "empty is 1.5"),
        ({"patch_size": 9, "output": "zarr"}, "expected one of: geotiff"),
        ({}, "expected patch_size"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(image, mask, tmp_path, options, text):
    with pytest.raises(ConfigError, match=text):
        tile(image, mask, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_nothing_left_is_told(image, mask, tmp_path):
    with pytest.warns(
        UserWarning,
        match=r"no patch is left of 24 windows, left out by reason: empty 7, min_labelled 5, min_valid 12$",
    ):
        report = tile(image, mask, tmp_path / "out", patch_size=16, edge="pad", min_valid=1.0, min_labelled=1.0, empty="drop", background=(0, 1, 2, 3))  # fmt: skip
    assert report.written == 0
    with pytest.warns(UserWarning, match="holds no window"):
        assert len(WindowIndex.read(report.index)) == 0


def test_the_report_is_plain_and_lies_in_the_folder(image, mask, tmp_path):
    report = tile(image, mask, tmp_path / "out", patch_size=20, edge="pad")
    plain = json.loads(json.dumps(report.to_dict()))
    found = json.loads((tmp_path / "out/tile.json").read_text())["report"]
    assert {k: plain[k] for k in found if k in plain} == {
        k: v for k, v in found.items() if k in plain
    }
    ids, counts = np.unique(mask_data(), return_counts=True)
    expected = {str(i): int(n) for i, n in zip(ids, counts, strict=True) if i != 255}
    assert plain["class_counts"] == expected


@pytest.mark.parametrize("output", ["geotiff", "png", "npy"])
def test_patches_too_large_for_memory_are_read_in_parts(sources, tmp_path, monkeypatch, output):
    options = {"patch_size": 40, "edge": "pad", "min_valid": 0.3, "output": output}
    first = tile(*sources, tmp_path / "whole", **options)
    monkeypatch.setattr(pixels, "_PART_BYTES", 1)
    monkeypatch.setattr(pixels, "_ROWS", 7)
    second = tile(*sources, tmp_path / "parts", **options)
    assert first.left_out == second.left_out == {"min_valid": 2}
    for name in ("index.parquet", "tile.json"):
        one, other = (tmp_path / folder / name for folder in ("whole", "parts"))
        if (name, output) == ("index.parquet", "geotiff"):  # it notes how many bytes a mask has
            pd.testing.assert_frame_equal(pd.read_parquet(one), pd.read_parquet(other))
        elif (name, output) == ("tile.json", "geotiff"):  # so does this
            assert json.loads(one.read_text())["report"] == json.loads(other.read_text())["report"]
        else:
            assert one.read_bytes() == other.read_bytes()
    for file in (tmp_path / "whole/masks").glob("*.*"):
        for kind in ("masks", "images"):
            one, other = (tmp_path / folder / kind / file.name for folder in ("whole", "parts"))
            if output == "geotiff":  # blocks are compressed one by one: the same pixels
                one, other = (GeoTIFFSource(uri=str(uri)).read(WHOLE) for uri in (one, other))
                np.testing.assert_array_equal(one.data, other.data)
                np.testing.assert_array_equal(one.valid, other.valid)
            else:
                assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("name", "value"), [("ignore_id", 999), ("background", 999), ("background", (0, -1))]
)
def test_an_id_that_no_mask_can_hold_is_told(image, mask, tmp_path, name, value):
    wrong = value if isinstance(value, int) else value[1]
    with pytest.warns(UserWarning, match=rf"{name} .* is {wrong}, which no mask can hold.*uint8"):
        tile(image, mask, tmp_path / "out", patch_size=40, **{name: value})


def test_an_id_that_one_of_the_masks_can_hold_is_no_warning(
    write_raster, image, mask, tmp_path, recwarn
):
    wide = write_raster("wide.tif", mask_data().astype(np.uint16))
    tile(image, [mask, wide], tmp_path / "out", patch_size=40, ignore_id=999, background=999)
    assert not recwarn.list
