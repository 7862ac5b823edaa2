"""geoseg check and geoseg train: an experiment's file, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

TEXT = """
classes: [dark, light]
train:
  - id: a
    image: IMAGE
    labels: LABELS
test:
  - id: b
    image: IMAGE
    labels: LABELS
    aoi: AREA
training:
  {model_options: {width: 4, depth: 2}, epochs: 2, length: 4, size: 32, batch_size: 2}
output: out
"""


@pytest.fixture
def experiment(files, tmp_path):
    """Writes the experiment with some of its words replaced; gives its path."""

    def write_it(text=TEXT, **words):
        raster = f"{{type: raster, source: {files.labels}, mapping: {{2: 0, 5: 1}}}}"
        for word, value in (
            {"IMAGE": files.image, "LABELS": raster, "AREA": files.area} | words
        ).items():
            text = text.replace(word, str(value))
        path = tmp_path / "exp.yaml"
        path.write_text(text)
        return path

    return write_it


def test_check_prints_what_it_found_and_writes_nothing(geoseg, experiment, tmp_path):
    found = geoseg("check", experiment())
    assert found.code == 0
    assert found.err == ""
    assert "train: a" in found.out
    assert "red, green, nir (uint8)" in found.out
    assert "EPSG:32619, 61 x 83 px of 10 x 10" in found.out
    assert found.out.endswith("exp.yaml: ready, 2 scenes\n")
    assert [p.name for p in tmp_path.iterdir()] == ["exp.yaml"]


@pytest.mark.slow
def test_check_can_see_whether_the_model_learns_one_batch(geoseg, experiment, tmp_path):
    text = TEXT.replace("epochs: 2", "lr: 0.05, epochs: 2")
    found = geoseg("check", experiment(text), "--overfit")
    assert (found.code, found.err) == (0, "")
    assert "overfit: the model learns one batch (dark, light): mean IoU" in found.out
    assert found.out.endswith("exp.yaml: ready, 2 scenes\n")
    deaf = TEXT.replace("epochs: 2", "lr: 1.0e-9, epochs: 2")
    found = geoseg("check", experiment(deaf), "--overfit")
    assert found.code == 1
    assert "overfit: the model does not learn one batch" in found.out
    assert "error: the loss of one batch does not fall" in found.err
    assert "labels lie on the image" in found.err
    assert "ready" not in found.out
    assert [p.name for p in tmp_path.iterdir()] == ["exp.yaml"]


def test_check_says_how_far_a_model_came_that_needs_more_steps(geoseg, experiment):
    text = TEXT.replace("epochs: 2", "lr: 0.005, epochs: 2")
    found = geoseg("check", experiment(text), "--overfit", "--overfit-steps", 12)
    assert found.code == 1
    assert "overfit: the model begins to learn, but has not learnt one batch" in found.out
    assert "after 12 steps, loss 1.0" in found.out
    assert "ready" not in found.out
    assert "error: one batch was not learnt, but its loss falls" in found.err
    assert "--overfit-steps 60" in found.err
    found = geoseg("check", experiment(text), "--overfit", "--overfit-steps", 0)
    assert found.code == 2


def test_train_prints_the_scores_and_where_the_files_are(geoseg, experiment, tmp_path):
    found = geoseg("train", experiment())
    assert (found.code, found.err) == (0, "")
    out = tmp_path / "out"
    for name in ("bundle.zip", "predictions/b.tif", "evaluation.json"):
        assert f" {out / name}\n" in found.out
        assert (out / name).is_file()
    mean = json.loads((out / "evaluation.json").read_text())["overall"]["mean_iou"]
    assert f" {mean:.3f} " in found.out


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        (
            "{type: raster, source: LABELS_FILE}",
            ["labels.tif", "5 (", "2 (", "pass mapping={value: class id"],
        ),
        ("{type: raster, source: nocrs.tif}", ["nocrs.tif: the labels have no CRS", "assign"]),
        ("{type: raster, source: none.tif}", ["none.tif: no such file"]),
        ("{type: raster, source: text.txt}", ["text.txt: is no raster"]),
        (
            "{type: vector, source: AREA, class_by: name}",
            ["area.geojson: has no column 'name'", "kind"],
        ),
        (
            "{type: vector, source: blue.geojson, class_by: kind}",
            ["blue.geojson", "'blue' (1 features)"],
        ),
        ("{type: vector, source: text.txt}", ["text.txt: is no vector file"]),
    ],
)
@pytest.mark.parametrize("command", ["check", "train"])
def test_labels_that_cannot_be_used_are_refused(
    geoseg, experiment, files, tmp_path, *, write_raster, write_box, command, labels, texts
):
    write_raster("nocrs.tif", np.ones((61, 83), "uint8"), crs=None)
    write_box("blue.geojson", 5e5, 4e6 - 300, 5e5 + 300, 4e6, kind="blue")
    (tmp_path / "text.txt").write_text("text")
    found = geoseg(command, experiment(LABELS=labels.replace("LABELS_FILE", files.labels)))
    assert found.code == 1
    assert found.err.count("\n") <= 3
    for text in texts:
        assert text in found.err
    assert not list(tmp_path.glob("out/*"))


def test_a_truncated_image_is_refused(geoseg, experiment, files, tmp_path, write_raster):
    with rasterio.open(files.image) as file:
        cut = Path(write_raster("cut.tif", file.read()))
    cut.write_bytes(cut.read_bytes()[:8000])
    found = geoseg("train", experiment(IMAGE="cut.tif"))
    assert found.code == 1
    assert "cut.tif: cannot read rows" in found.err
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "epochs: 2",
            "epocs: 2",
            "exp.yaml: training.epocs: unknown key; nearest known key: epochs",
        ),
        ("aoi:", "area:", "exp.yaml: test.0.area: unknown key; nearest known key:"),
        ("output: out", "", "exp.yaml: output: is missing"),
        (
            "epochs: 2",
            "epochs: many",
            "exp.yaml: training.epochs: got 'many', expected a whole number",
        ),
        ("id: b", "id: a", "exp.yaml: scene id 'a' given twice"),
        ("classes: [dark, light]", "classes: [dark, light", "exp.yaml"),
        (
            "output: out",
            "output: exp.yaml/out",
            "exp.yaml/out: the output folder cannot be written",
        ),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_place(
    geoseg, experiment, tmp_path, *, old, new, text
):
    assert old in TEXT
    found = geoseg("train", experiment(TEXT.replace(old, new)))
    assert found.code == 2
    assert text in found.err
    assert found.err.count("\n") <= 3
    assert [p.name for p in tmp_path.iterdir()] == ["exp.yaml"]


@pytest.mark.parametrize("name", ["no.yaml", "no", "."])
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_file_that_is_missing_is_told(geoseg, tmp_path, monkeypatch, command, name):
    monkeypatch.chdir(tmp_path)
    found = geoseg(command, name)
    assert found.code == 2
    assert f"{name}: cannot read this YAML file" in found.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("training.select=best", "goes by the mean IoU of the validation, but there is none"),
        ("training.sampling={class_balance: {drak: 0.2}}", "drak"),
        ("training.weights=imagenet", "unet"),
    ],
)
def test_check_finds_what_a_training_would_refuse(geoseg, experiment, change, told):
    found = geoseg("check", experiment(), "--set", change)
    refused = geoseg("train", experiment(), "--set", change)
    assert found.code == refused.code == 2
    assert told in found.err
    assert found.err == refused.err
    assert "ready" not in found.out


@pytest.mark.slow
def test_train_goes_on_with_a_run_or_says_why_not(geoseg, experiment, tmp_path):
    refused = geoseg("train", experiment(), "--resume")
    assert refused.code == 2
    assert "out: holds no run to go on with" in refused.err
    assert geoseg("train", experiment()).code == 0
    other = geoseg("train", experiment(), "--resume", "--set", "training.lr=1e-4")
    assert other.code == 2
    assert "training.lr is 0.003 there and 0.0001 here" in other.err
    before = (tmp_path / "out" / "evaluation.json").read_bytes()
    (tmp_path / "out" / "evaluation.json").unlink()
    found = geoseg("train", experiment(), "--resume")
    assert (found.code, found.err) == (0, "")
    assert (tmp_path / "out" / "evaluation.json").read_bytes() == before


def test_the_help_of_train_tells_how_to_go_on(geoseg):
    text = " ".join(geoseg("train", "--help").out.split())
    assert "--resume" in text
    assert "best.ckpt" in text
