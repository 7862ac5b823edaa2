"""`geoseg convert generic`: folders, tables and scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from geoseg import StoreReader
from tests.cli.datasets import write


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Images of two parts with masks, and a table of them, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    rows = []
    for part in ("train", "val"):
        for i in range(2):
            image, mask = f"{part}/images/{part}{i}.tif", f"{part}/masks/{part}{i}.tif"
            write(tmp_path / "in" / image, rng.integers(1, 255, (3, 9, 13), np.uint8), nodata=0)
            write(tmp_path / "in" / mask, rng.integers(0, 2, (1, 9, 13), np.uint8))
            rows.append({"image": image, "mask": mask, "split": part, "labels": "a;b"})
    pd.DataFrame(rows).to_csv(tmp_path / "in" / "pairs.csv", index=False)
    return tmp_path


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def check(store):
    reader, manifest = StoreReader(store), pd.read_parquet(Path(store) / "manifest.parquet")
    assert manifest["key"].tolist() == ["train0", "train1", "val0", "val1"]
    assert manifest["split"].tolist() == ["train", "train", "val", "val"]
    for key in manifest["key"]:
        found, part = reader.read(key), key[:-1]
        bands = read(f"in/{part}/images/{key}.tif")
        for name, band in zip((n for n in found if n != "mask"), bands, strict=True):
            np.testing.assert_array_equal(found[name], band)
        np.testing.assert_array_equal(found["mask"], read(f"in/{part}/masks/{key}.tif")[0])


def test_patterns_pair_images_with_masks(geoseg, data):
    found = geoseg(
        "convert", "generic", "--dataset-dir", "in", "--images", "{split}/images/{key}.tif",
        "--masks", "{split}/masks/{key}.tif", "--bands", "a,b, c", "--target-dir", "o",
    )  # fmt: skip
    assert (found.code, found.err) == (0, "")
    check("o")
    assert list(StoreReader("o").read("val1")) == ["a", "b", "c", "mask"]


def test_a_table_is_meant_from_its_own_folder(geoseg, data, monkeypatch):
    found = geoseg("convert", "generic", "--csv", "in/pairs.csv", "--target-dir", "o", "--json")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out)["written"] == 4
    check("o")
    manifest = pd.read_parquet("o/manifest.parquet")
    assert [list(labels) for labels in manifest["labels"]] == [["a", "b"]] * 4
    assert geoseg("verify", "o", "in").code == 0
    monkeypatch.chdir("in")  # where others would call it from
    assert geoseg("convert", "generic", "--csv", "pairs.csv", "--target-dir", "o").code == 0


def test_a_check_finds_masks_that_are_empty(geoseg, data):
    words = ("convert", "generic", "--csv", "in/pairs.csv", "--check")
    assert geoseg(*words).code == 0
    Path("in/val/masks/val1.tif").write_bytes(b"")
    found = geoseg(*words)
    assert found.code == 1
    assert "val1 (" in found.out


PATTERNS = ("--images", "{split}/images/{key}.tif", "--masks", "{split}/masks/{key}.tif")


def test_an_image_without_a_mask_is_listed_or_left_out_or_an_error(geoseg, data):
    Path("in/val/masks/val1.tif").unlink()
    words = ("convert", "generic", "--dataset-dir", "in", *PATTERNS)
    found = geoseg(*words, "--check")
    assert (found.code, found.err) == (1, "")
    assert found.out.splitlines() == [
        "val1 (in/val/images/val1.tif): missing: in/val/masks/val1.tif",
        "1 of 4 patches are incomplete",
    ]
    found = geoseg(*words, "--target-dir", "o")
    assert (found.code, found.err.count("\n"), Path("o").exists()) == (1, 1, False)
    assert "missing: in/val/masks/val1.tif" in found.err
    assert geoseg(*words, "--target-dir", "o", "--on-error", "skip").code == 0
    assert list(StoreReader("o").keys()) == ["train0", "train1", "val0"]
    [row] = pd.read_csv("o.skipped.csv").to_dict("records")
    assert row["key"] == "val1"
    assert "in/val/masks/val1.tif" in row["error"]


def test_a_check_looks_at_a_shard_alone(geoseg, data):
    for part in ("train", "val"):
        for i in range(2):
            Path(f"in/{part}/masks/{part}{i}.tif").write_bytes(b"")
    words = ("convert", "generic", "--csv", "in/pairs.csv", "--check", "--json")
    keys = [
        {one["key"] for one in json.loads(geoseg(*words, "--shard", f"{i}/3").out)["incomplete"]}
        for i in range(3)
    ]
    assert sum(map(len, keys)) == 4
    assert set.union(*keys) == {"train0", "train1", "val0", "val1"}
    found = geoseg(*words, "--shard", "3/3")
    assert (found.code, found.out) == (2, "")
    assert "shard is 3 of 3, expected 0 to 2 of 3" in found.err


def test_the_help_says_what_keys_and_patterns_mean_beside_a_table(geoseg):
    told = " ".join(geoseg("convert", "generic", "--help").out.split())
    assert "{split}_{stem}" in told
    assert "Where its column image names folders, --images says which files in each" in told
    assert "--metadata" not in told
    assert "such as label or keys, is refused; others are not read" in told
    assert "bands after them are left out" in told


SCENE = """
id: {id}
image: {{type: geotiff, uri: in/{id}/images/{id}0.tif}}
labels: {{type: raster, source: in/{id}/masks/{id}0.tif}}
"""
EXPERIMENT = """
classes: [no, yes]
train: [{id: a, image: in/train/images/train0.tif, labels: {type: raster, source: in/train/masks/train0.tif}}]
test: [{id: b, image: in/val/images/val0.tif, labels: {type: raster, source: in/val/masks/val0.tif}}]
output: out
"""


def test_the_scenes_of_an_experiment_become_windows_with_their_parts(geoseg, data):
    Path("e.yaml").write_text(EXPERIMENT)
    words = ("convert", "generic", "--scenes", "e.yaml", "--size", "5", "--edge", "drop")
    found = geoseg(*words, "--target-dir", "o")
    assert (found.code, found.err) == (0, "")
    manifest = pd.read_parquet("o/manifest.parquet").set_index("key")
    assert manifest["split"].to_dict() == {
        "a_0_0": "train",
        "a_0_5": "train",
        "b_0_0": "test",
        "b_0_5": "test",
    }
    patch = StoreReader("o").read("b_0_5")
    np.testing.assert_array_equal(patch["mask"], read("in/val/masks/val0.tif")[0, :5, 5:10])


def test_an_experiment_may_get_its_scenes_from_a_file_that_it_includes(geoseg, data):
    Path("base.yaml").write_text(EXPERIMENT)
    Path("e.yaml").write_text("include: base.yaml\noutput: other\n")
    found = geoseg("convert", "generic", "--scenes", "e.yaml", "--target-dir", "o")
    assert (found.code, found.err) == (0, "")
    manifest = pd.read_parquet("o/manifest.parquet").set_index("key")
    assert manifest["split"].to_dict() == {"a": "train", "b": "test"}


def test_one_scene_is_one_patch(geoseg, data):
    Path("s.yaml").write_text("id: town\nimage: in/train/images/train0.tif\n")
    found = geoseg("convert", "generic", "--scenes", "s.yaml", "--target-dir", "o")
    assert (found.code, found.err) == (0, "")
    [key] = StoreReader("o").keys()
    assert key == "town"
    bands = np.stack(list(StoreReader("o").read(key).values()))
    np.testing.assert_array_equal(bands, read("in/train/images/train0.tif"))


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "no source is given"),
        (["--images", "{key}.tif"], 2, "--dataset-dir"),
        (["--dataset-dir", "in", "--images", "{clef}.tif"], 2, "{clef}"),
        (["--dataset-dir", "in", "--images", "{key}.tif"], 1, "in"),
        (["--dataset-dir", "in", "--images", "*/images/*.tif", "--masks", "{key}.tif"], 2, "{key}"),
        (["--csv", "none.csv"], 2, "none.csv"),
        (["--dataset-dir", "in", "--size", "5"], 2, "--size"),
        (["--scenes", "none.yaml"], 2, "none.yaml"),
        (["--scenes", "e.yaml", "--resume", "--dataset-dir", "in"], 2, "--dataset-dir, --resume"),
        (["--scenes", "e.yaml", "--stride", "5"], 2, "stride"),
        (["--scenes", "bad.yaml"], 2, "bad.yaml"),
        (["--scenes", "e.yaml", "--edge", "drop"], 2, "--edge: changes nothing without --size"),
        (["--csv", "in/pairs.csv", "--images", "*.tif"], 2, "a table names the images itself"),
        (["--csv", "in/pairs.csv", "--images", "{band}.tif"], 1, "leave --images out"),
        (["--csv", "in/pairs.csv", "--masks", "{key}.tif"], 2, "column mask"),
        (
            ["--csv", "in/pairs.csv", "--check", "--num-workers", "2", "--resume"],
            2,
            "--num-workers, --resume: changes nothing with --check",
        ),
        (["--dataset-dir", "in", "--check", "--zstd"], 2, "--zstd"),
        (["--dataset-dir", "in", "--check", "--on-error", "skip"], 2, "--on-error"),
        (
            ["--dataset-dir", "in", "--images", "*/images/*.tif", "--bands", "a,b,c,d"],
            1,
            "no band 4",
        ),
    ],
)
def test_what_is_wrong_is_one_error_and_no_store_is_left(geoseg, data, words, code, text):
    Path("e.yaml").write_text(EXPERIMENT)
    Path("bad.yaml").write_text("imag: x\n")
    found = geoseg("convert", "generic", *words, "--target-dir", "o")
    assert (found.code, found.out) == (code, ""), found.err
    assert text in found.err
    assert 1 <= found.err.count("\n") <= 3
    assert not Path("o").exists()
