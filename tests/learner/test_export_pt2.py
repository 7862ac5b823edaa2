"""Models as .pt2 files: the same probabilities and maps as the bundle's, and nothing that runs code."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.errors import BundleError, ConfigError
from geoseg.learner import Learner, Training
from geoseg.learner.export import export_pt2
from geoseg.learner.export.archive import is_formula
from geoseg.learner.exported import ExportedModel, open_model
from geoseg.learner.predict import predict
from geoseg.sources.transforms.scaling import Standardize
from tests.learner.exports import CLASSES, SPREAD, learner, network, scene


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(learner, its .pt2), of two convolutions; neither is to be changed."""
    made = learner("uint8", model="custom")
    uri = str(tmp_path_factory.mktemp("pt2") / "model.pt2")
    export_pt2(made, uri)
    return made, uri


def batch(dtype, *, count=2, height=31, width=45, seed=1):
    """(image in the native dtype, valid)."""
    rng = np.random.default_rng(seed)
    mean, std = (np.array(part)[:, None, None] for part in SPREAD[dtype])
    values = mean + std * rng.normal(size=(count, 2, height, width))
    valid = rng.random((count, height, width)) < 0.8
    if dtype != "float32":
        values = values.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return torch.from_numpy(values.astype(dtype)), torch.from_numpy(valid)


def probabilities(made, image, valid):
    """What the learner's own module gives."""
    with torch.inference_mode():
        return torch.softmax(made.module.eval()(image, valid), dim=1)


def rewritten(uri, folder, change):
    """A copy of a zip whose members {name: bytes} have been changed."""
    with zipfile.ZipFile(uri) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    copy = Path(folder) / "changed.pt2"
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return str(copy)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 48, 48), (2, 31, 45), (5, 1, 7)])
def test_any_batch_of_any_size_has_the_probabilities_of_the_model(written, count, height, width):
    made, uri = written
    image, valid = batch("uint8", count=count, height=height, width=width)
    found = open_model(uri).probabilities(image, valid)
    expected = probabilities(made, image, valid)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 1e-4
    assert expected.std() > 0.02  # else anything would agree


def test_torch_alone_computes_it_from_raw_pixels_with_nan_for_gaps(written):
    made, uri = written
    image, valid = batch("uint8")
    raw = image.float()
    raw[:, 1][~valid] = torch.nan  # one band is enough
    found = torch.export.load(uri).module()(raw)
    assert (found - probabilities(made, image, valid)).abs().max() <= 1e-4


def test_the_map_is_that_of_the_learner_with_the_same_gaps(written):
    made, uri = written
    model, field = open_model(uri), scene("uint8")
    expected = made.predict(field, size=48)
    found = predict(
        model.probabilities, model.as_read(field), model.classes, store=None, size=48, batch_size=3
    )
    assert np.abs(found.scores(field.grid.whole) - expected.scores(field.grid.whole)).max() < 1e-4
    differing = found.to_array() != expected.to_array()
    top = np.sort(expected.scores(field.grid.whole), axis=0)
    assert (top[-1] - top[-2])[differing].max(initial=0) < 1e-4
    assert (found.to_array() == 255).sum() == 21 * 37
    assert len(np.unique(found.to_array())) > 2


def test_the_file_knows_what_a_bundle_knows(written):
    made, uri = written
    model = open_model(uri)
    assert isinstance(model, ExportedModel)
    assert (model.info, model.classes, model.size) == (made.info, CLASSES, None)
    assert model.facts.dtype == "uint8"


def test_the_file_is_one_and_its_digest_is_of_its_bytes(written):
    _, uri = written
    assert [p.name for p in Path(uri).parent.iterdir()] == ["model.pt2"]
    assert open_model(uri).digest == hashlib.sha256(Path(uri).read_bytes()).hexdigest()


def test_a_scene_of_another_kind_is_refused_as_with_a_bundle(written):
    _, uri = written
    model = open_model(uri)
    with pytest.raises(BundleError, match="pixels are uint16, but the model was trained on uint8"):
        model.as_read(scene("uint16"))
    one = scene("uint8")
    image = one.image.model_copy(update={"data": one.image.data[:1], "band_names": ("red",)})
    with pytest.raises(BundleError, match="has 1 bands"):
        model.as_read(one.model_copy(update={"image": image}))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_pixels_of_every_dtype_come_in_the_units_of_the_source(tmp_path, dtype):
    made = learner(dtype, model="custom")
    uri = str(tmp_path / "model.pt2")
    export_pt2(made, uri)
    image, valid = batch(dtype)
    found = open_model(uri).probabilities(image, valid)
    assert (found - probabilities(made, image, valid)).abs().max() <= 1e-4


@pytest.mark.slow
def test_a_standardize_of_the_training_scenes_goes_into_the_file(tmp_path):
    mean, std = SPREAD["int16"]
    standardize = Standardize(mean=mean, std=std)
    made = learner("int16", model="custom", standardize=standardize)
    uri = str(tmp_path / "model.pt2")
    export_pt2(made, uri)
    model, field = open_model(uri), scene("int16")
    ending = field.model_copy(
        update={"image": field.image.model_copy(update={"transforms": (standardize,)})}
    )
    expected = made.predict(field, size=48).scores(field.grid.whole)
    for given in (field, ending):
        read = model.as_read(given)
        assert read.image.dtype == "int16"
        found = predict(model.probabilities, read, CLASSES, store=None, size=48, batch_size=3)
        assert np.abs(found.scores(field.grid.whole) - expected).max() < 1e-4


@pytest.mark.slow
def test_a_model_of_one_size_takes_no_other(tmp_path):
    made = learner("uint8", model="custom")
    uri = str(tmp_path / "model.pt2")
    export_pt2(made, uri, size=(24, 32))
    model = open_model(uri)
    assert model.size == (24, 32)
    image, valid = batch("uint8", height=24, width=32, count=7)
    assert (
        model.probabilities(image, valid) - probabilities(made, image, valid)
    ).abs().max() < 1e-4
    with pytest.raises(ConfigError, match="takes images of 24 x 32 pixels only, got 31 x 45"):
        model.probabilities(*batch("uint8"))


def test_a_learner_without_scenes_must_be_told_dtype_and_channels(tmp_path):
    made = Learner(CLASSES, Training(), network())
    uri = str(tmp_path / "model.pt2")
    with pytest.raises(ConfigError, match='pass dtype="uint8"'):
        export_pt2(made, uri)
    with pytest.raises(ConfigError, match="pass channels=3"):
        export_pt2(made, uri, dtype="uint16")
    with pytest.raises(ConfigError, match="'complex64' is no type of pixels"):
        export_pt2(made, uri, dtype="complex64", channels=2)
    export_pt2(made, uri, dtype="uint16", channels=2)
    model = open_model(uri)
    image, valid = batch("uint16")
    assert (
        model.probabilities(image, valid) - probabilities(made, image, valid)
    ).abs().max() < 1e-4
    assert model.as_read(scene("uint16")).id == "field"
    with pytest.raises(BundleError, match=r"has 2 bands of uint8, but .* takes 2 of uint16"):
        model.as_read(scene("uint8"))


@pytest.mark.parametrize("given", [{"dtype": "uint16"}, {"channels": 4}])
def test_what_training_knows_cannot_be_changed(tmp_path, given):
    with pytest.raises(ConfigError, match="but the model was trained on"):
        export_pt2(learner("uint8", model="custom"), str(tmp_path / "model.pt2"), **given)


def test_a_name_of_another_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is to end in \.pt2"):
        export_pt2(learner(model="custom"), str(tmp_path / "model.onnx"))
    with pytest.raises(ConfigError, match=r"expected the name of an exported model"):
        open_model("bundle.zip")


def test_an_older_torch_is_told_of(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "__version__", "2.8.1+cu128")
    with pytest.raises(ConfigError, match=r"need torch 2\.9 or newer, but this is 2\.8\.1"):
        export_pt2(learner(model="custom"), str(tmp_path / "model.pt2"))


class Counting(nn.Module):
    """Looks at numbers in the image to choose what it does."""

    def forward(self, image):
        return image[:, [0, 1, 1]] if image.mean() > 0 else image[:, [1, 0, 0]]


def test_a_network_that_cannot_be_exported_is_named(tmp_path):
    made = Learner(CLASSES, Training(), Counting())
    with pytest.raises(
        ConfigError, match=r"Counting: torch\.export cannot take this network apart"
    ) as caught:
        export_pt2(made, str(tmp_path / "model.pt2"), dtype="float32", channels=2)
    cure = "geoseg export --size 512, in Python geoseg.learner.export.export_pt2(learner, uri, size=512)"
    assert cure in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Remembering(nn.Module):
    """Does in a graph what it did not do before."""

    def forward(self, image):
        wrong = 0.01 if torch.compiler.is_compiling() else 0.0
        return image[:, [0, 1, 1]] + wrong * image[:, [0, 0, 1]]


def test_a_file_that_computes_something_else_gets_no_name(tmp_path):
    made = Learner(CLASSES, Training(), Remembering())
    (tmp_path / "model.pt2").write_text("older")
    with pytest.raises(BundleError, match=r"not written: .* differ by up to 0\.0"):
        export_pt2(made, str(tmp_path / "model.pt2"), dtype="float32", channels=2)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("model.pt2", "older")]


def test_damaged_and_foreign_files_are_refused(written, tmp_path):
    _, uri = written
    whole = Path(uri).read_bytes()
    (tmp_path / "short.pt2").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt2").write_text("hello")
    for name in ("short", "text"):
        with pytest.raises(BundleError, match=r"is no \.pt2 model, or is damaged"):
            open_model(str(tmp_path / f"{name}.pt2"))
    with zipfile.ZipFile(uri) as file:
        place = file.getinfo("model/data/weights/weight_0").header_offset
    flipped = bytearray(whole)
    flipped[place + 200] ^= 1
    (tmp_path / "flipped.pt2").write_bytes(flipped)
    with pytest.raises(BundleError, match="damaged"):
        open_model(str(tmp_path / "flipped.pt2"))
    with pytest.raises(BundleError, match="no such model"):
        open_model(str(tmp_path / "none.pt2"))
    torch.export.save(torch.export.export(nn.Identity(), (torch.ones(2),)), tmp_path / "own.pt2")
    with pytest.raises(BundleError, match="geoseg has not written it"):
        open_model(str(tmp_path / "own.pt2"))


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return Path.touch, (Path(self.place),)


def test_pickles_and_other_code_are_refused_before_torch_reads_them(written, tmp_path):
    _, uri = written
    trace = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(trace))
    root = "model"

    def as_example(members):
        members[f"{root}/data/sample_inputs/model.pt"] = bomb

    def as_object(members):
        members[f"{root}/data/constants/opaque_obj_0"] = bomb

    def as_library(members):
        members[f"{root}/data/aotinductor/model/code.so"] = b"x"

    def as_weight(members):
        name = f"{root}/data/weights/model_weights_config.json"
        config = json.loads(members[name])
        next(iter(config["config"].values()))["use_pickle"] = True
        members[name] = json.dumps(config).encode()
        members[f"{root}/data/weights/weight_0"] = bomb

    def changed_model(change):
        def as_json(members):
            model = json.loads(members[f"{root}/models/model.json"])
            change(model)
            members[f"{root}/models/model.json"] = json.dumps(model).encode()

        return as_json

    def as_guard(model):
        model["guards_code"] = [f"open({str(trace)!r}, 'w')"]

    def as_formula(model):
        values = model["graph_module"]["graph"]["sym_int_values"]
        values["x"] = {"as_expr": {"expr_str": f"open({str(trace)!r}, 'w')", "hint": None}}

    changes = [as_example, as_object, as_library, as_weight]
    for change in (*changes, changed_model(as_guard), changed_model(as_formula)):
        with pytest.raises(BundleError, match="which could run code when it is opened"):
            open_model(rewritten(uri, tmp_path, change))
    assert not trace.exists()
    open_model(rewritten(uri, tmp_path, lambda members: None))  # rewriting alone does no harm


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Symbol('s73', positive=True, integer=True)", True),
        ("FloorDiv(Add(Symbol('s6', integer=True), Integer(-3)), Integer(4))", True),
        ("Mul(Float('0.5', precision=53), ToFloat(s6))", True),
        ("Max(s73, 4*((s73 + 3)//4))", True),
        ("exit()", False),
        ("Integer.__class__", False),
        ("Symbol('s1'); exit()", False),
        ("open('file')", False),
        ("Float('x', precision=53)", False),
        ("__import__(s1)", False),
        ("[s1 for s1 in s2]", False),
    ],
)
def test_a_formula_of_a_size_holds_arithmetic_only(text, good):
    assert is_formula(text) is good


@pytest.mark.slow
@pytest.mark.parametrize("dtype", list(SPREAD))
def test_the_built_in_network_takes_sizes_and_batches_of_any_kind(tmp_path, dtype):
    made = learner(dtype)
    uri = str(tmp_path / "model.pt2")
    export_pt2(made, uri)
    model = open_model(uri)
    for count, height, width in [(1, 1, 1), (1, 64, 64), (2, 33, 64), (4, 30, 97)]:
        image, valid = batch(dtype, count=count, height=height, width=width)
        found = model.probabilities(image, valid)
        assert (found - probabilities(made, image, valid)).abs().max() <= 1e-4
