import pickle
from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from pyproj import Transformer

from geoseg.classes import ClassMap
from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.stack import StackSource
from geoseg.sources.timestack import TimeStackSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms import Reclass
from geoseg.sources.warp import WarpedSource
from geoseg.spec import uris_of
from geoseg.window import Window

TARGET = Affine(10, 0, 300_000, 0, -10, 4_100_000)
# In the next UTM zone, over the middle of the target, a little turned against it.
ZONE18 = Affine(9, 0, 833_900, 0, -9, 4_104_300)
RNG = np.random.default_rng(5)


class Twice(Transform):
    type: Literal["test-stack-twice"] = "test-stack-twice"

    @property
    def keeps_means(self):
        return True

    def __call__(self, chip):
        return Chip(chip.data * 2, chip.valid)


def numbers(shape, dtype):
    if np.issubdtype(dtype, np.floating):
        return RNG.normal(size=shape).astype(dtype)
    return RNG.integers(0, 250, shape).astype(dtype)


def nearest_by_pyproj(array, transform, crs, grid):
    """(data, valid): the source pixel under each pixel centre of a grid."""
    rows, cols = np.indices(grid.shape) + 0.5
    t = grid.transform
    x, y = t.a * cols + t.c, t.e * rows + t.f
    there = Transformer.from_crs(grid.crs.to_string(), crs, always_xy=True).transform(x, y)
    inverse = ~transform
    col = np.floor(inverse.a * there[0] + inverse.c).astype(int)
    row = np.floor(inverse.e * there[1] + inverse.f).astype(int)
    height, width = array.shape[-2:]
    valid = (row >= 0) & (col >= 0) & (row < height) & (col < width)
    data = array[..., row.clip(0, height - 1), col.clip(0, width - 1)]
    return data, valid


def test_bands_of_another_zone_and_resolution_lie_where_pyproj_says(write_raster):
    image = numbers((3, 131, 187), np.uint8)
    terrain = numbers((1, 160, 210), np.float32)
    coarse = numbers((2, 47, 61), np.int16)
    coarse_at = Affine(30, 0, 300_123, 0, -30, 4_100_071)
    stack = StackSource(
        sources=(
            write_raster("image.tif", image, transform=TARGET),
            write_raster("terrain.tif", terrain, transform=ZONE18, crs="EPSG:32618"),
            write_raster("coarse.tif", coarse, transform=coarse_at),
        ),
        resampling="nearest",
    )
    chip = stack.read(stack.grid.whole)

    assert stack.grid == Grid.of(stack.sources[0].uri)
    assert chip.data.shape == (6, 131, 187)
    assert chip.data.dtype == stack.dtype == np.float32
    np.testing.assert_array_equal(chip.data[:3], image)
    far, far_valid = nearest_by_pyproj(terrain, ZONE18, "EPSG:32618", stack.grid)
    near, near_valid = nearest_by_pyproj(coarse, coarse_at, "EPSG:32619", stack.grid)
    valid = far_valid & near_valid
    assert 0.2 < valid.mean() < 0.95
    np.testing.assert_array_equal(chip.valid, valid)
    np.testing.assert_array_equal(chip.data[3][valid], far[0][valid])
    np.testing.assert_array_equal(chip.data[4:][:, valid], near[:, valid])


def test_any_source_may_give_the_grid(write_raster):
    fine = numbers((1, 40, 50), np.uint8)
    coarse = numbers((1, 9, 14), np.uint8)
    uris = (
        write_raster("fine.tif", fine, transform=TARGET),
        write_raster("coarse.tif", coarse, transform=TARGET @ Affine.scale(5)),
    )
    stack = StackSource(sources=uris, like=1, resampling="average")
    chip = stack.read(stack.grid.whole)

    assert stack.grid.shape == (9, 14)
    means = fine[0].reshape(8, 5, 10, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(chip.data[0, :8, :10], means, atol=0.51)
    np.testing.assert_array_equal(chip.data[1], coarse[0])
    np.testing.assert_array_equal(chip.valid, np.pad(np.ones((8, 10), bool), ((0, 1), (0, 4))))


def test_aligned_sources_of_different_extent_are_read_as_they_are(write_raster):
    left, right = numbers((2, 21, 33), np.uint16), numbers((1, 25, 19), np.uint16)
    stack = StackSource(
        sources=(
            write_raster("left.tif", left, transform=TARGET),
            write_raster("right.tif", right, transform=TARGET @ Affine.translation(20, -3)),
        ),
        resampling="cubic",
    )
    chip = stack.read(Window(1, 17, 15, 12))

    valid = np.zeros((15, 12), bool)
    valid[:, 3:] = True
    np.testing.assert_array_equal(chip.valid, valid)
    np.testing.assert_array_equal(chip.data[:2], left[:, 1:16, 17:29])
    np.testing.assert_array_equal(chip.data[2, :, 3:], right[0, 4:19, 0:9])


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("uint8", "uint8"), "uint8"),
        (("uint8", "int16"), "int16"),
        (("int16", "uint16"), "int32"),
        (("uint16", "float32"), "float32"),
        (("int32", "float32"), "float64"),
    ],
)
def test_the_dtype_holds_the_numbers_of_all(dtypes, expected):
    limits = [np.iinfo(d).max if np.dtype(d).kind in "iu" else 1e30 for d in dtypes]
    arrays = [np.full((1, 3, 5), top, dtype) for top, dtype in zip(limits, dtypes, strict=True)]
    stack = StackSource(sources=[ArraySource(data=array) for array in arrays])
    chip = stack.read(Window(-1, 0, 4, 5))

    assert stack.dtype == chip.data.dtype == np.dtype(expected)
    for band, array in zip(chip.data, arrays, strict=True):
        np.testing.assert_array_equal(band[1:], array[0])


def test_a_pixel_that_one_source_lacks_is_not_valid(write_raster):
    image = numbers((2, 13, 17), np.uint8) + 1
    heights = np.ones((1, 13, 17), np.int16)
    heights[0, 4:6, 7:11] = -9999
    image[1, 2, 3] = 0
    stack = StackSource(
        sources=(
            write_raster("image.tif", image, nodata=0),
            write_raster("heights.tif", heights, nodata=-9999),
        )
    )
    expected = np.ones((13, 17), bool)
    expected[4:6, 7:11] = expected[2, 3] = False

    np.testing.assert_array_equal(stack.read(stack.grid.whole).valid, expected)


@pytest.mark.parametrize("scale", [1, 0.5, 2, 3])
def test_of_a_window_half_over_the_corner_a_quarter_is_kept(write_raster, scale):
    image = np.full((1, 31, 45), 7, np.uint8)
    shape = (round(31 / scale) + 1, round(45 / scale) + 1)
    other = np.full((1, *shape), 9, np.uint8)
    stack = StackSource(
        sources=(
            write_raster("image.tif", image, transform=TARGET),
            write_raster("other.tif", other, transform=TARGET @ Affine.scale(scale)),
        )
    )
    expected = np.zeros((16, 20), bool)
    expected[:8, :10] = True
    chip = stack.read(Window(23, 35, 16, 20))

    np.testing.assert_array_equal(chip.valid, expected)
    np.testing.assert_array_equal(chip.data, np.stack([expected * 7, expected * 9]))


def test_a_window_equals_the_crop_of_the_whole(write_raster):
    stack = StackSource(
        sources=(
            write_raster("a.tif", numbers((2, 83, 97), np.uint8), transform=TARGET),
            write_raster(
                "b.tif", numbers((1, 160, 210), np.uint8), transform=ZONE18, crs="EPSG:32618"
            ),
        )
    )
    whole = stack.read(stack.grid.whole)
    for window in (Window(0, 0, 83, 5), Window(40, 30, 17, 31), Window(82, 96, 1, 1)):
        chip = stack.read(window)
        np.testing.assert_array_equal(chip.valid, whole.valid[window.slices])
        apart = np.abs(chip.data.astype(int) - whole.data[(slice(None), *window.slices)])
        assert apart[:, chip.valid].max(initial=0) <= 1
    rows = np.concatenate(
        [chip.data[:, :9].copy() for _, chip in stack.iter_rows(9, 9, edge="drop")], 1
    )
    np.testing.assert_allclose(rows[:2], whole.data[:2, : rows.shape[1]])


def test_numbers_of_classes_are_never_blended(write_raster):
    image = numbers((1, 40, 52), np.uint8)
    classes = (RNG.random((1, 13, 18)) > 0.5).astype(np.uint8) * 3
    uri = write_raster(
        "classes.tif", classes, transform=TARGET @ Affine.scale(3), photometric="palette"
    )
    with rasterio.open(uri, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0, 255), 3: (255, 0, 0, 255)})
    for kernel in ("auto", "cubic", "bilinear"):
        stack = StackSource(
            sources=(write_raster("image.tif", image, transform=TARGET), uri), resampling=kernel
        )
        chip = stack.read(stack.grid.whole)
        assert set(np.unique(chip.data[1])) == {0, 3}
        assert stack.categorical
        assert not stack.wholly_categorical
    assert StackSource(sources=(uri, uri)).wholly_categorical


@pytest.mark.parametrize("finer", [0.4, 1.0, 3.0])
def test_a_stack_of_an_image_and_classes_is_not_blended_as_a_whole_either(finer):
    classes = (RNG.random((1, 40, 52)) > 0.5).astype(np.uint8) * 9
    grid = Grid(crs="EPSG:32619", transform=TARGET, height=40, width=52)
    classified = ArraySource(data=classes, grid=grid, transforms=(Reclass(mapping={0: 0, 9: 9}),))
    stack = StackSource(
        sources=(ArraySource(data=numbers((2, 40, 52), np.uint8), grid=grid), classified)
    )
    place = TARGET @ Affine.translation(3.3, 2.6) @ Affine.scale(finer)
    onto = Grid(crs="EPSG:32619", transform=place, height=11, width=12)
    for source in (stack, TimeStackSource(sources=(stack,), times=("2020-01-01",))):
        warped = WarpedSource(source=source, onto=onto)
        chip = warped.read(onto.whole)
        assert warped.plan.resampling == "nearest"
        assert set(np.unique(chip.data[2][chip.valid])) == {0, 9}
        with pytest.raises(SourceError, match="numbers of classes"):
            WarpedSource(source=source, onto=onto, resampling="bilinear").check()


def test_labels_from_a_stack_that_may_blend_are_refused():
    mask = ArraySource(data=np.ones((5, 6), np.uint8), grid=Grid(height=5, width=6))
    blended = WarpedSource(source=mask, onto=Grid(height=7, width=9), resampling="bilinear")
    kept = WarpedSource(source=mask, onto=Grid(height=7, width=9), resampling="nearest")
    classes = ClassMap.of("a", "b")
    for make in (
        lambda source: StackSource(sources=(source,)),
        lambda source: TimeStackSource(sources=(source,), times=("2020-01-01",)),
        lambda source: StackSource(sources=(StackSource(sources=(source,)),)),
    ):
        assert (RasterLabels(source=make(kept), classes=classes).source.grid.shape) == (7, 9)
        with pytest.raises(ValidationError, match="makes up classes"):
            RasterLabels(source=make(blended), classes=classes)
    store = LMDBSource(uri="store", key="a", size=9, resampling="bilinear")
    with pytest.raises(ValidationError, match="LMDBSource with resampling='bilinear'"):
        RasterLabels(source=store, classes=classes)


def test_each_source_may_have_its_own_kernel(write_raster):
    image = numbers((1, 30, 40), np.float32)
    coarse = numbers((1, 10, 14), np.float32)
    at = TARGET @ Affine.scale(3)
    sources = (
        write_raster("image.tif", image, transform=TARGET),
        write_raster("one.tif", coarse, transform=at),
        write_raster("two.tif", coarse, transform=at),
    )
    chip = StackSource(sources=sources, resampling=("auto", "nearest", "bilinear")).read(
        Window(0, 0, 30, 40)
    )
    whole = coarse[0].repeat(3, axis=0).repeat(3, axis=1)[:30, :40]

    np.testing.assert_array_equal(chip.data[1], whole)
    assert (chip.data[2] != whole).mean() > 0.5
    np.testing.assert_allclose(chip.data[2][1::3, 1::3], coarse[0, :, :13], atol=1e-6)


def test_band_names_are_kept_and_told_apart(write_raster):
    def named(path, *names):
        array = np.ones((len(names), 3, 5), np.uint8)
        return write_raster(path, array, descriptions=names)

    colour = named("colour.tif", "red", "nir")
    assert StackSource(sources=(colour, named("dem.tif", "height"))).band_names == (
        "red",
        "nir",
        "height",
    )
    assert StackSource(sources=(colour, GeoTIFFSource(uri=colour, bands=("red",)))).band_names == (
        "0/red",
        "nir",
        "1/red",
    )
    bare = write_raster("bare.tif", np.ones((2, 3, 5), np.uint8))
    assert StackSource(sources=(bare, bare)).band_names == ("1", "2", "3", "4")
    renamed = StackSource(sources=(bare, colour), band_names=("a", "b", "c", "d"))
    assert renamed.band_names == ("a", "b", "c", "d")
    with pytest.raises(SourceError, match=r"bare\.tif and others: 1 band names \(a\).* 4 bands"):
        StackSource(sources=(bare, colour), band_names=("a",)).check()


def test_transforms_are_done_to_the_stack():
    stack = StackSource(
        sources=[ArraySource(data=np.full((1, 3, 5), n, np.uint8)) for n in (4, 5)],
        transforms=(Twice(),),
    )
    chip = stack.read(Window(0, 3, 3, 4))

    np.testing.assert_array_equal(chip.data[:, :, 0].T, [[8, 10]] * 3)
    assert not chip.data[..., 2:].any()


def test_the_overview_of_a_stack_is_that_of_its_files(write_raster):
    arrays = [numbers((1, 64, 96), np.uint8) for _ in range(2)]
    uris = [write_raster(f"{i}.tif", array, transform=TARGET) for i, array in enumerate(arrays)]
    other = write_raster(
        "other.tif", numbers((1, 70, 90), np.uint8), transform=ZONE18, crs="EPSG:32618"
    )
    for uri in uris:
        with rasterio.open(uri, "r+") as file:
            file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    stack = StackSource(sources=(*uris, other), transforms=(Twice(),))
    coarse = stack.coarser(4)
    chip = coarse.read(coarse.grid.whole)

    assert coarse.grid.shape == (16, 24)
    assert coarse.band_names == stack.band_names
    for i, uri in enumerate(uris):
        with rasterio.open(uri, OVERVIEW_LEVEL=1) as file:
            np.testing.assert_array_equal(chip.data[i], file.read(1) * 2)
    assert stack.coarser(1.5) is stack
    assert StackSource(sources=(other, *uris)).coarser(4).grid.shape == (70, 90)


def test_a_stack_can_be_warped_and_stacked_again():
    grid = Grid(crs="EPSG:32619", transform=TARGET, height=20, width=30)
    one = StackSource(
        sources=[ArraySource(data=np.full((1, 20, 30), n, np.uint8), grid=grid) for n in (1, 2)]
    )
    onto = Grid(crs="EPSG:32619", transform=TARGET @ Affine.scale(2), height=10, width=15)
    both = StackSource(sources=(WarpedSource(source=one, onto=onto), one))
    chip = both.read(both.grid.whole)

    assert chip.valid.all()
    np.testing.assert_array_equal(chip.data[:, 3, 4], [1, 2, 1, 2])
    assert both.band_names == ("1", "2", "3", "4")


def test_what_does_not_fit_is_an_error_when_made():
    for like in (2, -1):
        with pytest.raises(
            ValidationError, match=rf"like is {like}, expected .* one of the 2 sources"
        ):
            StackSource(sources=("a.tif", "b.tif"), like=like)
    with pytest.raises(ValidationError, match="a stack without sources"):
        StackSource(sources=())
    with pytest.raises(ValidationError, match=r"no resampling 'bicubic', expected one of: auto, "):
        StackSource(sources=("a.tif",), resampling="bicubic")
    with pytest.raises(ValidationError, match="1 resamplings for 2 sources"):
        StackSource(sources=("a.tif", "b.tif"), resampling=("nearest",))
    with pytest.raises(ValidationError, match=r"band names \(a, a\) repeat"):
        StackSource(sources=("a.tif",), band_names=("a", "a"))


def test_check_looks_at_every_source(write_raster, tmp_path):
    here = write_raster("here.tif", np.ones((1, 13, 17), np.uint8), transform=TARGET)
    far = write_raster(
        "far.tif", np.ones((1, 13, 17), np.uint8), transform=TARGET @ Affine.translation(17, 0)
    )
    bare = write_raster("bare.tif", np.ones((1, 13, 17), np.uint8), crs=None)

    StackSource(sources=(here, here)).check()
    with pytest.raises(
        GridError, match=r"sources\.1 of a stack \(.*far\.tif: .* outside the stack's"
    ):
        StackSource(sources=(here, far)).check()
    with pytest.raises(SourceError, match=r"gone\.tif: no such file"):
        StackSource(sources=(here, str(tmp_path / "gone.tif"))).check()
    with pytest.raises(GridError, match=r"bare\.tif onto .*no CRS"):
        StackSource(sources=(here, bare)).check()


def test_yaml_pickle_and_files_within(write_raster, tmp_path):
    write_raster("a.tif", numbers((2, 5, 7), np.uint8))
    write_raster("b.tif", numbers((1, 5, 7), np.int16))
    path = tmp_path / "stack.yaml"
    path.write_text(
        "type: stack\nsources: [a.tif, {type: warped, source: b.tif, onto: a.tif}]\n"
        "resampling: [auto, cubic]"
    )
    stack = RasterSource.from_yaml(path)
    again = pickle.loads(pickle.dumps(stack))

    assert uris_of(stack) == tuple(str(tmp_path / name) for name in ("a.tif", "b.tif", "a.tif"))
    assert RasterSource.from_yaml(stack.to_yaml()) == again == stack
    assert hash(again) == hash(stack)
    np.testing.assert_array_equal(
        again.read(Window(1, 2, 5, 3)).data, stack.read(Window(1, 2, 5, 3)).data
    )
