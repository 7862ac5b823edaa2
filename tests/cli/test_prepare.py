"""`geoseg prepare ...` as it is typed."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box

from geoseg.cli.prepare.pairs import class_of, pairs_of
from geoseg.errors import ConfigError
from geoseg.sampling.windowindex import WindowIndex


@pytest.fixture
def layers(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    place = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    for name, cell, height, width, most in (
        ("image", 7.0, 61, 83, 200),
        ("truth", 10.0, 40, 52, 3),
    ):
        transform = Affine(cell, 0, 400_000, 0, -cell, 5_000_000)
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", height=height, width=width, transform=transform, **place
        ) as file:
            file.write(rng.integers(1, most, (1, height, width), np.uint8))
    shapes = [box(400_000 + 90 * i, 4_999_700, 400_060 + 90 * i, 4_999_950) for i in range(5)]
    frame = gpd.GeoDataFrame(
        {"kind": ["a", "b", "a", "b", None]}, geometry=shapes, crs="EPSG:32633"
    )
    frame.to_file(tmp_path / "fields.gpkg")
    index = WindowIndex.build([str(tmp_path / "truth.tif")], patch_size=5, edge="pad")
    index.write(str(tmp_path / "windows.csv"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_command_says_what_it_does(geoseg):
    found = geoseg("prepare", "--help")
    assert found.code == 0
    for name in ("align", "masks", "split", "run"):
        assert name in found.out
        told = geoseg("prepare", name, "--help")
        assert told.code == 0
        assert f"Example: geoseg prepare {name}" in told.out


def test_align_writes_the_grid_of_the_reference(geoseg, layers):
    out = layers / "aligned.tif"
    found = geoseg(
        "prepare",
        "align",
        layers / "image.tif",
        layers / "truth.tif",
        out,
        "--continuous",
        "--json",
    )
    assert (found.code, found.err) == (0, "")
    report = json.loads(found.out)
    assert report["grid_equal"] is True
    with rasterio.open(out) as made, rasterio.open(layers / "truth.tif") as wanted:
        assert (made.crs, made.transform, made.shape) == (
            wanted.crs,
            wanted.transform,
            wanted.shape,
        )


def test_masks_have_the_classes_and_the_report_for_people_names_them(geoseg, layers):
    options = (
        "--class-by",
        "kind",
        "--class-map",
        "a:3,b:7",
        "--default-class",
        "b",
        "--background",
        "none",
    )
    found = geoseg(
        "prepare", "masks", layers / "fields.gpkg", layers / "truth.tif", layers / "m.tif", *options
    )
    assert (found.code, found.err) == (0, "")
    with rasterio.open(layers / "m.tif") as file:
        assert sorted(np.unique(file.read(1))) == [3, 7, 255]
        assert file.nodata == 255
    assert "classes" in found.out
    assert "vector_area_m2" in found.out
    again = geoseg(
        "prepare", "masks", layers / "fields.gpkg", layers / "truth.tif", layers / "m.tif", *options
    )
    assert again.code == 2
    assert again.err.count("\n") <= 3
    more = ("--mode", "overwrite", "--all-touched", "a:yes", "--buffer-m", "a:5,b:1", "--json")
    found = geoseg(
        "prepare",
        "masks",
        layers / "fields.gpkg",
        layers / "truth.tif",
        layers / "m.tif",
        *options,
        *more,
    )
    assert found.code == 0
    assert json.loads(found.out)["masks"][0]["path"] == str(layers / "m.tif")


def test_masks_without_a_reference_need_a_resolution(geoseg, layers):
    found = geoseg(
        "prepare", "masks", layers / "fields.gpkg", "-", layers / "m.tif", "--resolution", 20, "--class-by", "kind",
        "--class-map", "a:1,b:2", "--default-class", "a",
    )  # fmt: skip
    assert (found.code, found.err) == (0, "")
    with rasterio.open(layers / "m.tif") as file:
        assert file.res == (20, 20)


def test_split_tells_how_many_windows_each_part_has(geoseg, layers):
    options = (
        "--block-m",
        100,
        "--buffer-m",
        30,
        "--shares",
        "train:0.6,val:0.4",
        "--map",
        layers / "map.png",
    )
    found = geoseg(
        "prepare", "split", layers / "windows.csv", layers / "out.parquet", *options, "--json"
    )
    assert (found.code, found.err) == (0, "")
    report = json.loads(found.out)
    counts = WindowIndex.read(str(layers / "out.parquet")).table["split"].value_counts().to_dict()
    assert report["windows"] == counts
    assert {"train", "val"} <= set(counts) <= {"train", "val", "dropped"}
    assert (layers / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["split", "windows.csv", "windows.csv", "--block-m", "100"], 2, "windows.csv"),
        (["split", "windows.csv", "o.csv"], 2, "too few for the parts"),
        (["split", "windows.csv", "o.csv", "--shares", "train=1"], 2, "expected pairs"),
        (["split", "windows.csv", "o.csv", "--shares", "train:x"], 2, "expected numbers"),
        (["split", "missing.csv", "o.csv"], 1, "missing.csv"),
        (["masks", "fields.gpkg", "truth.tif", "m.tif", "--class-map", "a:x"], 2, "expected ids"),
        (
            ["masks", "fields.gpkg", "truth.tif", "m.tif", "--all-touched", "maybe"],
            2,
            "expected pairs",
        ),
        (
            ["masks", "fields.gpkg", "truth.tif", "m.tif", "--all-touched", "a:maybe"],
            2,
            "yes or no",
        ),
        (
            ["masks", "fields.gpkg", "truth.tif", "m.tif", "--buffer-m", "a:far"],
            2,
            "expected metres",
        ),
        (["masks", "none.gpkg", "truth.tif", "m.tif"], 1, "none.gpkg"),
        (["align", "image.tif", "truth.tif", "image.tif"], 2, "image.tif"),
        (["align", "none.tif", "truth.tif", "o.tif"], 1, "none.tif"),
        (["run", "none.yaml"], 2, "none.yaml"),
        (["tile", "image.tif", "truth.tif", "o"], 2, "patch_size (--patch-size)"),
        (["tile", "image.tif", "truth.tif", "o", "--patch-size", "0"], 2, "(--patch-size) is 0"),
    ],
)
def test_what_is_wrong_is_said_in_a_few_lines(geoseg, layers, words, code, text):
    before = {p.name: p.read_bytes() for p in layers.iterdir()}
    found = geoseg("prepare", *words)
    assert (found.code, "Traceback" in found.err) == (code, False), found.err
    assert text in found.err
    assert found.err.count("\n") <= 3
    assert {p.name: p.read_bytes() for p in layers.iterdir()} == before


def test_a_pipeline_tells_each_step_and_what_was_done_before(geoseg, layers):
    (layers / "p.yaml").write_text(
        "output: work\nsteps:\n"
        "- {type: align, source: image.tif, reference: truth.tif, out: work/a.tif, categorical: false}\n"
        "- {type: split, index: windows.csv, out: work/i.csv, folds: 2, block_m: 100}\n"
    )
    first = geoseg("prepare", "run", layers / "p.yaml")
    assert (first.code, first.err) == (0, "")
    assert [line.split(":")[0] for line in first.out.splitlines()[:2]] == ["align", "split"]
    second = geoseg("prepare", "run", layers / "p.yaml")
    assert second.out.splitlines()[:2] == ["align: done before", "split: done before"]
    third = json.loads(geoseg("prepare", "run", layers / "p.yaml", "--fresh", "--json").out)
    assert [step["reused"] for step in third["steps"]] == [False, False]


def test_pairs_keep_names_with_colons_and_refuse_what_is_twice():
    assert pairs_of("highway:track:3, b : 1", "--x") == {"highway:track": "3", "b": "1"}
    assert class_of("-4") == -4
    assert class_of("4a") == "4a"
    for wrong in ("a", "a:", ":1", "a:1,,b:2"):
        with pytest.raises(ConfigError, match="expected pairs"):
            pairs_of(wrong, "--x")
    with pytest.raises(ConfigError, match="'a' is given twice"):
        pairs_of("a:1,a:2", "--x")


def test_export_tells_how_each_mask_lies_in_a_line(geoseg, layers):
    words = ("prepare", "export", "image.tif", "truth.tif", "pairs", "--full-mask", "--no-measure")
    found = geoseg(*words)
    assert (found.code, found.err) == (0, "")
    assert "{" not in found.out
    line = next(line for line in found.out.splitlines() if "grids equal" in line)
    assert "image.tif, pairs 1, grids equal, resampling" in line
    assert line.endswith("shift not asked for")
    assert json.loads(geoseg(*words, "--json").out)["resumed"] == 1
    assert json.loads(geoseg(*words, "--json", "--fresh").out)["resumed"] == 0


def test_a_pipeline_that_fails_names_the_step_as_the_file_does(geoseg, layers):
    (layers / "p.yaml").write_text(
        "output: work\nsteps:\n"
        "- {type: split, index: windows.csv, out: work/i.csv, folds: 2, block_m: 100}\n"
        "- {type: tile, image: none.tif, masks: truth.tif, out: work/tiles, patch_size: 10}\n"
    )
    found = geoseg("prepare", "run", layers / "p.yaml")
    assert found.code == 1
    assert "none.tif" in found.err
    assert "step 2, tile" in found.err
    assert "Step" not in found.err


def test_check_says_why_no_shift_was_measured(geoseg, layers):
    with rasterio.open(layers / "truth.tif") as file:
        profile = file.profile
    with rasterio.open(layers / "one.tif", "w", **profile) as file:
        file.write(np.ones((1, *file.shape), np.uint8))
    WindowIndex.build([str(layers / "one.tif")], patch_size=20).write(str(layers / "one.csv"))
    found = geoseg("prepare", "check", layers / "one.csv", "--image", layers / "image.tif")
    assert found.code == 0
    assert "shift of labels not measured: no window holds two classes\n" in found.out
