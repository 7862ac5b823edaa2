import os
import pickle
import weakref
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from pydantic import ValidationError
from pyproj import Transformer
from rasterio.features import rasterize

from geoseg.burn import Edges
from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels import features
from geoseg.labels.base import LabelSource
from geoseg.labels.sources import RasterLabels, SourceLabels, VectorLabels
from geoseg.sources.array import ArraySource
from geoseg.sources.base import VectorSource
from geoseg.sources.cache import Cache, forget
from geoseg.sources.vector import FrameSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window, sliding

UTM = "EPSG:32619"
CLASSES = ClassMap.of("background", "roof", "road", "pool")
TWO = ClassMap.of("background", "building")
GRID = Grid(crs=UTM, transform=[2.0, 0, 500_000, 0, -2.0, 4_600_000], height=47, width=61)
LARGE = Grid(crs=UTM, transform=[0.5, 0, 500_000, 0, -0.5, 4_600_000], height=700, width=433)


def array_labels(data, grid=GRID, classes=CLASSES, valid=None, **options):
    return RasterLabels(
        source=ArraySource(data=data, grid=grid, valid=valid), classes=classes, **options
    )


def write_raster(path, data, grid, nodata=None):
    profile = {"driver": "GTiff", "height": grid.height, "width": grid.width, "count": len(data)}
    with rasterio.open(
        path,
        "w",
        dtype=data.dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=nodata,
        **profile,
    ) as file:
        file.write(data)
    return str(path)


# --- label rasters ------------------------------------------------------------------------------


def nearest_by_hand(ids, own, grid, window, ignore=255):
    """The label under each pixel centre: pyproj and floor, pixel by pixel."""
    expected = np.full(window.shape, ignore, np.uint8)
    move = Transformer.from_crs(grid.crs.to_wkt(), own.crs.to_wkt(), always_xy=True)
    for i in range(window.height):
        for j in range(window.width):
            t, col, row = grid.transform, window.col + j + 0.5, window.row + i + 0.5
            if not (0 <= row < grid.height and 0 <= col < grid.width):
                continue
            x, y = move.transform(t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f)
            t = ~own.transform
            c = int(np.floor(t.a * x + t.b * y + t.c))
            r = int(np.floor(t.d * x + t.e * y + t.f))
            if 0 <= r < own.height and 0 <= c < own.width:
                expected[i, j] = ids[r, c]
    return expected


OTHER_GRIDS = {
    "coarser, other CRS": Grid(
        crs="EPSG:4326",
        transform=[5e-5, 0, -69.0003, 0, -4e-5, 41.5515],
        height=45,
        width=50,
    ),
    "half a pixel off": Grid(
        crs=UTM, transform=[2.0, 0, 500_001, 0, -2.0, 4_599_981], height=20, width=70
    ),
    "finer": Grid(
        crs=UTM, transform=[0.7, 0, 500_010.1, 0, -0.9, 4_599_990.2], height=90, width=110
    ),
    "turned": Grid(
        crs=UTM, transform=[1.71, 0.63, 500_020, 0.63, -1.71, 4_599_970], height=40, width=30
    ),
}


@pytest.mark.parametrize("name", OTHER_GRIDS)
def test_labels_of_another_grid_equal_nearest_by_hand(name):
    own = OTHER_GRIDS[name]
    ids = np.random.default_rng(1).integers(0, 4, own.shape, dtype=np.uint8)
    labels = array_labels(ids, grid=own)
    for window in (GRID.whole, Window(-3, 40, 25, 33), Window(11, 13, 7, 9)):
        expected = nearest_by_hand(ids, own, GRID, window)
        assert (expected != 255).sum() > 0
        np.testing.assert_array_equal(labels.read(GRID, window), expected)


def test_labels_on_the_same_lattice_are_a_plain_read():
    ids = np.random.default_rng(2).integers(0, 4, (30, 80), dtype=np.uint8)
    own = GRID.crop(Window(10, -5, 30, 80))
    expected = np.full(GRID.shape, 255, np.uint8)
    expected[10:40] = ids[:, 5:66]
    got = array_labels(ids, grid=own).read(GRID, GRID.whole)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(array_labels(ids, grid=own).read(own, own.whole), ids)


@pytest.mark.parametrize("window", [Window(-4, -6, 60, 80), Window(40, 50, 20, 31)])
def test_pixels_past_the_edge_are_ignored_and_never_class_0(window):
    ids = np.full(GRID.shape, 2, np.uint8)
    expected = np.pad(ids, 40, constant_values=255)
    expected = expected[window.row + 40 :, window.col + 40 :][: window.height, : window.width]
    np.testing.assert_array_equal(array_labels(ids).read(GRID, window), expected)


def test_nodata_is_ignored_and_ignore_id_stays(tmp_path):
    ids = np.random.default_rng(3).integers(0, 4, GRID.shape, dtype=np.uint8)
    ids[3:9, 5:20] = 77
    ids[20:, 40:] = 255
    path = write_raster(tmp_path / "labels.tif", ids[None], GRID, nodata=77)
    got = RasterLabels(source=path, classes=CLASSES).read(GRID, GRID.whole)
    np.testing.assert_array_equal(got, np.where(ids == 77, 255, ids))


def test_mode_takes_the_most_frequent_of_finer_labels():
    fine = Grid(crs=UTM, transform=[0.4, 0, 500_000, 0, -0.4, 4_600_000], height=235, width=305)
    ids = np.random.default_rng(4).choice(4, fine.shape, p=[0.1, 0.2, 0.3, 0.4]).astype(np.uint8)
    blocks = ids.reshape(47, 5, 61, 5)
    counts = np.stack([(blocks == k).sum(axis=(1, 3)) for k in range(4)])
    clear = np.sort(counts, axis=0)[-1] > np.sort(counts, axis=0)[-2]
    got = array_labels(ids, grid=fine, resampling="mode").read(GRID, GRID.whole)
    assert clear.sum() > 1000
    np.testing.assert_array_equal(got[clear], counts.argmax(axis=0)[clear])


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_mapped_in_every_dtype(dtype):
    low = 9 if dtype.startswith("u") else -9
    mapping = {41: 1, low: 2, 100: 255, 0: 0}
    data = np.random.default_rng(5).choice([41, low, 100, 0], GRID.shape).astype(dtype)
    valid = np.random.default_rng(6).random(GRID.shape) < 0.9
    data[~valid] = 55  # not in the mapping, and not to be looked at
    expected = np.full(GRID.shape, 255, np.uint8)
    for value, target in mapping.items():
        expected[valid & (data == value)] = target
    labels = array_labels(data, valid=valid, mapping=mapping)
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_that_is_no_class_is_an_error_with_counts(dtype):
    data = np.ones(GRID.shape, dtype)
    data[2, 3:10] = 9
    data[4, 4] = 90
    with pytest.raises(LabelError) as caught:
        array_labels(data).read(GRID, GRID.whole)
    text = str(caught.value)
    assert "(7 pixels), 90" in text
    assert "(1 pixels)" in text
    assert "1 roof" in text
    assert "mapping=" in text
    assert "nodata=" in text


def test_an_unknown_value_names_the_file_and_the_window(tmp_path):
    data = np.full((1, *GRID.shape), 9, np.uint8)
    path = write_raster(tmp_path / "labels.tif", data, GRID)
    with pytest.raises(LabelError, match=r"labels\.tif: .*row=5.*9 \(20 pixels\)"):
        RasterLabels(source=path, classes=CLASSES).read(GRID, Window(5, 5, 4, 5))
    with pytest.raises(LabelError, match=r"labels\.tif"):
        RasterLabels(source=path, classes=CLASSES).check()


def test_a_mapping_is_complete_or_an_error():
    data = np.ones(GRID.shape, np.uint8)
    data[0, :3] = 2
    labels = array_labels(data, mapping={1: 3})
    with pytest.raises(
        LabelError, match=r"`mapping` does not name: 2 \(3 pixels\); it names \[1\]"
    ):
        labels.read(GRID, GRID.whole)
    data[0, :3] = 255  # means ignored without being named
    assert (labels.read(GRID, GRID.whole)[0, :3] == 255).all()


def test_a_fraction_is_no_class():
    data = np.ones(GRID.shape, np.float32)
    data[7, 7] = 1.5
    data[8, 8] = np.nan  # not valid: ignored
    with pytest.raises(LabelError, match=r"no class: 1\.5 \(1 pixels\)"):
        array_labels(data).read(GRID, GRID.whole)


def test_every_one_of_255_classes_is_read():
    many = ClassMap.of(*(f"class {i}" for i in range(255)))
    data = np.arange(GRID.height * GRID.width).reshape(GRID.shape).astype(np.uint8)
    got = array_labels(data, classes=many).read(GRID, GRID.whole)
    np.testing.assert_array_equal(got, data)
    wide = data.astype(np.uint16)
    wide[0, 0] = 300
    with pytest.raises(LabelError, match=r"300 \(1 pixels\)"):
        array_labels(wide, classes=many).read(GRID, GRID.whole)


def test_an_ignore_id_of_its_own_is_kept_to():
    classes = ClassMap.of("a", "b", ignore_id=7)
    data = np.ones((10, 12), np.uint8)
    data[0, 0] = 7
    own = GRID.crop(Window(0, 0, 10, 12))
    got = array_labels(data, grid=own, classes=classes).read(GRID, GRID.whole)
    assert got[0, 0] == 7
    assert (got[10:] == 7).all()
    assert got[:10, :12].sum() == 10 * 12 - 1 + 7


def test_a_mapping_to_what_is_no_class_is_refused():
    with pytest.raises(ValidationError, match=r"leads to the ids \[9\]"):
        array_labels(np.ones(GRID.shape, np.uint8), mapping={1: 9})
    unnamed = array_labels(np.ones(GRID.shape, np.uint8), classes=None, mapping={1: 9})
    with pytest.raises(ValidationError, match=r"leads to the ids \[9\]"):
        unnamed.model_copy(update={"classes": CLASSES})


def test_labels_have_one_band():
    data = np.ones((3, *GRID.shape), np.uint8)
    with pytest.raises(LabelError, match=r"has 3 bands, expected one.*bands=\[1\]"):
        array_labels(data).read(GRID, GRID.whole)


def test_labels_and_image_both_have_a_crs_or_neither():
    bare = Grid(height=47, width=61)
    ids = np.ones(GRID.shape, np.uint8)
    with pytest.raises(GridError, match="the labels have no CRS, but the image is in EPSG:32619"):
        array_labels(ids, grid=bare).read(GRID, GRID.whole)
    with pytest.raises(GridError, match="the labels are in EPSG:32619, but the image has no CRS"):
        array_labels(ids).read(bare, bare.whole)
    np.testing.assert_array_equal(array_labels(ids, grid=bare).read(bare, bare.whole), ids)


def test_labels_without_classes_cannot_be_read():
    labels = array_labels(np.ones(GRID.shape, np.uint8), classes=None)
    for use in (labels.check, lambda: labels.read(GRID, GRID.whole), lambda: labels.on(GRID)):
        with pytest.raises(LabelError, match="no class map"):
            use()


@pytest.mark.parametrize("resampling", ["bilinear", "average", "cubic"])
def test_kernels_that_make_up_classes_are_refused(resampling):
    with pytest.raises(ValidationError):
        RasterLabels(source="a.tif", resampling=resampling)
    warped = WarpedSource(source="a.tif", onto=GRID, resampling=resampling)
    with pytest.raises(ValidationError, match="makes up classes"):
        RasterLabels(source=warped)


def test_a_kernel_that_makes_up_classes_is_found_below_another_warp():
    inner = WarpedSource(source="a.tif", onto=GRID, resampling="bilinear")
    outer = WarpedSource(source=inner, onto=GRID, resampling="nearest")
    with pytest.raises(ValidationError, match="makes up classes"):
        RasterLabels(source=outer, classes=CLASSES)


@pytest.mark.parametrize(
    "labels",
    [
        RasterLabels(source="a.tif", classes=CLASSES, mapping={21: 1, 255: 255}, resampling="mode"),
        VectorLabels(source="a.gpkg", classes=CLASSES, class_by="kind", default_class="road"),
        VectorLabels(source="a.gpkg", default_class=2, background=None, all_touched=True),
    ],
    ids=lambda labels: labels.type,
)
def test_labels_survive_yaml_and_pickle(labels):
    assert LabelSource.from_yaml(labels.to_yaml()) == labels
    assert pickle.loads(pickle.dumps(labels)) == labels
    assert hash(labels) == hash(pickle.loads(pickle.dumps(labels)))


# --- polygons -----------------------------------------------------------------------------------


def blobs(count=400, seed=0, grid=LARGE):
    """Overlapping polygons with holes at sub-pixel places on and past a grid, in its CRS."""
    rng = np.random.default_rng(seed)
    polygons = []
    for _ in range(count):
        x, y = rng.uniform(-20, grid.width + 20), rng.uniform(-20, grid.height + 20)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radius = rng.gamma(3, 8) * rng.uniform(0.5, 1.3, 9)
        ring = np.c_[x + radius * np.cos(angles), y + radius * np.sin(angles)]
        hole = (x, y) + (ring - (x, y))[::2] * 0.4
        polygons.append(shapely.make_valid(shapely.Polygon(ring)) - shapely.Polygon(hole).buffer(0))
    t = grid.transform
    ground = [
        shapely.transform(
            p, lambda x, y: (t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f), interleaved=False
        )
        for p in polygons
    ]
    frame = gpd.GeoDataFrame(
        {
            "code": rng.integers(1, 4, count),
            "rank": rng.integers(0, 5, count),
            "note": [f"blob {i}" for i in range(count)],
        },
        geometry=ground,
        crs=grid.crs.to_wkt(),
    )
    frame["kind"] = [CLASSES.name_of(i) for i in frame["code"]]
    return frame[frame.geom_type.isin(["Polygon", "MultiPolygon"])].reset_index(drop=True)


def gdal_burn(frame, grid, column="code", fill=0, **options):
    """One burn of the whole scene, in ground coordinates."""
    return rasterize(
        zip(frame.geometry, frame[column], strict=True),
        out_shape=grid.shape, transform=grid.transform, fill=fill, dtype="uint8", **options,
    )  # fmt: skip


def random_windows(grid, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width = rng.integers(1, 300, 2).tolist()
        row, col = rng.integers(0, (grid.height - height, max(grid.width - width, 1))).tolist()
        yield Window(row, col, height, min(width, grid.width - col))


@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_windows_of_polygons_in_degrees_equal_one_gdal_burn_of_the_scene(tmp_path, suffix):
    path = tmp_path / f"blobs.{suffix}"
    options = {"COORDINATE_PRECISION": 12} if suffix == "geojson" else {}
    blobs().to_crs("EPSG:4326").to_file(path, **options)
    back = gpd.read_file(path)
    expected = gdal_burn(back.to_crs(UTM), LARGE)
    labels = VectorLabels(source=str(path), classes=CLASSES, class_by="code")
    assert np.bincount(expected.ravel(), minlength=4).min() > 1000
    for window in (*sliding(LARGE, (100, 90), (70, 90)), *random_windows(LARGE, 30)):
        np.testing.assert_array_equal(labels.read(LARGE, window), expected[window.slices])


@pytest.mark.parametrize("matrix", [(0.5, 0, 0, 0.5), (0.4, 0.3, 0.3, -0.4), (-0.5, 0, 0, -0.5)])
def test_grids_that_are_turned_or_south_up_equal_gdal_too(matrix):
    a, b, d, e = matrix
    grid = Grid(crs=UTM, transform=[a, b, 500_000, d, e, 4_600_000], height=310, width=197)
    frame = blobs(grid=grid)
    labels = VectorLabels(source=FrameSource(frame=frame), classes=CLASSES, class_by="code")
    np.testing.assert_array_equal(labels.read(grid, grid.whole), gdal_burn(frame, grid))


def test_the_later_in_the_file_lies_on_top_and_a_higher_priority_above_all():
    frame = blobs()
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    source = FrameSource(frame=shuffled)
    plain = VectorLabels(source=source, classes=CLASSES, class_by="code")
    expected = gdal_burn(shuffled, LARGE)
    assert (expected != gdal_burn(frame, LARGE)).sum() > 1000
    np.testing.assert_array_equal(plain.read(LARGE, LARGE.whole), expected)
    ranked = VectorLabels(source=source, classes=CLASSES, class_by="code", priority_by="rank")
    expected = gdal_burn(shuffled.sort_values("rank", kind="stable"), LARGE)
    np.testing.assert_array_equal(ranked.read(LARGE, LARGE.whole), expected)


def test_dates_are_priorities_too():
    frame = blobs(60)
    frame["seen"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["rank"], unit="D")
    labels = VectorLabels(
        source=FrameSource(frame=frame), classes=CLASSES, class_by="code", priority_by="seen"
    )
    expected = gdal_burn(frame.sort_values("rank", kind="stable"), LARGE)
    np.testing.assert_array_equal(labels.read(LARGE, LARGE.whole), expected)


def test_all_touched_equals_gdals():
    frame = blobs(200)
    labels = VectorLabels(
        source=FrameSource(frame=frame), classes=CLASSES, class_by="code", all_touched=True
    )
    expected = gdal_burn(frame, LARGE, all_touched=True)
    assert (expected != gdal_burn(frame, LARGE)).mean() > 0.01
    for window in (LARGE.whole, *random_windows(LARGE, 10)):
        np.testing.assert_array_equal(labels.read(LARGE, window), expected[window.slices])


def box_frame(**columns):
    """Boxes of 4 x 4 pixels of GRID in a row, one for each value."""
    count = len(next(iter(columns.values())))
    boxes = [
        shapely.box(500_000 + 10 * i, 4_599_992, 500_008 + 10 * i, 4_600_000) for i in range(count)
    ]
    return gpd.GeoDataFrame(columns, geometry=boxes, crs=UTM)


def ids_of_boxes(frame, **options):
    """The id in the middle of each box."""
    labels = VectorLabels(source=FrameSource(frame=frame), **options)
    return labels.read(GRID, GRID.whole)[2, 2 : 5 * len(frame) : 5].tolist()


@pytest.mark.parametrize(
    "values",
    [
        ["roof", "pool", "road", "roof"],
        [1, 3, 2, 1],
        [1.0, 3.0, 2.0, 1.0],
        pd.Categorical(["roof", "pool", "road", "roof"]),
        pd.array([1, 3, 2, 1], dtype="Int64"),
    ],
    ids=["names", "ids", "float ids", "categories", "nullable ids"],
)
def test_classes_are_given_by_name_or_id(values):
    assert ids_of_boxes(box_frame(c=values), classes=CLASSES, class_by="c") == [1, 3, 2, 1]


def test_ignored_polygons_cut_out_what_is_not_known():
    assert ids_of_boxes(box_frame(c=[1, 255, 2]), classes=CLASSES, class_by="c") == [1, 255, 2]


def test_missing_and_unknown_classes_take_the_default():
    frame = box_frame(c=["roof", None, "barn", "pool"])
    assert ids_of_boxes(frame, classes=CLASSES, class_by="c", default_class="road") == [1, 2, 2, 3]
    frame = box_frame(c=[1, np.nan, 1.5, 90])
    assert ids_of_boxes(frame, classes=CLASSES, class_by="c", default_class=2) == [1, 2, 2, 2]


def test_missing_and_unknown_classes_without_a_default_are_counted():
    frame = box_frame(c=["barn", "roof", None, "barn", "shed"])
    labels = VectorLabels(source=FrameSource(frame=frame), classes=CLASSES, class_by="c")
    for use in (labels.check, lambda: labels.read(GRID, GRID.whole)):
        with pytest.raises(LabelError) as caught:
            use()
        text = str(caught.value)
        assert "'barn' (2 features), 'shed' (1 features), no value (1 features)" in text
        assert "1 roof" in text
        assert "default_class=" in text


def test_a_missing_column_names_the_file_and_its_columns(tmp_path):
    path = tmp_path / "town.gpkg"
    box_frame(kind=["roof"], floors=[2]).to_file(path)
    for field in ("class_by", "priority_by"):
        options = {"default_class": 1, field: "type"}
        labels = VectorLabels(source=str(path), classes=CLASSES, **options)
        for use in (labels.check, lambda labels=labels: labels.read(GRID, GRID.whole)):
            with pytest.raises(
                LabelError, match=rf"town\.gpkg: has no column 'type', which {field}"
            ):
                use()
        with pytest.raises(LabelError, match="columns are: kind, floors"):
            labels.check()


def test_with_two_classes_polygons_are_the_one_that_is_no_background():
    frame = box_frame(a=[1, 2])
    assert ids_of_boxes(frame, classes=TWO) == [1, 1]
    assert ids_of_boxes(frame, classes=TWO, background=1) == [0, 0]
    assert ids_of_boxes(frame, classes=CLASSES, default_class="pool") == [3, 3]


@pytest.mark.parametrize("options", [{"classes": CLASSES}, {"classes": TWO, "background": None}])
def test_polygons_whose_class_nothing_tells_are_an_error(options):
    with pytest.raises(LabelError, match=r"pass class_by= .* or default_class="):
        ids_of_boxes(box_frame(a=[1]), **options)


@pytest.mark.parametrize(("background", "expected"), [(0, 0), (2, 2), (255, 255), (None, 255)])
def test_pixels_without_a_polygon_are_the_background(background, expected):
    labels = VectorLabels(
        source=FrameSource(frame=box_frame(a=[1])),
        classes=CLASSES,
        default_class=1,
        background=background,
    )
    got = labels.read(GRID, GRID.whole)
    assert (got[:4, :4] == 1).all()
    assert (got == expected).sum() == got.size - 16


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"background": 9}, "background=9 is no class"),
        ({"default_class": "barn"}, "default_class='barn' is no class"),
        ({"default_class": 9}, "default_class=9 is no class"),
    ],
)
def test_options_outside_the_class_map_are_refused(options, text):
    with pytest.raises(ValidationError, match=text):
        VectorLabels(source="a.gpkg", classes=CLASSES, **options)


def test_polygons_of_the_background_class_are_counted():
    frame = box_frame(c=["background", "roof", "background"])
    with pytest.warns(UserWarning, match="2 of 3 features have the class 'background'"):
        assert ids_of_boxes(frame, classes=CLASSES, class_by="c") == [0, 1, 0]
    options = {"classes": CLASSES, "class_by": "c", "background": None}
    assert ids_of_boxes(frame, **options) == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "text"),
    [([1.0, None, None], "no value in 2 of 3"), (["10", "9", "8"], "expected numbers or dates")],
)
def test_priorities_are_whole_columns_of_numbers(values, text):
    frame = box_frame(p=values)
    labels = VectorLabels(source=FrameSource(frame=frame), classes=TWO, priority_by="p")
    with pytest.raises(LabelError, match=text):
        labels.check()


def test_lines_and_points_are_counted_and_left_out():
    frame = box_frame(a=[1, 2])
    frame.loc[1, "geometry"] = shapely.LineString([(500_000, 4_599_950), (500_100, 4_599_950)])
    labels = VectorLabels(source=FrameSource(frame=frame), classes=TWO)
    with pytest.warns(UserWarning, match=r"1 of 2 features are no polygons \(LineString\).*buffer"):
        got = labels.read(GRID, GRID.whole)
    assert got.sum() == 16


def test_a_file_without_features_is_all_background(tmp_path):
    path = tmp_path / "none.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    labels = VectorLabels(source=str(path), classes=CLASSES, class_by="kind", priority_by="rank")
    labels.check()
    assert (labels.read(GRID, GRID.whole) == 0).all()


def test_polygons_reach_no_further_than_the_grid():
    frame = gpd.GeoDataFrame(
        geometry=[shapely.box(499_000, 4_599_000, 501_000, 4_601_000)], crs=UTM
    )
    labels = VectorLabels(source=FrameSource(frame=frame), classes=TWO)
    got = labels.read(GRID, Window(-3, -5, 60, 70))
    expected = np.full((60, 70), 255)
    expected[3:50, 5:66] = 1
    np.testing.assert_array_equal(got, expected)
    assert (labels.read(GRID, Window(100, 100, 2, 3)) == 255).all()


class CountedSource(VectorSource):
    """A source that tells how often it was read."""

    type: Literal["counted"] = "counted"
    log: Any

    def read(self, bounds=None, crs=None):
        self.log.append(bounds)
        return blobs(20)

    def __hash__(self):
        return hash(id(self.log))


def test_features_are_read_once_however_many_windows():
    source = CountedSource(log=[])
    labels = VectorLabels(source=source, classes=CLASSES, class_by="code")
    for window in sliding(LARGE, 64):
        labels.read(LARGE, window)
    assert len(source.log) == 1


def test_a_window_of_a_huge_grid_burns_its_own_strips_only(monkeypatch):
    burned = []
    burn = features.burn
    monkeypatch.setattr(
        features,
        "burn",
        lambda *args, rows, **rest: burned.append(rows) or burn(*args, rows=rows, **rest),
    )
    huge = Grid(crs=UTM, transform=LARGE.transform, height=1_000_003, width=433)
    labels = VectorLabels(source=FrameSource(frame=blobs(50)), classes=CLASSES, class_by="code")
    labels.read(huge, Window(300, 7, 256, 256))
    labels.read(huge, Window(301, 9, 200, 16))
    assert burned == [(256, 512), (512, 768)]
    labels.read(huge, Window(1_000_001, 0, 2, 5))
    assert burned[2:] == [(999_936, 1_000_003)]


@pytest.fixture
def burned(monkeypatch):
    """The (first, stop) rows of each strip that is burned; three strips of LARGE are kept."""
    forget()  # edge tables of equal labels
    log, burn = [], features.burn
    monkeypatch.setattr(features, "_burned", Cache(limit_bytes=3 * (256 * 433 + 1000)))
    monkeypatch.setattr(
        features,
        "burn",
        lambda *args, rows, **rest: log.append(rows) or burn(*args, rows=rows, **rest),
    )
    return log


def test_windows_in_any_order_burn_each_strip_of_a_small_scene_once(burned):
    labels = VectorLabels(source=FrameSource(frame=blobs(50)), classes=CLASSES, class_by="code")
    for window in random_windows(LARGE, 60):
        labels.read(LARGE, window)
    assert sorted(burned) == [(0, 256), (256, 512), (512, 700)]


def test_windows_from_top_to_bottom_burn_a_tall_scene_once_at_flat_memory(burned):
    tall = Grid(crs=UTM, transform=LARGE.transform, height=5000, width=433)
    labels = VectorLabels(source=FrameSource(frame=blobs(50)), classes=CLASSES, class_by="code")
    for window in sliding(tall, 200, stride=150):
        labels.read(tall, window)
        assert len(features._burned) <= 3
    assert burned == [(row, min(row + 256, 5000)) for row in range(0, 5000, 256)]


def test_strips_take_no_more_than_64_mib_unless_three_take_more():
    assert features._burned._limit == 64 * 2**20
    assert features._burned._least == 3


def test_strips_and_polygons_go_when_the_edge_table_is_dropped(burned, monkeypatch):
    gone = []
    of = Edges.of

    def watched(*args, **options):
        edges = of(*args, **options)
        weakref.finalize(edges, gone.append, "edges")
        return edges

    monkeypatch.setattr(Edges, "of", watched)
    labels = VectorLabels(source=FrameSource(frame=blobs(50)), classes=CLASSES, class_by="code")
    labels.read(LARGE, LARGE.whole)
    assert len(features._burned) == 3
    assert gone == []
    forget()
    assert len(features._burned) == 0
    assert gone == ["edges"]


def test_labels_are_made_anew_when_the_file_changes(tmp_path):
    path = tmp_path / "a.gpkg"
    box_frame(a=[1, 2]).to_file(path)
    labels = VectorLabels(source=str(path), classes=TWO)
    assert labels.read(GRID, GRID.whole).sum() == 32
    path.unlink()
    box_frame(a=[1]).to_file(path)
    os.utime(path, (1, 1))
    assert labels.read(GRID, GRID.whole).sum() == 16


# --- labels on a grid -----------------------------------------------------------------------------


class Stripes(LabelSource):
    """A source of the simplest kind: it does not look where the grid ends."""

    type: Literal["stripes"] = "stripes"

    def read(self, grid, window):
        rows = np.arange(window.row, window.row_stop)[:, None]
        return np.broadcast_to(rows % 2, window.shape).astype(np.uint8)


def test_labels_on_a_grid_end_with_it():
    labels = Stripes(classes=TWO).on(GRID)
    assert isinstance(labels, SourceLabels)
    assert (labels.grid, labels.classes) == (GRID, TWO)
    expected = np.full((60, 80), 255)
    expected[4:51, 7:68] = (np.arange(47) % 2)[:, None]
    np.testing.assert_array_equal(labels.read(Window(-4, -7, 60, 80)), expected)
    np.testing.assert_array_equal(labels.to_array(), expected[4:51, 7:68])
    assert (labels.read(Window(47, 0, 3, 3)) == 255).all()
    with pytest.raises(LabelError, match="holds no scores"):
        labels.scores(GRID.whole)


def test_blocks_of_labels_give_the_whole():
    frame = blobs()
    labels = VectorLabels(source=FrameSource(frame=frame), classes=CLASSES, class_by="kind").on(
        LARGE
    )
    whole = np.concatenate([labels.read(window) for window in labels.blocks()])
    np.testing.assert_array_equal(whole, gdal_burn(frame, LARGE))


# A UTM grid of 96 pixels a side, and polygons in degrees that reach far past it.
SMALL = Grid(
    crs="EPSG:32617", transform=[10.0, 0, 430_000, 0, -10.0, 3_350_000], height=91, width=96
)
CONTAINING = {
    "far past the image": shapely.box(-170, 5, -50, 84),
    "first vertex without a place": shapely.Polygon([(-171, 0), (-50, 0), (-50, 84), (-171, 84)]),
    "folded by the projection": shapely.box(-180, -85, 180, 85),
    "to the poles": shapely.box(-180, -90, 180, 90),
}
COUNTRY = shapely.Polygon(
    [(-150, 10), (-60, 0), (-81.7273, 30.2777), (-81.7193, 30.2827), (-60, 80), (-150, 70)]
)


def degrees_of_centres(grid):
    """(lon, lat) of each pixel's centre, by pyproj."""
    row, col = np.indices(grid.shape) + 0.5
    move = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    return move.transform(*(grid.transform * (col, row)))


@pytest.mark.parametrize("case", CONTAINING)
def test_a_polygon_that_reaches_far_past_the_image_labels_it_wholly(case):
    frame = gpd.GeoDataFrame(geometry=[CONTAINING[case]], crs="EPSG:4326")
    labels = VectorLabels(source=FrameSource(frame=frame), classes=TWO, default_class="building")
    assert (labels.read(SMALL, SMALL.whole) == 1).all()


def test_the_border_of_a_country_crosses_the_labels_where_it_lies_in_degrees():
    frame = gpd.GeoDataFrame(geometry=[COUNTRY], crs="EPSG:4326")
    labels = VectorLabels(source=FrameSource(frame=frame), classes=TWO, default_class="building")
    expected = shapely.contains_xy(COUNTRY, *degrees_of_centres(SMALL)).astype(np.uint8)
    assert 0.2 < expected.mean() < 0.8
    np.testing.assert_array_equal(labels.read(SMALL, SMALL.whole), expected)
