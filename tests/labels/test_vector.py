"""VectorLabelStore: class maps as polygons, and back."""

import json
import pickle
import sqlite3
import subprocess
import sys
import textwrap
import time

import geopandas
import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import rasterio.features
import shapely
from pydantic import ValidationError
from pyproj import Geod, Transformer

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError, StoreError
from geoseg.grid import Grid, apply
from geoseg.labels.base import LabelStore
from geoseg.labels.polygons import writer as writing
from geoseg.labels.sources import VectorLabels
from geoseg.labels.vector import VectorLabelStore
from geoseg.window import Window, sliding
from tests.support.waiting import PATIENCE

CLASSES = ClassMap.model_validate(
    [{"name": "background"}, {"name": "Gebäude", "id": 7}, {"name": "road", "id": 3}]
)
UTM = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=150, width=83)
LCC = (
    "+proj=lcc +lat_1=36.1666 +lat_2=34.3333 +lat_0=33.75 +lon_0=-79 +x_0=609601.22 +y_0=0 "
    "+datum=NAD83 +units=m +no_defs"
)
GRIDS = {
    "utm": UTM,
    "utm south-up": UTM.model_copy(update={"transform": rasterio.Affine(0.3, 0, 5e5, 0, 0.3, 4e6)}),
    "utm rotated": UTM.model_copy(
        update={"transform": rasterio.Affine(8.1, 2.53, 5e5 + 1 / 3, 3.17, -9.2, 4e6)}
    ),
    "utm rotated south-up": UTM.model_copy(
        update={"transform": rasterio.Affine(-0.81, 0.253, 5e5, 0.317, 0.92, 4e6)}
    ),
    "degrees": Grid(crs="EPSG:4326", transform=[1 / 3e5, 0, -70.1, 0, -1 / 3e5, 41.7], height=150, width=83),
    "web mercator": Grid(
        crs="EPSG:3857", transform=[0.2985821, 0, 4393391.7, 0, -0.2985821, -678245.1], height=150, width=83
    ),
    "lcc": Grid(crs=LCC, transform=[28.5, 0, 630534, 0, -28.5, 228114], height=150, width=83),
    "polar": Grid(crs="EPSG:3413", transform=[100, 0, -5e5, 0, -100, -9e5], height=150, width=83),
}  # fmt: skip


def random_ids(shape=UTM.shape, seed=0, cell=4):
    """Patches with pixels of noise: classes and ignored pixels."""
    rng = np.random.default_rng(seed)
    values = np.array([0, 7, 3, 255], np.uint8)
    coarse = rng.choice(values, (shape[0] // cell + 1, shape[1] // cell + 1))
    ids = coarse.repeat(cell, axis=0).repeat(cell, axis=1)[: shape[0], : shape[1]].copy()
    noisy = rng.uniform(size=shape) < 0.05
    ids[noisy] = rng.choice(values, noisy.sum())
    return ids


def write(store, ids, grid=UTM, *, rows=40, scores=None, classes=CLASSES):
    with store.writer(grid, classes) as writer:
        for window in sliding(grid, (rows, grid.width), edge="pad"):
            part = window.intersection(grid.whole)
            own = None if scores is None else scores[:, part.slices[0]]
            writer.write(part, ids[part.slices], own)
    return store


def store_of(tmp_path, name="out.gpkg", **options):
    return VectorLabelStore(uri=str(tmp_path / name), **options)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def low_strips(monkeypatch):
    """Strips of 64 rows, so that small maps have seams."""
    monkeypatch.setattr(writing, "_STRIP_PIXELS", 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_rasterising_the_polygons_gives_the_map_again_on_every_pixel(tmp_path, low_strips, name):
    grid, ids = GRIDS[name], random_ids()
    store = write(store_of(tmp_path), ids, grid)
    frame = geopandas.read_file(store.uri)
    burned = rasterio.features.rasterize(
        zip(frame.geometry, frame["class_id"], strict=True),
        out_shape=grid.shape, transform=grid.transform, fill=255, dtype="uint8",
    )  # fmt: skip
    np.testing.assert_array_equal(burned, ids)
    labels = VectorLabels(source=store.uri, classes=CLASSES, class_by="class_id", background=None)
    np.testing.assert_array_equal(labels.read(grid, grid.whole), ids)
    again = store.read()
    assert (again.grid, again.classes) == (grid, CLASSES)
    np.testing.assert_array_equal(again.to_array(), ids)


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geoparquet"])
def test_every_format_holds_typed_attributes_and_is_read_back(tmp_path, low_strips, suffix):
    ids = random_ids()
    store = write(store_of(tmp_path, f"sub/out{suffix}"), ids)
    frame = (geopandas.read_parquet if "parquet" in suffix else geopandas.read_file)(store.uri)
    assert frame.crs == "EPSG:32619"
    assert sorted(frame.columns) == ["class_id", "class_name", "geometry"]
    assert frame["class_id"].dtype == np.int16
    assert set(frame.geom_type) == {"Polygon"}
    assert frame.geometry.is_valid.all()
    named = dict(zip(frame["class_id"], frame["class_name"], strict=True))
    assert named == {0: "background", 7: "Gebäude", 3: "road"}
    expected = list(rasterio.features.shapes(ids, mask=ids != 255, connectivity=4))
    assert len(frame) == len(expected)
    np.testing.assert_array_equal(store.read().to_array(), ids)
    np.testing.assert_array_equal(store.read().read(Window(-2, 80, 5, 6))[2:, :3], ids[:3, 80:])
    assert names_in(tmp_path / "sub") == [f"out{suffix}"]


def test_strips_are_gathered_to_one_row_group_of_parquet(tmp_path, low_strips):
    write(store_of(tmp_path, "out.parquet"), random_ids())
    found = pyarrow.parquet.read_metadata(tmp_path / "out.parquet")
    assert (found.num_row_groups, found.num_rows > 100) == (1, True)


def test_corners_lie_exactly_where_the_transform_puts_them(tmp_path):
    grid = GRIDS["utm rotated"]
    ids = np.full(grid.shape, 255, np.uint8)
    ids[100:103, 20:27] = 7
    store = write(store_of(tmp_path), ids, grid)
    (shape,) = geopandas.read_file(store.uri).geometry
    x, y = apply(grid.transform, np.array([20, 27, 27, 20]), np.array([100, 100, 103, 103]))
    assert set(shape.exterior.coords) == set(zip(x, y, strict=True))


def test_geojson_is_in_longitude_and_latitude_as_rfc_7946_wants(tmp_path):
    ids = np.full(UTM.shape, 255, np.uint8)
    ids[10:140, 5:80] = 7
    ids[50:60, 30:40] = 3
    store = write(store_of(tmp_path, "out.geojson"), ids)
    text = (tmp_path / "out.geojson").read_text()
    found = json.loads(text)
    assert "crs" not in found
    shapes = {
        f["properties"]["class_name"]: shapely.geometry.shape(f["geometry"])
        for f in found["features"]
    }
    assert set(shapes) == {"Gebäude", "road"}
    for shape in shapes.values():
        assert shape.exterior.is_ccw
        assert not any(hole.is_ccw for hole in shape.interiors)
        coords = shapely.get_coordinates(shape)
        np.testing.assert_allclose(coords, coords.round(7), rtol=0, atol=1e-12)
    back = geopandas.GeoSeries([shapes["Gebäude"]], crs="EPSG:4326").to_crs("EPSG:32619")[0]
    left, top = 5e5 + 50, 4e6 - 100
    expected = shapely.box(left, top - 1300, left + 750, top) - shapely.box(
        left + 250, top - 500, left + 350, top - 400
    )
    assert back.hausdorff_distance(expected) < 0.02
    np.testing.assert_array_equal(store.read().to_array(), ids)


def test_long_edges_bend_with_their_projection(tmp_path):
    """What is straight over 300 km of UTM is kilometres beside what is straight in degrees."""
    grid = Grid(crs="EPSG:32619", transform=[1000, 0, 3e5, 0, -1000, 6.5e6], height=2, width=300)
    store = write(store_of(tmp_path, "out.geojson"), np.full(grid.shape, 7, np.uint8), grid)
    drawn = geopandas.read_file(store.uri).segmentize(0.01).to_crs("EPSG:32619")[0]
    straight = shapely.box(*grid.bounds).segmentize(100)
    assert drawn.hausdorff_distance(straight) < 200  # a fifth of a pixel


def test_degrees_stay_as_they_are_in_geojson(tmp_path):
    grid = Grid(crs="EPSG:4326", transform=[1e-3, 0, 20, 0, -1e-3, 60], height=2, width=300)
    store = write(store_of(tmp_path, "out.geojson"), np.full(grid.shape, 7, np.uint8), grid)
    (shape,) = geopandas.read_file(store.uri).geometry
    assert shapely.get_num_coordinates(shape) == 5
    assert shape.equals(shapely.box(20, 59.998, 20.3, 60))


def test_scores_are_the_mean_of_the_class_over_the_polygon(tmp_path, low_strips):
    ids = random_ids()
    scores = np.random.default_rng(1).uniform(size=(3, *UTM.shape)).astype(np.float32)
    scores[:, ids == 255] = np.nan
    store = write(store_of(tmp_path, scores=True), ids, scores=scores)
    frame = geopandas.read_file(store.uri)
    assert store.wants_scores
    channel = {0: 0, 7: 1, 3: 2}
    for i in range(0, len(frame), 17):
        shape, class_id = frame.geometry[i], frame["class_id"][i]
        outside = rasterio.features.geometry_mask([shape], UTM.shape, UTM.transform)
        mean = scores[channel[class_id]][~outside].mean()
        assert frame["score"][i] == pytest.approx(mean, abs=2e-6)


def test_scores_that_are_kept_must_come(tmp_path):
    ids, scores = np.zeros((10, 83), np.uint8), np.zeros((3, 10, 83), np.float32)
    with store_of(tmp_path, scores=True).writer(UTM, CLASSES) as writer:
        writer.write(Window(0, 0, 10, 83), ids, scores)
        with pytest.raises(LabelError, match="got no scores of"):
            writer.write(Window(10, 0, 10, 83), ids)
        with pytest.raises(LabelError, match=r"got scores of shape \(2, 10, 83\) .* \(3, 10, 83\)"):
            writer.write(Window(10, 0, 10, 83), ids, scores[:2])


def test_scores_that_are_not_finite_are_an_error_where_a_class_is(tmp_path):
    ids, scores = np.zeros(UTM.shape, np.uint8), np.ones((3, *UTM.shape), np.float32)
    ids[40], scores[:, 40] = 255, np.nan
    store = store_of(tmp_path, scores=True)
    write(store, ids, scores=scores)
    scores[0, 41, 3] = np.nan
    with pytest.raises(LabelError, match="NaN or infinite"):
        write(store, ids, scores=scores)


def test_scores_that_are_not_kept_are_not_looked_at(tmp_path):
    with store_of(tmp_path).writer(UTM, CLASSES) as writer:
        writer.write(UTM.whole, np.zeros(UTM.shape, np.uint8), np.zeros(3))
    assert "score" not in geopandas.read_file(tmp_path / "out.gpkg")
    assert not store_of(tmp_path).wants_scores


@pytest.mark.parametrize("rows", [1, 7, 64, 65, 150])
def test_the_file_does_not_depend_on_the_windows_that_were_written(tmp_path, low_strips, rows):
    ids = random_ids(seed=3)
    write(store_of(tmp_path, "a.parquet"), ids, rows=33)
    write(store_of(tmp_path, "b.parquet"), ids, rows=rows)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_only_some_classes_become_polygons(tmp_path):
    ids = random_ids()
    frame = geopandas.read_file(write(store_of(tmp_path, only=["Gebäude", 3]), ids).uri)
    assert set(frame["class_id"]) == {7, 3}
    one = write(store_of(tmp_path, "one.gpkg", only="road"), ids)
    np.testing.assert_array_equal(one.read().to_array(), np.where(ids == 3, 3, 255))
    with (
        pytest.raises(ConfigError, match=r"only=\['roof', 255\] names no class; .* 7 Gebäude"),
        store_of(tmp_path, only=["roof", 7, 255]).writer(UTM, CLASSES),
    ):
        pass


@pytest.mark.parametrize("name", ["utm", "degrees", "web mercator"])
def test_regions_that_are_small_on_the_ground_are_left_out_and_counted(tmp_path, name):
    grid, ids = GRIDS[name], random_ids()
    everything = geopandas.read_file(write(store_of(tmp_path, "all.gpkg"), ids, grid).uri)
    lonlat = everything.to_crs("EPSG:4326").geometry
    areas = np.array([abs(Geod(ellps="WGS84").geometry_area_perimeter(g)[0]) for g in lonlat])
    limit = float(np.median(areas)) * 1.01
    with pytest.warns(UserWarning, match=rf"{(areas < limit).sum()} regions below .* m2"):
        store = write(store_of(tmp_path, min_area_m2=limit), ids, grid)
    assert len(geopandas.read_file(store.uri)) == (areas >= limit).sum()


def test_specks_and_narrow_parts_are_left_out_and_counted(tmp_path, low_strips):
    ids = np.full(UTM.shape, 255, np.uint8)
    ids[10:30, 10:30] = 7
    ids[20:22, 30:60] = 7  # a spike, 2 px wide
    ids[60:63, 40:43] = 3  # just large enough, across a seam
    ids[100, 70] = 3
    with pytest.warns(UserWarning, match="61 pixels that no 3 x 3 square covers"):
        store = write(store_of(tmp_path, denoise_px=3), ids, rows=11)
    expected = ids.copy()
    expected[20:22, 30:60] = 255
    expected[100, 70] = 255
    np.testing.assert_array_equal(store.read().to_array(), expected)
    assert len(geopandas.read_file(store.uri)) == 2


def test_simplified_polygons_share_their_borders(tmp_path, low_strips):
    rows, cols = np.indices(UTM.shape)
    ids = np.where(rows > cols, np.where(rows + cols > 120, 7, 3), 0).astype(np.uint8)
    scores = np.full((3, *UTM.shape), 0.5, np.float32)
    plain = geopandas.read_file(write(store_of(tmp_path, "plain.gpkg"), ids).uri)
    store = write(store_of(tmp_path, simplify_m=15, scores=True), ids, scores=scores)
    frame = geopandas.read_file(store.uri)
    assert len(frame) == len(plain) == 3
    assert frame.get_coordinates().shape[0] < plain.get_coordinates().shape[0] / 10
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame["score"].tolist() == [0.5] * 3
    assert (store.read().to_array() == ids).mean() > 0.98


def test_buildings_become_rectangles_where_they_are_nearly_some(tmp_path, low_strips):
    house = shapely.affinity.rotate(shapely.box(20, 20, 52, 38), 25)
    cross = shapely.box(20, 90, 25, 120) | shapely.box(5, 100, 60, 105)
    shapes = [house, cross, shapely.box(60, 70, 70, 90)]
    ids = rasterio.features.rasterize(shapes, out_shape=UTM.shape, fill=255, default_value=7)
    store = write(store_of(tmp_path, rectangle_iou=0.8, simplify_m=12), ids.astype(np.uint8))
    frame = geopandas.read_file(store.uri)
    to_ground = [10, 0, 0, -10, 5e5, 4e6]
    expected = [shapely.affinity.affine_transform(shape, to_ground) for shape in shapes]
    found = [next(g for g in frame.geometry if g.intersects(shape)) for shape in expected]
    assert len(frame) == 3
    assert shapely.get_num_coordinates(found[0]) == 5
    assert found[0].hausdorff_distance(expected[0]) < 10  # one pixel
    assert shapely.get_num_coordinates(found[1]) > 5
    assert found[2].equals(expected[2])


def test_rows_that_nobody_wrote_are_ignored(tmp_path, low_strips):
    ids = random_ids()
    with store_of(tmp_path).writer(UTM, CLASSES) as writer:
        writer.write(Window(70, 0, 10, 83), ids[70:80])
        writer.write(Window(100, 0, 3, 83), ids[100:103])
    expected = np.full_like(ids, 255)
    for rows in (slice(70, 80), slice(100, 103)):
        expected[rows] = ids[rows]
    np.testing.assert_array_equal(store_of(tmp_path).read().to_array(), expected)


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_a_map_without_regions_is_a_file_without_features(tmp_path, suffix):
    ids = np.full(UTM.shape, 255, np.uint8)
    store = write(store_of(tmp_path, f"out{suffix}", simplify_m=3, min_area_m2=3), ids)
    np.testing.assert_array_equal(store.read().to_array(), ids)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_geojson_is_read_back_on_every_pixel_too(tmp_path, low_strips, name):
    grid, ids = GRIDS[name], random_ids()
    store = write(store_of(tmp_path, "out.geojson"), ids, grid)
    np.testing.assert_array_equal(store.read().to_array(), ids)


def test_an_empty_geojson_is_a_collection_without_features(tmp_path):
    store = write(store_of(tmp_path, "out.geojson"), np.full(UTM.shape, 255, np.uint8))
    assert (store.read().to_array() == 255).all()
    assert json.loads((tmp_path / "out.geojson").read_text())["features"] == []


HALF = 20037508.342789244
FAR = {
    "degrees past 180": ("EPSG:4326", [0.01, 0, 178.5, 0, -0.01, 10], (60, 299)),
    "degrees past 180 at a pixel's centre": ("EPSG:4326", [0.01, 0, 178.495, 0, -0.01, 10], (60, 299)),
    "degrees before -180": ("EPSG:4326", [0.01, 0, -181.5, 0, -0.01, 10], (60, 299)),
    "degrees from 200": ("EPSG:4326", [0.01, 0, 200, 0, -0.01, 10], (60, 299)),
    "degrees from 0 to 360": ("EPSG:4326", [4, 0, 0, 0, -4, 90], (45, 90)),
    "degrees from -180 to 180": ("EPSG:4326", [4, 0, -180, 0, -4, 90], (45, 90)),
    "degrees of another datum": ("EPSG:4167", [0.01, 0, 179.1, 0, -0.01, -30], (60, 199)),
    "web mercator past its end": ("EPSG:3857", [1000, 0, HALF - 150000, 0, -1000, 7e6], (60, 299)),
    "web mercator before its beginning": ("EPSG:3857", [1000, 0, -HALF - 150000, 0, -1000, 0], (60, 299)),
    "web mercator around the Earth": ("EPSG:3857", [HALF / 10, 0, -HALF, 0, -2e6, 6e6], (6, 20)),
    "web mercator around the Earth from 0": ("EPSG:3857", [HALF / 10, 0, 0, 0, -2e6, 6e6], (6, 20)),
    "mercator of the Pacific": ("EPSG:3832", [1000, 0, 3.3e6 - 150000, 0, -1000, 2e6], (60, 299)),
    "utm 1": ("EPSG:32601", [100, 0, 150000, 0, -100, 1.5e6], (60, 299)),
    "utm 60 rotated": ("EPSG:32660", [80, 30, 820000, 30, -80, 7.5e6], (60, 299)),
    "polar, coarse": ("EPSG:3413", [20000, 0, -2e6, 0, -20000, 3.5e6], (100, 180)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("cell", [5, 400])
def test_geojson_past_the_antimeridian_is_cut_there_and_read_back_on_every_pixel(
    tmp_path, low_strips, name, cell
):
    crs, transform, (height, width) = FAR[name]
    grid = Grid(crs=crs, transform=transform, height=height, width=width)
    ids = random_ids(grid.shape, seed=2, cell=cell)
    store = write(store_of(tmp_path, "out.geojson"), ids, grid)
    np.testing.assert_array_equal(store.read().to_array(), ids)
    found = geopandas.read_file(store.uri)
    assert len(found) == len(list(rasterio.features.shapes(ids, mask=ids != 255, connectivity=4)))
    assert found.geometry.is_valid.all()
    assert (np.abs(shapely.get_coordinates(found.geometry)) <= (180, 90)).all()
    # Pixels lie in the file where pyproj says, wherever that is.
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, height, 99), rng.integers(0, width, 99)
    to_degrees = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    lon, lat = to_degrees.transform(*apply(grid.transform, cols + 0.5, rows + 0.5))
    points = shapely.points((lon + 180) % 360 - 180, lat)
    which, place = found.sindex.query(points, predicate="intersects")
    expected = ids[rows[which], cols[which]]
    np.testing.assert_array_equal(found["class_id"].to_numpy()[place], expected)
    assert set(which) == set(np.flatnonzero(ids[rows, cols] != 255))


def test_a_region_across_the_antimeridian_is_one_feature_of_two_parts(tmp_path):
    grid = Grid(crs="EPSG:4326", transform=[0.5, 0, 179, 0, -0.5, 10], height=3, width=4)
    store = write(store_of(tmp_path, "out.geojson"), np.full(grid.shape, 7, np.uint8), grid)
    (feature,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    expected = shapely.union(shapely.box(179, 8.5, 180, 10), shapely.box(-180, 8.5, -179, 10))
    assert shapely.geometry.shape(feature["geometry"]).equals(expected)
    np.testing.assert_array_equal(store.read().to_array(), 7)


@pytest.mark.parametrize(
    ("crs", "transform", "told"),
    [
        ("EPSG:3031", [1000, 0, -10000, 0, -1000, 30000], "a pole lies in"),
        ("EPSG:3031", [1000, 0, 0, 0, -1000, 0], "a pole lies in"),
        ("EPSG:3413", [1000, 200, -15000, 0, 1000, -20000], "a pole lies in"),
        ("EPSG:32633", [1000, 0, 490000, 0, -1000, 1e7], "a pole lies in"),
        ("EPSG:4326", [10, 0, -180, 0, -5, 92.5], "reaches past a pole or around the Earth"),
        ("EPSG:4326", [10, 0, -185, 0, -4, 60], "reaches past a pole or around the Earth"),
        ("EPSG:3857", [1.2e6, 0, -2.1e7, 0, -1e6, 1e7], "reaches past a pole or around the Earth"),
    ],
)
def test_geojson_cannot_tell_what_is_around_a_pole_and_says_so_before_any_work(
    tmp_path, crs, transform, told
):
    grid = Grid(crs=crs, transform=transform, height=40, width=37)
    with (
        pytest.raises(GridError, match=rf"out\.geojson: .*{told}.* write \.gpkg"),
        store_of(tmp_path, "out.geojson").writer(grid, CLASSES),
    ):
        pass
    ids = random_ids(grid.shape)
    store = write(store_of(tmp_path), ids, grid)
    np.testing.assert_array_equal(store.read().to_array(), ids)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:3031", [1000, 0, 1, 0, -1000, -1]),
        ("EPSG:4326", [360 / 37, 0, -180, 0, -4.5, 90]),
        ("EPSG:4269", [1, 0, -20, 0, -1, 90]),
        ("ESRI:54009", [1e5, 0, -2e6, 0, -1e5, 1e6]),
    ],
)
def test_grids_beside_a_pole_or_with_a_parallel_as_pole_are_taken(tmp_path, crs, transform):
    grid = Grid(crs=crs, transform=transform, height=40, width=37)
    ids = random_ids(grid.shape)
    store = write(store_of(tmp_path, "out.geojson"), ids, grid)
    np.testing.assert_array_equal(store.read().to_array(), ids)


@pytest.mark.parametrize("name", ["[a]", "-a", "(b) c", "gpkg_map", "gpkg", "sqlite_x", "ü 1.5"])
@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojson"])
def test_any_name_of_a_file_gives_a_layer(tmp_path, name, suffix):
    ids = random_ids()
    store = write(store_of(tmp_path, name + suffix), ids)
    np.testing.assert_array_equal(store.read().to_array(), ids)
    ((layer, _),) = pyogrio.list_layers(store.uri)
    assert layer == {
        "[a]": "_a_", "(b) c": "_b_ c", "ü 1.5": "ü 1.5",
    }.get(name, f"labels_{name}")  # fmt: skip


@pytest.mark.parametrize("name", ["a;b.gpkg", "a\nb.fgb", "a;b/c.geojson"])
def test_paths_that_gdal_reads_otherwise_are_refused_before_any_work(tmp_path, name):
    with pytest.raises(ValidationError, match="with a semicolon or what is not printed"):
        store_of(tmp_path, name)


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_equal_labels_make_equal_bytes_at_any_time(tmp_path, suffix):
    ids = random_ids((20, 83))
    grid = UTM.model_copy(update={"height": 20})
    paths = [tmp_path / "a" / f"out{suffix}", tmp_path / "b" / f"out{suffix}"]
    for path in paths:
        write(VectorLabelStore(uri=str(path)), ids, grid)
        time.sleep(1.1 if suffix == ".gpkg" and path is paths[0] else 0)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_gdal_tells_the_time_again_after_a_file_was_written(tmp_path, monkeypatch):
    ids = random_ids()
    write(store_of(tmp_path, "a.gpkg"), ids)
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    monkeypatch.setenv("OGR_CURRENT_DATE", "2021-02-03T04:05:06.000Z")
    write(store_of(tmp_path, "b.gpkg"), ids)
    with sqlite3.connect(tmp_path / "b.gpkg") as file:
        dates = {row[0] for row in file.execute("SELECT last_change FROM gpkg_contents")}
    file.close()
    assert dates == {"2021-02-03T04:05:06.000Z"}


@pytest.mark.parametrize(
    "window",
    [Window(0, 0, 10, 40), Window(0, 43, 10, 40), Window(10, 0, 5, 83), Window(145, 0, 10, 83)],
)
def test_windows_are_whole_rows_from_top_to_bottom(tmp_path, window):
    with store_of(tmp_path).writer(UTM, CLASSES) as writer:
        writer.write(Window(0, 0, 20, 83), np.zeros((20, 83), np.uint8))
        with pytest.raises(GridError, match="expected whole rows of 83 px that begin at row 20"):
            writer.write(window, np.zeros(window.shape, np.uint8))


def test_a_store_that_replaces_nothing_says_so_before_any_work(tmp_path):
    store = write(store_of(tmp_path, mode="error"), random_ids())
    with pytest.raises(StoreError, match=r"out\.gpkg: is there already"):
        store.check()
    with pytest.raises(StoreError, match="is there already"), store.writer(UTM, CLASSES):
        pass


def test_ids_must_be_classes(tmp_path):
    with store_of(tmp_path).writer(UTM, CLASSES) as writer:
        with pytest.raises(LabelError, match="outside the class map: 4"):
            writer.write(Window(0, 0, 1, 83), np.full((1, 83), 4, np.uint8))
        with pytest.raises(LabelError, match=r"have shape \(2, 83\)"):
            writer.write(Window(0, 0, 1, 83), np.zeros((2, 83), np.uint8))


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path):
    store = write(store_of(tmp_path), random_ids())
    before = (tmp_path / "out.gpkg").read_bytes()
    with pytest.raises(LabelError), store.writer(UTM, CLASSES) as writer:
        writer.write(UTM.whole, np.full(UTM.shape, 99, np.uint8))
    assert (tmp_path / "out.gpkg").read_bytes() == before
    assert names_in(tmp_path) == ["out.gpkg"]


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path, monkeypatch, suffix):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.OSFile", full)
    with pytest.raises(StoreError, match=rf"out\{suffix}: cannot be written whole: .*No space"):
        write(store_of(tmp_path, f"out{suffix}"), random_ids())
    assert names_in(tmp_path) == []


def _write_with_file_size_limit(path, limit):
    """Write polygons in a process whose files may not grow past a size; its exit code and stderr."""
    code = f"""
        import resource
        import numpy as np
        from geoseg.classes import ClassMap
        from geoseg.errors import StoreError
        from geoseg.grid import Grid
        from geoseg.labels.vector import VectorLabelStore
        grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=300, width=300)
        ids = np.random.default_rng(0).integers(0, 3, (100, 100), np.uint8).repeat(3, 0).repeat(3, 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            with VectorLabelStore(uri={str(path)!r}).writer(grid, ClassMap.of("a", "b", "c")) as writer:
                writer.write(grid.whole, ids)
        except StoreError as error:
            raise SystemExit(str(error))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_a_full_disk_is_an_error_wherever_it_strikes(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    done = _write_with_file_size_limit(path, 1 << 30)
    assert done.returncode == 0, done.stderr
    whole = path.stat().st_size
    path.unlink()
    for limit in (whole - 2, whole - 9000, whole // 2, 2000):
        done = _write_with_file_size_limit(path, limit)
        assert done.returncode == 1, limit
        assert "cannot be written whole" in done.stderr
        assert names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["out.shp", "out", "out.json", "gpkg"])
def test_other_formats_are_refused_with_those_that_there_are(name):
    with pytest.raises(ValidationError, match=r"\.gpkg, \.fgb, \.parquet, \.geoparquet, \.geojson"):
        VectorLabelStore(uri=name)


def test_a_map_without_crs_gives_polygons_without_crs_and_a_warning(tmp_path):
    grid, ids = Grid(height=20, width=10), random_ids((20, 10))
    for suffix in (".gpkg", ".fgb", ".parquet"):
        with pytest.warns(UserWarning, match="no CRS"):
            store = write(store_of(tmp_path, f"out{suffix}"), ids, grid)
        np.testing.assert_array_equal(store.read().to_array(), ids)
    assert pyogrio.read_info(tmp_path / "out.gpkg")["crs"] is None
    with pytest.raises(GridError, match="GeoJSON"):
        write(store_of(tmp_path, "out.geojson"), ids, grid)
    with (
        pytest.warns(UserWarning, match="no CRS"),
        pytest.raises(GridError, match="min_area_m2, simplify_m and rectangle_iou"),
    ):
        write(store_of(tmp_path, min_area_m2=5), ids, grid)


def test_reading_what_is_no_store_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match=r"out\.gpkg: no such file"):
        store_of(tmp_path).read()
    (tmp_path / "bad.gpkg").write_text("no database")
    (tmp_path / "bad.parquet").write_text("no table")
    for name in ("bad.gpkg", "bad.parquet"):
        with pytest.raises(StoreError, match=f"{name}: cannot be read"):
            store_of(tmp_path, name).read()
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32619")
    frame.to_file(tmp_path / "other.gpkg")
    with pytest.raises(StoreError, match=r"other\.gpkg: does not tell the grid"):
        store_of(tmp_path, "other.gpkg").read()


def test_the_store_survives_yaml_and_pickle(tmp_path):
    store = store_of(tmp_path, only=("road", 7), min_area_m2=2.5, simplify_m=1, denoise_px=3)
    again = LabelStore.from_yaml(store.to_yaml())
    assert again == store
    assert hash(again) == hash(store)
    assert pickle.loads(pickle.dumps(store)) == store
    labels = write(store_of(tmp_path), random_ids()).read()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(labels)).to_array(), random_ids())
