"""check, train and info on files that include others, are changed by --set, and name many scenes."""

from __future__ import annotations

import json
import shutil

import pytest

BASE = """
classes: [dark, light]
train:
  glob: "tiles/*_image.tif"
  labels: "tiles/{1}_mask.tif"
  mapping: {2: 0, 5: 1}
training:
  {model_options: {width: 4, depth: 2}, epochs: 2, length: 4, size: 32, batch_size: 2, lr: 1e-2}
"""
TOP = """
include: base/base.yaml
test: {table: base/scenes.csv, mapping: {2: 0, 5: 1}, split: late}
output: out
"""


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    """An experiment in two files, two scenes found by name and one listed."""
    tiles = tmp_path / "base" / "tiles"
    tiles.mkdir(parents=True)
    for name in ("a", "b"):
        shutil.copy(files.image, tiles / f"{name}_image.tif")
        shutil.copy(files.labels, tiles / f"{name}_mask.tif")
    table = f"id,image,labels,split\nc,{files.image},{files.labels},late\nd,no.tif,,early\n"
    (tmp_path / "base" / "scenes.csv").write_text(table)
    (tmp_path / "base" / "base.yaml").write_text(BASE)
    (tmp_path / "exp.yaml").write_text(TOP)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def test_check_looks_at_the_scenes_that_are_meant(geoseg, folder):
    found = geoseg("check", folder / "exp.yaml")
    assert (found.code, found.err) == (0, "")
    assert found.out.endswith("exp.yaml: ready, 3 scenes\n")
    for scene in ("train: a_image", "train: b_image", "test: c"):
        assert scene in found.out


def test_info_tells_the_scenes_and_the_merged_options(geoseg, folder):
    found = json.loads(geoseg("info", folder / "exp.yaml", "--json").out)
    assert found["train"] == ["a_image", "b_image"]
    assert found["test"] == ["c"]
    assert found["training"]["length"] == 4
    assert found["output"] == str(folder / "out")


@pytest.mark.slow
def test_a_run_can_be_done_again_from_its_record(geoseg, folder):
    first = geoseg("train", folder / "exp.yaml", "--set", "training.epochs=1", "--set", "output=o1")
    assert (first.code, first.err) == (0, "")
    out = folder / "elsewhere" / "o1"  # of the command line: from the working directory
    facts = json.loads((out / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["file"] == str(folder / "exp.yaml")
    assert facts["seeds"]["training"] == 0
    scores = (out / "evaluation.json").read_text()
    assert facts["scores"]["mean_iou"] == json.loads(scores)["overall"]["mean_iou"]
    kept = json.loads(geoseg("info", out / "run.yaml", "--json").out)
    assert (kept["training"]["epochs"], kept["output"]) == (1, str(out))
    names = ("evaluation.json", "metrics.csv", "predictions/c.tif", "run.yaml")
    before = {name: (out / name).read_bytes() for name in names}
    # Neither the pattern nor the table is looked at again.
    (folder / "base" / "scenes.csv").unlink()
    (folder / "exp.yaml").unlink()
    out = out.rename(folder / "moved")
    again = geoseg("train", out / "run.yaml")
    assert (again.code, again.err) == (0, "")
    assert {name: (out / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("training.epocs=3", "exp.yaml: training.epocs: unknown key; nearest known key: epochs"),
        ("trainig.epochs=3", "exp.yaml: trainig: unknown key; nearest known key: training"),
        ("training.epochs=many", "exp.yaml: training.epochs: got 'many', expected a whole number"),
        ("training.epochs", "--set training.epochs: expected a path and its value"),
        (
            "classes.2=blue",
            "--set classes.2: classes is a list of 2, expected a number from 0 to 1",
        ),
        ("train.glob=*.jp2", "exp.yaml: train: "),
        ("test.split=soon", "exp.yaml: test: "),
    ],
)
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_change_that_is_wrong_is_told(geoseg, folder, command, change, text):
    found = geoseg(command, folder / "exp.yaml", "--set", change)
    assert found.code == 2
    assert text in found.err
    assert not (folder / "out").exists()


def test_a_run_does_not_replace_a_file_of_ones_own(geoseg, folder):
    mine = (folder / "exp.yaml").rename(folder / "run.yaml")
    found = geoseg("train", mine, "--set", f"output={folder}")
    assert found.code == 2
    assert "run.yaml: would be replaced by the record of the run" in found.err
    assert mine.read_text() == TOP
    assert not (folder / "bundle.zip").exists()


@pytest.mark.parametrize("command", ["check", "train"])
def test_the_help_shows_how_a_value_is_changed(geoseg, command):
    text = geoseg(command, "--help").out
    assert "--set PATH=VALUE" in text
    assert f"Example: geoseg {command} experiment.yaml --set " in text
