from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling

from geoseg.sources.base import Chip
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms import (
    Cast,
    FillNaN,
    Log,
    MinMax,
    Percentile,
    Reclass,
    Standardize,
)
from geoseg.window import Window

PLACE = Affine(10, 0, 500_000, 0, -10, 4_000_000)
SHAPE = (101, 137)


def build(uri, factors=(2, 4, 8), *, kernel=Resampling.average, external=False):
    with (
        rasterio.Env(TIFF_USE_OVR="YES" if external else "NO"),
        rasterio.open(uri, "r+") as file,
    ):
        file.build_overviews(factors, kernel)
    return uri


def ramp(shape=SHAPE):
    """Column and row of each pixel's centre, in two bands."""
    rows, cols = np.indices(shape) + 0.5
    return np.stack([cols, rows]).astype("float32")


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("shape", [(101, 137), (64, 128), (97, 33)])
def test_an_overview_lies_where_the_full_resolution_does(write_raster, shape, external):
    uri = build(write_raster("ramp.tif", ramp(shape)), external=external)
    full = GeoTIFFSource(uri=uri)
    for most, factor in ((2, 2), (3.9, 2), (4, 4), (100, 8)):
        coarse = full.coarser(most)
        height, width = (-(-side // factor) for side in shape)
        assert coarse.grid.shape == (height, width)
        np.testing.assert_allclose(coarse.grid.bounds, full.grid.bounds)
        data = coarse.read(coarse.grid.whole).data
        # What a pixel holds is where its centre lies: GDAL cuts both sides into equal parts.
        cols, rows = (np.arange(n) + 0.5 for n in (width, height))
        assert np.abs(data[0] - cols * shape[1] / width).max() < 0.75
        assert np.abs(data[1] - (rows * shape[0] / height)[:, None]).max() < 0.75
        assert np.abs(data[0] - cols * shape[1] / width).mean() < 0.3


def test_no_overview_is_taken_that_is_too_coarse_or_not_there(write_raster):
    plain = GeoTIFFSource(uri=write_raster("plain.tif", ramp()))
    assert plain.coarser(16) is plain
    full = GeoTIFFSource(uri=build(write_raster("ramp.tif", ramp()), factors=(4, 8)))
    assert [full.coarser(most).overview for most in (0.5, 1, 2, 3.9, 4, 7.9, 8, 99)] == [
        None, None, None, None, 0, 0, 1, 1,
    ]  # fmt: skip
    coarse = full.coarser(4)
    assert coarse.coarser(2) is coarse


def test_an_overview_has_the_names_and_bands_of_the_full_resolution(write_raster):
    data = np.random.default_rng(0).integers(1, 255, (4, *SHAPE), np.uint8)
    data[3, :30] = 0
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    names = ("red", "green", "blue", "nir")
    uri = build(write_raster("rgbn.tif", data, descriptions=names, colors=colors))
    coarse = GeoTIFFSource(uri=uri, bands=("nir", "red")).coarser(2)
    assert coarse.band_names == ("nir", "red")
    everything = GeoTIFFSource(uri=uri).coarser(2)
    assert everything.band_names == names
    chip = everything.read(everything.grid.whole)
    assert chip.valid.all()
    np.testing.assert_array_equal(coarse.read(coarse.grid.whole).data, chip.data[[3, 0]])


def island(write_raster, how, external=False):
    """White in a rectangle, not valid and black around it."""
    data = np.zeros((1, *SHAPE), np.uint8)
    valid = np.zeros(SHAPE, bool)
    valid[31:70, 33:91] = True
    data[:, valid] = 255
    options = {}
    if how == "alpha":
        data = np.concatenate([data] * 3 + [valid[None] * np.uint8(255)])
        options = {"photometric": "rgb", "alpha": "yes"}
    elif how == "nodata":
        options = {"nodata": 0}
    elif how == "mask":
        options = {"mask": valid}
    return build(write_raster("island.tif", data, **options), external=external), valid


@pytest.mark.parametrize("how", ["alpha", "nodata", "mask"])
def test_what_is_not_valid_darkens_no_overview(write_raster, how):
    uri, valid = island(write_raster, how)
    for most in (2, 4):
        coarse = GeoTIFFSource(uri=uri).coarser(most)
        assert coarse.overview is not None
        chip = coarse.read(coarse.grid.whole)
        # A pixel is valid where one that it covers is.
        assert valid.mean() < chip.valid.mean() < 1.4 * valid.mean()
        assert np.unique(chip.data[:, chip.valid]).tolist() == [255]


def test_overviews_without_the_mask_are_not_read(write_raster, tmp_path):
    valid = np.indices(SHAPE)[0] > 40
    data = np.where(valid, 200, 0).astype(np.uint8)[None]
    for internal in (True, False):
        uri = build(write_raster("late.tif", data))
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(uri, "r+") as file:
            file.write_mask(valid)
        source = GeoTIFFSource(uri=uri)
        assert (tmp_path / "late.tif.msk").exists() != internal
        np.testing.assert_array_equal(source.read(source.grid.whole).valid, valid)
        assert source.coarser(4) is source
    outside = GeoTIFFSource(uri=island(write_raster, "mask", external=True)[0])
    assert outside.coarser(4) is outside  # the mask in the file has no overviews outside of it


def test_a_mask_beside_the_file_may_have_overviews(write_raster):
    uri = write_raster("beside.tif", np.where(np.indices(SHAPE)[0] > 40, 200, 0).astype(np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(uri, "r+") as file:
        file.write_mask(np.indices(SHAPE)[0] > 40)
    coarse = GeoTIFFSource(uri=build(uri)).coarser(4)
    assert coarse.overview == 1
    chip = coarse.read(coarse.grid.whole)
    assert 0.5 < chip.valid.mean() < 0.65
    assert np.unique(chip.data[0][chip.valid]).tolist() == [200]


def test_overviews_made_with_another_nodata_are_not_read(write_raster):
    data = np.where(np.indices(SHAPE)[1] % 3, 100, 7).astype(np.uint8)[None]
    plain = build(write_raster("plain.tif", data))
    asked = GeoTIFFSource(uri=plain, nodata=7)
    assert asked.coarser(4) is asked
    assert GeoTIFFSource(uri=plain).coarser(4).overview == 1
    tagged = build(write_raster("tagged.tif", data, nodata=7))
    coarse = GeoTIFFSource(uri=tagged, nodata=7).coarser(4)
    assert np.unique(coarse.read(coarse.grid.whole).data).tolist() == [100]


@pytest.mark.parametrize("hidden", [None, "alone", "nodata"])
def test_overviews_in_which_undeclared_nan_has_spread_are_not_read(write_raster, hidden, caplog):
    data = ramp()[:1]
    data[0, 50, 60] = np.nan
    options = {None: {}, "alone": {"nodata": float("nan")}, "nodata": {"nodata": -9}}[hidden]
    uri = build(write_raster("gaps.tif", data, **options))
    with rasterio.open(uri, OVERVIEW_LEVEL=2) as file:
        spread = np.isnan(file.read()).any()
    source = GeoTIFFSource(uri=uri)
    with caplog.at_level("INFO", "geoseg"):
        coarse = source.coarser(4)
    assert spread == (coarse is source) == (hidden != "alone")
    assert ("NaN or infinity has spread" in caplog.text) == spread


def test_overviews_of_floats_without_nan_or_hidden_by_a_mask_are_read(write_raster):
    data = ramp()
    assert GeoTIFFSource(uri=build(write_raster("whole.tif", data))).coarser(4).overview == 1
    valid = np.indices(SHAPE)[0] > 40
    data[:, ~valid] = np.nan
    uri = build(write_raster("masked.tif", data, mask=valid))
    coarse = GeoTIFFSource(uri=uri).coarser(4)
    assert coarse.overview == 1
    found = coarse.read(coarse.grid.whole).valid
    assert 0.5 < found.mean() < 0.65
    data[0, 60, 30] = np.inf
    uri = build(write_raster("infinite.tif", data, mask=valid))
    assert GeoTIFFSource(uri=uri).coarser(4).overview is None


def test_each_band_with_a_nodata_is_averaged_where_it_is_measured(write_raster):
    data = np.full((2, 64, 96), 100, np.uint8)
    data[0, :, 1::2], data[1, ::2] = 0, 0  # holes that differ
    uri = build(write_raster("holes.tif", data, nodata=0))
    coarse = GeoTIFFSource(uri=uri).coarser(4)
    chip = coarse.read(coarse.grid.whole)
    assert coarse.overview is not None
    assert chip.valid.all()
    assert (chip.data == 100).all()  # no band's holes darken it


class Halved(Transform):
    type: Literal["overviews-test-halved"] = "overviews-test-halved"
    linear: bool

    def __call__(self, chip):
        return Chip(chip.data / 2, chip.valid)

    @property
    def keeps_means(self):
        return self.linear


def test_only_transforms_that_keep_means_are_done_to_an_overview(write_raster):
    uri = build(write_raster("ramp.tif", ramp((96, 128))[:1]))
    standard = Standardize(mean=(3.0,), std=(2.0,))
    others = (
        FillNaN(value=0),
        Cast(dtype="uint8", on_overflow="clip", on_fraction="round"),
        MinMax(low=(1.0,), high=(2.0,)),
        Percentile(low=(1.0,), high=(2.0,)),
        Log(),
        Reclass(mapping={1: 2}, default=0),
        Halved(linear=False),
    )
    for transforms in ((standard,), (Halved(linear=True), standard)):
        assert GeoTIFFSource(uri=uri, transforms=transforms).coarser(4).overview == 1
    for other in others:
        for transforms in ((other,), (standard, other)):
            source = GeoTIFFSource(uri=uri, transforms=transforms)
            assert source.coarser(4) is source
    full = GeoTIFFSource(uri=uri, transforms=(standard,))
    coarse = full.coarser(2)
    block = full.read(Window(0, 0, 96, 128)).data.reshape(48, 2, 64, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse.read(Window(0, 0, 48, 64)).data[0], block, atol=1e-5)


def mosaic(write_raster, width, factors=((2, 4), (2, 4))):
    places = [PLACE, PLACE @ Affine.translation(width, 0)]
    return GeoTIFFSource(
        uri=tuple(
            build(
                write_raster(f"{i}.tif", ramp((40, width)) + 100 * i, transform=place), factors[i]
            )
            for i, place in enumerate(places)
        )
    )


def test_a_mosaic_has_the_overviews_that_all_files_share_and_fit(write_raster):
    coarse = mosaic(write_raster, 48).coarser(4)
    assert coarse.overview == 1
    assert coarse.grid.shape == (10, 24)
    data = coarse.read(coarse.grid.whole).data
    np.testing.assert_allclose(data[0, 0, :12], np.arange(12) * 4 + 2)
    np.testing.assert_allclose(data[0, 0, 12:], np.arange(12) * 4 + 102)
    some = mosaic(write_raster, 50)  # 50 is no multiple of 4
    assert some.coarser(4).overview == 0
    for odd in (mosaic(write_raster, 47), mosaic(write_raster, 48, ((2, 4), (2,)))):
        assert odd.coarser(4) is odd
