"""How a file, what it includes and changes become an experiment: null, and files in place of labels."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from geoseg.errors import ConfigError
from geoseg.experiment import Experiment
from geoseg.learner.training import Training

BASE = """
classes: [dark, bright]
train:
  - {id: a, image: a.tif, labels: {type: vector, source: a.gpkg, class_by: kind}}
  - {id: b, image: b.tif, labels: {type: raster, source: {type: geotiff, uri: b_ids.tif, bands: [2]}, mapping: {7: 1}}}
  - {id: c, image: c.tif}
  - {glob: "t/*_x.tif", labels: "t/{1}_y.tif"}
training: {model_options: {width: 4, depth: 2}, epochs: 7, clip: 1.5, sampling: {min_valid: 0.5}}
prediction: {stride: 9, blend: mean}
scoring: {object_iou: 0.5}
output: out
"""


@pytest.fixture
def base(tmp_path):
    (tmp_path / "t").mkdir()
    for name in ("d_x.tif", "d_y.tif", "d_z.tif"):
        (tmp_path / "t" / name).write_bytes(b"")
    (tmp_path / "base.yaml").write_text(BASE.replace("t/", f"{tmp_path}/t/"))
    return tmp_path


def included(base, text):
    (base / "top.yaml").write_text(f"include: base.yaml\n{text}")
    changes = ["train.2.labels=c_ids.tif"]
    return Experiment.from_yaml(base / "top.yaml", changes=changes)


def changed(base, *changes):
    return Experiment.from_yaml(base / "base.yaml", changes=("train.2.labels=c_ids.tif", *changes))


@pytest.mark.parametrize(
    ("text", "change", "of", "expected"),
    [
        ("training: {model_options: null}", "training.model_options=null", "model_options", {}),
        (
            "training: {model_options: {width: null}}",
            "training.model_options.width=",
            "model_options",
            {"depth": 2},
        ),
        ("training: {epochs: null}", "training.epochs=null", "epochs", Training().epochs),
        ("training: {clip: null}", "training.clip=null", "clip", None),
        ("training: {sampling: null}", "training.sampling=~", "sampling", Training().sampling),
        ("training: null", "training=null", "lr", Training().lr),
    ],
)
def test_null_takes_back_what_another_file_says(base, text, change, of, expected):
    for experiment in (included(base, text), changed(base, change)):
        assert getattr(experiment.training, of) == expected
    if text != "training: null":
        assert included(base, text).training.weights is None
        assert (included(base, text).training.epochs == 7) is (of != "epochs")


def test_null_stays_itself_where_it_is_a_value_of_its_own(base):
    assert changed(base).train[0].labels.background is not None
    assert changed(base, "train.0.labels.background=null").train[0].labels.background is None


def test_null_in_place_of_what_has_no_default_is_a_key_that_is_missing(base):
    with pytest.raises(ValidationError) as caught:
        included(base, "output: null\n")
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [
        ("missing", ("output",))
    ]


def test_in_python_null_is_no_default():
    with pytest.raises(ValidationError, match="epochs"):
        Training(epochs=None)
    with pytest.raises(ValidationError, match="width"):
        Training(model_options={"width": None})


def test_a_file_in_place_of_labels_is_another_one_of_their_kind(base, monkeypatch):
    (base / "here").mkdir()
    monkeypatch.chdir(base / "here")
    found = changed(base, "train.0.labels=x.gpkg", "train.1.labels=x.tif").train
    assert found[0].labels.source.uri == str(base / "here" / "x.gpkg")
    assert found[0].labels.class_by == "kind"
    assert found[1].labels.source.uri == str(base / "here" / "x.tif")
    assert found[1].labels.source.bands == (2,)
    assert dict(found[1].labels.mapping) == {7: 1}


def test_a_file_in_place_of_no_labels_is_of_the_kind_of_its_suffix(base):
    found = changed(
        base, "train.2.labels=", "train.2.labels=/x.GPKG", "train.2.labels.class_by=kind"
    ).train[2]
    assert (found.labels.type, found.labels.source.uri) == ("vector", "/x.GPKG")
    raster = changed(base).train[2].labels
    assert (raster.type, raster.source.uri.endswith("c_ids.tif")) == ("raster", True)


def test_the_labels_of_a_pattern_stay_text(base):
    found = changed(base, f"train.3.labels={base}/t/{{1}}_z.tif").train[3]
    assert found.labels.source.uri == str(base / "t" / "d_z.tif")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["train.0.labels=x.tif"], "of type 'vector', but this is a raster file; set them as a whole"),
        (["train.1.labels=x.gpkg"], r"train\.1\.labels='{type: vector, source: x\.gpkg, class_by: COLUMN}'"),
        (
            ["train.1.labels.source={type: geotiff, uri: [a.tif, b.tif]}", "train.1.labels=x.tif"],
            r"--set train\.1\.labels=x\.tif: the labels there name no single file",
        ),
        (["train.9.labels=x.tif"], "train is a list of 4, expected a number from 0 to 3"),
        (["train.0.image.bands=[1]"], "in which there is no 'bands'; set train.0.image as a whole"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_stand_there_is_told(base, changes, told):
    with pytest.raises(ConfigError, match=told):
        changed(base, *changes)
