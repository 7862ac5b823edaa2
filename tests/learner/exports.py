"""What tests of exported models work on: learners that were not trained, and scenes that fit them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.learner import Learner, Training
from geoseg.learner.facts import DataFacts
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.statistics import Statistics

CLASSES = ClassMap.of("water", "fields", "roofs")
BANDS = ("red", "nir")
SPREAD = {
    "uint8": ((90.0, 140.0), (30.0, 22.0)),
    "uint16": ((2100.0, 3400.0), (500.0, 800.0)),
    "int16": ((-35.0, 410.0), (60.0, 120.0)),
    "float32": ((0.12, -4.5), (0.05, 2.0)),
}
"""dtype to (mean, deviation) of the bands."""


def facts(dtype, **changed) -> DataFacts:
    mean, std = SPREAD[dtype]
    statistics = Statistics(mean=mean, std=std, count=1000)
    known = {"band_names": BANDS, "dtype": dtype, "statistics": statistics}
    return DataFacts(**{**known, "resolution_m": (0.5, 0.6), **changed})


def network(seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 5, 5, padding=2), nn.ReLU(), nn.Conv2d(5, 3, 1))


def learner(dtype="uint8", *, model="unet", **changed) -> Learner:
    """As after a fit, but for the training; "custom" is a network of two convolutions."""
    options = {"width": 4, "depth": 2} if model == "unet" else {}
    training = Training(model=model, model_options=options, size=48, batch_size=3)
    made = Learner(CLASSES, training, network() if model == "custom" else None)
    made.data = facts(dtype, **changed)
    made._module = made._build(2)
    with torch.no_grad():  # as statistics of batches are after some steps
        for name, values in made._module.named_buffers():
            if name.endswith("running_mean"):
                values.normal_(0, 0.1)
    return made


def scene(dtype="uint8", *, height=71, width=83, gap=True) -> Scene:
    """Blobs with the statistics of a dtype, and a hole of pixels that are not valid."""
    rng = np.random.default_rng(3)
    mean, std = (np.array(part)[:, None, None] for part in SPREAD[dtype])
    blobs = rng.normal(size=(2, height // 5 + 1, width // 5 + 1)).repeat(5, 1).repeat(5, 2)
    data = mean + std * blobs[:, :height, :width]
    data = (data if dtype.startswith("f") else data.round().clip(np.iinfo(dtype).min)).astype(dtype)
    valid = np.ones((height, width), bool)
    if gap:
        valid[20:41, 13:50] = False
        data[:, 20:41, 13:50] = np.nan if dtype.startswith("f") else np.iinfo(dtype).max
    place = Grid.model_validate(
        {
            "crs": "EPSG:32619",
            "transform": (0.5, 0, 5e5, 0, -0.6, 4e6),
            "height": height,
            "width": width,
        }
    )
    return Scene.of(ArraySource(data=data, valid=valid, grid=place, band_names=BANDS), id="field")
