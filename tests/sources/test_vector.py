import json
import os
import pickle
import warnings

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pydantic import ValidationError
from pyproj import Transformer

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import VectorSource
from geoseg.sources.features.ongrid import polygons_on
from geoseg.sources.vector import FileVectorSource, FrameSource

UTM = "EPSG:32619"
GRID = Grid(crs=UTM, transform=[2.0, 0, 500_000, 0, -2.0, 4_600_000], height=37, width=53)


def squares(*corners, side=10.0):
    return [shapely.box(x, y, x + side, y + side) for x, y in corners]


def town(crs=UTM):
    """Four squares on GRID, with attributes, in file order."""
    x, y = 500_000, 4_600_000
    geometry = squares((x + 5, y - 20), (x + 30, y - 40), (x + 60, y - 20), (x + 61, y - 60))
    columns = {"kind": ["roof", "road", "roof", "pool"], "floors": [1, 2, 3, 4]}
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=UTM).to_crs(crs)


@pytest.fixture(params=["geojson", "gpkg", "fgb", "shp", "parquet"])
def town_file(request, tmp_path):
    path = tmp_path / f"town.{request.param}"
    frame = town("EPSG:4326")
    if request.param == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, layer_options={"SPATIAL_INDEX": "NO"} if path.suffix == ".fgb" else {})
    return str(path)


def test_every_format_gives_the_same_features_in_file_order(town_file):
    frame = FileVectorSource(uri=town_file).read()
    expected = town("EPSG:4326")
    assert frame["kind"].tolist() == expected["kind"].tolist()
    assert frame["floors"].tolist() == [1, 2, 3, 4]
    assert frame.crs == expected.crs
    gap = shapely.hausdorff_distance(frame.geometry.to_numpy(), expected.geometry.to_numpy())
    assert gap.max() < 1e-7  # GeoJSON is written with seven decimals


def test_reprojection_equals_pyproj_point_by_point(town_file):
    source = FileVectorSource(uri=town_file)
    frame = source.read(crs="EPSG:2253")
    own = shapely.get_coordinates(source.read().geometry.to_numpy())
    move = Transformer.from_crs("EPSG:4326", "EPSG:2253", always_xy=True)
    expected = [move.transform(x, y) for x, y in own]
    np.testing.assert_allclose(shapely.get_coordinates(frame.geometry.to_numpy()), expected)
    assert frame.crs == "EPSG:2253"


def test_bounds_are_given_in_the_crs_asked_for_and_keep_the_index(town_file):
    x, y = 500_000, 4_600_000
    frame = FileVectorSource(uri=town_file).read(bounds=(x + 55, y - 80, x + 90, y), crs=UTM)
    assert frame.index.tolist() == [2, 3]
    assert frame["kind"].tolist() == ["roof", "pool"]


def test_bounds_keep_what_meets_them_and_not_what_only_has_its_box_there(tmp_path):
    corner = shapely.Polygon([(0, 0), (10, 0), (10, 1), (1, 1), (1, 10), (0, 10)])
    source = FrameSource(frame=gpd.GeoDataFrame(geometry=[corner], crs=UTM))
    assert len(source.read(bounds=(5, 5, 8, 8))) == 0
    assert len(source.read(bounds=(0.5, 5, 8, 8))) == 1


def test_what_a_caller_does_to_the_features_stays_with_the_caller(town_file):
    source = FileVectorSource(uri=town_file)
    frame = source.read()
    frame["kind"] = "changed"
    frame.loc[0, "floors"] = 99
    assert source.read()["kind"].tolist() == ["roof", "road", "roof", "pool"]
    assert source.read()["floors"].tolist() == [1, 2, 3, 4]


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "town.geojson"
    town("EPSG:4326").to_file(path)
    source = FileVectorSource(uri=str(path))
    assert len(source.read()) == 4
    town("EPSG:4326").iloc[:3].to_file(path)
    os.utime(path, (1, 1))
    assert len(source.read()) == 3


def test_where_is_applied(tmp_path):
    path = tmp_path / "town.gpkg"
    town().to_file(path)
    frame = FileVectorSource(uri=str(path), where="kind = 'roof' AND floors > 1").read()
    assert frame["floors"].tolist() == [3]


def test_a_layer_is_chosen_by_name_or_number(tmp_path):
    path = tmp_path / "layers.gpkg"
    town().iloc[:1].to_file(path, layer="small")
    town().to_file(path, layer="large")
    assert len(FileVectorSource(uri=str(path), layer="large").read()) == 4
    assert len(FileVectorSource(uri=str(path), layer=0).read()) == 1


def _write_layers(path):
    town().iloc[:1].to_file(path, layer="small")
    town().to_file(path, layer="large")


def _write_raster(path):
    with rasterio.open(
        path, "w", driver="GTiff", width=3, height=2, count=1, dtype="uint8", crs=UTM,
        transform=Affine(1, 0, 9, 0, -1, 0),
    ) as file:  # fmt: skip
        file.write(np.zeros((1, 2, 3), np.uint8))


def _write_without_crs(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        town().set_crs(None, allow_override=True).to_file(path)


BROKEN = {
    "missing": ("twn.gpkg", None, {}, ["no such file", "did you mean town.gpkg"]),
    "no vectors": ("r.tif", _write_raster, {}, ["no vector file", "ogrinfo"]),
    "damaged": ("a.geojson", lambda path: path.write_text("{"), {}, ["or it is damaged"]),
    "empty": ("a.gpkg", lambda path: path.write_bytes(b""), {}, ["or it is damaged"]),
    "two layers": ("l.gpkg", _write_layers, {}, ["2 layers", "small, large", "layer="]),
    "other layer": ("l.gpkg", _write_layers, {"layer": "big"}, ["no layer 'big'", "small, large"]),
    "far layer": ("l.gpkg", _write_layers, {"layer": 2}, ["no layer 2", "small, large"]),
    "no crs": ("a.shp", _write_without_crs, {}, ["has no CRS", "ogr2ogr -a_srs"]),
    "where": (
        "a.geojson",
        lambda path: town("EPSG:4326").to_file(path),
        {"where": "height > 2"},
        ["where='height > 2'", "kind, floors"],
    ),
    "where in a database": (
        "a.gpkg",
        lambda path: town().to_file(path),
        {"where": "height > 2"},
        ["where='height > 2'", "no such column", "kind, floors"],
    ),
    "where of parquet": (
        "a.parquet",
        lambda path: town().to_parquet(path),
        {"where": "floors > 2"},
        ["no `where`", "GeoPackage"],
    ),
    "plain parquet": (
        "a.parquet",
        lambda path: town().drop(columns="geometry").to_parquet(path),
        {},
        ["cannot be read as GeoParquet", "to_parquet"],
    ),
    "no parquet": ("a.parquet", lambda path: path.write_text("?"), {}, ["GeoParquet"]),
    "a table": ("a.csv", lambda path: path.write_text("a,b\n1,2\n"), {}, ["without geometry"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_file_is_named_with_its_cure(case, tmp_path):
    name, write, options, expected = BROKEN[case]
    town().to_file(tmp_path / "town.gpkg")
    path = tmp_path / name
    if write is not None:
        write(path)
    source = FileVectorSource(uri=str(path), **options)
    with pytest.raises(SourceError) as caught:
        source.check()
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    for part in expected:
        assert part in text


def test_broken_geometries_are_left_out_or_repaired_and_counted_once(tmp_path):
    path = tmp_path / "a.geojson"
    shapes = [
        shapely.box(0, 0, 2, 2),
        None,
        shapely.Polygon(),
        shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]),  # a bow tie
        shapely.Point(1, 1),
        shapely.Polygon([(0, 0, 7), (1, 0, 7), (1, 1, 7)]),
    ]
    gpd.GeoDataFrame({"n": range(6)}, geometry=shapes, crs="EPSG:4326").to_file(path)
    source = FileVectorSource(uri=str(path))
    with pytest.warns(UserWarning, match="a.geojson: of 6 features 2 have no usable") as caught:
        frame = source.read()
    assert len(caught) == 1
    assert "1 are not valid and were repaired" in str(caught[0].message)
    assert frame["n"].tolist() == frame.index.tolist() == [0, 3, 4, 5]
    assert frame.is_valid.all()
    assert frame.geometry.iloc[1].geom_type == "MultiPolygon"
    assert frame.geometry.iloc[1].area == pytest.approx(2.0)
    assert not frame.has_z.any()
    source.read()  # from memory: no second warning


def test_a_ring_that_is_not_closed_is_closed(tmp_path):
    path = tmp_path / "a.geojson"
    ring = [[0, 0], [4, 0], [4, 3]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.warns(RuntimeWarning, match="Non closed ring"):
        frame = FileVectorSource(uri=str(path)).read()
    assert frame.geometry.iloc[0].area == pytest.approx(6.0)


def test_a_file_without_features_is_no_error(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    source = FileVectorSource(uri=str(path))
    assert len(source.read()) == 0
    assert len(source.read(bounds=(0, 0, 1, 1), crs=UTM)) == 0
    assert len(polygons_on(GRID, source)) == 0


def test_features_without_a_place_in_a_crs_are_counted():
    shapes = [
        shapely.box(21, 0, 22, 1),
        shapely.box(-69, 0, -68, 1),
    ]  # 90 degrees off UTM 19, and in it
    source = FrameSource(frame=gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326"))
    with pytest.warns(UserWarning, match="1 features have no place in EPSG:32619"):
        frame = source.read(crs=UTM)
    assert frame.index.tolist() == [1]


def test_a_file_source_survives_yaml_and_pickle():
    source = FileVectorSource(uri="/data/a.gpkg", layer="b", where="c = 'd'")
    assert VectorSource.from_yaml(source.to_yaml()) == source
    assert pickle.loads(pickle.dumps(source)) == source
    assert hash(source) == hash(source.model_copy())


def test_a_frame_source_is_a_value():
    source, same = FrameSource(frame=town()), FrameSource(frame=town())
    assert source == same
    assert hash(source) == hash(same)
    assert pickle.loads(pickle.dumps(source)) == source
    moved = town()
    moved.geometry = moved.translate(0.001, 0)
    renamed = town()
    renamed.loc[0, "kind"] = "shed"
    for other in (moved, renamed, town("EPSG:2253"), town().iloc[:3]):
        assert FrameSource(frame=other) != source


def test_a_frame_source_does_not_see_later_changes():
    frame = town()
    source = FrameSource(frame=frame)
    frame["kind"] = "changed"
    source.read()["floors"] = 0
    assert source.read()["kind"].tolist() == ["roof", "road", "roof", "pool"]
    assert source.read()["floors"].tolist() == [1, 2, 3, 4]


def test_a_frame_source_repairs_with_a_count():
    frame = town()
    frame.loc[1, "geometry"] = None
    with pytest.warns(UserWarning, match="of 4 features 1 have no usable geometry"):
        source = FrameSource(frame=frame)
    assert source.read().index.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (town().set_crs(None, allow_override=True), "no CRS"),
        ([1, 2], "expected a GeoDataFrame"),
        (gpd.GeoDataFrame({"a": [1]}), "no geometry column"),
    ],
)
def test_a_frame_that_cannot_be_placed_is_refused(frame, text):
    with pytest.raises(ValidationError, match=text):
        FrameSource(frame=frame)


@pytest.mark.parametrize("write", ["to_yaml", "model_dump", "model_dump_json"])
def test_a_frame_source_is_not_written(write):
    with pytest.raises(Exception, match=r"FrameSource cannot be written.*FileVectorSource"):
        getattr(FrameSource(frame=town()), write)()


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:2253"])
@pytest.mark.parametrize("turn", [0, 30])
def test_pixel_coordinates_are_those_of_pyproj_and_the_inverse_transform(crs, turn):
    c, s = 2 * np.cos(np.radians(turn)), 2 * np.sin(np.radians(turn))
    matrix = np.array([[c, s, 500_000], [s, -c, 4_600_000], [0, 0, 1]])
    grid = Grid(crs=UTM, transform=matrix.ravel()[:6].tolist(), height=37, width=53)
    frame = town(crs)
    pixels = polygons_on(grid, FrameSource(frame=frame))
    assert pixels.crs is None
    assert pixels["kind"].tolist() == frame["kind"].tolist()
    move = Transformer.from_crs(crs, UTM, always_xy=True)
    ground = [
        (*move.transform(x, y), 1) for x, y in shapely.get_coordinates(frame.geometry.to_numpy())
    ]
    expected = np.linalg.solve(matrix, np.array(ground).T).T[:, :2]
    got = shapely.get_coordinates(pixels.geometry.to_numpy())
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(got - np.round(got)).max() > 0.01  # nothing is rounded


def test_features_far_from_the_grid_are_left_out_unseen():
    far = town()
    far.geometry = far.translate(1_000_000, 0)
    both = gpd.GeoDataFrame(
        {"n": range(8)}, geometry=[*far.geometry, *town().geometry], crs=UTM
    ).to_crs("EPSG:4326")
    assert polygons_on(GRID, FrameSource(frame=both))["n"].tolist() == [4, 5, 6, 7]


def test_points_and_lines_are_counted_and_collections_give_their_polygons():
    x, y = 500_000, 4_600_000
    box = shapely.box(x + 5, y - 20, x + 15, y - 10)
    shapes = [
        shapely.Point(x + 5, y - 5),
        shapely.GeometryCollection([shapely.GeometryCollection([box]), shapely.Point(x, y)]),
        shapely.LineString([(x, y), (x + 20, y - 20)]),
    ]
    source = FrameSource(frame=gpd.GeoDataFrame(geometry=shapes, crs=UTM))
    with pytest.warns(UserWarning, match=r"2 of 3 features are no polygons \(LineString, Point\)"):
        pixels = polygons_on(GRID, source)
    assert pixels.index.tolist() == [1]
    assert pixels.geometry.iloc[0].equals(shapely.box(2.5, 5, 7.5, 10))


def test_a_polygon_that_reaches_beyond_its_maps_end_still_covers_the_grid():
    grid = Grid(crs=UTM, transform=[1000, 0, 500_000, 0, -1000, 50_000], height=40, width=50)
    wide = shapely.Polygon([(-80, -10), (21, -10), (21, 0), (21, 10), (-80, 10)])
    assert not np.isfinite(
        Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform(21, 0)[0]
    )
    source = FrameSource(frame=gpd.GeoDataFrame(geometry=[wide], crs="EPSG:4326"))
    pixels = polygons_on(grid, source)
    assert len(pixels) == 1
    assert pixels.geometry.iloc[0].contains(shapely.box(0, 0, 50, 40))


def test_what_reaches_far_past_the_grid_is_cut_and_the_rest_stays_as_it_is_in_order():
    near = town("EPSG:4326").geometry
    world, country = shapely.box(-180, -85, 180, 85), shapely.box(-170, 5, -20, 84)
    beside = shapely.box(-69.5, 20, -69.2, 60) | shapely.box(-68, 20, -67, 60)  # its box meets
    shapes = [near.iloc[0], world, near.iloc[1], beside, country, near.iloc[2]]
    frame = gpd.GeoDataFrame({"n": range(6)}, geometry=shapes, crs="EPSG:4326")
    pixels = polygons_on(GRID, FrameSource(frame=frame))
    assert pixels["n"].tolist() == [0, 1, 2, 4, 5]
    covered = pixels.geometry.contains(shapely.box(0, 0, GRID.width, GRID.height))
    assert covered.tolist() == [False, True, False, True, False]
    alone = polygons_on(GRID, FrameSource(frame=frame.iloc[[0, 2, 5]]))
    assert pixels.geometry[[0, 2, 5]].geom_equals_exact(alone.geometry, 0).all()
    assert alone.geometry.count_coordinates().tolist() == [5, 5, 5]


def test_a_large_grid_sees_the_edges_of_the_world_where_the_file_has_them():
    grid = Grid(
        crs="EPSG:5070", transform=[40_000, 0, -2_300_000, 0, -40_000, 3_200_000],
        height=73, width=117,
    )  # fmt: skip
    north = shapely.box(-180, 40, 180, 85)  # a parallel, which the grid's CRS bends
    frame = gpd.GeoDataFrame(geometry=[north], crs="EPSG:4326")
    (pixels,) = polygons_on(grid, FrameSource(frame=frame)).geometry
    row, col = np.indices(grid.shape) + 0.5
    back = Transformer.from_crs("EPSG:5070", "EPSG:4326", always_xy=True)
    _, lat = back.transform(*(grid.transform * (col, row)))
    assert 0.2 < (lat > 40).mean() < 0.8
    np.testing.assert_array_equal(shapely.contains_xy(pixels, col, row), lat > 40)


def test_a_grid_around_the_pole_finds_its_features():
    grid = Grid(
        crs="EPSG:3413", transform=[500, 0, -26_000, 0, -500, 26_000], height=104, width=104
    )
    cap = shapely.Point(0, 0).buffer(5_000)
    ring = gpd.GeoDataFrame(geometry=[cap], crs="EPSG:3413").segmentize(100).to_crs("EPSG:3995")
    own = gpd.GeoDataFrame(geometry=ring.geometry, crs="EPSG:3995")
    spot = gpd.GeoDataFrame(geometry=[shapely.box(10, 89.99, 11, 89.995)], crs="EPSG:4326")
    for frame in (own, spot):
        assert len(polygons_on(grid, FrameSource(frame=frame))) == 1


def test_a_grid_and_features_must_both_have_a_crs():
    bare = Grid(height=37, width=53)
    with pytest.raises(GridError, match="the image has no CRS"):
        polygons_on(bare, FrameSource(frame=town()))


@pytest.mark.slow
def test_frames_with_other_places_are_told_apart_by_their_hashes(monkeypatch):
    calls = []
    compare = FrameSource.__eq__

    def counted(self, other):
        calls.append(1)
        return compare(self, other)

    monkeypatch.setattr(FrameSource, "__eq__", counted)
    frames = [town().assign(geometry=town().translate(i)) for i in range(60)]
    table = {FrameSource(frame=frame): i for i, frame in enumerate(frames)}

    assert not calls
    assert [table[FrameSource(frame=frame)] for frame in frames] == list(range(60))
    assert len(calls) == 60


def test_frames_hash_equal_where_a_zero_has_another_sign_and_after_a_pickle():
    one, two = (
        FrameSource(frame=gpd.GeoDataFrame(geometry=[shapely.box(zero, 1, 5, 9)], crs=UTM))
        for zero in (0.0, -0.0)
    )
    assert hash(one) == hash(two) == hash(pickle.loads(pickle.dumps(one)))
    assert one == two == pickle.loads(pickle.dumps(one))
