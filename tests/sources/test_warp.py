import pickle

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.base import RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

TARGET = Grid(
    crs="EPSG:32619", transform=Affine(10, 0, 300_000, 0, -10, 4_100_000), height=150, width=190
)
# In the next UTM zone, over the middle of the target.
SOURCE = Grid(
    crs="EPSG:32618", transform=Affine(9, 0, 833_900, 0, -9, 4_104_300), height=160, width=210
)


def test_aligned_grids_give_the_pixels_themselves():
    data = np.arange(40 * 50, dtype=np.uint16).reshape(1, 40, 50) * 30
    grid = Grid(
        crs="EPSG:32619", transform=Affine(10, 0, 500_000, 0, -10, 4e6), height=40, width=50
    )
    target = grid.crop(Window(-3, 7, 20, 60))
    for kernel in ("cubic", "nearest", "average"):
        chip = WarpedSource(
            source=ArraySource(data=data, grid=grid), onto=target, resampling=kernel
        ).read(Window(2, -4, 12, 30))
        expected = np.zeros((12, 30), np.uint16)
        expected[1:, 4:] = data[0, :11, 7:33]
        np.testing.assert_array_equal(chip.data[0], expected)
        np.testing.assert_array_equal(chip.valid, (np.indices((12, 30)) >= [[[1]], [[4]]]).all(0))


@pytest.mark.parametrize("method", ["exact", "gdal"])
def test_the_window_is_filled_past_the_target_even_where_the_source_goes_on(method):
    source = ArraySource(data=np.full((2, *SOURCE.shape), 9, np.int16), grid=SOURCE)
    small = TARGET.crop(Window(50, 60, 30, 20))
    chip = WarpedSource(source=source, onto=small, method=method).read(Window(-4, -5, 40, 30))
    expected = np.zeros((40, 30), bool)
    expected[4:34, 5:25] = True
    np.testing.assert_array_equal(chip.valid, expected)
    np.testing.assert_array_equal(chip.data, np.stack([expected * 9] * 2))


@pytest.mark.parametrize("method", ["exact", "gdal"])
@pytest.mark.parametrize("kernel", ["bilinear", "cubic", "average"])
def test_nodata_leaves_no_halo(kernel, method):
    data = np.full((1, *SOURCE.shape), 200, np.uint8)
    valid = np.ones(SOURCE.shape, bool)
    valid[40:90, 50:120] = False
    data[:, ~valid] = 0
    source = ArraySource(data=data, valid=valid, grid=SOURCE)
    warped = WarpedSource(source=source, onto=TARGET, resampling=kernel, method=method)
    chip = warped.read(TARGET.whole)
    assert 0.1 < chip.valid.mean() < 0.9
    assert set(np.unique(chip.data[0][chip.valid])) == {200}


def test_a_source_far_away_gives_nothing_and_is_warned_of():
    grid = Grid(crs="EPSG:4326", transform=Affine(1e-4, 0, 10, 0, -1e-4, 50), height=30, width=40)
    source = ArraySource(data=np.ones((2, 30, 40), np.int16), grid=grid)
    warped = WarpedSource(source=source, onto=TARGET)
    chip = warped.read(Window(10, 10, 20, 30))
    assert chip.data.shape == (2, 20, 30)
    assert not chip.data.any()
    assert not chip.valid.any()
    with pytest.warns(UserWarning, match="does not touch the grid it is warped onto"):
        warped.check()


def test_two_grids_without_a_crs_are_warped_by_their_transforms():
    data = np.arange(48, dtype=np.uint8).reshape(1, 6, 8)
    target = Grid(transform=Affine(0.5, 0, 0, 0, 0.5, 0), height=12, width=16)
    for method in ("exact", "gdal"):
        warped = WarpedSource(
            source=ArraySource(data=data), onto=target, resampling="nearest", method=method
        )
        expected = data[0].repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(warped.read(target.whole).data[0], expected)


@pytest.mark.parametrize("method", ["exact", "gdal"])
def test_a_missing_crs_is_an_error_that_names_the_file(tmp_path, method):
    path = tmp_path / "scan.tif"
    profile = {"driver": "GTiff", "height": 5, "width": 6, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, transform=Affine(2, 0, 7, 0, -2, 9)) as file:
        file.write(np.ones((1, 5, 6), np.uint8))
    warped = WarpedSource(source=str(path), onto=TARGET, method=method)
    with pytest.raises(GridError, match=r"scan\.tif onto .*source grid has no CRS.*give the file"):
        warped.read(TARGET.whole)
    with pytest.raises(GridError, match=r"scan\.tif onto .*no CRS"):
        warped.check()


ONTO = {
    "grid": TARGET,
    "file": GeoTIFFSource(uri="grid.tif"),
    "warped": WarpedSource(source="a.tif", onto=TARGET),
}


@pytest.mark.parametrize("onto", ONTO.values(), ids=ONTO)
def test_yaml_and_pickle_give_an_equal_value(onto):
    warped = WarpedSource(source="image.tif", onto=onto, resampling="lanczos", method="gdal")
    for again in (
        RasterSource.from_yaml(warped.to_yaml()),
        pickle.loads(pickle.dumps(warped)),
        WarpedSource.model_validate(warped.model_dump()),
    ):
        assert again == warped
        assert hash(again) == hash(warped)
        assert type(again.onto) is type(onto)


def test_text_stands_for_a_file_on_both_sides(tmp_path):
    path, data = tmp_path / "image.tif", np.arange(48, dtype=np.uint8).reshape(2, 4, 6)
    grid = {"crs": TARGET.crs, "transform": TARGET.transform, "height": 4, "width": 6}
    with rasterio.open(path, "w", driver="GTiff", count=2, dtype="uint8", **grid) as file:
        file.write(data)
    text = f"type: warped\nsource: {path}\nonto: {path}\nresampling: Nearest\n"
    warped = RasterSource.from_yaml(text)
    assert warped == WarpedSource(
        source=GeoTIFFSource(uri=str(path)), onto=GeoTIFFSource(uri=str(path)), resampling="nearest"
    )
    np.testing.assert_array_equal(warped.read(warped.grid.whole).data, data)
    assert (warped.dtype, warped.band_names) == (np.uint8, ("1", "2"))
    warped.check()


def test_a_wrong_kernel_or_target_is_an_error_when_made():
    with pytest.raises(
        ValidationError, match=r"unknown resampling 'bicubic', expected one of: auto, nearest, "
    ):
        WarpedSource(source="a.tif", onto=TARGET, resampling="bicubic", method="gdal")
    with pytest.raises(ValidationError, match=r"no resampling 'lanczos'.*mode; .*\"gdal\""):
        WarpedSource(source="a.tif", onto=TARGET, resampling="lanczos")
    with pytest.raises(ValidationError, match=r"expected a grid .* or the uri of a raster"):
        WarpedSource(source="a.tif", onto=5)
    with pytest.raises(ValidationError, match="nearest known key: height"):
        WarpedSource(source="a.tif", onto={"crs": "EPSG:4326", "heigth": 5, "width": 6})
