"""The model as a STAC Item: read through pystac and its extension, which know nothing of geoseg.

The extension's own JSON Schema is not in its package, so that what the schema says beyond the classes of
`pystac.extensions.mlm` is told here in words.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pystac
import pytest
import torch
from pystac.extensions import mlm
from pystac.extensions.classification import Classification
from pystac.validation import validate_dict

from geoseg.learner.bundle import save_bundle
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training
from geoseg.sources.transforms.scaling import Standardize
from tests.learner.bundles import CLASSES, facts, info, members_of, weights

KINDS = {
    "uint8": info(),
    "int16": info(data=facts(dtype="int16")),
    "no data": info(data=None, in_channels=5),
    "never fitted": info(data=None, in_channels=1, network="a.Net", training={"model": "custom"}),
    "standardized": info(data=facts(standardize=Standardize(mean=(9.0, 8.0), std=(2.0, 0.0)))),
    "no history": info(history=(), histogram=None, versions={}),
    "odd version": info(versions={"torch": "2.9.0a0+git12"}),
}


def item_of(given, tmp_path):
    uri = str(tmp_path / "a.zip")
    save_bundle(uri, given, weights())
    return json.loads(members_of(uri)["mlm.json"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_item_is_valid_stac_and_the_classes_of_the_extension_write_the_same(kind, tmp_path):
    found = item_of(KINDS[kind], tmp_path)
    validate_dict(found, pystac.STACObjectType.ITEM, "1.1.0", extensions=[])
    item = pystac.Item.from_dict(found, preserve_dict=True)
    read = mlm.MLMExtension.ext(item)  # raises where the item does not name the extension's schema
    written = item.clone()
    written.properties = {k: v for k, v in item.properties.items() if not k.startswith("mlm:")}
    mlm.MLMExtension.ext(written).apply(
        name=read.mlm_name,
        architecture=read.architecture,
        tasks=[mlm.TaskType(task) for task in read.tasks],
        input=[written_input(one) for one in read.input],
        output=[written_output(one) for one in read.output],
        framework=read.framework,
        framework_version=read.framework_version,
        total_parameters=read.total_parameters,
        pretrained=read.pretrained,
        batch_size_suggestion=read.batch_size_suggestion,
        hyperparameters=read.hyperparameters,
    )
    assert without_nulls(written.properties) == without_nulls(item.properties)
    assert not set(found["properties"]) & {"mlm:artifact_type", "mlm:entrypoint"}


def written_input(read):
    fields = read.to_dict()
    made = mlm.ModelInput.create(
        name=read.name,
        bands=list(read.bands),
        input=mlm.InputStructure.create(
            shape=read.input.shape,
            dim_order=read.input.dim_order,
            data_type=mlm.DataType(read.input.data_type),
        ),
        description=read.description,
    )
    if (scaling := fields["value_scaling"]) is not None:
        # One a band, as the schema wants it; the class takes only one for all.
        assert len(scaling) == len(fields["bands"])
        made.properties["value_scaling"] = [
            mlm.ValueScaling.create(
                mlm.ValueScalingType(one["type"]), mean=one["mean"], stddev=one["stddev"]
            ).to_dict()
            for one in scaling
        ]
    return made


def written_output(read):
    return mlm.ModelOutput.create(
        name=read.name,
        tasks=[mlm.TaskType(task) for task in read.tasks],
        result=mlm.ResultStructure.create(
            shape=read.result.shape,
            dim_order=read.result.dim_order,
            data_type=mlm.DataType(read.result.data_type),
        ),
        description=read.description,
        classes=[
            Classification.create(
                c.value, name=c.name, description=c.description, color_hint=c.color_hint
            )
            for c in read.classes
        ],
    )


def without_nulls(properties):
    """Plain values without nulls, which the classes write in other places than the Item has them."""
    return json.loads(
        json.dumps(properties),
        object_hook=lambda record: {k: v for k, v in record.items() if v is not None},
    )


def test_each_band_is_described_with_its_statistics_and_named_by_the_input(tmp_path):
    found = item_of(info(), tmp_path)
    expected = [
        {"name": "red", "data_type": "uint8", "statistics": {"mean": 100.5, "stddev": 20.25}},
        {"name": "nir", "data_type": "uint8", "statistics": {"mean": 7.0, "stddev": 0.0}},
    ]
    assert found["properties"]["bands"] == expected
    assert found["assets"]["model"]["bands"] == expected
    (image,) = found["properties"]["mlm:input"]
    assert image["bands"] == ["red", "nir"]
    assert image["input"] == {
        "shape": [-1, 2, -1, -1],
        "dim_order": ["batch", "bands", "height", "width"],
        "data_type": "float32",
    }


def test_a_model_of_unknown_data_names_no_bands_and_has_no_scaling(tmp_path):
    for kind, channels in (("no data", 5), ("never fitted", -1)):
        found = item_of(KINDS[kind], tmp_path)
        (image,) = found["properties"]["mlm:input"]
        assert image["bands"] == []
        assert image["input"]["shape"] == [-1, channels, -1, -1]
        assert image["input"]["dim_order"][1] == "channel"
        assert image["value_scaling"] is None
        assert "bands" not in found["properties"]
        assert "bands" not in found["assets"]["model"]


def test_the_scaling_is_what_the_model_itself_does_to_pixels(tmp_path):
    (image,) = item_of(info(), tmp_path)["properties"]["mlm:input"]
    means, deviations = (
        [band[key] for band in image["value_scaling"]] for key in ("mean", "stddev")
    )
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 7), np.uint8)
    module = SegmentationModule(
        CLASSES,
        2,
        model_options={"width": 4, "depth": 2},
        mean=[100.5 / 255, 7 / 255],
        std=[20.25 / 255, 1.0],
    )
    seen = module.normalized(torch.from_numpy(pixels)).numpy()
    expected = (pixels - np.reshape(means, (2, 1, 1))) / np.reshape(deviations, (2, 1, 1))
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_the_scaling_is_that_of_the_images_where_they_are_standardized_and_of_the_units_they_have(
    tmp_path,
):
    (image,) = item_of(KINDS["standardized"], tmp_path)["properties"]["mlm:input"]
    assert image["value_scaling"] == [
        {"type": "z-score", "mean": 9, "stddev": 2},
        {"type": "z-score", "mean": 8, "stddev": 1},
    ]
    (image,) = item_of(KINDS["int16"], tmp_path)["properties"]["mlm:input"]
    assert image["value_scaling"][0] == {"type": "z-score", "mean": 100.5, "stddev": 20.25}


def test_the_output_has_a_channel_for_each_class_in_their_order(tmp_path):
    (logits,) = item_of(info(), tmp_path)["properties"]["mlm:output"]
    assert logits["result"]["shape"] == [-1, 2, -1, -1]
    assert logits["result"]["dim_order"] == ["batch", "class", "height", "width"]
    classes = logits["classification:classes"]
    assert [(c["value"], c["description"]) for c in classes] == [(3, "dark"), (1, "água funda")]
    assert [c["name"] for c in classes] == ["dark", "_gua_funda"]
    assert classes[1]["color_hint"] == "0A0BFF"


def test_the_item_says_how_the_model_was_made(tmp_path):
    training = Training(model="unet", batch_size=3, weight_decay=float("inf"))
    found = item_of(info(training=training), tmp_path)
    properties = found["properties"]
    assert properties["mlm:architecture"] == "unet"
    assert properties["mlm:framework_version"] == "2.13.0+cpu"
    assert properties["mlm:total_parameters"] == 3 * 2 * 5 + 1
    assert properties["mlm:batch_size_suggestion"] == 3
    assert (properties["mlm:pretrained"], properties["mlm:pretrained_source"]) == (False, None)
    hyperparameters = properties["mlm:hyperparameters"]
    assert (hyperparameters["batch_size"], hyperparameters["weight_decay"]) == (3, "Infinity")
    odd = item_of(KINDS["odd version"], tmp_path)["properties"]
    assert "mlm:framework_version" not in odd
    own = item_of(KINDS["never fitted"], tmp_path)["properties"]
    assert own["mlm:architecture"] == "a.Net"
    assert "mlm:pretrained" not in own


def test_names_and_ids_have_the_letters_that_the_extension_allows(tmp_path):
    found = item_of(info(training=Training(model="unet")), tmp_path)
    name = found["properties"]["mlm:name"]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", name)
    assert re.fullmatch(r"geoseg-unet-[0-9a-f]{12}", found["id"])


def test_exactly_the_asset_with_the_weights_is_the_model(tmp_path):
    found = item_of(info(), tmp_path)
    models = [a for a in found["assets"].values() if "mlm:model" in a["roles"]]
    assert [a["href"] for a in models] == ["model.safetensors"]
    typed = [a for a in found["assets"].values() if "mlm:artifact_type" in a]
    assert typed == models
    assert {a["href"] for a in found["assets"].values()} < {*members_of(tmp_path / "a.zip")}


def test_no_clock_time_is_in_the_item(tmp_path):
    properties = item_of(info(), tmp_path)["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] < properties["end_datetime"]
