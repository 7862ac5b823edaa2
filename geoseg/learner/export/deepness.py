"""What QGIS reads of an ONNX model, with the plugin Deepness."""

from __future__ import annotations

import json

from geoseg.learner.export.facts import ExportFacts
from geoseg.window import pair

_OVERLAP = 50
"""Percent; what geoseg itself predicts with."""


def deepness_keys(facts: ExportFacts) -> dict[str, str]:
    """Metadata of an ONNX file as the plugin reads it, each value as JSON.

    It divides all pixels by 255 before it standardises them; a deviation of 1/255 takes that back, so
    that the model sees the units of the source. A threshold of 0 lets it take the likeliest class, and
    0 small segments leave the map as it is, so that it is geoseg's own. It makes square tiles only; its
    versions up to now take no model of open size, so that `size` is to be given for it.
    """
    data, classes = facts.info.data, facts.info.classes
    tile = (facts.size or pair(facts.info.training.image_size))[0]
    found: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(classes.names)},
        "tile_size": tile,  # the plugin's code reads this one, its pages name the next
        "tiles_size": tile,
        "tiles_overlap": _OVERLAP,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * facts.channels,
        "standardization_std": [1 / 255] * facts.channels,
    }
    if data is not None and data.resolution_m is not None:
        found["resolution"] = round(50 * sum(data.resolution_m), 6)  # cm, the mean of x and y
    return {key: json.dumps(value, ensure_ascii=False) for key, value in found.items()}
