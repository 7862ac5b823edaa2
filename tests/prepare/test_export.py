"""export: pairs that hold what the sources hold, and a manifest that is a window index."""

import json
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import ConfigError, LabelError, StoreError
from geoseg.prepare import export
from geoseg.prepare.tiling import pixels
from geoseg.prepare.tiling.names import apart, mask_names
from geoseg.sampling import WindowIndex
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)
SHAPE = 61, 83


@pytest.fixture
def image(write_raster):
    data = np.random.default_rng(0).integers(1, 256, (3, *SHAPE), np.uint8)
    data[:, :11, :13] = 0
    return write_raster("image.tif", data, nodata=0)


@pytest.fixture
def mask(write_raster):
    data = np.random.default_rng(1).integers(0, 4, SHAPE, np.uint8)
    data[20:25] = 255
    return write_raster("mask.tif", data)


def pixels_of(uri):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(uri) as file:
            return file.read(), file.dataset_mask() > 0


def sample(image, mask, window):
    """What a data set makes of an image on a mask's grid, and the mask."""
    onto = GeoTIFFSource(uri=mask)
    seen = WarpedSource(source=GeoTIFFSource(uri=image), onto=onto).read(window)
    labels = onto.read(window)
    return (
        np.where(seen.valid, seen.data, 0),
        seen.valid,
        np.where(labels.valid, labels.data[0].astype(int), -1),
    )


def test_patches_hold_the_pixels_and_ids_of_their_windows(image, mask, tmp_path):
    report = export(image, mask, tmp_path / "out", patch_size=(20, 30), stride=(16, 25))
    table = pd.read_parquet(report.index)
    assert len(table) == report.written == 4 * 4
    for row in table.itertuples():
        window = rasterio.windows.Window(row.source_col_off, row.source_row_off, 30, 20)
        with rasterio.open(image) as file:
            expected, valid = file.read(window=window), file.dataset_mask(window=window) > 0
            transform = file.window_transform(window)
        data, seen = pixels_of(tmp_path / "out" / row.image_path)
        np.testing.assert_array_equal(data[:, valid], expected[:, valid])
        np.testing.assert_array_equal(seen, valid)
        with rasterio.open(mask) as file:
            labels = file.read(1, window=window)
        with rasterio.open(tmp_path / "out" / row.mask_path) as file:
            np.testing.assert_array_equal(file.read(1), labels)
            assert file.transform.almost_equals(transform)
            assert file.crs == "EPSG:32619"
            np.testing.assert_allclose(file.bounds, (row.minx, row.miny, row.maxx, row.maxy))
        assert row.valid_share == valid.mean()
        assert row.labelled_share == (labels != 255).mean()
        ids, counts = np.unique(labels[labels != 255], return_counts=True)
        assert json.loads(row.class_counts) == {str(i): n for i, n in zip(ids, counts, strict=True)}
    assert report.grids_equal
    assert report.left_out == {}


@pytest.mark.parametrize("name", ["index.parquet", "index.csv"])
def test_the_manifest_read_as_an_index_gives_identical_samples(write_raster, mask, tmp_path, name):
    data = np.random.default_rng(0).integers(1, 256, (3, 90, 100), np.uint8)
    data[:, 40:50, 20:70] = 0
    image = write_raster(
        "turned.tif", data, nodata=0, transform=Affine(9, 1, 499_990, 1, -9, 3_999_950)
    )
    windows = WindowIndex.build([mask], patch_size=32, stride=30, edge="pad")
    report = export(image, windows, tmp_path / "out", index=name, measure=False)
    index = WindowIndex.read(report.index)
    assert len(index) == len(windows)
    for entry, written, before in zip(index, index.image_paths, windows, strict=True):
        assert (entry.window.row, entry.window.col) == (0, 0)
        for ours, expected in zip(
            sample(written, entry.mask, entry.window),
            sample(image, mask, before.window),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, expected)
    # The same again as pairs of pairs: nothing drifts.
    again = export(None, index, tmp_path / "again", measure=False)
    for entry, written, first in zip(
        WindowIndex.read(again.index), index.image_paths, index, strict=True
    ):
        np.testing.assert_array_equal(
            sample(entry.mask, entry.mask, entry.window)[2],
            sample(first.mask, first.mask, first.window)[2],
        )
        assert written


def test_a_full_mask_of_wide_ids_is_written_as_it_is(write_raster, image, tmp_path):
    labels = np.random.default_rng(2).integers(0, 60_000, SHAPE, np.uint16)
    labels[5:9] = 65_535
    mask = write_raster("wide.tif", labels, nodata=65_535)
    report = export(image, mask, tmp_path / "out", full_mask=True, ignore_id=None)
    with rasterio.open(tmp_path / "out" / "masks" / "wide.tif") as file:
        assert (file.dtypes[0], file.nodata, file.shape) == ("uint16", 65_535, SHAPE)
        np.testing.assert_array_equal(file.read(1), labels)
    assert sum(report.class_counts.values()) == (labels != 65_535).sum()
    assert WindowIndex.read(report.index).windows == [Window(0, 0, *SHAPE)]


def test_a_colour_table_goes_along(write_raster, image, tmp_path):
    labels = np.random.default_rng(2).integers(0, 3, SHAPE, np.uint8)
    mask = write_raster("colored.tif", labels, photometric="palette")
    colors = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 9, 255, 255)}
    with rasterio.open(mask, "r+") as file:
        file.write_colormap(1, colors)
    export(image, mask, tmp_path / "out", patch_size=40)
    with rasterio.open(tmp_path / "out/masks/colored__r000000_c000000.tif") as file:
        found = file.colormap(1)
        assert {i: found[i] for i in colors} == colors
        np.testing.assert_array_equal(file.read(1), labels[:40, :40])


def test_binary_makes_ones_and_keeps_what_is_ignored(image, mask, tmp_path):
    report = export(image, mask, tmp_path / "out", full_mask=True, binary=True)
    with rasterio.open(mask) as file:
        labels = file.read(1)
    with rasterio.open(tmp_path / "out/masks/mask.tif") as file:
        expected = np.where(labels == 255, 255, labels > 0)
        np.testing.assert_array_equal(file.read(1), expected)
    assert set(report.class_counts) == {0, 1}


def test_equal_stems_of_two_folders_are_distinct_files(write_raster, image, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    masks = [
        write_raster(f"{folder}/m.tif", np.full(SHAPE, number, np.uint8))
        for number, folder in enumerate(("one", "two"), start=1)
    ]
    first = export(image, masks, tmp_path / "a", full_mask=True)
    assert first.written == 2
    for folder, number in (("one", 1), ("two", 2)):
        with rasterio.open(tmp_path / f"a/masks/{folder}_m.tif") as file:
            assert (file.read(1) == number).all()
    export(image, masks[::-1], tmp_path / "b", full_mask=True)
    assert sorted(p.name for p in (tmp_path / "b/masks").iterdir()) == ["one_m.tif", "two_m.tif"]


def test_each_mask_can_have_an_image_of_its_own(write_raster, tmp_path):
    images = [write_raster(f"i{n}.tif", np.full((1, *SHAPE), n, np.uint8)) for n in (7, 9)]
    masks = [write_raster(f"m{n}.tif", np.full(SHAPE, n, np.uint8)) for n in (7, 9)]
    export(images, masks, tmp_path / "out", full_mask=True, measure=False)
    for n in (7, 9):
        with rasterio.open(tmp_path / f"out/images/m{n}.tif") as file:
            assert (file.read() == n).all()
    with pytest.raises(ConfigError, match="1 images are given for 2 masks"):
        export(images[:1], masks, tmp_path / "none", full_mask=True)


def test_a_known_shift_is_reported_with_its_sign(write_raster, tmp_path):
    rng = np.random.default_rng(5)
    labels = np.zeros((320, 400), np.uint8)
    for row, col in rng.integers(10, 280, (60, 2)):
        labels[row : row + 17, col : col + 23] = rng.integers(1, 4)
    fine = np.kron(labels, np.ones((4, 4))) * 50.0 + 20
    moved = np.roll(fine, (14, -10), (0, 1))  # 3.5 pixels down, 2.5 left
    data = moved.reshape(320, 4, 400, 4).mean(axis=(1, 3)) + rng.normal(0, 2, labels.shape)
    image = write_raster("image.tif", data.astype(np.float32))
    mask = write_raster("mask.tif", labels)
    report = export(image, mask, tmp_path / "out", full_mask=True, previews=False)
    (one,) = report.alignments
    assert one.shift.measured
    assert one.shift.row == pytest.approx(3.5, abs=0.25)
    assert one.shift.col == pytest.approx(-2.5, abs=0.25)
    told = report.to_dict()["alignments"][0]["shift"]
    assert told == json.loads(json.dumps(told))


def test_alpha_becomes_the_mask_of_the_image(write_raster, mask, tmp_path):
    data = np.random.default_rng(0).integers(1, 256, (4, *SHAPE), np.uint8)
    data[3] = 255
    data[3, 30:40, 5:50] = 0
    colors = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
    image = write_raster("alpha.tif", data, colors=colors, photometric="rgb", alpha="yes")
    report = export(image, mask, tmp_path / "out", full_mask=True)
    found, valid = pixels_of(tmp_path / "out/images/mask.tif")
    assert len(found) == 3
    np.testing.assert_array_equal(valid, data[3] > 0)
    assert report.valid_share == (data[3] > 0).mean()


def test_a_mask_without_imagery_is_told(write_raster, image, tmp_path):
    far = write_raster(
        "far.tif", np.ones(SHAPE, np.uint8), transform=Affine(10, 0, 900_000, 0, -10, 4_000_000)
    )
    with pytest.warns(UserWarning, match="touch the grid|no valid pixel") as told:
        report = export(image, far, tmp_path / "out", full_mask=True, measure=False)
    texts = [str(warning.message) for warning in told]
    assert any("does not touch the grid" in text for text in texts)
    assert any("1 of 1 masks have no valid pixel" in text for text in texts)
    assert report.alignments[0].valid_share == 0


def test_parts_of_a_large_mask_make_the_same_files(image, mask, tmp_path, monkeypatch):
    export(image, mask, tmp_path / "whole", full_mask=True)
    monkeypatch.setattr(pixels, "_PART_BYTES", 1)
    monkeypatch.setattr(pixels, "_ROWS", 7)
    export(image, mask, tmp_path / "parts", full_mask=True)
    for name in ("images/mask.tif", "masks/mask.tif", "previews/mask.png"):
        for one, other in zip(
            pixels_of(tmp_path / "whole" / name), pixels_of(tmp_path / "parts" / name), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert (tmp_path / "whole/index.parquet").read_bytes() == (
        tmp_path / "parts/index.parquet"
    ).read_bytes()


def test_memory_is_that_of_a_part_however_large_the_mask_is(write_raster, tmp_path, monkeypatch):
    rows = np.repeat(np.arange(4096) // 64 % 200, 500).reshape(4096, 500).astype(np.uint8)
    image = write_raster("high.tif", np.stack([rows] * 3) + 1)
    mask = write_raster("labels.tif", rows % 4)
    monkeypatch.setattr(pixels, "_PART_BYTES", 1)
    tracemalloc.start()
    try:
        export(image, mask, tmp_path / "out", full_mask=True, measure=False)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8e6  # the pixels themselves are more, and modules are loaded too
    with rasterio.open(tmp_path / "out/masks/labels.tif") as file:
        np.testing.assert_array_equal(file.read(1), rows % 4)


def test_a_preview_shows_image_and_mask(image, mask, tmp_path):
    report = export(image, mask, tmp_path / "out", full_mask=True)
    table = pd.read_parquet(report.index)
    data, _ = pixels_of(tmp_path / "out" / table["preview_path"][0])
    zoom = 256 // max(SHAPE)
    width = SHAPE[1] * zoom
    assert data.shape == (3, SHAPE[0] * zoom, 2 * width + 8 * zoom)
    assert (data[:, :zoom, :zoom] == 255).all()  # not valid
    assert (data[:, :, :width] != data[:, :, -width:]).any()
    assert not (export(image, mask, tmp_path / "b", full_mask=True, previews=False)).left_out
    assert not (tmp_path / "b/previews").exists()


def test_a_folder_with_something_else_is_not_touched(image, mask, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    with pytest.raises(StoreError, match="was not written by this step"):
        export(image, mask, tmp_path / "out", full_mask=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
    with pytest.raises(ConfigError, match="which is read"):
        export(image, mask, tmp_path, full_mask=True, overwrite=True)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "expected patch_size"),
        ({"full_mask": True, "patch_size": 9}, "leave out patch_size"),
        ({"patch_size": 9, "stride": 0}, "stride .* is 0, expected at least 1 pixel"),
        ({"patch_size": 9, "index": "a/b.csv"}, "expected a file name"),
        ({"patch_size": 9, "index": "b.json"}, "expected a file name"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(image, mask, tmp_path, options, text):
    with pytest.raises(ConfigError, match=text):
        export(image, mask, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_mask_that_is_none_is_refused(write_raster, image, tmp_path):
    with pytest.raises(LabelError, match="has 3 bands"):
        export(image, image, tmp_path / "out", full_mask=True)
    fractions = write_raster("f.tif", np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(LabelError, match=r"holds \[0.5\]"):
        export(image, fractions, tmp_path / "out", full_mask=True)
    assert not (tmp_path / "out").exists()


NAMES = st.lists(st.sampled_from(["a", "A", "a-2", "b", "a-2-2", "B-2"]), max_size=12)


@given(NAMES)
def test_names_are_apart_whatever_they_are(names):
    found = apart(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(name.startswith(old) for name, old in zip(found, names, strict=True))


@given(
    st.lists(st.text("ab_/", min_size=1, max_size=8), unique=True, max_size=8).map(
        lambda texts: [f"/x/{text}/m.tif" for text in texts]
    )
)
def test_masks_have_names_of_their_own_in_any_order(paths):
    paths = list(dict.fromkeys(paths))
    found = mask_names(paths)
    assert len({name.casefold() for name in found.values()}) == len(paths)
    assert not any("/" in name for name in found.values())
    assert mask_names(paths[::-1]) == found


def test_an_export_is_taken_as_done_only_while_its_files_are_there(image, mask, tmp_path):
    out = tmp_path / "out"
    first = export(image, mask, out, full_mask=True, measure=False)
    assert first.resumed == 0
    assert export(image, mask, out, full_mask=True, measure=False).resumed == 1
    (out / "previews/mask.png").unlink()
    with pytest.warns(UserWarning, match="are missing or were changed"):
        again = export(image, mask, out, full_mask=True, measure=False)
    assert again == first
    assert (out / "previews/mask.png").exists()
