"""Label chips from 50,000 polygons, and loading them."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import rasterio.features
import shapely

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.sources import VectorLabels
from geoseg.sources.cache import forget
from geoseg.sources.features.ongrid import polygons_on
from geoseg.sources.vector import FileVectorSource
from geoseg.window import sliding
from tests.bench.race import cpu_seconds, race, report

pytestmark = pytest.mark.bench

GRID = Grid(crs="EPSG:32619", transform=[0.5, 0, 5e5, 0, -0.5, 4.6e6], height=10_000, width=10_000)
CLASSES = ClassMap.of("background", "a", "b", "c", "d")
COUNT = 50_000


@pytest.fixture(scope="module")
def polygons(tmp_path_factory):
    """A GeoJSON file of 50,000 polygons in EPSG:4326, every seventh with a hole."""
    rng = np.random.default_rng(0)
    left, bottom, right, top = GRID.bounds
    x, y = rng.uniform(left, right, COUNT), rng.uniform(bottom, top, COUNT)
    radius = rng.uniform(5, 20, COUNT)
    shapes = []
    for i in range(COUNT):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        ring = radius[i] * rng.uniform(0.7, 1, (12, 1)) * np.c_[np.cos(angles), np.sin(angles)]
        shell = shapely.make_valid(shapely.Polygon(ring + np.array([x[i], y[i]])))
        hole = shapely.Point(x[i], y[i]).buffer(radius[i] * 0.3)
        shapes.append(shell.difference(hole) if i % 7 == 0 else shell)
    frame = geopandas.GeoDataFrame(
        {"class": rng.integers(1, 5, COUNT)}, geometry=shapes, crs=GRID.crs
    )
    uri = tmp_path_factory.mktemp("bench") / "polygons.geojson"
    frame.to_crs("EPSG:4326").to_file(uri, driver="GeoJSON")
    return str(uri)


def test_loading(benchmark, polygons):
    def load():
        forget()
        polygons_on(GRID, FileVectorSource(uri=polygons))

    load()
    begin = cpu_seconds()
    benchmark.pedantic(load, rounds=1)
    seconds = cpu_seconds() - begin
    report("load 50,000 polygons, 2 s over the CPU time", 2 / seconds, 1, f"({seconds:.2f} s)")


def test_label_chips(benchmark, polygons):
    labels = VectorLabels(source=polygons, classes=CLASSES, class_by="class")
    features = FileVectorSource(uri=polygons).read(crs=GRID.crs)
    shapes = np.array(features.geometry, object)
    values = features["class"].to_numpy()
    tree = shapely.STRtree(shapes)
    windows = sliding(GRID, 256, 128)
    some = [windows[i] for i in range(0, len(windows), 15)]

    def chip(window):
        hits = np.sort(tree.query(shapely.box(*GRID.window_bounds(window))))
        if not len(hits):
            return np.zeros(window.shape, np.uint8)
        return rasterio.features.rasterize(
            zip(shapes[hits], values[hits], strict=True), window.shape, dtype="uint8",
            transform=GRID.crop(window).transform,
        )  # fmt: skip

    def loop():
        for window in some:
            chip(window)

    def ours():
        forget()
        for window in windows:
            labels.read(GRID, window)

    for window in some[::10]:
        assert (labels.read(GRID, window) != chip(window)).sum() == 0

    def setup():
        forget()
        labels.read(GRID, windows[0])

    begin = cpu_seconds()
    setup()
    once = cpu_seconds() - begin
    times = race({"loop": loop, "geoseg": ours}, rounds=2)
    benchmark.pedantic(ours, rounds=1)
    ratio = times["loop"] * len(windows) / len(some) / (times["geoseg"] - once)
    benchmark.extra_info["ratio"] = ratio
    report("label chips 256/128, against STRtree + rasterize per window", ratio, 4)


def test_one_burn_of_the_whole_scene(polygons):
    labels = VectorLabels(source=polygons, classes=CLASSES, class_by="class")
    features = FileVectorSource(uri=polygons).read(crs=GRID.crs)
    expected = rasterio.features.rasterize(
        zip(features.geometry, features["class"], strict=True), GRID.shape, dtype="uint8",
        transform=GRID.transform,
    )  # fmt: skip
    assert (labels.read(GRID, GRID.whole) != expected).sum() == 0
