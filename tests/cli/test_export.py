"""geoseg export: a file that predicts as the bundle does, or a refusal that leaves nothing behind."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
from torch import nn

from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner, Training
from geoseg.learner.export import export_pt2
from geoseg.learner.exported import open_model
from geoseg.learner.predict import predict
from geoseg.scene import Scene


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("model.onnx", ["--pt2"], "is named as another format than --pt2 writes"),
        ("model.pt2", ["--pt2", "--onnx"], "is named as another format than --onnx writes"),
        ("model.zip", ["--onnx"], "give it a name that ends in .onnx or .pt2"),
        ("model", [], "give it a name that ends in .onnx or .pt2"),
        (
            "model.pt2",
            ["--dtype", "uint16"],
            "dtype is 'uint16', but the model was trained on 'uint8'",
        ),
        ("model.pt2", ["--size", "0"], "size"),
    ],
)
def test_calls_that_contradict_themselves_are_refused(
    geoseg, files, tmp_path, *, name, flags, told
):
    found = geoseg("export", files.bundle, tmp_path / name, *flags)
    assert (found.code, found.out) == (2, "")
    assert told in found.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_bundle_is_refused(geoseg, files, tmp_path):
    found = geoseg("export", files.image, tmp_path / "model.pt2")
    assert found.code == 1
    assert "is no geoseg bundle" in found.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_the_file_predicts_as_the_bundle_does(geoseg, files, tmp_path, name):
    out = tmp_path / name
    found = geoseg("export", files.bundle, out)
    assert (found.code, found.out, found.err) == (0, f"{out}\n", "")
    model, scene = open_model(str(out)), Scene.of(files.image)
    map_ = predict(
        model.probabilities, model.as_read(scene), model.classes, store=None, size=32, batch_size=4
    ).to_array()
    expected = Learner.load(files.bundle).predict(scene)
    top = np.sort(expected.scores(scene.grid.whole), axis=0)
    assert (top[1] - top[0])[map_ != expected.to_array()].max(initial=0) < 1e-4
    assert set(np.unique(map_)) == {0, 1, 255}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_an_exported_model_makes_maps_and_tells_of_itself(geoseg, files, tmp_path, name):
    model = tmp_path / name
    assert geoseg("export", files.bundle, model).code == 0
    options = ("--size", 32, "--tta", "flips", "--resolution", "trained")
    found = geoseg("predict", model, files.image, tmp_path / "map.tif", *options, "--scores")
    assert (found.code, found.err) == (0, "")
    assert geoseg("predict", files.bundle, files.image, tmp_path / "ref.tif", *options).code == 0
    labels, expected = (
        GeoTIFFLabelStore(uri=str(tmp_path / f"{stem}.tif")).read() for stem in ("map", "ref")
    )
    assert (labels.to_array() != expected.to_array()).mean() < 1e-3
    whole = open_model(str(model)).predict(Scene.of(files.image), size=32, tta="flips")
    assert whole.grid == labels.grid
    told = geoseg("info", model)
    assert told.code == 0
    assert f"exported model ({name[6:]})" in told.out
    found = geoseg("predict", model, files.image, tmp_path / "m.tif", "--precision", "16-mixed")
    assert found.code == 2
    assert "computes in the numbers it was exported with" in found.err


def example(geoseg):
    """The lines of Python in the help."""
    lines = [line.strip() for line in geoseg("export", "--help").out.splitlines()]
    return [line for line in lines if line.startswith(("from geoseg", "export_"))]


@pytest.mark.slow
def test_the_example_in_python_writes_the_same_as_the_command(geoseg, files, tmp_path, monkeypatch):
    shutil.copy(files.bundle, tmp_path / "bundle.zip")
    monkeypatch.chdir(tmp_path)
    lines = example(geoseg)
    assert len(lines) == 3
    exec("\n".join(lines), {})
    assert geoseg("export", "bundle.zip", "same.onnx", "--size", 512).code == 0
    facts = [open_model(name).facts for name in ("model.onnx", "same.onnx")]
    assert facts[0] == facts[1]
    assert facts[0].size == (512, 512)


def test_without_onnx_other_ways_are_told(geoseg, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    found = geoseg("export", files.bundle, tmp_path / "model.onnx")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert 'ONNX needs onnxscript, which is not installed; pip install "geoseg[onnx]"' in found.err
    assert 'geoseg.learner.export.export_pt2(learner, "model.pt2")' in found.err
    assert "geoseg export BUNDLE model.pt2" in found.err


class Own(nn.Module):
    """A network of one's own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 1)

    def forward(self, image):
        return self.layer(image)


@pytest.mark.slow
def test_a_network_of_ones_own_is_exported_from_python_as_the_error_says(geoseg, tmp_path):
    learner = Learner(ClassMap.of("dark", "light"), Training(), Own())
    learner.save(str(tmp_path / "own.zip"))
    found = geoseg("export", tmp_path / "own.zip", tmp_path / "own.pt2")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "Learner.load(uri, model=Own(...))" in found.err
    assert (
        'geoseg.learner.export.export_pt2 writes of that: export_pt2(learner, "model.pt2")'
        in found.err
    )
    learner = Learner.load(str(tmp_path / "own.zip"), model=Own())
    export_pt2(learner, str(tmp_path / "own.pt2"), dtype="uint8", channels=2)
    assert geoseg("info", tmp_path / "own.pt2").code == 0


@pytest.mark.slow
def test_a_model_that_was_not_trained_is_told_of_its_images_by_flags(geoseg, tmp_path):
    training = Training(model_options={"width": 4, "depth": 2})
    learner = Learner(ClassMap.of("dark", "light"), training)
    learner._module = learner._build(1)
    learner.save(str(tmp_path / "new.zip"))
    call = ("export", tmp_path / "new.zip", tmp_path / "new.pt2")
    found = geoseg(*call)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "geoseg export --dtype uint8" in found.err
    found = geoseg(*call, "--dtype", "uint8")
    assert "geoseg export --channels 3" in found.err
    assert geoseg(*call, "--dtype", "uint8", "--channels", 1).code == 0
    assert open_model(str(tmp_path / "new.pt2")).facts.channels == 1
