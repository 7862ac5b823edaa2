"""OpenAerialMap imagery with OpenStreetMap buildings in another CRS: from polygons to a map."""

from __future__ import annotations

import statistics

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from geoseg.classes import ClassMap
from geoseg.datasets import SlidingWindowGeoDataset
from geoseg.learner import Learner, Training
from geoseg.scene import Scene

CLASSES = ClassMap.of("background", "building")
TRAINING = Training(
    size=128,
    length=160,
    batch_size=16,
    epochs=10,
    lr=2e-3,
    loss="cross_entropy+dice",
    augmentation="d4+light",
)


def zanzibar(folder, part):
    name = f"zanzibar_{part}_z19"
    files = folder / "oam_buildings"
    return Scene.of(
        str(files / f"{name}.tif"),
        str(files / f"{name}.geojson"),
        classes=CLASSES,
        class_by="class_name",
    )


def test_label_windows_equal_one_burn_of_the_whole_scene(data_folder):
    scene = zanzibar(data_folder, "b")
    with rasterio.open(scene.image.uri) as image:
        shapes = geopandas.read_file(scene.labels.source.uri).to_crs(image.crs)
        expected = rasterize(shapes.geometry, image.shape, transform=image.transform)
    for item in SlidingWindowGeoDataset([scene], (200, 331), (150, 201)):
        place = slice(item["row"], item["row"] + 200), slice(item["col"], item["col"] + 331)
        assert np.array_equal(item["mask"].numpy(), expected[place])


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_small_unet_finds_buildings_in_another_part_of_town(data_folder):
    found = []
    for seed in range(3):
        training = TRAINING.model_copy(update={"seed": seed})
        learner = Learner(CLASSES, training).fit([zanzibar(data_folder, "a")])
        overall = learner.evaluate([zanzibar(data_folder, "b")]).to_dict()["overall"]
        found.append(next(c["iou"] for c in overall["per_class"] if c["name"] == "building"))
    assert statistics.median(found) >= 0.50, found
