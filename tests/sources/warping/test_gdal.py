import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import SUPPORTED_RESAMPLING

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

TARGET = Grid(
    crs="EPSG:32619", transform=Affine(10, 0, 300_000, 0, -10, 4_100_000), height=150, width=190
)
# In the next UTM zone, over the middle of the target.
SOURCE = Grid(
    crs="EPSG:32618", transform=Affine(9, 0, 833_900, 0, -9, 4_104_300), height=160, width=210
)


def source_of(dtype="uint8", gaps=0.0):
    """Smooth hills with noise, in two bands."""
    rng = np.random.default_rng(5)
    rows, cols = np.indices(SOURCE.shape)
    data = 110 + 60 * np.sin(cols / 9) * np.cos(rows / 7) + rng.normal(0, 9, (2, *SOURCE.shape))
    data = (data * (200 if dtype == "uint16" else 1)).clip(0).astype(dtype)
    return ArraySource(data=data, valid=rng.random(SOURCE.shape) >= gaps, grid=SOURCE)


def written(tmp_path, source, nodata=None):
    path = tmp_path / "source.tif"
    count, height, width = source.data.shape
    shape = {"count": count, "height": height, "width": width, "dtype": source.dtype.name}
    where = {"crs": source.grid.crs, "transform": source.grid.transform, "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", **shape, **where) as file:
        file.write(source.data)
    return path


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "cubic", "average", "lanczos", "q3"])
@pytest.mark.parametrize("resolution", [4.0, 10.3, 37.0])
def test_gdal_is_what_a_warped_vrt_gives(tmp_path, kernel, resolution):
    path = written(tmp_path, source_of(dtype="uint16"))
    target = TARGET.covering(TARGET.bounds, resolution)
    warped = WarpedSource(source=str(path), onto=target, resampling=kernel, method="gdal")
    chip = warped.read(target.whole)
    grid = {"height": target.height, "width": target.width, "transform": target.transform}
    options = {"crs": target.crs, "resampling": Resampling[kernel], "add_alpha": True, **grid}
    with rasterio.open(path) as file, WarpedVRT(file, **options) as vrt:
        *expected, alpha = vrt.read()
    np.testing.assert_array_equal(chip.valid, alpha > 0)
    assert (chip.data == expected).mean() > 0.999
    assert np.abs(chip.data.astype(int) - np.stack(expected)).max() <= 200  # of 40,000


@pytest.mark.parametrize("kernel", [kernel.name for kernel in SUPPORTED_RESAMPLING])
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint16", 0), ("int16", -9999), ("float32", -9999), ("float32", np.nan)]
)
def test_gdal_is_what_a_warped_vrt_gives_for_every_kernel_dtype_and_nodata(
    tmp_path, dtype, nodata, kernel
):
    hills = source_of(dtype="float64").data
    data = (hills * 200 if dtype == "uint16" else (hills - 120) * 100).astype(dtype)
    rows, cols = np.indices(SOURCE.shape)
    hole = (np.hypot(rows - 70, cols - 110) < 25) | (rows * 7 % 41 + cols * 5 % 43 == 3)
    data[:, hole] = nodata
    path = written(tmp_path, ArraySource(data=data, grid=SOURCE), nodata)
    for resolution in (7.0, 37.0):
        target = TARGET.covering(TARGET.bounds, resolution)
        warped = WarpedSource(source=str(path), onto=target, resampling=kernel, method="gdal")
        chip = warped.read(target.whole)
        grid = {"height": target.height, "width": target.width, "transform": target.transform}
        options = {"crs": target.crs, "resampling": Resampling[kernel], **grid}
        with rasterio.open(path) as file, WarpedVRT(file, **options) as vrt:
            expected, valid = vrt.read(), (vrt.read_masks() > 0).all(axis=0)
        assert 0.2 < valid.mean() < 0.95
        # To a WarpedVRT the mode of a box may be nodata itself, and any bit of a sum is valid.
        assert (chip.valid == valid).mean() > (0.999 if kernel in ("mode", "sum") else 0.999999)
        both = chip.valid & valid
        np.testing.assert_array_equal(chip.data[:, both], expected[:, both])


@pytest.mark.parametrize("kernel", ["nearest", "cubic", "lanczos"])
def test_gdal_windows_are_crops_of_the_whole(kernel):
    target = TARGET.covering(TARGET.bounds, 3.1)
    warped = WarpedSource(source=source_of(gaps=0.1), onto=target, resampling=kernel, method="gdal")
    whole = warped.read(target.whole)
    assert 0.2 < whole.valid.mean() < 0.95
    for window in (Window(100, 350, 211, 233), Window(0, 0, 40, 41), Window(127, 511, 2, 2)):
        chip = warped.read(window)
        np.testing.assert_array_equal(chip.valid, whole.valid[window.slices])
        np.testing.assert_array_equal(chip.data, whole.data[(slice(None), *window.slices)])


def test_exact_and_gdal_agree_on_nearest_nearly_everywhere():
    source = source_of()
    exact, gdal = (
        WarpedSource(source=source, onto=TARGET, resampling="nearest", method=method).read(
            TARGET.whole
        )
        for method in ("exact", "gdal")
    )
    assert (exact.valid == gdal.valid).mean() > 0.999
    assert (exact.data == gdal.data).mean() > 0.99


def test_gdal_says_which_dtype_it_lacks():
    source = source_of(dtype="float16")
    warped = WarpedSource(source=source, onto=TARGET, method="gdal")
    with pytest.raises(SourceError, match='float16; use method="exact"'):
        warped.read(TARGET.whole)
