"""A check of windows: clean data give no finding, and each defect is found where it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.windows import Window as RasterioWindow
from scipy import ndimage

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, SourceError
from geoseg.prepare import check
from geoseg.prepare.checking.labellook import Known, look_at_labels
from geoseg.prepare.checking.nearness import nearness_of
from geoseg.prepare.edges import image_edges
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sources import handles
from geoseg.sources.base import Chip
from tests.prepare.checkdata import (
    CLASSES,
    HEIGHT,
    SIZE,
    WIDTH,
    Data,
    image_of,
    make_image,
    make_labels,
    write,
)


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def codes(report):
    return [finding.code for finding in report.findings]


def only(report, code):
    """The one finding there is, of a kind."""
    assert codes(report) == [code]
    return report.findings[0]


def test_clean_data_give_no_finding(data):
    data.write()
    index = data.index()
    report = check(index, classes=CLASSES)
    assert report.findings == ()
    assert report.ok
    assert report.exit_code == 0
    assert (report.rows, report.windows, report.images) == (len(index),) * 3
    assert report.edges.shift.agree >= 10
    assert report.edges.shift.distance < 0.3
    assert report.edges.boundaries.ratio > 1.5


def test_the_histogram_is_that_of_all_windows(data):
    data.write()
    index = data.index(images=False, stride=40)
    report = check(index, classes=CLASSES)
    pixels, windows = np.zeros(3, int), np.zeros(3, int)
    for path, w in zip(index.mask_paths, index.windows, strict=True):
        with rasterio.open(path) as file:
            ids = file.read(1, window=RasterioWindow(w.col, w.row, w.width, w.height))
        found = np.array([(ids == i).sum() for i in range(3)])
        pixels += found
        windows += found > 0
    assert [share.pixels for share in report.classes] == pixels.tolist()
    assert [share.windows for share in report.classes] == windows.tolist()
    assert [share.share for share in report.classes] == pytest.approx(pixels / pixels.sum())
    assert [share.name for share in report.classes] == list(CLASSES)


def test_suggested_weights_are_the_formulas(data):
    data.write()
    index = data.index(images=False)
    report = check(index, classes=CLASSES)
    pixels = np.array([share.pixels for share in report.classes], float)
    around = np.zeros(3)  # pixels of the windows in which a class occurs
    for path, w in zip(index.mask_paths, index.windows, strict=True):
        with rasterio.open(path) as file:
            ids = file.read(1, window=RasterioWindow(w.col, w.row, w.width, w.height))
        around += np.isin(range(3), ids) * ids.size
    beta = 1 - 1 / pixels.mean()
    frequency = pixels / around
    expected = {
        "inverse": 1 / pixels,
        "sqrt": pixels**-0.5,
        "median": np.median(frequency) / frequency,
        "effective": (1 - beta) / (1 - beta**pixels),
    }
    for rule, raw in expected.items():
        weights = [share.weights[rule] for share in report.classes]
        assert weights == pytest.approx(raw / raw.mean(), rel=1e-6), rule


def test_unknown_ids_are_told_for_each_file_with_their_pixels(data):
    data.labels[1][5, 7:10] = 9
    data.labels[1][150:152, 200:203] = 77
    data.labels[2][:40, :30] = 255
    data.write()
    report = check(data.index(images=False), classes=CLASSES)
    found = only(report, "unknown-ids")
    assert (found.severity, found.count) == ("error", 1)
    (example,) = found.examples
    assert (example.file, example.window.row, example.window.col) == (data.mask(1), 0, 0)
    # Four windows hold the latter: the last ones end flush and overlap those before them.
    assert example.detail == "77 (24 pixels), 9 (3 pixels)"
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("dtype", "value", "told"),
    [
        ("float32", 1.5, "1.5"),
        ("int16", -3, "-3"),
        ("uint16", 300, "300"),
        ("float64", np.nan, None),
    ],
)
def test_values_that_are_no_byte_are_no_class(data, dtype, value, told):
    data.labels = [labels.astype(dtype) for labels in data.labels]
    data.labels[0][10, 10] = value
    data.images = [np.zeros((3, HEIGHT, WIDTH), "uint8")] * 3
    data.write()
    report = check(data.index(images=False), ignore_id=None)
    if told is None:  # NaN is nodata
        assert report.finding("unknown-ids") is None
    else:
        assert report.finding("unknown-ids").examples[0].detail == f"{told} (1 pixel)"


def test_the_nodata_of_a_mask_is_ignored_and_255_too(data):
    data.labels[0][:SIZE, :SIZE] = 7
    data.labels[1][:SIZE, :SIZE] = 255
    data.write(mask_options={"nodata": 7})
    index = data.index(images=False)
    report = check(index, classes=CLASSES)
    found = only(report, "all-ignored")
    assert found.rows == (data.row(index, 0, 0, 0), data.row(index, 1, 0, 0))
    assert (found.severity, report.ok) == ("warning", True)
    assert "unknown-ids" in codes(check(index, classes=CLASSES, ignore_id=None))


def test_classes_that_are_rare_or_missing_are_told(data):
    for labels in data.labels:
        labels[labels == 2] = 1
    data.labels[0][20:28, 20:28] = 2
    data.write()
    report = check(data.index(images=False), classes=[*CLASSES, "road"])
    assert codes(report) == ["class-missing", "imbalance"]
    assert report.finding("class-missing").how_many == "1 class"
    assert report.finding("class-missing").examples[0].detail == "class road (id 3)"
    assert "class house (id 2) has 0." in report.finding("imbalance").examples[0].detail


def test_islands_of_one_pixel_are_counted_and_diagonals_are_none(data):
    data.labels[0][:] = 0
    data.labels[0][10, 10] = data.labels[0][90, 100] = 1
    data.labels[0][20:40, 20:40] += np.eye(20, dtype="uint8")
    data.write()
    index = data.index(images=False)
    found = check(index).finding("islands")
    assert found.severity == "note"
    assert set(found.rows) == {data.row(index, 0, 0, 0), data.row(index, 0, 64, 64)}


def test_islands_and_boundaries_equal_brute_force():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 3, (23, 31)).astype("uint8")
    ids[rng.random(ids.shape) < 0.1] = 255
    valid = rng.random(ids.shape) > 0.05
    look = look_at_labels(ids, valid, Known(None, (255,)))
    ok = valid & (ids != 255)
    edges = islands = teeth = 0
    for row in range(23):
        for col in range(31):
            four = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
            differs = [
                0 <= r < 23
                and 0 <= c < 31
                and ok[row, col]
                and ok[r, c]
                and ids[r, c] != ids[row, col]
                for r, c in four
            ]
            edges += sum(differs)
            if 0 < row < 22 and 0 < col < 30:
                around = ok[row - 1 : row + 2, col - 1 : col + 2]
                same = (ids[row - 1 : row + 2, col - 1 : col + 2] == ids[row, col]).sum()
                teeth += sum(differs) >= 3
                islands += bool(around.all() and same == 1)
    assert (look.edges, look.teeth) == (edges // 2, teeth)
    assert look.islands == islands
    assert look.counts == {i: int((ok & (ids == i)).sum()) for i in range(3)}


def test_ragged_boundaries_are_told_and_straight_ones_not(data):
    noise = np.random.default_rng(0).integers(0, 2, (3, SIZE, SIZE)).astype("uint8")
    data.labels[1][:SIZE, :SIZE] = noise[0]
    data.write()
    index = data.index(images=False)
    found = check(index, classes=CLASSES).finding("ragged")
    assert found.rows == (data.row(index, 1, 0, 0),)


def test_windows_without_an_image_and_of_one_value_are_told(data):
    data.images[0][:, :SIZE, :SIZE] = 0
    data.images[1][:, :SIZE, :SIZE] = 33
    data.write(image_options={"nodata": 0})
    index = data.index()
    report = check(index, classes=CLASSES, shift_windows=0)
    assert codes(report) == ["no-image", "constant-image"]
    assert report.finding("no-image").rows == (data.row(index, 0, 0, 0),)
    constant = report.finding("constant-image")
    assert constant.rows == (data.row(index, 1, 0, 0),)
    assert constant.examples[0].detail == "all 4096 valid pixels are 33, 33, 33"
    share = report.masks[data.mask(0)].valid_share
    windows = [w for p, w in zip(index.mask_paths, index.windows, strict=True) if p == data.mask(0)]
    with rasterio.open(data.image(0)) as file:
        seen = file.dataset_mask() > 0
    assert share == pytest.approx(np.mean([seen[w.slices].mean() for w in windows]))


def test_a_mask_without_any_image_is_an_error(data):
    data.write()
    index = data.index(images=False)
    report = check(index, classes=CLASSES, image=data.image(0), shift_windows=0)
    found = report.finding("mask-without-image")
    assert [example.file for example in found.examples] == [data.mask(1), data.mask(2)]
    assert report.masks[data.mask(0)].valid_share == 1.0
    assert report.masks[data.mask(1)].valid_share == 0.0
    assert not report.ok


@pytest.mark.parametrize("nodata", [None, "nan"])
def test_nan_that_is_not_declared_and_infinity_are_told(data, nodata):
    data.images = [image.astype("float32") for image in data.images]
    data.images[2][1, 70:74, 5] = np.nan
    data.images[1][0, 3, 3] = np.inf
    data.write(image_options={"nodata": None if nodata is None else np.nan})
    index = data.index()
    found = check(index, classes=CLASSES, shift_windows=0).finding("not-finite")
    infinite, nan = data.row(index, 1, 0, 0), data.row(index, 2, 64, 0)
    assert found.rows == ((infinite, nan) if nodata is None else (infinite,))
    assert found.examples[0].detail == "0 values are NaN, 1 infinite"


def test_images_on_another_grid_than_their_mask_are_errors(data):
    data.write()
    write(data.image(1), data.images[1], left=510_000.2)
    write(data.image(2), data.images[2][:, :-3], left=520_000.0)
    found = only(check(data.index(), classes=CLASSES, shift_windows=0), "grids-differ")
    assert [example.file for example in found.examples] == [data.mask(1), data.mask(2)]
    assert f"{HEIGHT - 3} x {WIDTH}" in found.examples[1].detail


def test_one_image_for_all_masks_may_be_on_any_grid(data):
    data.write()
    whole = np.concatenate([data.images[0]] * 2, axis=1).repeat(2, axis=1).repeat(2, axis=2)
    image = write(data.folder / "mosaic.tif", whole, cell=0.25)
    write(data.mask(1), data.labels[0], top=4_000_000 - HEIGHT * 0.5)
    index = WindowIndex.build([data.mask(0), data.mask(1)], patch_size=SIZE)
    report = check(index, classes=CLASSES, image=image, shift_windows=8)
    assert "grids-differ" not in codes(report)
    assert report.finding("image-resampled").count == 2
    assert report.finding("image-resampled").severity == "note"
    assert report.edges.shift.distance < 0.5


def test_a_grid_that_misleads_about_metres_is_a_note(data):
    write(data.mask(0), data.labels[0], crs="EPSG:3857", left=4_000_000.0, top=8_000_000.0)
    report = check(WindowIndex.build([data.mask(0)], patch_size=SIZE))
    found = only(report, "ground-size")
    assert "EPSG:3857" in found.examples[0].detail
    assert report.ok


def test_labels_displaced_against_the_image_are_found_with_their_sign(data):
    data.labels[1] = np.roll(data.labels[1], (4, -3), axis=(0, 1))
    data.write()
    report = check(data.index(), classes=CLASSES)
    found = only(report, "shift")
    assert [example.file for example in found.examples] == [data.mask(1)]
    shift = report.edges.by_mask[data.mask(1)]
    assert (shift.row, shift.col) == pytest.approx((4, -3), abs=0.3)
    for number in (0, 2):
        assert report.edges.by_mask[data.mask(number)].distance < 0.3


def test_masks_of_one_window_each_show_a_shift_together(tmp_path):
    rows = []
    for seed in range(6):
        labels = make_labels(seed, height=128, width=128)
        image = write(tmp_path / f"i{seed}.tif", make_image(labels, seed), left=5e5 + 9000 * seed)
        moved = np.roll(labels, (0, 5), axis=(0, 1))
        mask = write(tmp_path / f"m{seed}.tif", moved, left=5e5 + 9000 * seed)
        rows.append((image, mask, 0, 0, 128))
    names = ["image_path", "mask_path", "row_off", "col_off", "patch_size"]
    index = WindowIndex.from_table(pd.DataFrame(rows, columns=names))
    report = check(index, classes=CLASSES)
    assert report.edges.by_mask == {}
    assert (report.edges.shift.row, report.edges.shift.col) == pytest.approx((0, 5), abs=0.3)
    assert report.edges.shift.measured >= 4
    assert "over all masks" in report.finding("shift").examples[0].detail


def test_boundaries_that_are_no_edges_are_told(data):
    data.labels = [make_labels(seed + 50) for seed in range(3)]  # of other places
    data.write()
    report = check(data.index(), classes=CLASSES)
    found = only(report, "boundary-mismatch")
    assert found.severity == "warning"
    assert report.edges.boundaries.ratio < 1.1
    assert report.edges.shift.row is None


def test_nearness_equals_dilation(data):
    ids, image = data.labels[0], data.images[0]
    valid = np.ones(ids.shape, bool)
    strength = image_edges(image, valid)
    strong = strength >= np.percentile(strength, 90)
    near = ndimage.binary_dilation(strong, np.ones((3, 3)))
    beside = np.zeros(ids.shape, bool)
    for axis in (0, 1):
        for step in (-1, 1):
            moved = np.roll(ids, step, axis)
            differs = moved != ids
            differs[
                (0 if step == 1 else -1,) if axis == 0 else (slice(None), 0 if step == 1 else -1)
            ] = False
            beside |= differs
    found = nearness_of(ids, Chip(image, valid))
    assert found.boundary == beside.sum()
    assert found.near == (near & beside).sum()
    assert found.chance == pytest.approx(near.mean())


def test_a_missing_and_a_damaged_file_are_listed_and_the_check_goes_on(data):
    data.labels[0][0, 0] = 9
    data.write()
    uri = data.index(edge="pad").write(str(data.folder / "index.csv"))
    (data.folder / "mask1.tif").unlink()
    image = (data.folder / "image2.tif").read_bytes()
    (data.folder / "image2.tif").write_bytes(image[: len(image) // 2])
    (data.folder / "image0.tif").write_bytes(b"no picture")
    report = check(uri, classes=CLASSES, shift_windows=0)
    table = pd.read_csv(uri)
    missing = report.finding("mask-unreadable")
    assert missing.rows == tuple(np.flatnonzero(table["mask_path"] == "mask1.tif"))
    assert "no such file" in missing.examples[0].detail
    damaged = report.finding("image-unreadable")
    first = set(np.flatnonzero(table["image_path"] == "image0.tif"))
    third = set(np.flatnonzero(table["image_path"] == "image2.tif"))
    assert first < set(damaged.rows) < first | third
    assert report.finding("unknown-ids").examples[0].file.endswith("mask0.tif")
    assert (report.rows, report.windows) == (len(table), len(table) - missing.count)
    with pytest.raises(SourceError):
        WindowIndex.read(uri)


def test_each_file_of_a_finding_is_told_with_its_places(data):
    data.write()
    index = data.index()
    for number in range(3):
        (data.folder / f"image{number}.tif").unlink()
    found = only(check(index, classes=CLASSES, shift_windows=0), "image-unreadable")
    assert found.files == {data.image(number): 20 for number in range(3)}
    assert found.rows == tuple(range(60))
    assert {example.file for example in found.examples} == set(found.files)
    assert len(found.examples) == 15
    assert found.to_dict()["files"][data.image(1)] == 20
    assert found.how_many == "60 windows"


def test_rows_that_name_no_window_are_listed_with_their_number(data):
    data.write()
    index = data.index(images=False)
    table = index.table.copy()
    table["row_off"] = table["row_off"].astype(float)
    table.loc[3, "mask_path"] = None
    table.loc[7, "row_off"] = 1e5
    table.loc[9, "row_off"] = 0.5
    table.loc[11, "row_off"] = HEIGHT - 10
    table.to_csv(data.folder / "theirs.csv", index=False)
    report = check(data.folder / "theirs.csv", classes=CLASSES)
    unusable = report.finding("row-unusable")
    assert unusable.rows == (3, 7, 9)
    assert "outside" in next(e.detail for e in unusable.examples if e.row == 7)
    past = report.finding("past-mask")
    assert (past.rows, past.severity) == ((11,), "error")
    assert report.windows == len(table) - 3


def test_bounds_that_are_off_the_grid_are_listed(data):
    data.write()
    table = data.index(images=False).table
    table = table[["mask_path"]].copy()
    left = np.full(len(table), 500_000.0)
    for number in range(3):
        rows = table["mask_path"] == data.mask(number)
        left[rows.to_numpy()] += 10_000 * number
    table["minx"], table["maxx"] = left, left + 32
    table["miny"], table["maxy"] = 4_000_000.0 - 32, 4_000_000.0
    table.loc[4, ["minx", "maxx"]] += 0.2
    table.to_csv(data.folder / "bounds.csv", index=False)
    report = check(data.folder / "bounds.csv", classes=CLASSES)
    assert report.finding("row-unusable").rows == (4,)
    assert report.windows == 59
    assert report.finding("row-repeated").count == 56


def test_a_mask_that_vanished_since_the_index_was_made_is_listed(data):
    data.write()
    index = data.index()
    (data.folder / "mask1.tif").unlink()
    report = check(index, classes=CLASSES, shift_windows=0)
    rows = [row for row, path in enumerate(index.mask_paths) if path == data.mask(1)]
    assert codes(report) == ["mask-unreadable"]
    assert report.finding("mask-unreadable").rows == tuple(rows)
    assert report.windows == len(index) - len(rows)


def test_windows_past_the_mask_are_a_note_where_the_index_says_so(data):
    data.write()
    index = data.index(edge="pad")
    past = [w.row_stop > HEIGHT or w.col_stop > WIDTH for w in index.windows]
    report = check(index, classes=CLASSES, shift_windows=0)
    assert report.finding("past-mask").severity == "note"
    assert report.finding("past-mask").rows == tuple(np.flatnonzero(past))
    uri = index.write(str(data.folder / "padded.parquet"))
    found = check(uri, classes=CLASSES, shift_windows=0).finding("past-mask")
    assert found.severity == "note"
    assert report.ok


def test_an_index_of_which_no_mask_is_there_is_all_errors(data):
    data.write()
    uri = data.index().write(str(data.folder / "index.parquet"))
    for number in range(3):
        (data.folder / f"mask{number}.tif").unlink()
    report = check(uri, classes=CLASSES, report=data.folder / "out")
    assert report.finding("mask-unreadable").count == report.rows
    assert (report.windows, report.exit_code) == (0, 1)


def test_a_mask_of_several_bands_is_told(data):
    data.write()
    write(data.mask(0), data.images[0])
    index = data.index(images=False)
    found = check(index, classes=CLASSES).finding("mask-unreadable")
    assert found.count == sum(path == data.mask(0) for path in index.mask_paths)
    assert "3 bands" in found.examples[0].detail


def test_arguments_that_make_no_sense_are_refused(data):
    data.write()
    index = data.index()
    with pytest.raises(ConfigError, match="shift_windows is -1"):
        check(index, shift_windows=-1)
    with pytest.raises(ConfigError, match="classes is 'house'"):
        check(index, classes="house")
    with pytest.raises(ConfigError, match="300"):
        check(index, classes=[0, 300])
    with pytest.raises(ConfigError, match="image_column is 'photo'"):
        check(index, image_column="photo")
    with pytest.raises(ConfigError, match="folder"):
        check(index, report=data.folder / "out.json")
    with pytest.raises(SourceError, match="no such file"):
        check(data.folder / "none.csv")


def test_another_column_may_hold_the_images(data):
    data.write()
    index = data.index(images=False)
    photos = [image_of(path) for path in index.mask_paths]
    index = index.with_columns({"photo": photos})
    report = check(index, classes=CLASSES, image_column="photo", shift_windows=0)
    assert report.images == len(index)
    assert report.findings == ()


def test_images_of_some_windows_only_may_be_looked_at(data):
    data.write()
    report = check(data.index(), classes=CLASSES, image_windows=7, shift_windows=0)
    assert report.images == 7
    assert report.windows == 60
    assert report.findings == ()


def test_each_mask_is_opened_once_however_its_windows_are_ordered(data, monkeypatch):
    data.write()
    index = data.index(images=False)
    order = np.random.default_rng(0).permutation(len(index))
    opened = []
    real = handles._open
    monkeypatch.setattr(handles, "_open", lambda uri, *a: opened.append(uri) or real(uri, *a))
    monkeypatch.setattr(handles, "_LIMIT", 1)
    handles.close_all()
    check(index.select(order), classes=CLASSES)
    assert sorted(opened) == [data.mask(number) for number in range(3)]


def test_the_report_is_the_same_again_and_plain_json(data):
    data.labels[0][5, 5] = 9
    data.write()
    uri = data.index().write(str(data.folder / "index.parquet"))
    texts = []
    for name in ("one", "two"):
        report = check(uri, classes=ClassMap.of(*CLASSES), report=data.folder / name)
        files = [data.folder / name / file for file in ("check.json", "check.html")]
        assert [report.json_uri, report.html_uri] == list(map(str, files))
        texts.append([file.read_bytes() for file in files])
    assert texts[0] == texts[1]
    found = json.loads(texts[0][0])
    assert found == json.loads(json.dumps(report.to_dict()))
    assert found["ok"] is False
    assert found["findings"][0]["code"] == "unknown-ids"
    assert found["counts"]["error"] == 1


def test_secrets_of_uris_stay_out_of_the_report(data, tmp_path):
    data.write()
    table = pd.read_csv(data.index().write(str(tmp_path / "i.csv")))
    far = table.iloc[:1].assign(mask_path="http://127.0.0.1:9/m.tif?token=5ec2e7")
    pd.concat([table, far]).to_csv(tmp_path / "j.csv", index=False)
    report = check(tmp_path / "j.csv", classes=CLASSES, report=tmp_path / "told")
    assert "mask-unreadable" in codes(report)
    for uri in (report.json_uri, report.html_uri):
        text = Path(uri).read_text(encoding="utf-8")
        assert "127.0.0.1:9/m.tif" in text
        assert "5ec2e7" not in text
    json.loads(Path(report.json_uri).read_text(encoding="utf-8"))
