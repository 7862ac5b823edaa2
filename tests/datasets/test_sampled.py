"""RandomWindowGeoDataset with rules for its windows: what its items hold, on any worker."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import DataLoader

from geoseg.classes import ClassMap
from geoseg.datasets import RandomWindowGeoDataset, collate
from geoseg.errors import ConfigError
from geoseg.labels.sources import RasterLabels
from geoseg.learner import SegmentationData
from geoseg.scene import Scene
from geoseg.sources import geotiff

RULES = {"class_balance": {"rare": 0.5}, "min_valid": 0.7, "min_labelled": 0.6}


@pytest.fixture
def scene(write_raster):
    """A scene of two files with a collar of nodata, gaps in the labels and a class of 0.3 %."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:301, :433]
    image = rng.integers(1, 99, (1, 301, 433), np.uint8)
    image[:, rows + cols < 90] = 0
    ids = rng.integers(0, 2, (301, 433)).astype(np.uint8).repeat(1, 0)
    ids[200:220, 200:220] = 2
    ids[30:60, 350:] = 255
    classes = ClassMap.of("background", "road", "rare")
    return Scene.of(
        write_raster("a.tif", image, nodata=0),
        RasterLabels(source=write_raster("labels.tif", ids), classes=classes),
    )


@pytest.mark.parametrize("order", ["block", "uniform"])
def test_items_hold_what_the_rules_say(scene, order):
    data = RandomWindowGeoDataset([scene], (33, 40), 60, seed=2, order=order, **RULES)
    data.set_epoch(3)
    items = [data[i] for i in range(60)]
    for item in items:
        assert item["valid"].float().mean() >= 0.7
        assert (item["mask"] != 255).float().mean() >= 0.6
    assert sum(bool((item["mask"] == 2).any()) for item in items) >= 30
    places = {(item["row"], item["col"]) for item in items}
    drawn = data.windows.draw_many(range(60), 3)
    assert places == {(row, col) for _, row, col, _, _ in drawn.tolist()}


def test_resized_windows_are_of_the_rules_too(scene):
    data = RandomWindowGeoDataset([scene], 32, 40, size_range=(20, 80), negative_share=0.0, **RULES)
    assert all(data[i]["mask"].shape == (32, 32) for i in range(5))
    assert {data.place(i)[1].height for i in range(40)} > {data.place(0)[1].height}


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("order", ["block", "uniform"])
def test_workers_draw_the_windows_of_this_process(scene, context, order):
    data = RandomWindowGeoDataset([scene], 33, 24, seed=2, order=order, **RULES)
    loaders = [
        DataLoader(data, 4, collate_fn=collate),
        DataLoader(data, 4, collate_fn=collate, num_workers=2, multiprocessing_context=context),
    ]
    for epoch in (0, 2):
        data.set_epoch(epoch)
        alone, shared = (list(loader) for loader in loaders)
        for one, other in zip(alone, shared, strict=True):
            for key in ("image", "mask", "valid", "row", "col"):
                assert torch.equal(one[key], other[key])


def test_a_pickled_data_set_does_not_count_the_pixels_again(scene, monkeypatch):
    data = RandomWindowGeoDataset([scene], 33, 30, **RULES)
    expected = [data.place(i) for i in range(30)]
    monkeypatch.setattr(geotiff.GeoTIFFSource, "read", None)
    again = pickle.loads(pickle.dumps(data))
    assert [again.place(i) for i in range(30)] == expected
    assert len(pickle.dumps(data)) < 100_000


def test_senseless_rules_are_errors(scene):
    with pytest.raises(ValidationError, match="min_valid"):
        RandomWindowGeoDataset([scene], 33, 30, min_valid=2)
    with pytest.raises(ConfigError, match="'roof'"):
        RandomWindowGeoDataset([scene], 33, 30, class_balance={"roof": 1.0})


class _Mapping(dict):
    """As OmegaConf gives one."""

    marks: ClassVar[list[str]] = []


@pytest.mark.parametrize("kind", [dict, _Mapping])
def test_the_data_module_hands_all_rules_on(scene, kind, tmp_path):
    rules = kind(
        RULES
        | {"negative_share": 0.25, "background": "road", "scene_weights": "equal"}
        | {"size_range": [20, 40], "cache": str(tmp_path / "kept"), "min_labelled": 0.0}
    )
    with pytest.raises(ConfigError, match="background alone"):
        SegmentationData([scene], size=32, length=16, sampling=rules).train_dataloader()
    rules["negative_share"] = 0.0
    data = SegmentationData([scene], size=32, length=16, sampling=rules)
    windows = data.train_dataloader().dataset.windows
    assert windows.size_range == (20, 40)
    expected = data.sampling.model_dump() | {"size_range": None}  # given on its own
    assert windows.sampling.model_dump() == expected
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_rules_for_a_data_set_are_an_error(scene):
    data = RandomWindowGeoDataset([scene], 32, 16)
    assert SegmentationData(data).train_dataloader().dataset is data
    with pytest.raises(ConfigError, match="`train` is a data set"):
        SegmentationData(data, sampling={"min_valid": 0.5})
