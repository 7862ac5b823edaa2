import pickle
import warnings
from typing import Literal

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from pydantic import ValidationError
from pyproj import CRS, Geod, Transformer

from geoseg.aoi import AOI
from geoseg.classes import ClassMap
from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.labels.sources import VectorLabels
from geoseg.sources.base import VectorSource
from geoseg.sources.features.ongrid import polygons_on
from geoseg.sources.features.reshape import Buffer, OnlyValid, Shift
from geoseg.sources.transformedvector import VectorTransform
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.window import Window

UTM = "EPSG:32619"
GRID = Grid(crs=UTM, transform=[2.0, 0, 500_000, 0, -2.0, 4_600_000], height=37, width=53)
X, Y = 500_000, 4_600_000
WGS84 = Geod(ellps="WGS84")
CLASSES = ClassMap.of("ground", "road", "tree")
BOW_TIE = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


class Largest(VectorTransform):
    """A kind that a user might write."""

    type: Literal["test-largest"] = "test-largest"
    count: int

    def __call__(self, frame, *, name):
        order = np.argsort(-shapely.area(frame.geometry.to_numpy()))
        return frame.iloc[sorted(order[: self.count])]


class InDegrees(VectorTransform):
    type: Literal["test-in-degrees"] = "test-in-degrees"

    def __call__(self, frame, *, name):
        return frame.to_crs("EPSG:4326")


class NoCRS(VectorTransform):
    type: Literal["test-no-crs"] = "test-no-crs"

    def __call__(self, frame, *, name):
        return frame.set_crs(None, allow_override=True)


def frame_of(*shapes, crs=UTM, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def read(frame, *transforms):
    return FrameSource(frame=frame, transforms=transforms).read()


def sketch():
    """Points, lines and a polygon on GRID, with classes."""
    return frame_of(
        shapely.Point(X + 21.3, Y - 20.9),
        shapely.LineString([(X - 40, Y - 71), (X + 31.7, Y - 40.2), (X + 150, Y - 44.4)]),
        shapely.MultiPoint([(X + 70.1, Y - 11.7), (X + 94.4, Y - 5.2)]),
        shapely.box(X + 60.6, Y - 30.3, X + 71.1, Y - 22.7),
        kind=["tree", "road", "tree", "tree"],
    )


def in_pixels(geometry):
    matrix = ~Affine(*GRID.transform[:6])
    return shapely.transform(
        geometry,
        lambda p: np.stack([p[:, 0] * matrix.a + matrix.c, p[:, 1] * matrix.e + matrix.f], 1),
    )


def distances(center, polygon):
    """Metres on the ellipsoid from a place to the corners of a polygon."""
    lon, lat = shapely.get_coordinates(polygon).T
    return WGS84.inv(np.full(len(lon), center[0]), np.full(len(lon), center[1]), lon, lat)[2]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035", "EPSG:4258", "EPSG:2154"])
@pytest.mark.parametrize("place", [(2.0, 47.1), (10.99, 59.98)])
def test_a_point_is_buffered_in_metres_on_the_ellipsoid_in_any_crs(crs, place):
    points = frame_of(shapely.Point(place), crs="EPSG:4326").to_crs(crs)
    (circle,) = read(points, Buffer(points_m=250)).to_crs("EPSG:4326").geometry
    away = distances(place, circle)
    assert len(away) == 65
    np.testing.assert_allclose(away, 250, rtol=2e-4)


def test_points_all_over_the_earth_are_buffered_right_to_two_in_ten_thousand():
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(-180, 180, 300), rng.uniform(-89, 89, 300)
    lon[:3], lat[:3] = [179.9999, -179.9999, 0], [10, -77, 88.999]
    circles = read(frame_of(*shapely.points(lon, lat), crs="EPSG:4326"), Buffer(points_m=1000))
    assert len(circles) == 300
    for x, y, circle in zip(lon, lat, circles.geometry, strict=True):
        np.testing.assert_allclose(distances((x, y), circle), 1000, rtol=2e-4)


def test_longitudes_go_on_past_the_antimeridian_and_a_torn_feature_is_left_out_with_a_count():
    here = frame_of(shapely.Point(179.9999, -17), shapely.Point(178, -17), crs="EPSG:4326")
    circles = read(here, Buffer(points_m=500)).geometry
    assert 180 < circles.iloc[0].bounds[2] < 180.01
    with pytest.warns(UserWarning, match=r"1 features .* torn at the edge of 'WGS 84 / Pseudo-M"):
        left = read(here.to_crs("EPSG:3857"), Buffer(points_m=500))
    assert left.index.tolist() == [1]
    boxes = frame_of(*shapely.box([179.99, 170], [0, 0], [179.999, 171], [1, 1]), crs="EPSG:4326")
    assert read(boxes, Shift(east_m=500)).total_bounds[2] == pytest.approx(180.0035, abs=1e-4)
    with pytest.warns(UserWarning, match="1 features .* torn at the edge"):
        left = read(boxes.to_crs("EPSG:3857"), Shift(east_m=500))
    assert left.index.tolist() == [1]
    fiji = read(here.to_crs("EPSG:3832"), Buffer(points_m=500))  # centred on 150 degrees east
    assert len(fiji) == 2


@pytest.mark.parametrize("transform", [Buffer(points_m=9, polygons_m=9), Shift(east_m=9)])
@pytest.mark.parametrize("crs", [UTM, "EPSG:3035", "EPSG:4326"])
def test_features_without_a_place_on_the_earth_are_left_out_with_a_count(transform, crs):
    far = 1e9 if crs != "EPSG:4326" else 91.0
    lost = shapely.Polygon([(3, far), (far, far), (far, 3)]), shapely.Point(far, far)
    good = frame_of(shapely.Point(-69.0, 70.0), crs="EPSG:4326").to_crs(crs).geometry.iloc[0]
    with pytest.warns(UserWarning, match="frame: 2 features have no place in metres") as caught:
        assert read(frame_of(*lost, good, crs=crs), transform).index.tolist() == [2]
    assert len(caught) == 1


def test_the_pole_is_a_place_like_others_where_the_crs_has_it():
    (circle,) = read(frame_of(shapely.Point(0, 0), crs="EPSG:3413"), Buffer(points_m=700)).geometry
    back = Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    lon, lat = back.transform(*shapely.get_coordinates(circle).T)
    away = WGS84.inv(lon, lat, np.zeros(65), np.full(65, 90.0))[2]
    np.testing.assert_allclose(away, 700, rtol=2e-4)
    with pytest.warns(UserWarning, match="torn at the edge of 'WGS 84'"):
        read(frame_of(shapely.Point(0, 90), crs="EPSG:4326"), Buffer(points_m=700))


def test_a_line_as_long_as_a_country_is_as_wide_everywhere():
    line = shapely.LineString([(5, 60), (15, 60)])  # a parallel: 556 km, bent on the ground
    (band,) = read(frame_of(line, crs="EPSG:4326"), Buffer(lines_m=50, cap="flat")).geometry
    for lon in np.linspace(5.2, 14.8, 41):
        cut = band.intersection(shapely.LineString([(lon, 59), (lon, 61)]))
        _, south, _, north = cut.bounds
        halves = [WGS84.inv(lon, 60, lon, lat)[2] for lat in (south, north)]
        np.testing.assert_allclose(halves, 50, rtol=3e-4)


def test_a_feature_too_large_for_metres_is_counted():
    line = frame_of(shapely.LineString([(-20, 0), (20, 0)]), crs="EPSG:4326")
    with pytest.warns(UserWarning, match="1 features reach more than 500 km"):
        read(line, Buffer(lines_m=50))


def test_polygons_are_grown_and_shrunk_by_metres():
    square = shapely.box(X, Y, X + 1000, Y + 600)  # on the central meridian: the scale is 0.9996
    grown, shrunk = (
        read(frame_of(square), Buffer(polygons_m=d)).geometry.iloc[0] for d in (30, -30)
    )
    np.testing.assert_allclose(
        grown.bounds, (X - 29.99, Y - 29.99, X + 1029.99, Y + 629.99), atol=0.01
    )
    np.testing.assert_allclose(
        shrunk.bounds, (X + 29.99, Y + 29.99, X + 970.01, Y + 570.01), atol=0.01
    )


def test_a_crs_in_feet_and_one_from_another_meridian_measure_in_metres():
    for crs, place in (("EPSG:2253", (-83.0, 43.0)), ("EPSG:4807", (2.4, 47.0))):
        own = CRS(crs)
        point = Transformer.from_crs(own.geodetic_crs, own, always_xy=True).transform(*place)
        (circle,) = read(frame_of(shapely.Point(point), crs=crs), Buffer(points_m=100)).geometry
        base = own.geodetic_crs
        lon, lat = Transformer.from_crs(own, base, always_xy=True).transform(
            *shapely.get_coordinates(circle).T
        )
        scale = np.degrees(base.axis_info[0].unit_conversion_factor)  # 0.9 for grads
        lon, lat, at = lon * scale, lat * scale, np.array(place) * scale
        away = base.get_geod().inv(np.full(65, at[0]), np.full(65, at[1]), lon, lat)[2]
        np.testing.assert_allclose(away, 100, rtol=2e-4)


def test_a_crs_that_is_not_on_the_earth_takes_no_metres():
    site = 'LOCAL_CS["site",UNIT["metre",1]]'
    for transform in (Buffer(points_m=3), Shift(east_m=2)):
        with pytest.raises(SourceError, match=r"frame: the CRS 'site' is not on the Earth.*pixels"):
            read(frame_of(shapely.Point(1, 1), crs=site), transform)


def test_each_shape_has_its_own_distance_and_the_others_stay_as_they_are():
    buffered = read(sketch(), Buffer(points_m=6)).geometry
    assert buffered.geom_type.tolist() == ["Polygon", "LineString", "MultiPolygon", "Polygon"]
    assert buffered.iloc[1].equals(sketch().geometry.iloc[1])
    assert buffered.iloc[3].equals(sketch().geometry.iloc[3])
    assert buffered.area[[0, 2]].tolist() == pytest.approx([np.pi * 36, 2 * np.pi * 36], rel=5e-3)


def test_each_class_has_its_own_distance():
    both = Buffer(points_m={"tree": 6, "*": 1}, lines_m={"road": 4}, class_by="kind")
    grown = read(sketch(), both).geometry
    assert grown.area.iloc[0] == pytest.approx(np.pi * 36, rel=5e-3)
    assert grown.iloc[1].buffer(-3.5).area > 0
    assert grown.iloc[1].buffer(-4.1).area == 0
    points = frame_of(*[shapely.Point(X, Y)] * 3, kind=[1, 2, 3])
    grown = read(points, Buffer(points_m={1: 5, "*": 2, 3: 0}, class_by="kind")).geometry
    assert grown.area.tolist() == pytest.approx([np.pi * 25, np.pi * 4, 0], rel=5e-3)


def test_a_class_without_a_distance_and_a_column_that_is_not_there_are_errors():
    with pytest.raises(SourceError, match=r"points_m names no distance for 'tree' \(2 features\)"):
        read(sketch(), Buffer(points_m={"bush": 1}, class_by="kind"))
    with pytest.raises(SourceError, match=r"no column 'kin'.*did you mean 'kind'"):
        read(sketch(), Buffer(points_m={"bush": 1}, class_by="kin"))


def test_collections_are_buffered_part_by_part():
    mixed = shapely.GeometryCollection(
        [shapely.GeometryCollection([shapely.Point(X, Y)]), shapely.box(X + 9, Y, X + 19, Y + 5)]
    )
    (grown,) = read(frame_of(mixed), Buffer(points_m=3)).geometry
    assert grown.area == pytest.approx(np.pi * 9 + 50, rel=2e-3)
    (grown,) = read(frame_of(mixed), Buffer(points_m=11, polygons_m=1)).geometry
    assert grown.geom_type == "Polygon"  # they overlap and become one


def test_the_parts_of_a_collection_have_the_class_of_its_feature():
    def spot(x):
        return shapely.Point(X + x, Y)

    shapes = [shapely.GeometryCollection([spot(0), spot(50)]), spot(100), spot(150)]
    rule = Buffer(points_m={"a": 3, "b": 5, "c": 7}, class_by="kind")
    grown = read(frame_of(*shapes, kind=["a", "b", "c"]), rule).geometry
    expected = [2 * np.pi * 9, np.pi * 25, np.pi * 49]
    assert grown.area.tolist() == pytest.approx(expected, rel=3e-3)


def test_what_shrinks_to_nothing_is_counted():
    shapes = [shapely.box(X, Y, X + 4, Y + 4), shapely.box(X, Y, X + 40, Y + 40)]
    with pytest.warns(UserWarning, match="1 of 2 features shrink to nothing"):
        assert read(frame_of(*shapes), Buffer(polygons_m=-3)).index.tolist() == [1]


@pytest.mark.parametrize("crs", ["EPSG:4326", UTM, "EPSG:3857"])
def test_a_shift_in_metres_goes_along_the_geodesic_of_each_vertex(crs):
    rng = np.random.default_rng(3)
    places = np.stack([rng.uniform(-71, -67, 40), rng.uniform(30, 60, 40)], axis=1)
    points = frame_of(*shapely.points(places), crs="EPSG:4326").to_crs(crs)
    moved = read(points, Shift(east_m=-120, north_m=35)).to_crs("EPSG:4326")
    azimuth, distance = np.degrees(np.arctan2(-120, 35)), np.hypot(120, 35)
    lon, lat, _ = WGS84.fwd(*places.T, np.full(40, azimuth), np.full(40, distance))
    got = shapely.get_coordinates(moved.geometry.to_numpy())
    np.testing.assert_allclose(got, np.stack([lon, lat], axis=1), atol=1e-9)  # 0.1 mm


def test_a_shift_and_a_buffer_are_done_in_the_order_given():
    source = FrameSource(
        frame=frame_of(
            shapely.box(0, 50, 0.1, 50.1), shapely.box(1, 50, 1.2, 50.2), crs="EPSG:4326"
        ),
        transforms=(Largest(count=1), Shift(north_m=100), Buffer(polygons_m=10)),
    )
    frame = source.read()
    assert frame.index.tolist() == [1]
    away = WGS84.inv(1.1, 50.2, 1.1, frame.total_bounds[3])[2]
    assert away == pytest.approx(110, abs=0.1)
    same = source.read(crs="EPSG:3857")
    assert same.crs == "EPSG:3857"
    assert len(source.read(bounds=(0, 50, 0.1, 50.1))) == 0


@pytest.mark.parametrize("pixels", [True, False])
def test_labels_of_buffered_points_and_lines_equal_a_burn_of_the_buffers_by_gdal(pixels):
    sizes = {"points": 3.3, "lines": 4.7, "polygons": 1.2}
    if pixels:
        transform = Buffer(**{f"{shape}_px": size for shape, size in sizes.items()})
    else:  # a pixel of the grid has two metres of the projection: 2 / 0.9996 on the ground
        transform = Buffer(**{f"{s}_m": size * 2 / 0.9996 for s, size in sizes.items()})
    source = FrameSource(frame=sketch(), transforms=(transform,))
    labels = VectorLabels(source=source, classes=CLASSES, class_by="kind", background=0)
    each = [sizes["points"], sizes["lines"], sizes["points"], sizes["polygons"]]
    shapes = [
        in_pixels(geometry).buffer(size, quad_segs=16)
        for geometry, size in zip(sketch().geometry, each, strict=True)
    ]
    expected = rasterio.features.rasterize(
        list(zip(shapes, [2, 1, 2, 2], strict=True)), out_shape=GRID.shape, dtype="uint8"
    )
    assert set(np.unique(expected)) == {0, 1, 2}
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)
    window = Window(7, 11, 19, 40)
    np.testing.assert_array_equal(
        labels.read(GRID, window), np.pad(expected, 9, constant_values=255)[16:35, 20:60]
    )


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
def test_an_aoi_of_buffered_points_and_lines_equals_a_burn_by_gdal(crs):
    source = FrameSource(
        frame=sketch().to_crs(crs), transforms=(Buffer(points_px=5, lines_px=2.5),)
    )
    sizes = [5, 2.5, 5, 0]
    shapes = [
        in_pixels(g).buffer(size, quad_segs=16)
        for g, size in zip(sketch().geometry, sizes, strict=True)
    ]
    expected = rasterio.features.rasterize(shapes, out_shape=GRID.shape)
    np.testing.assert_array_equal(AOI.of(source, GRID).mask(GRID.whole), expected.astype(bool))


def test_pixels_are_left_aside_where_there_is_no_grid():
    source = FrameSource(frame=sketch(), transforms=(Buffer(points_px=3), Shift(right_px=1)))
    frame = source.read()
    assert frame.geometry.geom_equals_exact(sketch().geometry, 0).all()
    with pytest.warns(UserWarning, match=r"1 of 4 features are no polygons \(LineString\)"):
        pixels = polygons_on(GRID, source)
    assert pixels.index.tolist() == [0, 2, 3]
    assert pixels.geometry.iloc[2].equals(
        shapely.transform(in_pixels(sketch().geometry.iloc[3]), lambda p: p + np.array([1, 0]))
    )


def test_a_buffer_in_pixels_reaches_in_from_far_outside_the_grid():
    far = frame_of(shapely.Point(X - 200, Y - 37), shapely.Point(X - 400, Y - 37))
    source = FrameSource(frame=far, transforms=(Buffer(points_px=110), Shift(right_px=-1.5)))
    burned = rasterio.features.rasterize(
        [shapely.Point(-101.5, 18.5).buffer(110, quad_segs=16)], out_shape=GRID.shape
    )
    assert 0 < burned.sum() < burned.size
    np.testing.assert_array_equal(AOI.of(source, GRID).mask(GRID.whole), burned.astype(bool))


def test_a_line_across_the_world_is_cut_around_the_grid_and_buffered():
    lon, lat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(X + 50, Y - 37)
    line = shapely.LineString([(lon - 140, lat), (lon + 140, lat)])
    source = FrameSource(frame=frame_of(line, crs="EPSG:4326"), transforms=(Buffer(lines_px=2.7),))
    mask = AOI.of(source, GRID).mask(GRID.whole)
    row, col = np.indices(GRID.shape) + 0.5
    x, y = Affine(*GRID.transform[:6]) * (col, row)
    _, at = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(x, y)
    np.testing.assert_array_equal(mask, np.abs(at - lat) * 111_049 < 5.4)


def test_the_pixels_of_a_turned_grid_are_its_own():
    c, s = 2 * np.cos(0.5), 2 * np.sin(0.5)
    grid = Grid(crs=UTM, transform=[c, s, X, s, -c, Y], height=37, width=53)
    col, row = 20.2, 11.9
    point = shapely.Point(X + c * col + s * row, Y + s * col - c * row)
    source = FrameSource(frame=frame_of(point), transforms=(Buffer(points_px=4), Shift(down_px=7)))
    (circle,) = polygons_on(grid, source).geometry
    np.testing.assert_allclose(circle.bounds, (16.2, 14.9, 24.2, 22.9), atol=1e-6)


def test_what_works_in_pixels_comes_last():
    pixels = Buffer(points_px=2)
    FrameSource(frame=sketch(), transforms=(Shift(east_m=1), pixels, Shift(down_px=1)))
    with pytest.raises(ValidationError, match="Shift at 1 comes after Buffer at 0, which works in"):
        FileVectorSource(uri="a.gpkg", transforms=(pixels, Shift(east_m=1)))


def test_invalid_features_are_left_out_rather_than_repaired(tmp_path):
    shapes = [shapely.box(0, 0, 1, 1), BOW_TIE, None, shapely.Point(3, 3)]
    frame = frame_of(*shapes, n=range(4))
    frame.to_file(tmp_path / "a.gpkg")
    uri = str(tmp_path / "a.gpkg")
    for first in ((), (Shift(east_m=1),)):  # wherever it stands
        with pytest.warns(UserWarning, match="a.gpkg: ") as caught:
            left = FileVectorSource(uri=uri, transforms=(*first, OnlyValid())).read()
        assert left["n"].tolist() == [0, 3]
        assert "1 of 4 features are not valid and are left out" in str(caught[0].message)
        assert "of 3 features 1 have no usable geometry" in str(caught[1].message)
    with pytest.warns(UserWarning, match="1 are not valid and were repaired"):
        assert FileVectorSource(uri=uri).read()["n"].tolist() == [0, 1, 3]
    with pytest.warns(UserWarning, match="1 of 2 features are not valid and are left out"):
        assert len(read(frame.iloc[:2], OnlyValid())) == 1


def test_the_result_is_read_once_and_hangs_on_the_transforms(tmp_path, monkeypatch):
    sketch().to_file(tmp_path / "a.gpkg")
    calls = []

    def counted(self, frame, *, name):
        calls.append(name)
        return frame.iloc[: self.count]

    monkeypatch.setattr(Largest, "__call__", counted)
    uri = str(tmp_path / "a.gpkg")
    for source in (
        FileVectorSource(uri=uri, transforms=(Largest(count=2),)),
        FrameSource(frame=sketch(), transforms=(Largest(count=2),)),
    ):
        assert [len(source.read()) for _ in range(3)] == [2, 2, 2]
        other = source.model_copy(update={"transforms": (Largest(count=3),)})
        assert other != source
        assert len(other.read()) == 3
        assert len(source.read()) == 2
    assert calls == [uri, uri, "frame", "frame"]


def test_a_kind_of_ones_own_may_change_the_crs_and_must_keep_one():
    assert read(sketch(), InDegrees(), Buffer(points_m=1)).crs == "EPSG:4326"
    with pytest.raises(SourceError, match="NoCRS gave no GeoDataFrame with a CRS"):
        read(sketch(), NoCRS())


EVERY = (
    OnlyValid(),
    Largest(count=3),
    Shift(east_m=2.5),
    Buffer(points_m={"tree": 2, "*": 0}, lines_m=3, class_by="kind", cap="flat"),
    Buffer(polygons_px=-1.5),
    Shift(right_px=1, down_px=-2),
)


def test_sources_with_transforms_survive_yaml_and_pickle():
    source = FileVectorSource(uri="/data/a.gpkg", transforms=EVERY)
    again = VectorSource.from_yaml(source.to_yaml())
    assert again == source
    assert hash(again) == hash(source)
    assert again.to_yaml() == source.to_yaml()
    assert pickle.loads(pickle.dumps(source)) == source
    frame = FrameSource(frame=sketch(), transforms=EVERY[1:3])
    assert pickle.loads(pickle.dumps(frame)) == frame
    assert hash(frame) == hash(FrameSource(frame=sketch(), transforms=EVERY[1:3]))
    assert frame != FrameSource(frame=sketch())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Shift, "got none of them"),
        (lambda: Shift(east_m=1, down_px=1), "got both; write two shifts"),
        (lambda: Shift(east_m=float("nan")), "finite"),
        (Buffer, "got neither"),
        (lambda: Buffer(points_m=1, lines_px=1), "got both; write two buffers"),
        (lambda: Buffer(points_m=-1), "only polygons can become smaller"),
        (lambda: Buffer(lines_px={"a": -1}, class_by="b"), "only polygons can become smaller"),
        (lambda: Buffer(lines_m={"a": 1}), "class_by names no column"),
        (lambda: Buffer(lines_m=1, class_by="kind"), "is not used"),
        (lambda: Buffer(lines_m={}, class_by="kind"), "names no class"),
        (lambda: Buffer(lines_m={1: 1, "1": 2}, class_by="kind"), "given twice"),
        (lambda: Buffer(lines_m=float("inf")), "finite"),
        (lambda: Buffer(points=1), "nearest known key: points_"),
    ],
)
def test_wrong_arguments_are_told_at_once(make, text):
    with pytest.raises(ValidationError, match=text):
        make()


def test_a_source_without_features_goes_through_all_transforms(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    source = FileVectorSource(uri=str(path), transforms=EVERY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(source.read()) == 0
        assert len(polygons_on(GRID, source)) == 0


@pytest.mark.parametrize("metres", [1000, 0.001])
@pytest.mark.parametrize(
    "bounds",
    [
        (-180, -90, 180, 90),
        (-180, -85, 180, 85),
        (-180, -60, 180, 60),
        (-180, 80, 180, 90),
        (-180, -90, 180, -60),
    ],
)
def test_a_polygon_that_grows_to_less_than_it_was_is_left_out_with_a_count(bounds, metres):
    frame = frame_of(shapely.box(*bounds), shapely.box(10, 50, 11, 51), crs="EPSG:4326")
    with (
        pytest.warns(UserWarning, match=r"1 features reach more than 500 km"),
        pytest.warns(UserWarning, match=r"1 features have no place in metres or would be torn"),
    ):
        assert read(frame, Buffer(polygons_m=metres)).index.tolist() == [1]


def test_a_polygon_folded_where_its_projection_ends_does_not_shrink_to_a_sliver():
    frame = frame_of(shapely.box(-180, -85, 180, 85), crs="EPSG:4326")
    with (
        pytest.warns(UserWarning, match=r"1 features reach more than 500 km"),
        pytest.warns(UserWarning, match=r"1 features have no place in metres or would be torn"),
    ):
        assert not len(read(frame, Buffer(polygons_m=-1000)))


@pytest.mark.parametrize("bounds", [(-60, -70, 60, 70), (-179, -89, 179, 89), (10, 50, 11, 51)])
def test_a_polygon_that_is_whole_in_metres_grows_and_shrinks_on_every_side(bounds):
    box = shapely.box(*bounds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*reach more than 500 km")
        grown, shrunk = (
            read(frame_of(box, crs="EPSG:4326"), Buffer(polygons_m=d)).geometry.iloc[0]
            for d in (1000, -1000)
        )
    assert grown.covers(box)
    assert box.covers(shrunk)
    assert shrunk.area > 0.9 * box.area
