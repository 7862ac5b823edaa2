"""Areas of pixels against geodesic polygons."""

import numpy as np
import pytest
from pyproj import Geod, Transformer

from geoseg.errors import GridError
from geoseg.grid import Grid, apply
from geoseg.labels.polygons.ground import check_metres, pixel_area_m2

GRIDS = {
    "utm": Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=30, width=40),
    "rotated": Grid(crs="EPSG:32619", transform=[8, 3, 5e5, 3, -9, 4e6], height=30, width=40),
    "degrees": Grid(
        crs="EPSG:4326", transform=[1e-4, 0, 179.998, 0, -1e-4, 60], height=30, width=40
    ),
    "south-up": Grid(crs="EPSG:4326", transform=[1e-4, 0, 20, 0, 1e-4, -45], height=30, width=40),
    "web mercator": Grid(
        crs="EPSG:3857", transform=[0.3, 0, 4.3e6, 0, -0.3, 9e6], height=30, width=40
    ),
    "feet": Grid(crs="EPSG:2264", transform=[1.5, 0, 2e6, 0, -1.5, 7e5], height=30, width=40),
    "polar": Grid(crs="EPSG:3413", transform=[100, 0, -5e5, 0, -100, -9e5], height=30, width=40),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_area_of_a_pixel_is_that_of_its_geodesic_polygon(name):
    grid = GRIDS[name]
    col, row = 7.5, 21.5
    along = np.linspace(-0.5, 0.5, 20)
    cols = np.concatenate([along, np.full(20, 0.5), -along, np.full(20, -0.5)]) + col
    rows = np.concatenate([np.full(20, -0.5), along, np.full(20, 0.5), -along]) + row
    to_degrees = Transformer.from_crs(grid.crs.to_string(), "EPSG:4326", always_xy=True)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(
        *to_degrees.transform(*apply(grid.transform, cols, rows))
    )
    found = pixel_area_m2(grid, np.array([col]), np.array([row]))
    assert found[0] == pytest.approx(abs(area), rel=2e-4)  # the geodesic area itself is that coarse


def test_web_mercator_is_not_taken_at_its_word():
    at_60 = pixel_area_m2(GRIDS["web mercator"], np.array([0.0]), np.array([0.0]))[0]
    assert at_60 < 0.3 * 0.3 / 2.5


def test_pixels_off_the_earth_have_no_area():
    grid = Grid(crs="+proj=ortho", transform=[1e7, 0, 0, 0, -1e7, 0], height=30, width=40)
    with pytest.raises(GridError, match="no longitude and latitude"):
        pixel_area_m2(grid, np.array([20.0]), np.array([20.0]))


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_a_grid_without_a_place_on_the_earth_tells_no_metres(crs):
    grid = Grid(crs=crs, height=3, width=3)
    with pytest.raises(GridError, match=r"out\.gpkg: min_area_m2, simplify_m and rec"):
        check_metres(grid, "out.gpkg")
