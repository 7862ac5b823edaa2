"""geoseg export: a file that predicts as the bundle does, or a refusal that leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner
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
