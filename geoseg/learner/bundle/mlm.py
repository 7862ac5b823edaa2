"""The model as a STAC Item of the Machine Learning Model extension (MLM), for catalogues of models.

It is made from the rest of the bundle and never read back by geoseg.

A model has neither a place nor a time of its own, and a bundle holds no clock time: `geometry` and
`datetime` are null, and the range of time that STAC then asks for is the widest, 1900 to 9999, as the
extension advises. Who publishes the Item sets what is known.
Source: https://github.com/stac-extensions/mlm (v1.4.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from geoseg.datasets.windows import scale_of
from geoseg.learner.bundle.info import BundleInfo
from geoseg.learner.facts import DataFacts, scaled_statistics

_SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
_STAC = "1.1.0"
_TIMES = {
    "datetime": None,
    "start_datetime": "1900-01-01T00:00:00Z",
    "end_datetime": "9999-12-31T23:59:59Z",
}
_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(\+[0-9A-Za-z.-]+)?")
_ANY = -1
"""A side of any length."""
_IMAGE, _VOLUME = ["height", "width"], ["depth", "height", "width"]


def mlm_item(
    info: BundleInfo, weights: Mapping[str, Tensor], *, digest: str, members: Mapping[str, str]
) -> dict[str, Any]:
    """The Item as plain values.

    Args:
        info: Everything about the model but its weights.
        weights: The weights by name.
        digest: SHA-256 of the weights' file; the Item's id ends with its first 12 digits.
        members: {name of another member: what it is}.
    """
    name = _words(f"geoseg {info.training.model}")
    bands = _bands(info.data)
    model: dict[str, Any] = {
        "href": "model.safetensors",
        "type": "application/octet-stream",
        "title": "weights and normalisation",
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": "safetensors.torch.save_file",
    }
    if bands:
        model["bands"] = bands
    assets = {
        key.partition(".")[0]: {"href": key, "title": title, "roles": ["metadata"], **_type_of(key)}
        for key, title in members.items()
    }
    return {
        "type": "Feature",
        "stac_version": _STAC,
        "stac_extensions": [_SCHEMA],
        "id": f"{name.replace(' ', '-')}-{digest[:12]}",
        "geometry": None,
        "properties": {**_TIMES, **_properties(info, weights, name, bands)},
        "links": [],
        "assets": {"model": model, **assets},
    }


def _properties(
    info: BundleInfo, weights: Mapping[str, Tensor], name: str, bands: list[dict[str, Any]]
) -> dict[str, Any]:
    training = _without_nan(info.training.model_dump(mode="json"))
    found: dict[str, Any] = {
        "description": f"Tells apart: {', '.join(info.classes.names)}.",
        "mlm:name": name,
        "mlm:architecture": info.network or info.training.model,
        "mlm:framework": "PyTorch",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:total_parameters": sum(
            tensor.numel() for key, tensor in weights.items() if key not in ("mean", "std")
        ),
        "mlm:batch_size_suggestion": info.training.batch_size,
        "mlm:input": [_input(info)],
        "mlm:output": [_output(info)],
        "mlm:hyperparameters": training,
    }
    if info.network is None:  # of a network of the user's own nothing is known
        source = training.get("weights")
        found |= {"mlm:pretrained": source is not None, "mlm:pretrained_source": source}
    version = info.versions.get("torch", "")
    if _SEMVER.fullmatch(version):
        found["mlm:framework_version"] = version
    if bands:
        found["bands"] = bands
    return found


def _bands(data: DataFacts | None) -> list[dict[str, Any]]:
    """Name, dtype and statistics of each band, in the source's own units."""
    if data is None:
        return []
    dtype = data.dtype if data.dtype in _DTYPES + _FLOATS else "other"
    statistics = zip(data.band_names, data.statistics.mean, data.statistics.std, strict=True)
    return [
        {"name": name, "data_type": dtype, "statistics": {"mean": mean, "stddev": std}}
        for name, mean, std in statistics
    ]


def _input(info: BundleInfo) -> dict[str, Any]:
    """The image; a model of no known data takes any number of bands."""
    data, axes = info.data, _axes(info)
    channels = _ANY if data is None and info.in_channels == 1 else info.in_channels
    return {
        "name": "image",
        "description": "Pixels in the units of the bands, as float32. The network sees them after "
        "value_scaling, and 0 where they are not valid; geoseg does both by itself.",
        "bands": [] if data is None else list(data.band_names),
        "input": {
            "shape": [_ANY, channels, *[_ANY] * len(axes)],
            "dim_order": ["batch", "channel" if data is None else "bands", *axes],
            "data_type": "float32",
        },
        "value_scaling": None if data is None else _scaling(data),
        "resize_type": None,
        "pre_processing_function": None,
    }


def _scaling(data: DataFacts) -> list[dict[str, Any]]:
    """What the network takes off and divides by, one a band, in the source's own units."""
    if (fixed := data.standardize) is not None:
        means, deviations = list(fixed.mean), [std or 1.0 for std in fixed.std]
    else:
        scale = scale_of(np.dtype(data.dtype))
        means, deviations = ([v / scale for v in values] for values in scaled_statistics(data))
    return [
        {"type": "z-score", "mean": mean, "stddev": deviation}
        for mean, deviation in zip(means, deviations, strict=True)
    ]


def _axes(info: BundleInfo) -> list[str]:
    return _VOLUME if info.training.of_volumes else _IMAGE


def _output(info: BundleInfo) -> dict[str, Any]:
    axes = _axes(info)
    active = "sigmoid of each" if info.training.multilabel else "softmax over them"
    return {
        "name": "logits",
        "description": "One channel a class, in the order of classification:classes, at the size of the "
        f"image; {active} gives probabilities.",
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [_ANY, len(info.classes), *[_ANY] * len(axes)],
            "dim_order": ["batch", "class", *axes],
            "data_type": "float32",
        },
        "classification:classes": [
            {
                "value": c.id,
                "name": re.sub(r"[^0-9A-Za-z_-]", "_", c.name),
                "description": c.name,
                "color_hint": "{:02X}{:02X}{:02X}".format(*c.color),
            }
            for c in info.classes.classes
        ],
        "post_processing_function": None,
    }


def _words(text: str) -> str:
    """Letters, digits, dots and hyphens, with a space wherever something else was."""
    return " ".join(re.sub(r"[^0-9A-Za-z.-]", " ", text).split()).rstrip(".-")


def _without_nan(value: Any) -> Any:
    """Plain values with text in the place of numbers that JSON does not know."""
    return json.loads(json.dumps(value), parse_constant=str)


def _type_of(name: str) -> dict[str, str]:
    return {"type": "application/json" if name.endswith(".json") else "application/yaml"}
