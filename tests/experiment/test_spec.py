"""An experiment as one value: a YAML file, what is filled in, what is refused."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.experiment import Experiment
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from tests.experiment.experiments import made, read, scene


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


def test_a_stride_that_loses_pixels_is_refused_before_the_training():
    text = (
        "classes: [a, b]\ntrain: [{id: s, image: a.tif, labels: {type: raster, source: b.tif}}]\n"
        "prediction: {size: 16, stride: 32}\noutput: out\n"
    )
    with pytest.raises(ValueError, match="stride 32 is larger"):
        Experiment.from_yaml(text)


def test_ids_given_twice_are_all_named():
    with pytest.raises(ValidationError, match="scene id 'a', 'b' given twice in train"):
        made(train=[scene(id=name) for name in "bacab"])


def test_labels_may_name_classes_in_place_of_their_ids():
    raster = {"type": "raster", "source": "i.tif", "mapping": {10: "bright", 20: 0, 30: 255}}
    vector = {"type": "vector", "source": "v.gpkg", "class_by": "k", "background": "dark"}
    found = made(train=[scene(labels=raster), scene(id="b", labels=vector)]).train
    assert dict(found[0].labels.mapping) == {10: 1, 20: 0, 30: 255}
    assert found[1].labels.background == 0
    named = made(train=[scene(labels=vector | {"background": "named"})]).train
    assert named[0].labels.background == "named"
    with pytest.raises(
        ValidationError, match=r"scene 'a': background: 'drak' is no class; .* 0 dark"
    ):
        made(train=[scene(labels=vector | {"background": "drak"})])


def test_patterns_of_scenes_may_name_classes_too(tmp_path):
    for name in ("a_image.tif", "a_mask.tif"):
        (tmp_path / name).touch()
    many = {"glob": f"{tmp_path}/*_image.tif", "labels": f"{tmp_path}/{{1}}_mask.tif"}
    found = made(train=many | {"mapping": {0: "dark", 255: "bright"}})
    assert dict(found.train[0].labels.mapping) == {0: 0, 255: 1}
