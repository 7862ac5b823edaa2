"""Where a model computes, and in which numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner.prediction.device import chosen_device
from geoseg.scene import Scene
from tests.learner.prediction.runs import learner, run, write_scene

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("device"), height=600)


def test_mixed_precision_is_near_to_full_precision_and_another_run(image, tmp_path):
    whole = learner().predict(Scene.of(image))
    half = learner().predict(Scene.of(image), precision="bf16-mixed")
    known = whole.to_array() != 255
    difference = np.abs(half.scores(half.grid.whole) - whole.scores(whole.grid.whole))[:, known]
    assert 0 < difference.max() < 0.02
    part = str(tmp_path / "part.tif")
    run(image, part, shard=(0, 2), precision="bf16-mixed")
    run(image, tmp_path / "other.tif", shard=(1, 2))
    from geoseg.labels.geotiff import GeoTIFFLabelStore
    from geoseg.labels.parts import merge

    with pytest.raises(ConfigError, match="precision is 32, was bf16-mixed"):
        merge([part, str(tmp_path / "other.tif")], GeoTIFFLabelStore(uri=str(tmp_path / "m.tif")))


def test_precisions_and_devices_that_there_are_not_are_refused(image):
    with pytest.raises(ConfigError, match="precision is '8': Input should be '32', '16-mixed'"):
        learner().predict(Scene.of(image), precision="8")
    with pytest.raises(ConfigError, match="device is 'toaster', which cannot be used here"):
        learner().predict(Scene.of(image), device="toaster")


@WITHOUT_GPU
def test_a_gpu_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match=r"device is 'cuda', .*; leave it out, or take 'cpu'"):
        chosen_device("cuda")
    assert chosen_device(None) == torch.device("cpu")


@pytest.mark.gpu
def test_a_gpu_gives_the_scores_of_the_cpu(image):
    cpu = learner().predict(Scene.of(image), device="cpu")
    gpu = learner().predict(Scene.of(image), device="cuda")
    half = learner().predict(Scene.of(image), device="cuda", precision="16-mixed")
    whole = cpu.grid.whole
    assert np.abs(gpu.scores(whole) - cpu.scores(whole)).max() < 1e-4
    assert np.abs(half.scores(whole) - cpu.scores(whole)).max() < 0.01
