"""Which kernel and which overview a warp takes, and how near the result is to the truth."""

import gc
import logging
import weakref
from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from rasterio.enums import ColorInterp, Resampling

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.base import RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.stack import StackSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms import MinMax
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

CRS = "EPSG:32619"
SHAPE = (400, 480)
NEXT_ZONE = Grid(crs="EPSG:32618", transform=Affine(1, 0, 1_031_000, 0, -1, 4e6), height=9, width=9)


def onto(pixel, offset=0.3, crs=CRS):
    """Pixels so many times as large as those of `scene`, on a lattice of their own."""
    transform = Affine(pixel, 0, 5e5 + offset, 0, -pixel, 4e6 - offset)
    height, width = (max(int((side - 1) / pixel), 1) for side in SHAPE)
    return Grid(crs=crs, transform=transform, height=height, width=width)


def scene(write_raster, factors=(2, 4, 8, 16), **options):
    """Hills with noise in pixels of 1 m, and overviews that are averages."""
    rng = np.random.default_rng(1)
    rows, cols = np.indices(SHAPE)
    data = 120 + 60 * np.sin(cols / 40) * np.cos(rows / 30) + rng.normal(0, 20, SHAPE)
    data = data.clip(1, 255).astype("uint8")[None]
    uri = write_raster("scene.tif", data, transform=Affine(1, 0, 5e5, 0, -1, 4e6), **options)
    return overviewed(uri, factors), data


def overviewed(uri, factors, kernel=Resampling.average):
    if factors:
        with rasterio.open(uri, "r+") as file:
            file.build_overviews(factors, kernel)
    return uri


class Classes(Transform):
    """Says that what comes out are numbers of classes."""

    type: Literal["warpplan-test-classes"] = "warpplan-test-classes"

    def __call__(self, chip):
        return chip

    def categorical_of(self, categorical):
        return True


@pytest.mark.parametrize(
    ("pixel", "kernel", "overview"),
    [
        (0.3, "bilinear", None), (1.1, "bilinear", None), (1.9, "bilinear", None),
        (2.1, "average", None), (3.9, "average", None), (4.1, "average", 0), (7.9, "average", 0),
        (8.1, "average", 1), (16.01, "average", 2), (31, "average", 2), (33, "average", 3),
        (90, "average", 3),
    ],
)  # fmt: skip
def test_auto_is_bilinear_then_average_from_an_overview_two_to_four_times_finer(
    write_raster, pixel, kernel, overview
):
    uri, _ = scene(write_raster)
    for method in ("exact", "gdal"):
        warped = WarpedSource(source=uri, onto=onto(pixel), method=method)
        plan = warped.plan
        assert (plan.resampling, plan.source.overview) == (kernel, overview)
        assert plan.ratio == pytest.approx(pixel, rel=1e-3)
        assert plan.grid == plan.source.grid
        assert warped.read(Window(0, 0, 4, 4)).valid.all()


def test_the_next_finer_overview_is_read_where_none_is_two_to_four_times_finer(write_raster):
    uri, _ = scene(write_raster, factors=(2, 32))
    plans = [WarpedSource(source=uri, onto=onto(pixel)).plan for pixel in (16, 40, 70)]
    assert [plan.source.overview for plan in plans] == [0, 0, 1]


def test_kernels_that_are_named_read_overviews_of_much_finer_sources(write_raster):
    uri, _ = scene(write_raster)

    def read_from(pixel, **options):
        return WarpedSource(source=uri, onto=onto(pixel), **options).plan.source.overview

    for kernel in ("bilinear", "cubic", "average"):
        assert read_from(3.9, resampling=kernel) is None
        assert read_from(17, resampling=kernel) == 2
        assert read_from(17, resampling=kernel, overviews="none") is None
        assert read_from(17, resampling=kernel, method="gdal") is None
    for kernel in ("nearest", "mode"):
        assert read_from(17, resampling=kernel) is None
    assert read_from(17, overviews="none") is None


def test_the_ratio_is_measured_on_the_ground_and_where_the_two_meet():
    data = np.zeros((200, 300), np.uint8)
    degrees = Grid(
        crs="EPSG:4326", transform=Affine(1e-4, 0, 20, 0, -1e-4, 60), height=200, width=300
    )
    # At 60 degrees a degree of longitude is half as long as one of latitude: 5.57 by 11.1 m.
    world = Grid(
        crs="EPSG:3857", transform=Affine(2e4, 0, -2e7, 0, -2e4, 2e7), height=2000, width=2000
    )
    local = Grid(
        crs="EPSG:32634", transform=Affine(30, 0, 4e5, 0, -30, 6.7e6), height=3000, width=3000
    )
    source = ArraySource(data=data, grid=degrees)
    across, down = 30 / (111_412 * 1e-4 * np.cos(np.radians(60))), 30 / 11.14
    plan = WarpedSource(source=source, onto=local).plan
    assert plan.ratio == pytest.approx(np.sqrt(across * down), rel=0.02)
    # A Mercator pixel of 20 km is 10 km on the ground there.
    assert WarpedSource(source=source, onto=world).plan.ratio == pytest.approx(
        plan.ratio * 10_000 / 30, rel=0.02
    )


def test_auto_is_near_the_true_mean_of_a_source_sixteen_times_finer(write_raster):
    uri, data = scene(write_raster)
    target = onto(16, offset=5)  # off the lattice of the overviews
    height, width = target.shape
    truth = data[0, 5 : 5 + height * 16, 5 : 5 + width * 16]
    truth = truth.reshape(height, 16, width, 16).mean(axis=(1, 3))

    def error(**options):
        chip = WarpedSource(source=uri, onto=target, **options).read(target.whole)
        assert chip.valid.all()
        return np.abs(chip.data[0] - truth).mean()

    assert WarpedSource(source=uri, onto=target).plan.source.overview == 2
    # The noise of the scene is 20 levels. Rounding makes 0.25; the overview is half a pixel off at most.
    assert error(overviews="none") < 0.27
    assert error() < 3.5
    assert error(resampling="nearest") > 15
    assert error(resampling="bilinear", overviews="none") > 7


@pytest.mark.parametrize("offset", [0, 5])
def test_average_at_full_resolution_is_the_block_mean_and_equals_another_way_to_it(
    write_raster, offset
):
    uri, data = scene(write_raster)
    target = onto(16, offset=offset)
    height, width = target.shape
    warped = WarpedSource(source=uri, onto=target, resampling="average", overviews="none")
    blocks = data[0, offset : offset + height * 16, offset : offset + width * 16].astype(float)
    mean = blocks.reshape(height, 16, width, 16).mean(axis=(1, 3))
    np.testing.assert_array_equal(warped.read(target.whole).data[0], np.rint(mean))


@pytest.mark.parametrize("kernel", ["bilinear", "cubic", "average", "auto"])
@pytest.mark.parametrize("how", ["alpha", "nodata", "mask"])
@pytest.mark.parametrize("pixel", [0.7, 3.1, 17.3])
def test_a_white_island_stays_white_at_its_edge(write_raster, how, kernel, pixel):
    valid = np.hypot(*(np.indices(SHAPE) - np.array([[[200]], [[230]]]))) < 170
    data = (valid * 255).astype(np.uint8)[None].repeat(3, axis=0)
    options = {}
    if how == "alpha":
        data = np.concatenate([data, data[:1]])
        colors = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        options["colors"] = colors
    elif how == "nodata":
        options["nodata"] = 0
    else:
        options["mask"] = valid
    place = Affine(1, 0, 5e5, 0, -1, 4e6)
    uri = overviewed(write_raster("island.tif", data, transform=place, **options), (2, 4, 8))
    warped = WarpedSource(source=uri, onto=onto(pixel), resampling=kernel)
    assert (warped.plan.source.overview is not None) == (pixel > 4)
    chip = warped.read(warped.grid.whole if pixel > 1 else Window(20, 60, 300, 300))
    assert 0.3 < chip.valid.mean() < 0.95
    assert np.unique(chip.data[:, chip.valid]).tolist() == [255]


def test_windows_from_an_overview_are_crops_of_the_whole(write_raster):
    uri, _ = scene(write_raster)
    for kernel in ("auto", "bilinear", "cubic"):
        warped = WarpedSource(source=uri, onto=onto(9.3), resampling=kernel)
        whole = warped.read(warped.grid.whole)
        for window in (Window(3, 4, 20, 31), Window(17, 0, 1, 51), Window(-2, 30, 50, 40)):
            part = window.intersection(warped.grid.whole)
            chip = warped.read(part)
            np.testing.assert_array_equal(chip.data, whole.data[(slice(None), *part.slices)])
            np.testing.assert_array_equal(chip.valid, whole.valid[part.slices])


def test_the_choice_is_logged_once_for_a_source_and_grid(write_raster, caplog):
    uri, _ = scene(write_raster)
    with caplog.at_level(logging.INFO, logger="geoseg"):
        for target in (onto(17), onto(17), onto(11)):
            for window in (Window(0, 0, 3, 3), Window(2, 2, 9, 9)):
                WarpedSource(source=uri, onto=target).read(window)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "scene.tif onto grid (EPSG:32619" in texts[0]
    assert ": average from EPSG:32619, 50 x 60 px of 8 x 8;" in texts[0]
    assert texts[0].endswith("is 17 times as fine")


def test_a_warp_keeps_no_array_alive():
    grid = onto(1, offset=0)
    data = np.zeros(grid.shape, np.uint8)
    warped = WarpedSource(source=ArraySource(data=data, grid=grid), onto=onto(1.3))
    warped.read(Window(0, 0, 5, 5))
    seen = weakref.ref(data)
    del data, warped
    gc.collect()
    assert seen() is None


def palette(write_raster, name="classes.tif"):
    ids = np.random.default_rng(3).integers(0, 5, (1, *SHAPE), np.uint8)
    place = Affine(1, 0, 5e5, 0, -1, 4e6)
    uri = write_raster(name, ids, transform=place, colors=[ColorInterp.palette])
    return overviewed(uri, (2, 4, 8), Resampling.mode)


def test_numbers_of_classes_are_never_blended(write_raster):
    uri = palette(write_raster)
    assert GeoTIFFSource(uri=uri).categorical
    for pixel, kernel in ((0.7, "nearest"), (1.9, "nearest"), (2.1, "mode"), (17, "mode")):
        warped = WarpedSource(source=uri, onto=onto(pixel))
        assert warped.categorical
        plan = warped.plan
        assert (plan.resampling, plan.source.overview) == (kernel, None)
    for kernel, method in (("bilinear", "exact"), ("average", "exact"), ("lanczos", "gdal")):
        warped = WarpedSource(source=uri, onto=onto(3), resampling=kernel, method=method)
        text = rf'classes\.tif holds numbers of classes, .*resampling="{kernel}".* use "nearest"'
        with pytest.raises(SourceError, match=text):
            warped.read(Window(0, 0, 2, 2))
        with pytest.raises(SourceError, match=text):
            warped.check()


def test_blending_classes_is_an_error_when_made_where_no_file_must_be_opened_to_know():
    for source in (
        GeoTIFFSource(uri="missing.tif", transforms=(Classes(),)),
        WarpedSource(source="missing.tif", onto=NEXT_ZONE, transforms=(Classes(),)),
        WarpedSource(
            source=GeoTIFFSource(uri="missing.tif", transforms=(Classes(),)), onto=NEXT_ZONE
        ),
    ):
        with pytest.raises(ValidationError, match=r'numbers of classes.*"cubic".*use "nearest"'):
            WarpedSource(source=source, onto=onto(3), resampling="cubic")
        for kernel in ("auto", "nearest", "mode"):
            WarpedSource(source=source, onto=onto(3), resampling=kernel)


def test_auto_does_not_blend_what_its_own_transforms_make_classes_of():
    grid = onto(1, offset=0)
    ids = np.random.default_rng(3).integers(0, 2, (1, *grid.shape), np.uint8) * 200
    source = ArraySource(data=ids, grid=grid)
    warped = WarpedSource(source=source, onto=onto(1.3), transforms=(Classes(),))
    assert warped.plan.resampling == "nearest"
    assert set(np.unique(warped.read(warped.grid.whole).data)) == {0, 200}


def test_a_source_more_than_twice_as_coarse_is_warned_of():
    coarse = onto(7, offset=0)
    source = ArraySource(data=np.zeros(coarse.shape, np.uint8), grid=coarse)
    with pytest.warns(UserWarning, match=r"3\.5 times as coarse as the grid .*use a coarser grid"):
        WarpedSource(source=source, onto=onto(2)).check()
    WarpedSource(source=source, onto=onto(3.6)).check()  # no warning


def test_plan_and_overviews_survive_yaml():
    warped = WarpedSource(source="a.tif", onto=NEXT_ZONE, overviews="none")
    assert warped.resampling == "auto"
    assert RasterSource.from_yaml(warped.to_yaml()) == warped
    with pytest.raises(ValidationError, match="'auto' or 'none'"):
        WarpedSource(source="a.tif", onto=NEXT_ZONE, overviews="some")


def test_a_warped_source_has_no_overviews_of_its_own(write_raster):
    uri, _ = scene(write_raster)
    warped = WarpedSource(source=uri, onto=onto(1.3))
    assert warped.coarser(8) is warped


def test_pixels_that_are_changed_after_stacking_are_changed_at_full_resolution(write_raster):
    uri, data = scene(write_raster)
    plain = StackSource(sources=(uri,))
    assert WarpedSource(source=plain, onto=onto(17)).plan.source != plain
    changed = StackSource(sources=(uri,), transforms=(MinMax(low=(110,), high=(130,)),))
    warped = WarpedSource(source=changed, onto=onto(16, offset=5))
    assert warped.plan.source == changed
    height, width = warped.grid.shape
    part = data[0, 5 : 5 + height * 16, 5 : 5 + width * 16].astype(float)
    mean = ((part - 110) / 20).clip(0, 1).reshape(height, 16, width, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(warped.read(warped.grid.whole).data[0], mean, atol=1e-5)


def test_undeclared_nan_hides_no_more_than_without_overviews(write_raster):
    rng = np.random.default_rng(0)
    data = np.where(rng.random(SHAPE) < 0.5, np.nan, 100).astype("float32")[None]
    uri = write_raster("gaps.tif", data, transform=Affine(1, 0, 5e5, 0, -1, 4e6))
    warped = WarpedSource(source=overviewed(uri, (2, 4, 8)), onto=onto(16.5))
    chip = warped.read(warped.grid.whole)
    assert chip.valid.all()
    assert (chip.data == 100).all()
