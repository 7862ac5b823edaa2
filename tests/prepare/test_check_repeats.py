"""Windows that repeat one another, and splits that leak, in a check."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from geoseg.prepare import check, find_leaks
from geoseg.sampling.windowindex import WindowIndex
from tests.prepare.checkdata import CLASSES, SIZE, Data, write


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def run(index, **how):
    return check(index, classes=CLASSES, shift_windows=0, **how)


def codes(report):
    return [finding.code for finding in report.findings]


def test_the_same_image_with_other_labels_is_an_error(data):
    data.images[2][:, 64:128, :SIZE] = data.images[0][:, :SIZE, 64:128]
    data.write()
    index = data.index()
    report = run(index)
    assert codes(report) == ["conflicting-labels"]
    one, other = data.row(index, 0, 0, 64), data.row(index, 2, 64, 0)
    found = report.findings[0]
    assert (found.rows, found.severity) == ((one, other), "error")
    assert found.examples[0].detail == f"equals row {other} of {data.mask(2)}"
    assert found.examples[1].detail == f"equals row {one} of {data.mask(0)}"


def test_a_copy_of_a_pair_is_a_warning(data):
    for planes in (data.labels, data.images):
        planes[2][..., 64:128, :SIZE] = planes[0][..., :SIZE, 64:128]
    data.write()
    index = data.index()
    report = run(index)
    assert codes(report) == ["duplicate-windows"]
    assert report.findings[0].rows == (data.row(index, 2, 64, 0),)
    assert report.ok


def test_equal_images_in_two_parts_are_an_error(data):
    for planes in (data.labels, data.images):
        planes[2][..., 64:128, :SIZE] = planes[0][..., :SIZE, 64:128]
    data.write()
    index = data.index()
    parts = ["val" if path == data.mask(2) else "train" for path in index.mask_paths]
    one, other = data.row(index, 0, 0, 64), data.row(index, 2, 64, 0)
    report = run(index.with_columns({"split": parts}))
    assert codes(report) == ["duplicate-across-parts"]
    assert report.findings[0].rows == (one, other)
    assert "split train" in report.findings[0].examples[0].detail
    parts[one] = "dropped"  # nobody uses it
    assert codes(run(index.with_columns({"split": parts}))) == ["duplicate-windows"]
    folds = [int(path == data.mask(2)) for path in index.mask_paths]
    assert codes(run(index.with_columns({"fold": folds}))) == ["duplicate-across-parts"]


def test_copied_labels_are_a_note_and_plain_ones_no_word(data):
    data.labels[1][64:128, :SIZE] = data.labels[0][:SIZE, 64:128]
    for labels in data.labels:
        labels[128:192, 128:192] = 1
    data.write()
    index = data.index(images=False)
    report = run(index)
    assert codes(report) == ["duplicate-labels"]
    assert report.findings[0].rows == (data.row(index, 1, 64, 0),)
    assert report.findings[0].severity == "note"


def test_empty_and_constant_images_are_no_duplicates(data):
    for image in data.images:
        image[:, :SIZE, :SIZE] = 0
        image[:, 64:128, :SIZE] = 44
    data.write(image_options={"nodata": 0})
    assert codes(run(data.index())) == ["no-image", "constant-image"]


def test_duplicates_equal_a_comparison_of_all_pairs(data):
    rng = np.random.default_rng(5)
    tiles = rng.integers(0, 200, (3, 3, 40, 40)).astype("uint8")
    image = np.concatenate(
        [np.concatenate(list(tiles[row]), axis=2) for row in rng.integers(0, 3, (4, 5))], axis=1
    )
    labels = rng.integers(0, 3, image.shape[1:]).astype("uint8")
    path = write(data.folder / "m.tif", labels), write(data.folder / "i.tif", image)
    index = WindowIndex.build([path[0]], patch_size=40).with_columns({"image_path": path[1]})
    expected = set()
    for i, one in enumerate(index.windows):
        for j, other in enumerate(index.windows):
            a, b = (image[(slice(None), *window.slices)] for window in (one, other))
            if i != j and (a == b).all():
                expected |= {i, j}
    assert set(run(index).finding("conflicting-labels").rows) == expected
    assert expected


def test_rows_that_repeat_a_window_are_a_note(data):
    data.write()
    index = data.index()
    report = run(index.select([0, 1, 2, 1, 5, 0]))
    assert codes(report) == ["row-repeated"]
    assert report.findings[0].rows == (3, 5)


def test_parts_that_touch_or_come_too_near_are_errors(data):
    data.write()
    index = data.index(stride=32)
    parts = ["train" if window.col < 96 else "val" for window in index.windows]
    index = index.with_columns({"split": parts})
    found = run(index).finding("leakage")
    leaks = find_leaks(index).leaks
    assert found.rows == leaks[0].rows
    assert len(found.rows) > 3
    apart = index.select([window.col < 64 or window.col >= 128 for window in index.windows])
    assert "leakage" not in codes(run(apart))
    assert "leakage" in codes(run(apart, buffer_m=20))


def test_folds_that_leak_are_errors_and_odd_columns_are_told(data):
    data.write()
    index = data.index()
    folds = [data.mask(0) == path for path in index.mask_paths]
    index = index.with_columns({"fold": np.array(folds, int)})
    assert codes(run(index)) == []
    mixed = index.with_columns({"fold": np.arange(len(index)) % 2, "dropped_in_fold": "[]"})
    leaks = find_leaks(mixed).leaks  # the last windows end flush, and overlap those before them
    assert set(run(mixed).finding("leakage").rows) == {row for leak in leaks for row in leak.rows}
    found = run(index.with_columns({"dropped_in_fold": "none"})).finding("columns-unusable")
    assert "dropped_in_fold" in found.examples[0].detail


def test_a_part_without_a_class_is_told(data):
    data.labels[2][data.labels[2] == 1] = 0
    data.write()
    index = data.index(images=False)
    parts = ["test" if path == data.mask(2) else "train" for path in index.mask_paths]
    report = run(index.with_columns({"split": parts}))
    assert codes(report) == ["part-lacks-class"]
    assert report.findings[0].examples[0].detail == "split test has no pixel of class 1"
    assert report.parts["split test"].pixels[1] == 0
    assert report.parts["split train"].windows == parts.count("train")
    total = sum(part.pixels[2] for part in report.parts.values())
    assert total == report.classes[2].pixels


def test_row_numbers_are_those_of_the_file_where_rows_are_left_out(data):
    data.images[2][:, 64:128, :SIZE] = data.images[0][:, :SIZE, 64:128]
    data.labels[2][10:14, 100:104] = 8
    data.write()
    index = data.index()
    uri = index.write(str(data.folder / "index.csv"))
    (data.folder / "mask1.tif").unlink()
    report = check(uri, classes=CLASSES, shift_windows=0)
    assert report.finding("conflicting-labels").rows == (
        data.row(index, 0, 0, 64),
        data.row(index, 2, 64, 0),
    )
    assert report.finding("unknown-ids").rows == (data.row(index, 2, 0, 64),)
    table = pd.read_csv(uri)
    assert table.loc[data.row(index, 2, 0, 64), "col_off"] == 64
