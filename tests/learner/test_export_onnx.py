"""Models as ONNX files: what ONNX Runtime computes of them, and what QGIS reads of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from geoseg.classes import ClassMap
from geoseg.errors import BundleError, ConfigError
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, Training
from geoseg.learner.export import export_onnx, export_pt2
from geoseg.learner.export.deepness import deepness_keys
from geoseg.learner.export.facts import ExportFacts
from geoseg.learner.exported import is_exported, open_model
from geoseg.learner.predict import predict
from geoseg.sources.array import ArraySource
from tests.learner.exports import CLASSES, SPREAD, learner, scene
from tests.learner.test_export_pt2 import Remembering, batch, probabilities


def session_of(uri):
    return onnxruntime.InferenceSession(uri, providers=["CPUExecutionProvider"])


def test_qgis_deepness_reads_pixels_as_they_are_and_takes_the_likeliest_class():
    facts = ExportFacts(info=learner("uint16").info, dtype="uint16", channels=2, size=(256, 256))
    told = {key: json.loads(value) for key, value in deepness_keys(facts).items()}
    assert told["model_type"] == "Segmentor"
    assert told["class_names"] == {"0": "water", "1": "fields", "2": "roofs"}
    assert told["resolution"] == 55  # cm, between 0.5 m and 0.6 m
    assert told["tile_size"] == told["tiles_size"] == 256
    assert (told["tiles_overlap"], told["seg_thresh"], told["seg_small_segment"]) == (50, 0, 0)
    pixels = np.array([0, 17, 255, 2100, 65535], np.uint16)[:, None].repeat(2, axis=1)
    scaled = np.float32(pixels * 1.0 / 255.0)  # what the plugin does first
    mean = np.array(told["standardization_mean"], np.float32)
    std = np.array(told["standardization_std"], np.float32)
    assert (scaled - mean) / std == pytest.approx(pixels, rel=1e-6)


def test_deepness_is_told_the_size_of_training_where_any_goes_and_no_resolution_without_one():
    info = learner("uint8", resolution_m=None).info
    told = deepness_keys(ExportFacts(info=info, dtype="uint8", channels=2))
    assert told["tile_size"] == "48"
    assert "resolution" not in told


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    for package in ("onnxruntime", "onnxscript", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigError, match=rf'{package}, which .* "geoseg\[onnx\]"'):
            export_onnx(learner(model="custom"), str(tmp_path / "model.onnx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="onnxruntime"):
        open_model(str(tmp_path / "model.onnx"))


def test_damaged_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(BundleError, match="no such model"):
        open_model(str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BundleError, match="is no ONNX model, or is damaged"):
        open_model(str(tmp_path / "text.onnx"))
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [other])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "own.onnx"
    )
    with pytest.raises(BundleError, match="geoseg has not written it"):
        open_model(str(tmp_path / "own.onnx"))


def test_exported_models_are_known_by_their_names():
    assert [is_exported(n) for n in ("a.onnx", "b.PT2", "c.zip", "onnx")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(learner, its .onnx), of the built-in network; neither is to be changed."""
    made = learner("uint8")
    uri = str(tmp_path_factory.mktemp("onnx") / "model.onnx")
    export_onnx(made, uri)
    return made, uri


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "height", "width"), [(1, 48, 48), (2, 31, 45), (5, 1, 7), (1, 64, 33)]
)
def test_onnx_runtime_alone_computes_it_from_raw_pixels(written, count, height, width):
    made, uri = written
    image, valid = batch("uint8", count=count, height=height, width=width)
    raw = image.float().numpy()
    raw[:, 0][~valid.numpy()] = np.nan
    (found,) = session_of(uri).run(["probabilities"], {"image": raw})
    expected = probabilities(made, image, valid).numpy()
    assert np.abs(found - expected).max() <= 1e-4
    assert np.abs(open_model(uri).probabilities(image, valid).numpy() - expected).max() <= 1e-4
    assert expected.std() > 0.02  # else anything would agree


@pytest.mark.slow
def test_the_file_is_one_valid_and_open_in_batch_and_size(written):
    made, uri = written
    assert [p.name for p in Path(uri).parent.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(uri), full_check=True)
    session = session_of(uri)
    assert session.get_inputs()[0].shape == ["batch", 2, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", 3, "height", "width"]
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == {"0": "water", "1": "fields", "2": "roofs"}
    model = open_model(uri)
    assert (model.info, model.classes, model.size) == (made.info, CLASSES, None)


@pytest.mark.slow
def test_the_map_is_that_of_the_learner_with_the_same_gaps(written, tmp_path):
    made, uri = written
    model, field = open_model(uri), scene("uint8")
    expected = made.predict(field, size=48)
    found = predict(
        model.probabilities,
        model.as_read(field),
        model.classes,
        store=GeoTIFFLabelStore(uri=str(tmp_path / "map.tif")),
        size=48,
        batch_size=3,
        model_digest=model.digest,
    ).to_array()
    top = np.sort(expected.scores(field.grid.whole), axis=0)
    assert (top[-1] - top[-2])[found != expected.to_array()].max(initial=0) < 1e-4
    assert (found == 255).sum() == 21 * 37


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_pixels_of_every_dtype_come_in_the_units_of_the_source(tmp_path, dtype):
    made = learner(dtype)
    uri = str(tmp_path / "model.onnx")
    export_onnx(made, uri)
    image, valid = batch(dtype)
    found = open_model(uri).probabilities(image, valid)
    assert (found - probabilities(made, image, valid)).abs().max() <= 1e-4


@pytest.mark.slow
def test_a_model_of_one_size_says_so_in_the_file(tmp_path):
    made = learner("uint8")
    uri = str(tmp_path / "model.onnx")
    export_onnx(made, uri, size=32)
    session = session_of(uri)
    assert session.get_inputs()[0].shape == ["batch", 2, 32, 32]
    assert session.get_outputs()[0].shape == ["batch", 3, 32, 32]
    assert session.get_modelmeta().custom_metadata_map["tile_size"] == "32"
    model = open_model(uri)
    image, valid = batch("uint8", height=32, width=32, count=3)
    assert (
        model.probabilities(image, valid) - probabilities(made, image, valid)
    ).abs().max() < 1e-4
    with pytest.raises(ConfigError, match="takes images of 32 x 32 pixels only, got 31 x 45"):
        model.probabilities(*batch("uint8"))


@pytest.mark.slow
def test_a_file_that_computes_something_else_or_is_cut_short_is_refused(written, tmp_path):
    made = Learner(CLASSES, Training(), Remembering())
    with pytest.raises(BundleError, match="not written: "):
        export_onnx(made, str(tmp_path / "model.onnx"), dtype="float32", channels=2)
    assert list(tmp_path.iterdir()) == []
    whole = Path(written[1]).read_bytes()
    (tmp_path / "short.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="is no ONNX model, or is damaged"):
        open_model(str(tmp_path / "short.onnx"))


@pytest.mark.slow
def test_channels_that_the_file_does_not_have_are_an_error_of_ours(written):
    _, uri = written
    with pytest.raises(BundleError, match=r"cannot compute images \(1, 3, 8, 8\)"):
        open_model(uri).probabilities(
            torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 8, 8, dtype=torch.bool)
        )


@pytest.mark.slow
@pytest.mark.parametrize("write", [export_onnx, export_pt2])
def test_networks_of_the_library_are_exported_for_any_size(tmp_path, write):
    pytest.importorskip("segmentation_models_pytorch")
    made = learner("uint16", model="unet/resnet18")
    uri = str(tmp_path / ("model.onnx" if write is export_onnx else "model.pt2"))
    write(made, uri)
    model = open_model(uri)
    for count, height, width in [(1, 64, 64), (3, 45, 71)]:
        image, valid = batch("uint16", count=count, height=height, width=width)
        found = model.probabilities(image, valid)
        assert (found - probabilities(made, image, valid)).abs().max() <= 1e-4
    assert model.facts.dtype in SPREAD


@pytest.mark.slow
def test_a_trained_bundle_and_its_exports_give_one_map(tmp_path):
    field = scene("uint8", height=64, width=80)
    truth = (field.image.data[0] > 90).astype("uint8")
    classes = ClassMap.of("low", "high")
    labels = RasterLabels(source=ArraySource(data=truth, grid=field.image.grid), classes=classes)
    known = field.model_copy(update={"labels": labels})
    training = Training(
        epochs=2, length=8, size=32, batch_size=4, model_options={"width": 4, "depth": 2}
    )
    Learner(classes, training).fit([known]).save(str(tmp_path / "bundle.zip"))
    bundle = Learner.load(str(tmp_path / "bundle.zip"))
    expected = bundle.predict(field)
    top = np.sort(expected.scores(field.grid.whole), axis=0)
    for name, write in (("m.onnx", export_onnx), ("m.pt2", export_pt2)):
        write(bundle, str(tmp_path / name))
        model = open_model(str(tmp_path / name))
        found = predict(
            model.probabilities,
            model.as_read(field),
            model.classes,
            store=None,
            size=model.info.training.size,
            batch_size=4,
        )
        assert (top[1] - top[0])[found.to_array() != expected.to_array()].max(initial=0) < 1e-4
        assert model.info == bundle.info
