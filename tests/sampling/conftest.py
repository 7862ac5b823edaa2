"""A scene in files of odd size with nodata, an AOI and labels, and what its pixels are."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from shapely.geometry import Polygon

from geoseg.classes import ClassMap
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.scene import Scene
from geoseg.sources.vector import FileVectorSource

CLASSES = ClassMap.of("background", "road", "rare")
UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)
SHAPE = 301, 433
UNLABELLED, OUTSIDE, MISSING = 3, 4, 5


@dataclass
class Made:
    scene: Scene
    kinds: np.ndarray
    """(height, width): the class, or one of the numbers above; not made by geoseg."""


def frame_of(polygons, **columns):
    """Polygons in pixels (column, row) on the ground."""
    ground = [shapely.affinity.affine_transform(p, [10, 0, 0, -10, UTM.c, UTM.f]) for p in polygons]
    return geopandas.GeoDataFrame(columns, geometry=ground, crs="EPSG:32619")


def boxes_of(seed):
    """(row, col, height, width, class) of rectangles: roads and two small rare ones, 0.5 % together."""
    rng = np.random.default_rng(seed)
    roads = [
        (*(int(n) for n in rng.integers(0, (SHAPE[0] - 9, SHAPE[1] - 90))), 9, 90, 1)
        for _ in range(12)
    ]
    return [*roads, (41, 300, 17, 19, 2), (222, 121, 18, 17, 2)]


@pytest.fixture
def make(tmp_path, write_raster):
    """Writes a scene with labels of a kind: "raster", "other grid" or "vector"."""

    def made(labels="raster", name="a", *, seed=0, aoi=True):
        height, width = SHAPE
        rows, cols = np.mgrid[:height, :width]
        image = np.random.default_rng(seed).integers(1, 99, (2, *SHAPE), np.uint8)
        image[:, rows + 0.6 * cols < 50] = 0  # a slanted collar
        image[0, 190:195, 200:290] = 0
        uri = write_raster(f"{name}.tif", image, nodata=0, tiled=True, blockxsize=64, blockysize=64)
        kinds = np.zeros(SHAPE, int)
        for row, col, tall, wide, number in boxes_of(seed):
            kinds[row : row + tall, col : col + wide] = number
        if labels != "vector":
            kinds[250:263, 300:390] = UNLABELLED
        source = _labels(
            labels, kinds, str(tmp_path / f"{name}.gpkg"), write=write_raster, seed=seed
        )
        polygon = Polygon([(3, 5), (420, 30.3), (400, 290), (250, 240), (30, 297)])
        area = None
        if aoi:
            area = str(tmp_path / f"{name}-aoi.gpkg")
            frame_of([polygon]).to_file(area)
            inside = shapely.contains_xy(polygon, cols + 0.5, rows + 0.5)
            kinds[~inside] = OUTSIDE
        kinds[(image == 0).any(axis=0)] = MISSING
        return Made(Scene.of(uri, source, aoi=area, id=name), kinds)

    return made


def _labels(labels, kinds, path, *, write, seed):
    raster = path.replace(".gpkg", "-labels.tif")
    ids = np.where(kinds == UNLABELLED, 255, kinds).astype(np.uint8)
    if labels == "raster":
        source = write(raster, ids)
        return RasterLabels(source=source, classes=CLASSES)
    if labels == "other grid":  # three times finer and shifted by whole fine pixels
        fine = np.pad(ids.repeat(3, 0).repeat(3, 1), 4, constant_values=255)
        place = UTM * Affine.translation(-4 / 3, -4 / 3) * Affine.scale(1 / 3)
        source = write(raster, fine, transform=place)
        return RasterLabels(source=source, classes=CLASSES)
    found = boxes_of(seed)
    polygons = [shapely.box(col, row, col + w, row + h) for row, col, h, w, _ in found]
    frame_of(polygons, kind=[CLASSES.names[c] for *_, c in found]).to_file(path)
    return VectorLabels(source=FileVectorSource(uri=path), classes=CLASSES, class_by="kind")


@pytest.fixture
def part_of():
    """The pixels of a window, MISSING past the scene."""

    def part(kinds, row, col, height, width):
        padded = np.full((height, width), MISSING)
        found = kinds[row : row + height, col : col + width]
        padded[: found.shape[0], : found.shape[1]] = found
        return padded

    return part
