"""Pixels that count as background because no polygon lies there: the report says how many."""

import warnings

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.features import rasterize

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.judging import judging
from geoseg.labels.sources import VectorLabels
from geoseg.sources.vector import FrameSource
from geoseg.window import Window

CLASSES = ClassMap.of("background", "water", "forest")
GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=301, width=53)


def pixel_box(row, col, height, width):
    return shapely.box(
        5e5 + 2 * col, 4e6 - 2 * (row + height), 5e5 + 2 * (col + width), 4e6 - 2 * row
    )


def frame(boxes, **columns):
    return FrameSource(
        frame=geopandas.GeoDataFrame(
            columns, geometry=[pixel_box(*b) for b in boxes], crs="EPSG:32619"
        )
    )


BOXES = [(3, 4, 30, 20), (100, 10, 150, 9), (240, 0, 33, 40)]
AOI = frame([(0, 7, 290, 40)])


def labels_of(kinds, background=0):
    source = frame(BOXES, kind=kinds)
    return VectorLabels(source=source, classes=CLASSES, class_by="kind", background=background)


def prediction():
    ids = np.random.default_rng(0).integers(0, 3, GRID.shape).astype(np.uint8)
    ids[40:61, 5:30] = 255
    return ids


def without_polygon():
    shapes = [pixel_box(*b) for b in BOXES]
    return rasterize(shapes, GRID.shape, transform=GRID.transform) == 0


@pytest.mark.parametrize("kinds", [("water", "forest", "water"), ("water", "background", "forest")])
@pytest.mark.parametrize("aoi", [None, AOI], ids=["everywhere", "aoi"])
def test_the_report_says_how_many_pixels_have_no_polygon(kinds, aoi):
    ids = prediction()
    counted = without_polygon() & (ids != 255)
    if aoi is not None:
        inside = np.zeros(GRID.shape, bool)
        inside[:290, 7:47] = True
        counted &= inside
    truth = labels_of(kinds).on(GRID)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*which pixels without a polygon get too")
        found = evaluate(truth, ArrayLabels(GRID, CLASSES, ids), aoi)
        (note,) = found.notes
        assert note.startswith(f"{counted.sum():,} px without a polygon counted as 'background'; ")
        assert f"note: {note}" in found.table()
        with judging(truth, GRID, CLASSES, aoi) as judge:
            for row in range(0, GRID.height, 37):
                part = Window(row, 0, 37, GRID.width).intersection(GRID.whole)
                judge(part, ids[part.slices])
        assert judge.evaluation().notes == (note,)


@pytest.mark.parametrize("background", [None, 255])
def test_what_is_not_known_without_a_polygon_is_not_counted_nor_noted(background):
    truth = labels_of(("water", "forest", "water"), background).on(GRID)
    found = evaluate(truth, ArrayLabels(GRID, CLASSES, prediction()))
    assert found.notes == ()
    assert found.overall.ignored == without_polygon().sum()


def test_nothing_is_noted_where_polygons_cover_all_that_is_compared():
    truth = labels_of(("water", "forest", "water")).on(GRID)
    found = evaluate(truth, ArrayLabels(GRID, CLASSES, prediction()), frame([(250, 3, 20, 30)]))
    assert found.notes == ()
    assert found.overall.confusion.sum() == 600
