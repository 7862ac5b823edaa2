"""Landsat 8 over Zion: uint16 bands, and land cover on its own grid and in another CRS."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from geoseg.classes import ClassMap
from geoseg.datasets import RandomWindowGeoDataset, SlidingWindowGeoDataset
from geoseg.labels.evaluate import evaluate
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner, Training
from geoseg.scene import Scene

CLASSES = ClassMap.model_validate(
    [
        {"id": i, "name": name}
        for i, name in enumerate(
            ("water", "developed", "barren", "forest", "shrubland", "herbaceous", "cultivated",
             "wetlands"), start=1,
        )
    ]
)  # fmt: skip


def zion(folder, part):
    return Scene.of(
        str(folder / "zion" / f"landsat8_{part}.tif"),
        str(folder / "zion" / f"nlcd2011_{part}.tif"),
        classes=CLASSES,
    )


def nearest_labels(scene):
    """(ids of every image pixel by pyproj and floor, distance to the nearest label pixel edge)."""
    with rasterio.open(scene.image.uri) as image, rasterio.open(scene.labels.source.uri) as labels:
        rows, cols = np.mgrid[0 : image.height, 0 : image.width] + 0.5
        x, y = (
            image.transform.c + cols * image.transform.a,
            image.transform.f + rows * image.transform.e,
        )
        assert image.crs != labels.crs
        there = Transformer.from_crs(image.crs, labels.crs, always_xy=True)
        x, y = there.transform(x, y)
        col = (np.asarray(x) - labels.transform.c) / labels.transform.a
        row = (np.asarray(y) - labels.transform.f) / labels.transform.e
        ids, measured = labels.read(1), (image.read() != image.nodata).all(axis=0)
        height, width = labels.shape
    i, j = np.floor(row).astype(int), np.floor(col).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < height) & (j < width)
    found = np.full(rows.shape, 255)
    found[inside] = ids[i[inside], j[inside]]
    edge = np.minimum(np.abs(row - np.rint(row)), np.abs(col - np.rint(col)))
    return np.where(measured, found, 255), edge


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_labels_that_a_data_set_sees_are_the_nearest_ones(data_folder, part):
    scene = zion(data_folder, part)
    expected, edge = nearest_labels(scene)
    data = SlidingWindowGeoDataset([scene], (96, 70), (51, 64))
    checked = 0
    for item in data:
        place = (
            slice(item["row"], item["row"] + 96),
            slice(item["col"], item["col"] + 70),
        )
        sure = edge[place] > 1e-5  # on an edge either neighbour is nearest
        assert np.array_equal(item["mask"].numpy()[sure], expected[place][sure])
        checked += sure.sum()
    assert checked > expected.size
    assert len(np.unique(expected)) > 5


def test_random_windows_see_the_same_labels(data_folder):
    scene = zion(data_folder, "val")
    expected, edge = nearest_labels(scene)
    for item in RandomWindowGeoDataset([scene], 33, 50, seed=4):
        place = slice(item["row"], item["row"] + 33), slice(item["col"], item["col"] + 33)
        sure = edge[place] > 1e-5
        assert np.array_equal(item["mask"].numpy()[sure], expected[place][sure])


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_it_trains_and_predicts_better_than_the_commonest_class(data_folder, tmp_path):
    train, val = zion(data_folder, "train"), zion(data_folder, "val")
    training = Training(
        size=64, length=96, batch_size=16, epochs=12, lr=4e-3, loss="cross_entropy+dice",
        model_options={"width": 16, "depth": 4},
    )  # fmt: skip
    learner = Learner(CLASSES, training).fit([train])
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    evaluation = evaluate(val.labels.on(val.grid), learner.predict(val, store)).to_dict()["overall"]
    truth = np.asarray(evaluation["confusion"]).sum(axis=1)
    assert evaluation["accuracy"] > truth.max() / truth.sum()
    assert evaluation["kappa"] > 0.2
    with rasterio.open(store.uri) as written, rasterio.open(val.image.uri) as image:
        assert (written.crs, written.transform, written.shape) == (
            image.crs, image.transform, image.shape,
        )  # fmt: skip
        assert set(np.unique(written.read(1))) <= {*CLASSES.ids, 255}
