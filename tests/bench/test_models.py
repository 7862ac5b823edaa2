"""The built-in U-Net and one with a ResNet-18 on real buildings: what they reach, and what they cost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from geoseg.learner import Learner
from tests.bench.race import cpu_seconds, report
from tests.real.test_buildings import CLASSES, TRAINING, zanzibar

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("model", ["unet", "unet/resnet18"])
def test_buildings_of_another_part_of_town(model):
    folder = os.environ.get("GEOSEG_DATA")
    if not folder:
        pytest.skip("GEOSEG_DATA is not set: this needs the folder of the data sets")
    torch.set_num_threads(1)
    training = TRAINING.model_copy(update={"model": model})
    begin = cpu_seconds()
    learner = Learner(CLASSES, training).fit([zanzibar(Path(folder), "a")])
    seconds = cpu_seconds() - begin
    overall = learner.evaluate([zanzibar(Path(folder), "b")]).to_dict()["overall"]
    iou = next(c["iou"] for c in overall["per_class"] if c["name"] == "building")
    report(f"building IoU of {model}, over 0.4", iou / 0.4, 1, f"({iou:.3f}, {seconds:.0f} s CPU)")
