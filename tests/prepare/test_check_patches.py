"""A check of patches that were cut from scenes, of an index without windows, and of split parts that are empty."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from geoseg.cli.main import app
from geoseg.prepare import check
from geoseg.prepare.checking import pages
from tests.prepare.checkdata import CLASSES, SIZE, Data, make_image, make_labels, write

SMALL = 48
"""Pixels a side of patches."""


def cut(folder, number, labels, image, *, stride=SMALL):
    """Rows of an index of patches of a scene, each a pair of files."""
    rows = []
    height, width = labels.shape
    for row in range(0, height - SMALL + 1, stride):
        for col in range(0, width - SMALL + 1, stride):
            part = slice(row, row + SMALL), slice(col, col + SMALL)
            place = {"left": 5e5 + 9000 * number + col * 0.5, "top": 4e6 - row * 0.5}
            name = f"{number}_{row}_{col}.tif"
            write(folder / "images" / name, image[:, *part], **place)
            write(folder / "masks" / name, labels[part], **place)
            rows.append((f"images/{name}", f"masks/{name}", f"../scene{number}.tif", row, col))
    return rows


def patches(folder, scenes, **how):
    """The file of an index of patches of several (labels, image)."""
    rows = [
        row for number, scene in enumerate(scenes) for row in cut(folder, number, *scene, **how)
    ]
    source = ["source_mask_path", "source_row_off", "source_col_off"]
    table = pd.DataFrame(rows, columns=["image_path", "mask_path", *source])
    table = table.assign(row_off=0, col_off=0, patch_size=SMALL)
    table.to_csv(folder / "index.csv", index=False)
    return folder / "index.csv"


def scene(seed, *, height, width, shift=(0, 0)):
    labels = make_labels(seed, height=height, width=width, cells=max(4, height * width // 800))
    return np.roll(labels, shift, axis=(0, 1)), make_image(labels, seed)


def test_of_patches_the_scene_that_is_displaced_is_named_though_it_is_the_smaller_one(tmp_path):
    folder = tmp_path / "tiles"
    scenes = [
        scene(0, height=200, width=250),
        scene(1, height=100, width=200, shift=(3, -4)),
    ]
    report = check(patches(folder, scenes), classes=CLASSES)
    found = report.finding("shift")
    assert [example.file for example in found.examples] == [str(tmp_path / "scene1.tif")]
    shift = report.edges.by_mask[str(tmp_path / "scene1.tif")]
    assert (shift.row, shift.col) == pytest.approx((3, -4), abs=0.3)
    assert report.edges.by_mask[str(tmp_path / "scene0.tif")].distance < 0.3


def test_patches_count_for_the_mask_that_they_were_cut_from(tmp_path):
    labels, image = scene(0, height=100, width=150)
    labels[:SMALL, :SMALL] = 255
    uri = patches(
        tmp_path / "tiles", [(labels, image), scene(1, height=48, width=100)], stride=SMALL
    )
    report = check(uri, classes=CLASSES, report=tmp_path / "out")
    assert list(report.masks) == [str(tmp_path / f"scene{number}.tif") for number in (0, 1)]
    first = report.masks[str(tmp_path / "scene0.tif")]
    assert (first.windows, first.files, first.flagged) == (6, 6, 1)
    assert first.labelled_share == pytest.approx((labels[:96, :144] != 255).mean())
    assert first.to_dict()["grid"].startswith("6 patches, the first EPSG:32619, 48 x 48 px")
    html = (tmp_path / "out" / "check.html").read_text(encoding="utf-8")
    assert "2 masks, cut into 8 patches" in html


def test_patches_of_one_ground_do_not_agree_with_themselves(tmp_path):
    uri = patches(tmp_path / "tiles", [scene(0, height=96, width=144)], stride=12)
    report = check(uri, classes=CLASSES, shift_windows=1000)
    assert report.windows == 45
    # Those that share half their pixels at most: 6 lie side by side.
    assert 4 <= report.edges.shift.tried <= 15


def test_rows_without_a_source_stand_for_their_own_mask(tmp_path):
    uri = patches(tmp_path / "tiles", [scene(0, height=48, width=144)])
    table = pd.read_csv(uri)
    table.loc[1, "source_mask_path"] = None
    table.drop(columns=["source_row_off", "source_col_off"]).to_csv(uri, index=False)
    report = check(uri, classes=CLASSES)
    own = str(tmp_path / "tiles" / "masks" / "0_0_48.tif")
    assert list(report.masks) == [str(tmp_path / "scene0.tif"), own]
    assert [share.windows for share in report.masks.values()] == [2, 1]


def test_of_many_masks_the_page_shows_those_with_findings_first(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "_MASKS", 3)
    labels, image = scene(0, height=96, width=192)
    labels[48:, 96:144] = 255
    uri = patches(tmp_path / "tiles", [(labels, image)])
    table = pd.read_csv(uri).drop(columns="source_mask_path")
    table.to_csv(uri, index=False)
    report = check(uri, classes=CLASSES, report=tmp_path / "out", pictures=0, shift_windows=0)
    assert len(report.masks) == 8
    html = (tmp_path / "out" / "check.html").read_text(encoding="utf-8")
    masks = html[html.index('<h2 id="masks">') :]
    shown = re.findall(r"masks/(\w+\.tif)", masks)
    assert (len(shown), shown[0]) == (3, "0_48_96.tif")
    assert "8 masks; the 3 with the most findings" in masks


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_index_without_windows_is_an_error(tmp_path, suffix):
    data = Data(tmp_path)
    data.write()
    uri = data.index().select([]).write(str(tmp_path / f"none.{suffix}"))
    report = check(uri, classes=CLASSES, report=tmp_path / "out")
    assert report.findings[0].code == "no-windows"
    assert (report.findings[0].how_many, report.exit_code) == ("1 file", 1)
    found = CliRunner().invoke(app, ["prepare", "check", uri])
    assert found.exit_code == 1
    assert "error: The index has no windows" in found.output


@pytest.mark.parametrize(
    ("names", "severity", "empty"),
    [
        (["test", "dropped"], "warning", ["train", "val"]),
        (["dropped"], "warning", ["train", "val", "test"]),
        (["train"], "warning", ["val", "test"]),
        (["train", "val", "dropped"], "note", ["test"]),
        (["train", "val"], None, []),
        (["train", "val", "test", "dropped"], None, []),
        (["north", "south"], None, []),
    ],
)
def test_parts_of_a_split_without_a_window_are_told(tmp_path, names, severity, empty):
    data = Data(tmp_path)
    data.write()
    index = data.index(images=False)
    split = [names[row % len(names)] for row in range(len(index))]
    found = check(index.with_columns({"split": split}), classes=CLASSES).finding("part-empty")
    assert (found and found.severity) == severity
    told = [example.detail.split()[0] for example in found.examples] if found else []
    assert told == empty
    if "train" in empty:
        assert "nothing is left to train on" in found.examples[0].detail


def test_a_shift_that_is_not_measured_has_a_reason(tmp_path):
    labels, image = scene(0, height=96, width=96)
    uri = patches(tmp_path / "small", [(labels * 0, image)])
    shift = check(uri, classes=CLASSES, report=tmp_path / "out").edges.shift
    assert (shift.tried, shift.reason) == (0, "no window holds two classes")
    html = (tmp_path / "out" / "check.html").read_text(encoding="utf-8")
    assert "No displacement of all windows can be told: no window holds two classes." in html
    assert "not clear" not in html
    ringed = labels.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            ringed[np.roll(labels, step, axis) != labels] = 255
    shift = check(patches(tmp_path / "ring", [(ringed, image)]), classes=CLASSES).edges.shift
    assert "a ring between them is ignored" in shift.reason
    data = Data(tmp_path)
    data.labels = [np.zeros_like(labels) for labels in data.labels]
    data.labels[0][10:14, 20:24] = 1
    data.write()
    shift = check(data.index(), classes=CLASSES).edges.shift
    assert "has 16 px, expected 32 at least" in shift.reason
    assert f"{SIZE} x {SIZE} px" in shift.reason
