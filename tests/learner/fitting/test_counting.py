"""Counts of labelled pixels, of which large scenes are thinned out."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from shapely.geometry import box

from geoseg.classes import ClassMap
from geoseg.errors import LabelError, SceneError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.learner.fitting import counting
from geoseg.learner.fitting.counting import check_counts, count_labels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource

CLASSES = ClassMap.of("bg", "x")


def scene_of(ids, *, valid=None, aoi=None, name="a"):
    height, width = ids.shape
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, height], height=height, width=width)
    frame = geopandas.GeoDataFrame(geometry=[] if aoi is None else [box(*aoi)], crs="EPSG:32619")
    return Scene(
        id=name,
        image=ArraySource(data=np.ones((1, height, width), np.uint8), valid=valid, grid=grid),
        labels=RasterLabels(source=ArraySource(data=ids, grid=grid), classes=CLASSES),
        aoi=None if aoi is None else FrameSource(frame=frame),
    )


def random_ids(seed, height, width, share):
    return (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)


def brute(ids, valid):
    return [int((ids[valid] == number).sum()) for number in (0, 1)]


@pytest.mark.parametrize("limit", [64 * 64 * 2, 64 * 64 * 13, 64 * 64 * 19 + 63 * 64])
def test_thinned_counts_of_many_small_scenes_are_about_the_true_ones(monkeypatch, limit):
    monkeypatch.setattr(counting, "_ENOUGH", limit)
    ids = [random_ids(seed, 64, 64, 0.3) for seed in range(20)]
    counted = count_labels([scene_of(i, name=f"s{n}") for n, i in enumerate(ids)], CLASSES)
    exact = np.array([brute(i, np.ones(i.shape, bool)) for i in ids])
    assert (counted.counts.sum(axis=1) <= 64 * 64).all()
    assert (counted.valid == 64 * 64).all()
    assert np.allclose(counted.counts, exact, atol=0.12 * 64 * 64)
    assert np.allclose(counted.counts.sum(axis=0), exact.sum(axis=0), rtol=0.05)


def test_thinned_counts_are_unbiased_where_classes_differ_from_the_top_to_the_bottom(monkeypatch):
    monkeypatch.setattr(counting, "_ENOUGH", 5000)
    rows = np.arange(37)[:, None] < 9
    ids = np.broadcast_to(rows, (37, 41)).astype(np.uint8).copy()
    scenes = [scene_of(ids, name=f"s{n}") for n in range(60)]
    totals = count_labels(scenes, CLASSES).counts.sum(axis=0)
    assert np.allclose(totals, [60 * 28 * 41, 60 * 9 * 41], rtol=0.1)


def test_small_and_large_scenes_each_stand_for_themselves(monkeypatch):
    monkeypatch.setattr(counting, "_ENOUGH", 40_000)
    ids = [random_ids(0, 3000, 50, 0.2), random_ids(1, 31, 33, 0.9)]
    valid = [np.random.default_rng(n).random(i.shape) < 0.8 for n, i in enumerate(ids)]
    scenes = [
        scene_of(i, valid=v, name=f"s{n}") for n, (i, v) in enumerate(zip(ids, valid, strict=True))
    ]
    counted = count_labels(scenes, CLASSES)
    for number in (0, 1):
        size = ids[number].size
        assert np.allclose(
            counted.counts[number], brute(ids[number], valid[number]), atol=0.1 * size
        )
        assert counted.valid[number] == pytest.approx(valid[number].sum(), abs=0.1 * size)
        assert counted.valid[number] <= size


def test_a_small_aoi_in_a_large_scene_is_counted_exactly(monkeypatch):
    monkeypatch.setattr(counting, "_ENOUGH", 256 * 11)
    ids = random_ids(3, 2000, 11, 0.4)
    counted = count_labels([scene_of(ids, aoi=(2, 2000 - 400, 9, 2000 - 300))], CLASSES)
    assert counted.counts.tolist() == [brute(ids[300:400, 2:9], np.ones((100, 7), bool))]


@pytest.mark.parametrize("row", [3, 1111, 1990])
def test_the_only_labels_and_the_only_valid_pixels_are_found_wherever_they_lie(monkeypatch, row):
    monkeypatch.setattr(counting, "_ENOUGH", 700)
    ids, valid = np.full((2000, 7), 255, np.uint8), np.zeros((2000, 7), bool)
    ids[row, 2:5] = 1
    valid[row, 1:6] = True
    for scene in (scene_of(ids), scene_of(ids, valid=valid)):
        counted = count_labels([scene], CLASSES)
        check_counts([scene], counted)
        assert counted.counts.tolist() == [[0, 3]]
    other = scene_of(random_ids(0, 90, 80, 0.5), name="b")
    pair = [other, scene_of(ids, valid=valid)]
    counted = count_labels(pair, CLASSES)
    check_counts(pair, counted)
    assert counted.valid[1] == 5


def test_a_scene_that_is_valid_only_apart_from_its_aoi_passes_beside_others(monkeypatch):
    monkeypatch.setattr(counting, "_ENOUGH", 3000)
    valid = np.zeros((2000, 7), bool)
    valid[:50] = True
    ids = random_ids(0, 2000, 7, 0.5)
    scenes = [scene_of(ids), scene_of(ids, valid=valid, aoi=(1, 100, 6, 200), name="b")]
    counted = count_labels(scenes, CLASSES)
    check_counts(scenes, counted)
    assert counted.valid[1] == 350
    assert not counted.counts[1].any()


def test_scenes_without_any_label_or_valid_pixel_are_still_refused(monkeypatch):
    monkeypatch.setattr(counting, "_ENOUGH", 700)
    ids = np.full((2000, 7), 255, np.uint8)
    scenes = [scene_of(ids)]
    with pytest.raises(SceneError, match="has a label that counts"):
        check_counts(scenes, count_labels(scenes, CLASSES))
    scenes = [scene_of(ids, valid=np.zeros((2000, 7), bool))]
    with pytest.raises(SceneError, match="no pixel of the image is valid"):
        check_counts(scenes, count_labels(scenes, CLASSES))


@pytest.mark.parametrize("row", [0, 1333, 1999])
def test_an_id_that_is_no_class_is_refused_in_whatever_row_it_lies(monkeypatch, row):
    monkeypatch.setattr(counting, "_ENOUGH", 700)
    ids = random_ids(0, 2000, 7, 0.5)
    ids[row, 3] = 9
    with pytest.raises(LabelError, match="no class: 9"):
        count_labels([scene_of(ids)], CLASSES)
