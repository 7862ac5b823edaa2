"""Rare classes of real land cover, in another CRS than the image, and real buildings."""

from __future__ import annotations

import pytest

from geoseg.classes import ClassMap
from geoseg.datasets import RandomWindowGeoDataset
from geoseg.sampling import class_counts
from geoseg.scene import Scene
from tests.real.test_zion import zion

LENGTH = 120


def test_classes_below_a_hundredth_are_in_the_windows_that_are_asked_for(data_folder):
    scene = zion(data_folder, "train")
    pixels = class_counts([scene], size=64)
    rare = [name for name, count in pixels.items() if 0 < count < 0.01 * sum(pixels.values())]
    assert rare
    name = min(rare, key=lambda one: pixels[one])
    number = scene.labels.class_map.id_of(name)
    held = {}
    for share in (None, 0.5):
        rules = None if share is None else {name: share}
        data = RandomWindowGeoDataset([scene], 64, LENGTH, class_balance=rules, normalize=False)
        held[share] = sum(bool((data[i]["mask"] == number).any()) for i in range(LENGTH)) / LENGTH
    assert held[None] < 0.4
    assert held[0.5] >= 0.5


@pytest.mark.parametrize("negative", [0.0, 0.25])
def test_buildings_are_in_as_many_windows_as_is_asked(data_folder, negative):
    folder = data_folder / "oam_buildings"
    classes = ClassMap.of("background", "building")
    scenes = [
        Scene.of(str(folder / f"{n}.tif"), str(folder / f"{n}.geojson"), classes=classes)
        for n in ("zanzibar_a_z19", "virac_b_z19")
    ]
    data = RandomWindowGeoDataset(
        scenes, 96, LENGTH, negative_share=negative, min_valid=0.8, scene_weights="equal"
    )
    without, seen = 0, set()
    for i in range(LENGTH):
        item = data[i]
        assert item["valid"].float().mean() >= 0.8
        without += not (item["mask"] == 1).any()
        seen.add(item["scene"])
    assert without / LENGTH == negative
    assert len(seen) == 2
