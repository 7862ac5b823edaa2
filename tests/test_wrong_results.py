"""Results that are wrong without an error are the worst: each sentence here says what is right.

Every test stands on an oracle of its own (numpy by hand, GDAL's burn, pyproj); the rooms' own tests
look closer.
"""

import copy

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
import torch
from affine import Affine
from pydantic import ValidationError
from pyproj import Transformer

from geoseg.aoi import AOI
from geoseg.classes import ClassMap
from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.datasets.sliding import SlidingWindowGeoDataset
from geoseg.errors import GeosegError, LabelError, SourceError
from geoseg.grid import Grid
from geoseg.labels.accumulate import ScoreAccumulator
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip
from geoseg.sources.features.inferclass import InferClass
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.stack import StackSource
from geoseg.sources.statistics import Statistics
from geoseg.sources.transforms.scaling import MinMax
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window, sliding

UTM = "EPSG:32619"
X, Y = 500_000.0, 4_600_000.0
GRID = Grid(crs=UTM, transform=[1, 0, X, 0, -1, Y], height=38, width=54)
CLASSES = ClassMap.of("ground", "roof", "road", "pool")


def random_ids(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)


def grid_of(shape, *, size=1.0, crs=UTM, left=X, top=Y):
    return Grid(crs=crs, transform=[size, 0, left, 0, -size, top], height=shape[0], width=shape[1])


def array(data, *, grid=None, valid=None, **options):
    bands = data if data.ndim == 3 else data[None]
    return ArraySource(data=bands, valid=valid, grid=grid or grid_of(bands.shape[1:]), **options)


def polygons(*shapes, crs=UTM, **columns):
    return FrameSource(frame=gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs))


def pixel_box(left, top, right, bottom, grid=GRID):
    """A box on the ground from pixel corners."""
    x, y = Affine(*grid.transform[:6]) * (np.array([left, right]), np.array([top, bottom]))
    return shapely.box(x[0], y[1], x[1], y[0])


def star(seed, center, radius, corners=11):
    """A polygon with corners at no round numbers."""
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
    length = radius * rng.uniform(0.3, 1, corners)
    x, y = center[0] + length * np.cos(turn), center[1] + length * np.sin(turn)
    return shapely.Polygon(np.stack([x, y], axis=1))


def burned(shapes, grid, **options):
    """GDAL's own burn."""
    return rasterio.features.rasterize(
        shapes, out_shape=grid.shape, transform=grid.transform, dtype="uint8", **options
    )


# --- labels of another grid ---------------------------------------------------------------------


def test_labels_of_twice_the_pixel_size_lie_under_the_pixels_they_cover():
    ids = random_ids((19, 27))
    labels = RasterLabels(source=array(ids, grid=grid_of(ids.shape, size=2)), classes=CLASSES)
    expected = ids.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)
    window = Window(7, 12, 21, 9)
    np.testing.assert_array_equal(labels.read(GRID, window), expected[7:28, 12:21])


def test_labels_of_half_the_pixel_size_give_their_most_frequent_class():
    ids = random_ids((114, 162))
    fine = array(ids, grid=grid_of(ids.shape, size=1 / 3))
    labels = RasterLabels(source=fine, classes=CLASSES, resampling="mode")
    blocks = ids.reshape(38, 3, 54, 3).swapaxes(1, 2).reshape(38, 54, 9)
    counts = (blocks[..., None] == np.arange(4)).sum(axis=2)
    top = np.sort(counts, axis=2)
    clear = top[..., -1] > top[..., -2]  # where two classes are as frequent, either is right
    got = labels.read(GRID, GRID.whole)
    assert 0.5 < clear.mean() < 1
    np.testing.assert_array_equal(got[clear], counts.argmax(axis=2)[clear])


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32620"])
def test_labels_in_another_crs_lie_where_pyproj_puts_every_pixel_centre(crs):
    there = Transformer.from_crs(UTM, crs, always_xy=True)
    left, top = there.transform(X - 30, Y + 30)
    right, bottom = there.transform(X + 90, Y - 70)
    ids = random_ids((61, 47))
    size = [(right - left) / 47, 0, left, 0, (bottom - top) / 61, top]
    labels = RasterLabels(
        source=array(ids, grid=Grid(crs=crs, transform=size, height=61, width=47)), classes=CLASSES
    )
    row, col = np.indices(GRID.shape) + 0.5
    x, y = there.transform(X + col, Y - row)
    at_col, at_row = ~Affine(*size) * (x, y)
    tie = np.abs(np.stack([at_col, at_row]) - np.round([at_col, at_row])).min(axis=0) < 1e-5
    inside = (at_row >= 0) & (at_row < 61) & (at_col >= 0) & (at_col < 47)
    assert inside.all()
    expected = ids[np.floor(at_row).astype(int), np.floor(at_col).astype(int)]
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole)[~tie], expected[~tie])


def test_pixels_past_the_edge_of_a_label_raster_are_not_known_and_no_class():
    ids = random_ids((20, 30))
    labels = RasterLabels(source=array(ids), classes=CLASSES)  # smaller than GRID
    expected = np.full(GRID.shape, 255)
    expected[:20, :30] = ids
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)
    around = labels.read(GRID, Window(-5, -7, 20, 60))
    np.testing.assert_array_equal(around[5:, 7:37], ids[:15])
    assert (around[:5] == 255).all()
    assert (around[:, :7] == 255).all()
    scene = Scene(id="a", image=array(np.ones(GRID.shape, np.uint8)), labels=labels)
    assert (scene.read(GRID.whole).labels == expected).all()


# --- where polygons lie -------------------------------------------------------------------------


def test_a_polygon_on_pixel_edges_fills_exactly_these_pixels():
    labels = VectorLabels(
        source=polygons(pixel_box(10, 5, 20, 12), c=["roof"]),
        classes=CLASSES,
        class_by="c",
        background=0,
    )
    expected = np.zeros(GRID.shape)
    expected[5:12, 10:20] = 1
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)
    np.testing.assert_array_equal(
        AOI.of(labels.source, GRID).mask(GRID.whole), expected.astype(bool)
    )


def test_polygons_made_from_a_label_map_give_that_map_back(tmp_path):
    ids = random_ids(GRID.shape).repeat(3, axis=0)[: GRID.height]
    shapes = list(rasterio.features.shapes(ids, transform=GRID.transform))
    uri = str(tmp_path / "ids.gpkg")
    gpd.GeoDataFrame(
        {"c": [int(value) for _, value in shapes]},
        geometry=[shapely.geometry.shape(shape) for shape, _ in shapes],
        crs=UTM,
    ).to_file(uri)
    labels = VectorLabels(
        source=FileVectorSource(uri=uri), classes=CLASSES, class_by="c", background=None
    )
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), ids)


@pytest.mark.parametrize("shift", [0.0, 0.4, 0.5, 0.6, 10.4])
def test_corners_within_a_pixel_are_not_rounded(shift):
    shapes = [pixel_box(3 + shift, 2 + shift, 30 + shift, 20.25 + shift)]
    shapes += [star(seed, (X + 5 + 6 * seed + shift, Y - 19.3), 12) for seed in range(8)]
    labels = VectorLabels(source=polygons(*shapes), classes=ClassMap.of("other", "yes"))
    expected = burned(shapes, GRID)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)


# --- windows past the edge ----------------------------------------------------------------------


def test_a_stack_of_mixed_pixel_sizes_keeps_every_pixel_of_a_window_half_outside():
    fine = np.arange(1, 38 * 54 + 1, dtype=np.uint16).reshape(GRID.shape)
    coarse = np.arange(1, 19 * 27 + 1, dtype=np.uint16).reshape(19, 27)
    other = array(coarse, grid=grid_of(coarse.shape, size=2))
    stack = StackSource(sources=(array(fine), other), resampling="nearest")
    chip = stack.read(Window(-10, 34, 20, 40))
    whole = np.stack([fine, coarse.repeat(2, axis=0).repeat(2, axis=1)])
    expected = np.zeros((2, 20, 40), np.uint16)
    expected[:, 10:, :20] = whole[:, :10, 34:]
    np.testing.assert_array_equal(chip.data, expected)
    np.testing.assert_array_equal(chip.valid, expected[0] > 0)
    assert chip.valid.mean() == 0.25


def test_a_resized_window_half_outside_keeps_the_half_that_is_inside():
    image = array(np.full((1, 20, 30), 200, np.uint8))
    labels = RasterLabels(source=array(np.full((20, 30), 2, np.uint8)), classes=CLASSES)
    scene = Scene(id="a", image=image, labels=labels)
    data = RandomWindowGeoDataset([scene], size=(16, 12), length=40, size_range=(40, 64), seed=3)
    seen = 0
    for index in range(len(data)):
        _, window = data.place(index)
        assert window.shape != (16, 12)
        # A pixel of the item is valid where its centre lies on the scene.
        row = window.row + (np.arange(16) + 0.5) * window.height / 16
        col = window.col + (np.arange(12) + 0.5) * window.width / 12
        expected = ((row >= 0) & (row < 20))[:, None] & ((col >= 0) & (col < 30))
        item = data[index]
        np.testing.assert_array_equal(item["valid"], expected)
        np.testing.assert_array_equal(item["mask"], np.where(expected, 2, 255))
        kept = item["image"][0].numpy()
        np.testing.assert_allclose(kept, np.where(expected, 200 / 255, 0), atol=0.005)
        seen += int(not expected.all())
    assert seen == len(data)


# --- numbers of classes -------------------------------------------------------------------------

PALETTE = {0: (0, 0, 0, 255), 3: (255, 0, 0, 255)}


@pytest.fixture
def palette_uri(write_raster):
    ids = np.where(random_ids((19, 27)) > 1, 3, 0).astype(np.uint8)
    uri = write_raster("ids.tif", ids, crs=UTM, transform=Affine(2, 0, X, 0, -2, Y))
    with rasterio.open(uri, "r+") as file:
        file.write_colormap(1, PALETTE)
    return uri


@pytest.mark.parametrize("method", ["exact", "gdal"])
@pytest.mark.parametrize("kernel", ["bilinear", "cubic", "average"])
def test_numbers_of_classes_are_never_interpolated(palette_uri, kernel, method):
    with pytest.raises(GeosegError, match=f'numbers of classes.*"{kernel}".*nearest'):
        WarpedSource(source=palette_uri, onto=GRID, resampling=kernel, method=method).check()


def test_labels_below_a_blending_warp_are_refused():
    blended = WarpedSource(source=array(random_ids((19, 27))), onto=GRID, resampling="bilinear")
    with pytest.raises(ValidationError, match="makes up classes between classes"):
        RasterLabels(source=blended, classes=CLASSES)


@pytest.mark.parametrize("method", ["exact", "gdal"])
def test_a_warped_palette_image_holds_only_the_numbers_of_its_file(palette_uri, method):
    finer = grid_of((113, 160), size=1 / 3, left=X + 0.11, top=Y - 0.07)
    for kernel in ("auto", "nearest", "mode"):
        chip = WarpedSource(source=palette_uri, onto=finer, resampling=kernel, method=method).read(
            Window(0, 0, 100, 150)
        )
        assert set(np.unique(chip.data[0][chip.valid])) == {0, 3}
    with rasterio.open(palette_uri) as file:
        ids = file.read(1)
    labels = RasterLabels(source=palette_uri, classes=CLASSES).read(GRID, GRID.whole)
    np.testing.assert_array_equal(labels, ids.repeat(2, axis=0).repeat(2, axis=1))


# --- one frame ----------------------------------------------------------------------------------


def test_whatever_is_read_on_a_crop_of_a_grid_is_the_window_of_the_whole():
    window = Window(9, 13, 17, 29)
    crop = GRID.crop(window)
    assert crop.bounds == (X + 13, Y - 26, X + 42, Y - 9)
    image = np.random.default_rng(1).integers(1, 255, (2, *GRID.shape)).astype(np.uint8)
    warped = WarpedSource(source=array(image), onto=crop)
    np.testing.assert_array_equal(warped.read(crop.whole).data, image[:, 9:26, 13:42])
    ids = random_ids((19, 27))
    raster = RasterLabels(source=array(ids, grid=grid_of(ids.shape, size=2)), classes=CLASSES)
    stars = [star(seed, (X + 9 * seed, Y - 20), 11) for seed in range(6)]
    vector = VectorLabels(source=polygons(*stars), classes=ClassMap.of("other", "yes"))
    for labels in (raster, vector):
        on_crop = labels.read(crop, crop.whole)
        np.testing.assert_array_equal(on_crop, labels.read(GRID, window))
        np.testing.assert_array_equal(on_crop, labels.read(GRID, GRID.whole)[window.slices])
    inside = AOI.of(vector.source, crop).mask(crop.whole)
    np.testing.assert_array_equal(inside, AOI.of(vector.source, GRID).mask(window))


def test_labels_of_a_cropped_scene_are_written_to_the_place_of_the_crop(tmp_path):
    crop = GRID.crop(Window(9, 13, 17, 29))
    ids = random_ids(crop.shape)
    store = GeoTIFFLabelStore(uri=str(tmp_path / "ids.tif"))
    with store.writer(crop, CLASSES) as writer:
        writer.write(crop.whole, ids)
    with rasterio.open(store.uri) as file:
        assert tuple(file.bounds) == (X + 13, Y - 26, X + 42, Y - 9)
    back = RasterLabels(source=store.uri, classes=CLASSES).read(GRID, GRID.whole)
    expected = np.full(GRID.shape, 255)
    expected[9:26, 13:42] = ids
    np.testing.assert_array_equal(back, expected)


# --- what is remembered -------------------------------------------------------------------------


def test_a_second_call_with_other_arguments_gets_its_own_answer(tmp_path):
    stars = [star(seed, (X + 9 * seed, Y - 20), 11) for seed in range(6)]
    uri = str(tmp_path / "stars.gpkg")
    gpd.GeoDataFrame({"c": [1, 2] * 3}, geometry=stars, crs=UTM).to_file(uri)
    source = FileVectorSource(uri=uri)
    other = grid_of((25, 31), size=1.7, left=X + 3.3, top=Y - 2.2)
    for _ in range(2):  # the second time from memory
        assert source.read(crs="EPSG:4326").crs == "EPSG:4326"
        assert source.read().crs == UTM
        assert len(source.read(bounds=(X, Y - 40, X + 5, Y))) < len(source.read()) == 6
        for grid in (GRID, other):
            for touched in (False, True):
                labels = VectorLabels(
                    source=source,
                    classes=CLASSES,
                    class_by="c",
                    background=0,
                    all_touched=touched,
                )
                expected = burned(zip(stars, [1, 2] * 3, strict=True), grid, all_touched=touched)
                np.testing.assert_array_equal(labels.read(grid, grid.whole), expected)
                part = Window(3, 5, 9, 20)
                np.testing.assert_array_equal(labels.read(grid, part), expected[part.slices])
            mask = AOI.of(source, grid).mask(grid.whole)
            np.testing.assert_array_equal(mask, burned(stars, grid).astype(bool))


def test_nothing_leaks_from_one_scene_to_the_next(tmp_path, write_raster):
    uri = str(tmp_path / "a.gpkg")
    gpd.GeoDataFrame({"c": ["roof"]}, geometry=[pixel_box(1, 2, 9, 8)], crs=UTM).to_file(uri)
    image = write_raster("a.tif", np.ones(GRID.shape, np.uint8), crs=UTM, transform=GRID.transform)
    plain = Scene.of(image, uri, classes=CLASSES, class_by="c")
    first = plain.read(GRID.whole).labels
    rule = InferClass(name_by="c", column="kind")
    for names in (("x", "roof"), ("roof", "y")):
        other = Scene.of(
            image,
            VectorLabels(
                source=FileVectorSource(uri=uri, transforms=(rule,)),
                classes=ClassMap.of(*names),
                class_by="kind",
                background=None,
            ),
            classes=ClassMap.of(*names),
        )
        assert set(np.unique(other.read(GRID.whole).labels)) == {names.index("roof"), 255}
    again = Scene.of(image, uri, classes=CLASSES, class_by="c")
    assert again == plain
    assert FileVectorSource(uri=uri).transforms == GeoTIFFSource(uri=image).transforms == ()
    np.testing.assert_array_equal(again.read(GRID.whole).labels, first)
    with pytest.raises(ValidationError, match="frozen"):
        plain.labels.source.transforms = (rule,)


# --- dtypes and ids -----------------------------------------------------------------------------

PIXELS = {
    "uint16": np.array([0, 1000, 10_000, 65_535], "uint16"),
    "int16": np.array([-32_768, -1, 1000, 32_767], "int16"),
    "float32": np.array([-0.25, 0.0, 1e-6, 12_345.678], "float32"),
}


@pytest.mark.parametrize("dtype", PIXELS)
def test_pixels_keep_their_dtype_and_value_all_the_way_to_the_batch(write_raster, dtype):
    pick = np.random.default_rng(5).integers(0, 4, (3, *GRID.shape))
    image = PIXELS[dtype][pick]
    uri = write_raster("a.tif", image, crs=UTM, transform=GRID.transform)
    file = GeoTIFFSource(uri=uri)
    warped = WarpedSource(source=file, onto=GRID.crop(Window(0, 0, 30, 40)), resampling="nearest")
    stack = StackSource(sources=(file, warped.source))
    for source in (file, warped, stack):
        chip = source.read(Window(2, 3, 16, 24))
        assert chip.data.dtype == source.dtype == dtype
        np.testing.assert_array_equal(chip.data[:3], image[:, 2:18, 3:27])
    scene = Scene(id="a", image=file)
    options = {"normalize": False, "labels": False}
    for data in (
        SlidingWindowGeoDataset([scene], size=16, **options),
        RandomWindowGeoDataset([scene], size=16, length=4, **options),
        RandomWindowGeoDataset([scene], size=16, length=4, size_range=(16, 17), **options),
    ):
        item = data[1]
        assert item["image"].dtype == getattr(torch, dtype)
        row, col = item["row"], item["col"]
        assert item["image"].shape == (3, 16, 16)
        if data.place(1)[1].shape == (16, 16):  # not resized
            assert item["valid"].all()
            np.testing.assert_array_equal(
                item["image"].numpy(), image[:, row : row + 16, col : col + 16]
            )


def test_a_class_id_above_254_is_an_error_that_names_it():
    box = pixel_box(1, 2, 9, 8)
    with pytest.raises(LabelError, match=r"no class: 300 \(1 features\)"):
        VectorLabels(source=polygons(box, c=[300]), classes=CLASSES, class_by="c").read(
            GRID, GRID.whole
        )
    for value in (256, 300, 65_535):
        ids = random_ids(GRID.shape).astype(np.uint16)
        ids[3, 4] = value
        with pytest.raises(LabelError, match=rf"no class: {value} \(1 pixels\)"):
            RasterLabels(source=array(ids), classes=CLASSES).read(GRID, GRID.whole)
    with pytest.raises(ValidationError, match="255"):
        InferClass(default=300)
    with pytest.raises(SourceError, match="no class id: '300'"):
        FrameSource(frame=polygons(box, c=[300]).frame, transforms=(InferClass(id_by="c"),)).read()


# --- windows that are no squares ----------------------------------------------------------------


def test_windows_that_are_no_squares_are_read_as_they_are():
    image = np.random.default_rng(2).integers(1, 255, (2, *GRID.shape)).astype(np.uint8)
    ids = random_ids(GRID.shape)
    scene = Scene(
        id="a", image=array(image), labels=RasterLabels(source=array(ids), classes=CLASSES)
    )
    for size, stride in (((10, 20), (7, 9)), ((20, 10), (9, 7)), ((38, 3), (38, 2))):
        data = SlidingWindowGeoDataset([scene], size=size, stride=stride, normalize=False)
        assert len(data) == len(sliding(GRID, size, stride))
        for index in range(len(data)):
            item = data[index]
            part = np.s_[item["row"] : item["row"] + size[0], item["col"] : item["col"] + size[1]]
            np.testing.assert_array_equal(item["image"], image[:, *part])
            np.testing.assert_array_equal(item["mask"], ids[part])


def test_the_middles_of_windows_that_are_no_squares_make_the_whole_scene():
    shape, size, stride = (38, 54), (20, 40), (10, 7)
    truth = random_ids(shape)
    sums = ScoreAccumulator(shape=shape, classes=4, size=size, stride=stride, blend="center")
    got = np.full(shape, 255, np.uint8)
    rows = []
    for window in sliding(shape, size, stride):
        part = truth[window.slices]
        scores = (part == np.arange(4)[:, None, None]).astype(np.float32)
        if window.row > 0:  # what is near a window's upper edge is wrong, and must not be taken
            scores[:, :4] = scores[::-1, :4]
        if window.col > 0:
            scores[:, :, :3] = scores[::-1, :, :3]
        rows.extend(sums.add(window, scores))
    rows.extend(sums.finish())
    for done in rows:
        got[done.row : done.row + len(done.channels)] = done.channels
    np.testing.assert_array_equal(got, truth)


# --- nodata and statistics ----------------------------------------------------------------------


def test_a_valid_zero_and_nodata_are_two_things(write_raster):
    image = np.random.default_rng(4).integers(0, 3, GRID.shape).astype(np.int16)
    image[:5, :7] = -9999
    uri = write_raster("a.tif", image, crs=UTM, transform=GRID.transform, nodata=-9999)
    labels = RasterLabels(source=array(random_ids(GRID.shape)), classes=CLASSES)
    scene = Scene(id="a", image=uri, labels=labels)
    sample = scene.read(Window(-2, -3, 20, 30))
    known = np.zeros((20, 30), bool)
    known[2:, 3:] = image[:18, :27] != -9999
    np.testing.assert_array_equal(sample.image.valid, known)
    assert (sample.image.data[0][known] == 0).any()
    assert (sample.labels[~known] == 255).all()
    assert (sample.labels[known] < 4).all()
    found = Statistics.of(uri)
    values = image[image != -9999].astype(float)
    assert found.count == values.size
    np.testing.assert_allclose((found.mean[0], found.std[0]), (values.mean(), values.std()))


def test_pixels_are_scaled_by_the_data_set_and_never_by_the_chip():
    ramp = np.linspace(100, 900, 54, dtype=np.float32) * np.ones((38, 1), np.float32)
    other = array(ramp + 100)
    scale = MinMax.of([array(ramp), other])
    source = array(ramp, transforms=(scale,))
    left, right = (source.read(Window(0, col, 38, 30)).data[0] for col in (0, 24))
    np.testing.assert_array_equal(left[:, 24:], right[:, :6])  # where the two windows overlap
    np.testing.assert_allclose(left, (ramp[:, :30] - 100) / 900, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (7, 299), (301, 2), (600, 3)])
def test_statistics_take_rasters_of_any_shape(shape):
    data = np.random.default_rng(6).normal(50, 9, (2, *shape)).astype(np.float32)
    found = Statistics.of(array(data))
    np.testing.assert_allclose(found.mean, data.astype(float).mean(axis=(1, 2)), rtol=1e-9)
    np.testing.assert_allclose(
        found.std, data.astype(float).std(axis=(1, 2)), rtol=1e-7, atol=1e-12
    )


def test_what_a_caller_does_to_a_chip_stays_with_the_caller():
    data = np.random.default_rng(7).integers(0, 9, (1, *GRID.shape)).astype(np.uint8)
    source = array(data)
    before = copy.deepcopy(source.read(GRID.whole))
    chip: Chip = source.read(GRID.whole)
    chip.data[...] = 77
    chip.valid[...] = False
    np.testing.assert_array_equal(source.read(GRID.whole).data, before.data)
    np.testing.assert_array_equal(source.read(GRID.whole).valid, before.valid)
