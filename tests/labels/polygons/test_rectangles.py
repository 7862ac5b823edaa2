"""Rectangles that are drawn for regions, in several CRSs."""

import numpy as np
import pytest
import rasterio.features
import shapely
from pyproj import Geod, Transformer

from geoseg.grid import Grid, apply
from geoseg.labels.polygons.rectangles import rectangles
from geoseg.labels.polygons.trace import trace

GRIDS = {
    "utm": Grid(crs="EPSG:32619", transform=[0.5, 0, 5e5, 0, -0.5, 4e6], height=99, width=90),
    "degrees": Grid(crs="EPSG:4326", transform=[5e-6, 0, 20, 0, -5e-6, 60], height=99, width=90),
    "web mercator": Grid(
        crs="EPSG:3857", transform=[0.3, 0, 4.3e6, 0, -0.3, 9e6], height=99, width=90
    ),
    "rotated": Grid(crs="EPSG:32619", transform=[0.4, 0.3, 5e5, 0.3, -0.4, 4e6], height=99, width=90),
}  # fmt: skip


def regions_of(*shapes):
    ids = rasterio.features.rasterize(shapes, out_shape=(99, 90), fill=255, default_value=1)
    return trace(ids.astype(np.uint8), ignore_id=255, top=0).polygons


def sides_and_angles(corners, grid):
    """Metres of the four sides and degrees between neighbours, by geodesics."""
    to_degrees = Transformer.from_crs(grid.crs.to_string(), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*apply(grid.transform, *corners.T))
    azimuths, _, metres = Geod(ellps="WGS84").inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    return metres, np.abs(np.diff(azimuths) % 180 - 90)


@pytest.mark.parametrize("name", GRIDS)
def test_angles_are_right_and_the_area_is_kept_on_the_ground(name):
    grid = GRIDS[name]
    region = regions_of(shapely.affinity.rotate(shapely.box(20, 30, 70, 55), 20))
    chosen, (drawn,) = rectangles(region, grid, iou=0.5)
    assert chosen.tolist() == [True]
    metres, off_right = sides_and_angles(shapely.get_coordinates(drawn), grid)
    assert off_right.max() < 0.01
    np.testing.assert_allclose(metres[:2], metres[2:], rtol=1e-4)
    assert drawn.area == pytest.approx(region[0].area)
    assert drawn.intersection(region[0]).area > 0.85 * region[0].area


def test_the_share_that_is_filled_decides():
    house = shapely.affinity.rotate(shapely.box(20, 10, 60, 30), 30)
    corner = shapely.box(10, 50, 50, 90) - shapely.box(30, 70, 50, 90)  # fills three quarters
    regions = regions_of(house, corner)
    for iou, expected in ((0.74, 2), (0.76, 1), (1.0, 0)):
        chosen, drawn = rectangles(regions, GRIDS["utm"], iou=iou)
        assert chosen.sum() == len(drawn) == expected
        for polygon in drawn:
            assert any(polygon.intersects(region) for region in regions[chosen])


def test_what_is_a_rectangle_already_stays_as_it_is():
    chosen, drawn = rectangles(regions_of(shapely.box(3, 4, 30, 17)), GRIDS["utm"], iou=0.9)
    assert not chosen.any()
    assert len(drawn) == 0
