"""Experiment: a YAML file as one value; what `check` finds and `run` leaves behind."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from sklearn.metrics import confusion_matrix

from geoseg import experiment
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SceneError, SourceError, StoreError
from geoseg.experiment import Experiment, check, run
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner
from geoseg.scene import Scene

TEXT = """
classes: [dark, bright]
train:
  - id: a
    image: a.tif
    labels: {type: raster, source: a_ids.tif}
test:
  - id: b
    image: b.tif
    labels: {type: raster, source: b_ids.tif}
training:
  {model_options: {width: 4, depth: 2}, epochs: 5, length: 16, size: 32, batch_size: 4, lr: 1e-2}
output: out
"""


@pytest.fixture
def folder(tmp_path, write_raster):
    """Two scenes of blobs that are bright or dark; a corner of the images is nodata."""
    for seed, name in enumerate("ab"):
        rng = np.random.default_rng(seed)
        bright = rng.integers(0, 2, (8, 11)).repeat(8, axis=0).repeat(8, axis=1)[:61, :83] == 1
        data = np.where(bright, 150, 60) + rng.normal(0, 12, (2, 61, 83))
        data[:, :9, :7] = 0
        write_raster(f"{name}.tif", data.astype("uint8"), nodata=0, descriptions=("red", "nir"))
        write_raster(f"{name}_ids.tif", bright.astype("uint8"))
    (tmp_path / "exp.yaml").write_text(TEXT)
    return tmp_path


def read(folder, *changes):
    """The experiment with lines of its text replaced."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "exp.yaml").write_text(text)
    return Experiment.from_yaml(folder / "exp.yaml")


def scene(**keys):
    return {"id": "a", "image": "a.tif", "labels": {"type": "raster", "source": "i.tif"}} | keys


def made(**keys):
    base = {"classes": ["dark", "bright"], "train": [scene()], "output": "out"}
    return Experiment.model_validate(base | keys)


def test_labels_without_classes_get_those_of_the_experiment():
    classes = ClassMap.of("dark", "bright")
    experiment = made(test=[scene(id="b")])
    for part, found in experiment.scenes():
        assert found.labels.classes == classes, part
    assert experiment == made(test=[scene(id="b")])


def test_scenes_given_in_python_are_not_changed():
    given = Scene.of("a.tif", RasterLabels(source="i.tif"))
    experiment = made(train=[given])
    assert given.labels.classes is None
    assert experiment.train[0].labels.classes is not None


def test_relative_paths_are_meant_from_the_file(folder):
    experiment = read(folder)
    assert experiment.train[0].image.uri == str(folder / "a.tif")
    assert experiment.train[0].labels.source.uri == str(folder / "a_ids.tif")
    assert experiment.output == str(folder / "out")
    for written, meant in (("w.pth", str(folder / "w.pth")), ("imagenet", "imagenet")):
        experiment = read(folder, ("epochs: 5", f"epochs: 5, weights: {written}"))
        assert experiment.training.weights == meant


def test_an_experiment_survives_yaml_pickle_and_hash(folder):
    experiment = read(folder)
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    assert hash(read(folder)) == hash(experiment)


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        ({"train": [scene(), scene()]}, (), "'a' given twice"),
        ({"test": [scene()]}, (), "'a' given twice"),
        ({"test": [scene(id="x/y")]}, (), "cannot be the name of its map"),
        ({"test": [scene(id="..")]}, (), "cannot be the name of its map"),
        ({"train": [scene(labels=None)]}, ("train",), "'a' has no labels"),
        ({"valid": [scene(id="v", labels=None)]}, ("valid",), "'v' has no labels"),
        ({"train": []}, ("train",), "at least 1"),
        ({"trian": []}, ("trian",), "unknown key; nearest known key: train"),
        ({"training": {"epocs": 1}}, ("training", "epocs"), "nearest known key: epochs"),
        (
            {"train": [scene(labels={"type": "raster", "source": "i.tif", "classes": ["x", "y"]})]},
            ("train",),
            r"'a': its labels have the classes \['x', 'y'\].*\['dark', 'bright'\]",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(keys, place, text):
    with pytest.raises(ValidationError, match=text) as caught:
        made(**keys)
    assert [error["loc"] for error in caught.value.errors()] == [place]


@pytest.mark.parametrize(
    ("stores", "both"),
    [
        (("m.tif", "m.tif"), "m.tif"),
        (("m.tif", "./x/../m.tif"), "m.tif"),
        (("m.gpkg", {"type": "vector", "uri": "m.gpkg", "scores": True}), "m.gpkg"),
        (("out/predictions/y.tif", None), "y.tif"),
        (({"type": "geotiff", "uri": "m.tif", "scores": True}, "m.scores.tif"), "m.scores.tif"),
    ],
)
def test_test_scenes_whose_maps_would_replace_each_other_are_refused(stores, both):
    tests = [scene(id=name, store=store) for name, store in zip("xy", stores, strict=True)]
    with pytest.raises(ValidationError, match=rf"test scenes 'x' and 'y' both write .*{both}"):
        made(test=tests)


def test_stores_of_scenes_that_are_not_predicted_and_stores_apart_are_fine():
    stores = ["m.tif", {"type": "geotiff", "uri": "n.tif", "scores": True}, None]
    tests = [scene(id=name, store=store) for name, store in zip("xyz", stores, strict=True)]
    assert len(made(train=[scene(store="m.tif")], test=tests).test) == 3


def test_check_counts_the_labels_that_training_sees(folder):
    reports = check(read(folder))
    assert [(r.id, r.part) for r in reports] == [("a", "train"), ("b", "test")]
    with rasterio.open(folder / "a_ids.tif") as ids, rasterio.open(folder / "a.tif") as image:
        seen = ids.read(1)[image.dataset_mask() > 0]
    report = reports[0]
    assert report.shares["bright"] == pytest.approx((seen == 1).mean())
    assert report.labelled == pytest.approx(len(seen) / (61 * 83))
    assert (report.band_names, report.dtype) == (("red", "nir"), "uint8")
    assert report.grid.shape == (61, 83)


def test_check_writes_nothing(folder):
    before = sorted(folder.iterdir())
    check(read(folder))
    assert sorted(folder.iterdir()) == before


def test_check_finds_ids_that_are_no_class_wherever_they_are(folder, write_raster):
    ids = np.zeros((700, 83), "uint8")
    ids[-1, -1] = 7
    write_raster("a.tif", np.full((2, 700, 83), 9, "uint8"))
    write_raster("a_ids.tif", ids)
    with pytest.raises(LabelError, match=r"a_ids\.tif.*7 \(1 pixels\)"):
        check(read(folder))


def test_check_finds_a_truncated_image_before_the_training(folder, write_raster):
    path = Path(write_raster("b.tif", np.full((2, 61, 83), 9, "uint8")))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceError, match=r"b\.tif.*truncated"):
        run(read(folder))
    assert not (folder / "out" / "bundle.zip").exists()


@pytest.mark.parametrize(
    ("bands", "dtype", "names"),
    [(3, "uint8", None), (2, "uint16", ("red", "nir")), (2, "uint8", ("nir", "red"))],
)
def test_scenes_with_other_bands_are_refused(folder, write_raster, bands, dtype, names):
    write_raster("b.tif", np.ones((bands, 61, 83), dtype), descriptions=names)
    with pytest.raises(SceneError, match=r"'b' has bands.*'a' has \(red, nir\) of uint8"):
        check(read(folder))


def test_bands_without_names_are_compared_by_number(folder, write_raster):
    write_raster("b.tif", np.ones((2, 61, 83), "uint8"))
    assert len(check(read(folder))) == 2


def test_a_scene_without_a_pixel_that_counts_is_refused(folder, write_raster):
    write_raster("a_ids.tif", np.full((61, 83), 255, "uint8"))
    with pytest.raises(SceneError, match=r"'a' \(train\): no pixel has a label"):
        check(read(folder))


def test_labels_elsewhere_are_refused(folder, write_raster):
    write_raster("a_ids.tif", np.ones((61, 83), "uint8"), transform=Affine(10, 0, 7e5, 0, -10, 4e6))
    with pytest.raises(SceneError, match=r"'a': the labels .* lie outside the image"):
        check(read(folder))


def test_a_class_that_cannot_be_learned_is_told(folder):
    with pytest.warns(UserWarning, match="'blue' does not occur in the training scenes"):
        check(read(folder, ("[dark, bright]", "[dark, bright, blue]")))


def test_a_folder_that_cannot_be_made_is_told_before_the_work(folder):
    with pytest.raises(StoreError, match=r"exp\.yaml/out: the output folder cannot be written"):
        run(read(folder, ("output: out", "output: exp.yaml/out")))


def test_a_run_leaves_model_maps_scores_and_numbers(folder):
    experiment = read(folder)
    results = run(experiment)
    out = folder / "out"
    assert {p.name for p in out.iterdir()} == {
        "bundle.zip", "predictions", "evaluation.json", "metrics.csv", "last.ckpt",
        "run.yaml", "run.json", "report.html",
    }  # fmt: skip
    with rasterio.open(folder / "b_ids.tif") as ids, rasterio.open(results.maps["b"]) as labels:
        truth, predicted = ids.read(1), labels.read(1)
    with rasterio.open(folder / "b.tif") as image:
        measured = image.dataset_mask() > 0
    assert (predicted[~measured] == 255).all()
    assert set(np.unique(predicted[measured])) == {0, 1}
    expected = confusion_matrix(truth[measured], predicted[measured], labels=[0, 1])
    scores = json.loads((out / "evaluation.json").read_text())
    assert scores["scenes"]["b"]["confusion"] == expected.tolist()
    assert results.evaluation.to_dict() == scores
    assert results.scores == str(out / "evaluation.json")
    with (out / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
    again = Learner.load(results.bundle).predict(experiment.test[0])
    assert (again.to_array() == predicted).all()


@pytest.mark.slow
def test_the_same_experiment_gives_the_same_files(folder):
    written = []
    for _ in range(2):  # into the same folder: a second run replaces the first
        results = run(read(folder))
        names = (results.bundle, results.maps["b"], results.scores)
        written.append([Path(name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert len(list((folder / "out").iterdir())) == 8


def test_prediction_options_reach_the_map(folder):
    run(read(folder))
    plain = (folder / "out" / "predictions" / "b.tif").read_bytes()
    run(read(folder, ("output: out", "output: out\nprediction: {blend: center, stride: 7}")))
    assert (folder / "out" / "predictions" / "b.tif").read_bytes() != plain


def test_without_test_scenes_there_are_no_scores(folder):
    text = TEXT[: TEXT.index("test:")] + TEXT[TEXT.index("training:") :]
    (folder / "exp.yaml").write_text(text)
    results = run(Experiment.from_yaml(folder / "exp.yaml"))
    assert (results.maps, results.evaluation, results.scores) == ({}, None, None)
    assert Path(results.bundle).is_file()


def test_no_input_is_replaced_by_an_output(tmp_path):
    folder = tmp_path / "out" / "predictions"
    folder.mkdir(parents=True)
    image = folder / "t.tif"
    image.write_bytes(b"precious")
    labels = "labels: {type: raster, source: a.tif}"
    text = (
        f"classes: [a, b]\ntrain: [{{id: s, image: a.tif, {labels}}}]\n"
        f"test: [{{id: t, image: {image}, {labels}}}]\noutput: {tmp_path / 'out'}\n"
    )
    with pytest.raises(ConfigError, match="overwritten"):
        run(Experiment.from_yaml(text))
    assert image.read_bytes() == b"precious"


def test_a_stride_that_loses_pixels_is_refused_before_the_training():
    text = (
        "classes: [a, b]\ntrain: [{id: s, image: a.tif, labels: {type: raster, source: b.tif}}]\n"
        "prediction: {size: 16, stride: 32}\noutput: out\n"
    )
    with pytest.raises(ValueError, match="stride 32 is larger"):
        Experiment.from_yaml(text)


def test_check_finds_what_little_counts_in_a_large_scene(folder, write_raster, monkeypatch):
    monkeypatch.setattr(experiment, "_ENOUGH", 500)
    ids = np.full((1900, 9), 255, "uint8")
    ids[1234, 2:6] = 1
    write_raster("a.tif", np.full((2, 1900, 9), 9, "uint8"))
    write_raster("a_ids.tif", ids, nodata=255)
    with pytest.warns(UserWarning, match="'dark' does not occur"):
        report = check(read(folder))[0]
    assert report.labelled == pytest.approx(4 / (1900 * 9))
    assert report.shares == {"dark": 0, "bright": 1}
    write_raster("a_ids.tif", np.full((1900, 9), 255, "uint8"), nodata=255)
    with pytest.raises(SceneError, match="no pixel has a label that counts"):
        check(read(folder))


def test_check_of_a_large_scene_tells_shares_of_all_its_pixels(folder, write_raster, monkeypatch):
    monkeypatch.setattr(experiment, "_ENOUGH", 20_000)
    ids = (np.random.default_rng(0).random((1900, 31)) < 0.3).astype("uint8")
    data = np.full((2, 1900, 31), 9, "uint8")
    data[:, :, :10] = 0
    write_raster("a.tif", data, nodata=0)
    write_raster("a_ids.tif", ids)
    report = check(read(folder))[0]
    assert report.labelled == pytest.approx(21 / 31, abs=1e-3)
    assert report.shares["bright"] == pytest.approx(ids[:, 10:].mean(), abs=0.02)


@pytest.mark.parametrize("row", [0, 777, 1899])
def test_check_finds_an_id_that_is_no_class_in_any_row_of_a_large_scene(
    folder, write_raster, monkeypatch, row
):
    monkeypatch.setattr(experiment, "_ENOUGH", 500)
    ids = np.zeros((1900, 9), "uint8")
    ids[row, 5] = 7
    write_raster("a.tif", np.full((2, 1900, 9), 9, "uint8"))
    write_raster("a_ids.tif", ids)
    with pytest.raises(LabelError, match=r"a_ids\.tif.*7 \(1 pixels\)"):
        check(read(folder))


def test_ids_given_twice_are_all_named():
    with pytest.raises(ValidationError, match="scene id 'a', 'b' given twice in train"):
        made(train=[scene(id=name) for name in "bacab"])
