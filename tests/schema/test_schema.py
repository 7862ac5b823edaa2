"""The JSON Schema of an experiment says yes where geoseg does, and no to typos; by the real jsonschema."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

import jsonschema
import pytest
from pydantic import ValidationError

from geoseg import sample, yamltext
from geoseg.errors import ConfigError
from geoseg.experiment import Experiment
from geoseg.labels.base import LabelSource, LabelStore
from geoseg.learner.augments import Augment
from geoseg.schema import nouns, schema_of, schema_text
from geoseg.sources.base import RasterSource, VectorSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transformedvector import VectorTransform
from geoseg.spec import Spec, Uri

KEPT = files("geoseg.schema").joinpath("experiment.json")
PYTHON_ONLY = {"array", "frame"}

EXPERIMENT = """
classes: [a, b]
train:
- {id: one, image: a.tif, labels: {type: raster, source: b.tif}}
output: out
"""
ALL = """
classes:
  classes: [{name: dark, color: "#000000"}, {name: light, id: 7, color: [1, 2, 3]}, other]
  ignore_id: 254
train:
- id: one
  image: {type: geotiff, uri: [a.tif, b.tif], bands: [1, red], nodata: .nan}
  labels: {type: raster, source: {type: mbtiles, uri: a.mbtiles}, mapping: {1: 0, -2: 7}}
  aoi: area.gpkg
  reference: {crs: "EPSG:32619", transform: [10, 0, 5e5, 0, -10, 4e6], height: 7, width: 11}
  store: out.gpkg
- id: two
  image: a.mbtiles
  labels: {type: vector, source: {type: file, uri: a.gpkg}, class_by: kind}
  aoi: null
  reference: labels
valid: {table: scenes.csv, split: valid}
test:
- {glob: "*.tif", labels: "{1}.gpkg", class_by: kind, split: b, shares: {a: 0.5, b: 0.5}, seed: 3}
training:
  {model: unet/resnet34, lr: 1e-3, size: [32, 64], class_weights: [1, 2.5, 0], sampling: {min_valid: 0.5},
   augmentation: [d4, {type: rotate, degrees: [-5, 5]}], model_options: {width: 4, name: x, deep: true}}
prediction: {size: 64, stride: [32, 16], blend: mean, tta: d4}
output: /somewhere/out
"""

# By family, one example or more of each kind.
EXAMPLES = {
    RasterSource: """
- {type: geotiff, uri: a.tif, transforms: [{type: log}, {type: fill_nan, value: 0}]}
- {type: geotiff, uri: a.tif, nodata: nan}
- {type: mbtiles, uri: a.mbtiles, zoom: 3, nodata_color: [0, 0, 0]}
- {type: lmdb, uri: store, key: one, size: 120}
- {type: lmdb, uri: store, key: one, size: [120, 60]}
- {type: warped, source: a.tif, onto: {type: geotiff, uri: b.tif}}
- {type: warped, source: a.tif, onto: {height: 3, width: 4, crs: 32619}}
- {type: warped, source: a.tif, onto: b.tif}
- {type: stack, sources: [a.tif, {type: mbtiles, uri: b.mbtiles}], like: 1}
- {type: timestack, sources: [a.tif, null], require: any, times: [2020-06-01, "2020-07-01T10:30:00Z"]}
- {type: stac, uri: item.json, assets: [B04, B08], like: B08}
- {type: npy, uri: a.npy}
""",
    VectorSource: """
- {type: file, uri: a.gpkg, layer: roads, transforms: [{type: only_valid}]}
""",
    LabelSource: """
- {type: raster, source: a.tif, classes: [a, b]}
- {type: vector, source: a.gpkg, class_by: kind, background: null}
- {type: pixels, source: a.tif}
""",
    LabelStore: """
- {type: geotiff, uri: a.tif, scores: true}
- {type: vector, uri: a.gpkg, only: road}
- {type: vector, uri: a.gpkg, only: [road, 3]}
""",
    Transform: """
- {type: standardize, mean: [0.5], std: [2]}
- {type: minmax, low: [0], high: [255]}
- {type: percentile, low: [0], high: [255]}
- {type: log, offset: 0.5}
- {type: reclass, mapping: {7: 1, -2: 0}, default: 255}
- {type: rgb_to_class, colors: {0: "#ff0080", 1: [0, 0, 0]}}
- {type: fill_nan, value: -1}
- {type: cast, dtype: uint8}
""",
    VectorTransform: """
- {type: only_valid}
- {type: infer_class, value_by: use, values: {1: on, yes: 3}, queries: {"z > 1": 2}}
- {type: shift, north_m: -1e-3}
- {type: buffer, points_m: {road: 2, "*": 0}, class_by: kind}
- {type: buffer, lines_m: 4}
""",
    Augment: """
- {type: d4}
- {type: rotate, degrees: [-10, 10], p: 0.5}
- {type: zoom, scale: [0.5, 2]}
- {type: elastic, shift: 2, cell: 16}
- {type: light}
- {type: brightness, contrast: 0}
- {type: noise, amount: 0.2}
- {type: band_dropout, share: 0.1}
- {type: cutmix, share: [0.1, 0.2]}
""",
}


def values_of(text):
    """What an editor sees: in JSON every key is text."""
    return json.loads(json.dumps(yamltext.load(text)))


def validator(noun):
    schema = schema_of(noun)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.fixture(scope="module")
def experiments():
    return validator(Experiment)


def examples():
    for family, text in EXAMPLES.items():
        for values in yamltext.load(text):
            if values["type"] in family.kinds:
                yield pytest.param(family, values, id=f"{family.__name__}-{values['type']}")


@pytest.fixture(scope="module")
def families():
    return {family: validator(family) for family in EXAMPLES}


@pytest.mark.parametrize(("family", "values"), list(examples()))
def test_every_kind_is_accepted_by_both(families, family, values):
    family.model_validate(values)
    families[family].validate(json.loads(json.dumps(values)))
    unknown = json.loads(json.dumps(values | {"no_such_key": 1}))
    assert not families[family].is_valid(unknown)
    assert not families[family].is_valid({**unknown, "type": "no such kind"})


def test_every_kind_has_an_example():
    for family, text in EXAMPLES.items():
        ours = {tag for tag, kind in family.kinds.items() if kind.__module__.startswith("geoseg.")}
        assert ours - PYTHON_ONLY <= {values["type"] for values in yamltext.load(text)}


def test_what_has_no_text_is_not_in_the_schema(families):
    sources = families[RasterSource].schema["$defs"]
    assert "GeoTIFFSource" in sources
    assert "ArraySource" not in sources
    assert not families[VectorSource].is_valid({"type": "frame", "frame": "a"})


def test_the_packaged_sample_is_valid(experiments):
    experiments.validate(values_of(sample.experiment_text(output="out")))
    experiments.validate(values_of(files(sample).joinpath("experiment.yaml").read_text()))


@pytest.mark.parametrize("text", [EXPERIMENT, ALL], ids=["small", "all"])
def test_experiments_are_valid(experiments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("1.tif", "2.tif", "1.gpkg", "2.gpkg", "v.tif", "v_mask.tif"):
        (tmp_path / name).touch()
    table = "image,labels,split\nv.tif,v_mask.tif,valid\n"
    (tmp_path / "scenes.csv").write_text(table)
    text = text.replace('"*.tif"', '"[12].tif"')
    found = Experiment.from_yaml(text)
    experiments.validate(values_of(text))
    experiments.validate(json.loads(json.dumps(yamltext.load(found.to_yaml()))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("train:", "trian:"),
        ("output: out", "outptu: out"),
        ("output: out", "output: [out]"),
        ("output: out", "output: out\ntraining: {epocs: 3}"),
        ("output: out", "output: out\ntraining: {epochs: many}"),
        ("output: out", "output: out\ntraining: {epochs: 0}"),
        ("output: out", "output: out\ntraining: {optimizer: adam}"),
        ("output: out", "output: out\ntraining: {augmentation: [{type: rotte}]}"),
        ("output: out", "output: out\nprediction: {size: [1, 2, 3]}"),
        ("output: out", "output: out\nvalid: {globe: '*.tif'}"),
        ("classes: [a, b]", "classes: []"),
        ("classes: [a, b]", "classes: [{name: a, color: red}]"),
        ("type: raster", "type: rastr"),
        ("type: raster, ", ""),
        ("image: a.tif", "image: {uri: a.tif}"),
        ("image: a.tif", "image: {type: geotiff, url: a.tif}"),
        ("image: a.tif", "image: {type: geotiff, uri: a.tif, nodta: 0}"),
        ("image: a.tif", "img: a.tif"),
        ("{type: raster, source: b.tif}", "b.tif"),
    ],
)
def test_typos_are_refused_by_both(experiments, old, new):
    assert old in EXPERIMENT
    text = EXPERIMENT.replace(old, new)
    with pytest.raises(ValidationError):
        Experiment.from_yaml(text)
    assert not experiments.is_valid(values_of(text))


def test_a_file_that_includes_others_need_not_be_whole(experiments):
    assert experiments.is_valid({"include": "base.yaml", "training": {"epochs": 3}})
    assert experiments.is_valid({"include": ["a.yaml", "b.yaml"]})
    assert not experiments.is_valid({"include": 3})
    assert not experiments.is_valid({"include": "base.yaml", "training": {"epocs": 3}})
    assert not experiments.is_valid({"training": {"epochs": 3}})


def test_the_texts_under_the_fields_are_its_descriptions():
    parts = json.loads(KEPT.read_text("utf-8"))["$defs"]
    epochs = parts["Training"]["properties"]["epochs"]
    assert epochs["description"] == "Times that `length` windows are drawn."
    assert (epochs["default"], epochs["minimum"]) == (10, 1)
    for name, part in parts.items():
        for key, field in part.get("properties", {}).items():
            assert key == "type" or field.get("description"), f"{name}.{key}"
    # A kind's own text counts before that of its base.
    assert (
        parts["Rotate"]["properties"]["p"]["description"] == "Probability that a chip is changed."
    )
    assert parts["Scene"]["description"].startswith("One image, what is known about it")


def test_a_kind_of_ones_own_is_in_the_schema_and_only_while_it_is_there():
    class Mine(LabelStore):
        type: str = "mine"
        uri: Uri
        """Where."""

        def writer(self, grid, classes):
            """None."""

        def read(self):
            """None."""

    try:
        found = validator(LabelStore)
        assert found.is_valid({"type": "mine", "uri": "a"})
        assert found.schema["$defs"]["Mine"]["description"] == "Mine"
        assert not found.is_valid({"type": "mine"})
    finally:
        del LabelStore.kinds["mine"]
    assert not validator(LabelStore).is_valid({"type": "mine", "uri": "a"})


def test_a_noun_that_names_itself_is_told_once():
    schema = schema_of(RasterSource)
    assert schema["allOf"] == [{"$ref": "#/$defs/RasterSource"}]
    assert {"$ref": "#/$defs/RasterSource"} in (
        schema["$defs"]["WarpedSource"]["properties"]["source"]["anyOf"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", list(nouns()))
def test_every_noun_has_a_schema_that_is_the_same_again(name):
    assert issubclass(nouns()[name], Spec)
    text = schema_text(name)
    jsonschema.Draft7Validator.check_schema(json.loads(text))
    assert schema_text(name) == text


def test_an_unknown_noun_is_told():
    with pytest.raises(
        ConfigError, match="no schema of 'scenes'; expected one of: experiment, scene"
    ):
        schema_text("scenes")


@pytest.mark.slow
def test_the_schema_in_the_package_is_that_of_the_code():
    # In a process of its own: here other tests may have defined kinds.
    code = "from geoseg.cli.main import app; app()"
    command = [sys.executable, "-c", code, "schema"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(KEPT.read_text("utf-8")) == json.loads(found.stdout), (
        "the schema has changed: geoseg schema --out geoseg/schema/experiment.json"
    )
