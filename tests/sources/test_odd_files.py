"""Rasters as they are found: odd places, dtypes, layouts and damages, against rasterio and arithmetic."""

import os
import socket
import struct
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
import tifffile
import torch
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from geoseg.classes import ClassMap
from geoseg.datasets import SlidingWindowGeoDataset
from geoseg.errors import SceneError, SourceError
from geoseg.grid import Grid
from geoseg.labels.sources import VectorLabels
from geoseg.scene import Scene
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.vector import FrameSource
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

HEIGHT, WIDTH = 37, 53
WHOLE = Window(0, 0, HEIGHT, WIDTH)
ROTATED = Affine(8, 6, 500_000, 6, -8, 4_000_000)
SOUTH_UP = Affine(10, 0, 500_000, 0, 10, 3_999_000)


def noise(bands=1, *, height=HEIGHT, width=WIDTH, dtype="uint8", high=255):
    random = np.random.default_rng(0)
    return random.integers(1, high, (bands, height, width)).astype(dtype)


def read_all(uri, **options):
    source = GeoTIFFSource(uri=uri, **options)
    return source.read(source.grid.whole)


def by_rasterio(uri):
    """Pixels and mask of all bands as rasterio reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(uri) as file:
            return file.read(), (file.read_masks() > 0).all(axis=0)


def assert_as_rasterio(uri, **options):
    data, valid = by_rasterio(uri)
    chip = read_all(uri, **options)
    assert chip.data.dtype == data.dtype
    np.testing.assert_array_equal(chip.data, data)
    np.testing.assert_array_equal(chip.valid, valid)


def ground(transform, rows, cols):
    """Ground coordinates by the six numbers, written out."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def pixel(transform, x, y):
    """(row, column) of ground coordinates by Cramer's rule."""
    a, b, c, d, e, f = tuple(transform)[:6]
    det = a * e - b * d
    return (a * (y - f) - d * (x - c)) / det, (e * (x - c) - b * (y - f)) / det


# Place


@pytest.mark.parametrize("transform", [ROTATED, SOUTH_UP], ids=["rotated", "south-up"])
def test_the_bounds_of_a_window_hold_its_four_corners_whatever_way_rows_run(
    write_raster, transform
):
    grid = GeoTIFFSource(uri=write_raster("a.tif", noise(), transform=transform)).grid
    window = Window(5, 7, 11, 20)
    x, y = ground(transform, np.array([5, 5, 16, 16]), np.array([7, 27, 7, 27]))

    assert grid.window_bounds(window) == pytest.approx((x.min(), y.min(), x.max(), y.max()))
    around = grid.window(grid.window_bounds(window))
    assert around.contains(window)
    assert around == window or transform == ROTATED


@pytest.mark.parametrize("transform", [ROTATED, SOUTH_UP], ids=["rotated", "south-up"])
def test_a_raster_whose_rows_run_otherwise_is_warped_onto_a_grid_of_the_north(
    write_raster, transform
):
    array = noise()
    source = GeoTIFFSource(uri=write_raster("a.tif", array, transform=transform))
    left, bottom, right, top = source.grid.bounds
    onto = source.grid.covering((left - 20, bottom - 33, right + 10, top + 7), (4.5, 5.5))
    chip = WarpedSource(source=source, onto=onto, resampling="nearest").read(onto.whole)

    row, col = pixel(transform, *ground(onto.transform, *(np.indices(onto.shape) + 0.5)))
    inside = (row >= 0) & (row < HEIGHT) & (col >= 0) & (col < WIDTH)
    expected = array[0, row[inside].astype(int), col[inside].astype(int)]
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(chip.valid, inside)
    np.testing.assert_array_equal(chip.data[0, inside], expected)


@pytest.mark.parametrize("transform", [ROTATED, SOUTH_UP], ids=["rotated", "south-up"])
def test_polygons_are_burned_by_pixel_centre_whatever_way_rows_run(write_raster, transform):
    grid = GeoTIFFSource(uri=write_raster("a.tif", noise(), transform=transform)).grid
    triangle = shapely.Polygon(
        [ground(transform, row, col) for row, col in ((3.2, 4.1), (30.7, 11.3), (12.4, 44.9))]
    )
    frame = geopandas.GeoDataFrame(geometry=[triangle], crs=grid.crs)
    labels = VectorLabels(
        source=FrameSource(frame=frame),
        classes=ClassMap.of("ground", "house"),
        default_class=1,
        background=0,
    )
    x, y = ground(transform, *(np.indices(grid.shape) + 0.5))

    np.testing.assert_array_equal(
        labels.read(grid, grid.whole), shapely.contains_xy(triangle, x, y)
    )


def write_placed(write_raster, *, gcps=None, rpcs=None, **options):
    uri = write_raster("a.tif", noise(), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(uri, "r+") as file:
            if gcps:
                file.gcps = gcps
            if rpcs:
                file.rpcs = rpcs
    return uri


CAMERA = RPC(
    err_bias=1, err_rand=1, height_off=100, height_scale=50, lat_off=40, lat_scale=0.1,
    line_den_coeff=[1.0] + [0.0] * 19, line_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17, line_off=5, line_scale=5,
    long_off=10, long_scale=0.1, samp_den_coeff=[1.0] + [0.0] * 19, samp_num_coeff=[0.0, 1.0] + [0.0] * 18,
    samp_off=5, samp_scale=5,
)  # fmt: skip
POINTS = [GroundControlPoint(r, c, 5e5 + c, 4e6 - r) for r, c in ((0, 0), (0, 9), (9, 0), (9, 9))]


@pytest.mark.parametrize("crs", [None, "EPSG:32619"])
def test_a_camera_model_alone_is_refused_with_the_cure(write_raster, crs):
    uri = write_placed(write_raster, rpcs=CAMERA, crs=crs, transform=None)

    for read in (Grid.of, lambda uri: GeoTIFFSource(uri=uri).check()):
        with pytest.raises(SourceError, match=r"a\.tif: .*camera model \(RPC\) only.*gdalwarp"):
            read(uri)


def test_control_points_alone_have_no_grid(write_raster):
    crs = rasterio.CRS.from_epsg(32619)
    uri = write_placed(write_raster, gcps=(POINTS, crs), crs=None, transform=None)

    with pytest.raises(SourceError, match=r"a\.tif: .*ground control points only.*gdalwarp"):
        Grid.of(uri)


def test_a_camera_model_beside_a_transform_does_not_matter(write_raster):
    uri = write_placed(write_raster, rpcs=CAMERA)

    assert GeoTIFFSource(uri=uri).grid.bounds == (500_000, 3_999_630, 500_530, 4_000_000)


def test_a_crs_without_a_transform_is_warned_of(write_raster):
    uri = write_raster("a.tif", noise(), transform=None)

    with pytest.warns(UserWarning, match=r"a\.tif: has a CRS but no transform; its pixels count"):
        grid = GeoTIFFSource(uri=uri).grid
    assert grid == Grid(crs="EPSG:32619", height=HEIGHT, width=WIDTH)


def test_a_transform_without_a_crs_is_kept(write_raster):
    grid = GeoTIFFSource(uri=write_raster("a.tif", noise(), crs=None)).grid

    assert grid.crs is None
    assert grid.bounds == (500_000, 3_999_630, 500_530, 4_000_000)


@pytest.mark.parametrize(
    ("driver", "suffix", "world"), [("PNG", "png", "pgw"), ("JPEG", "jpg", "jgw")]
)
def test_a_world_file_beside_a_picture_tells_its_place(
    write_raster, tmp_path, driver, suffix, world
):
    uri = write_raster(f"a.{suffix}", noise(3), driver=driver, crs=None, transform=None)
    (tmp_path / f"a.{world}").write_text(
        "2.5\n0\n0\n-2.5\n1001.25\n1998.75\n"
    )  # centre of the first

    assert GeoTIFFSource(uri=uri).grid.transform == Affine(2.5, 0, 1000, 0, -2.5, 2000)
    assert Grid.of(uri).bounds == (1000, 2000 - 2.5 * HEIGHT, 1000 + 2.5 * WIDTH, 2000)


def test_what_a_file_beside_it_tells_of_a_picture_is_read(write_raster):
    uri = write_raster("a.png", noise(3), driver="PNG", nodata=7, descriptions=("r", "g", "b"))
    source = GeoTIFFSource(uri=uri)

    assert Path(f"{uri}.aux.xml").exists()
    assert source.grid.crs == rasterio.CRS.from_epsg(32619)
    assert source.band_names == ("r", "g", "b")
    np.testing.assert_array_equal(source.read(WHOLE).valid, (by_rasterio(uri)[0] != 7).all(axis=0))


# Numbers

FACTORS = {"int": -1, "uin": 2**25 + 1, "com": 1 + 2j}
"""What brings small numbers into the range that is the dtype's own."""


@pytest.mark.parametrize("dtype", ["int8", "uint32", "uint64", "int64", "complex64", "complex128"])
def test_rare_dtypes_are_read_as_they_are(write_raster, dtype):
    array = noise(2, dtype=dtype, high=120) * np.array(FACTORS[dtype[:3]], dtype)

    chip = read_all(write_raster("a.tif", array))
    assert chip.data.dtype == dtype
    np.testing.assert_array_equal(chip.data, array)
    assert chip.valid.all()


def test_complex_whole_numbers_are_read_as_complex_floats(tmp_path):
    array, uri = noise().astype("complex64") * (3 - 1j), str(tmp_path / "a.tif")
    profile = {"driver": "GTiff", "count": 1, "height": HEIGHT, "width": WIDTH}
    transform = Affine(10, 0, 500_000, 0, -10, 4_000_000)
    with rasterio.open(uri, "w", dtype="complex_int16", transform=transform, **profile) as file:
        file.write(array)

    source = GeoTIFFSource(uri=uri)
    assert source.dtype == np.dtype("complex64")
    np.testing.assert_array_equal(source.read(WHOLE).data, array)


def test_complex_pixels_are_refused_by_a_data_set(write_raster):
    uri = write_raster("a.tif", noise(dtype="complex64"))

    with pytest.raises(SceneError, match="pixels are complex64, expected whole or floating"):
        SlidingWindowGeoDataset([Scene(id="a", image=uri)], size=8)[0]


@pytest.mark.parametrize(
    "dtype", ["int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float64"]
)
def test_a_data_set_takes_every_real_dtype(write_raster, dtype):
    array = noise(2, dtype=dtype, high=120)
    scenes = [Scene(id="a", image=write_raster("a.tif", array))]
    native = SlidingWindowGeoDataset(scenes, size=8, normalize=False)[0]["image"]
    scaled = SlidingWindowGeoDataset(scenes, size=8)[0]["image"]
    most = np.iinfo(dtype).max if dtype.startswith("uint") else 1

    assert native.dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(native.numpy(), array[:, :8, :8])
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), array[:, :8, :8] / most, rtol=1e-6)


def tag_nodata(uri, text):
    """Write a nodata into the file's tag that rasterio itself refuses to write."""
    with tifffile.TiffFile(uri, mode="r+") as file:
        file.pages[0].tags[42113].overwrite(text)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint64", 2**64 - 1), ("int64", 2**63 - 1), ("int64", -(2**63)), ("uint64", 2**60 + 1)],
)
def test_a_nodata_that_no_float_can_hold_is_told_from_its_neighbours(write_raster, dtype, nodata):
    neighbour = nodata - 1 if nodata > 0 else nodata + 1
    array = np.array([[[nodata, neighbour, 5]], [[1, 2, nodata]]], dtype)
    uri = write_raster("a.tif", array, nodata=77)
    assert read_all(uri).valid.tolist() == [[True, True, True]]
    given = write_raster("b.tif", array)

    tag_nodata(uri, str(nodata))
    assert read_all(uri).valid.tolist() == [[False, True, False]]
    assert read_all(uri, bands=(2,)).valid.tolist() == [[True, True, False]]
    assert read_all(given, nodata=nodata).valid.tolist() == [[False, True, False]]
    assert read_all(uri, nodata=5).valid.tolist() == [[True, True, False]]
    source = GeoTIFFSource(uri=given, nodata=nodata)
    assert GeoTIFFSource.from_yaml(source.to_yaml()).nodata == nodata


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int64", "float32"])
@pytest.mark.parametrize("text", ["-99", "999", "nan", "inf", "-1.", "words"])
def test_any_nodata_tag_marks_what_gdal_says_it_marks(write_raster, dtype, text):
    array = noise(2, dtype=dtype)
    array[0, :3], array[1, 5:7] = 99, 1
    uri = write_raster("a.tif", array, nodata=77)
    tag_nodata(uri, text)

    assert_as_rasterio(uri)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_a_nodata_between_two_whole_numbers_marks_none_of_them(write_raster, dtype):
    array = noise(dtype=dtype, high=4)
    uri = write_raster("a.tif", array, nodata=77)
    tag_nodata(uri, "1.5")

    assert read_all(uri).valid.all()  # GDAL's mask would hide the pixels of 1


def test_nodata_that_differs_by_band_hides_by_each_bands_own(write_raster, tmp_path):
    array = noise(3)
    array[0, :5], array[1, 5:9], array[2, :, :4] = 1, 2, 3
    uri = write_raster("a.tif", array)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><NoDataValue>{i}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{i}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for i in (1, 2, 3)
    )
    uri = write_vrt(tmp_path / "a.vrt", bands)

    np.testing.assert_array_equal(
        read_all(uri).valid, (array != np.array([1, 2, 3])[:, None, None]).all(axis=0)
    )
    np.testing.assert_array_equal(
        read_all(uri, bands=(3, 1)).valid, (array[0] != 1) & (array[2] != 3)
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 12])
def test_pixels_of_few_bits_are_whole_numbers(write_raster, bits):
    array = noise(high=2**bits, dtype="uint16" if bits > 8 else "uint8")
    uri = write_raster("a.tif", array, nbits=bits)

    np.testing.assert_array_equal(read_all(uri).data, array)


def test_half_floats_are_read_as_floats(write_raster):
    array = np.float16(np.random.default_rng(0).normal(size=(2, HEIGHT, WIDTH))).astype("float32")

    np.testing.assert_array_equal(read_all(write_raster("a.tif", array, nbits=16)).data, array)


def test_scale_and_offset_are_not_applied(write_raster):
    array = noise(2, dtype="uint16")
    uri = write_raster("a.tif", array)
    with rasterio.open(uri, "r+") as file:
        file.scales, file.offsets = (0.1, 0.1), (-5, -5)

    assert_as_rasterio(uri)
    np.testing.assert_array_equal(read_all(uri).data, array)


# Bands


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_a_palette_gives_its_indices_which_are_classes(write_raster, driver):
    array = noise()
    uri = write_raster("a.tif", array, driver=driver, photometric="palette" if driver == "GTiff" else None)  # fmt: skip
    with rasterio.open(uri, "r+") as file:
        file.write_colormap(1, {i: (i, 255 - i, 0, 255) for i in range(256)})

    assert GeoTIFFSource(uri=uri).categorical
    np.testing.assert_array_equal(read_all(uri).data, array)
    assert not GeoTIFFSource(uri=write_raster("b.tif", array)).categorical


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_224_bands_are_chosen_by_name(write_raster, interleave):
    array = noise(224, height=9, width=11, dtype="uint16", high=4000)
    names = tuple(f"{400 + 2.5 * i:g} nm" for i in range(224))
    uri = write_raster("a.tif", array, descriptions=names, interleave=interleave)

    assert GeoTIFFSource(uri=uri).band_names == names
    np.testing.assert_array_equal(read_all(uri).data, array)
    chosen = read_all(uri, bands=("957.5 nm", "400 nm", 2))
    np.testing.assert_array_equal(chosen.data, array[[223, 0, 1]])


def test_a_name_that_two_bands_have_is_ambiguous(write_raster):
    array = noise(3)
    uri = write_raster("a.tif", array, descriptions=("nir", "red", "nir"))

    assert GeoTIFFSource(uri=uri).band_names == ("nir", "red", "nir")
    with pytest.raises(SourceError, match=r"has 2 bands called 'nir'; choose by number: 1, 3"):
        GeoTIFFSource(uri=uri, bands=("nir",)).check()
    np.testing.assert_array_equal(read_all(uri, bands=("red", 3)).data, array[[1, 2]])


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_with_alpha_is_one_band(write_raster, driver, dtype):
    array = noise(2, dtype=dtype)
    array[1, :9] = 0
    options = {"photometric": "minisblack", "alpha": "yes"} if driver == "GTiff" else {}
    chip = read_all(write_raster("a.tif", array, driver=driver, **options))

    np.testing.assert_array_equal(chip.data, array[:1])
    np.testing.assert_array_equal(chip.valid, array[1] > 0)


def test_a_jpeg_of_four_inks_is_what_rasterio_makes_of_it(write_raster):
    uri = write_raster(
        "a.jpg", noise(4), driver="JPEG", photometric="cmyk", crs=None, transform=None
    )

    assert GeoTIFFSource(uri=uri).band_names == ("1", "2", "3")
    assert_as_rasterio(uri)


# Layouts


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1)])
def test_rasters_of_one_pixel_row_or_column_are_read(write_raster, shape):
    array = noise(2, height=shape[0], width=shape[1])
    source = GeoTIFFSource(uri=write_raster("a.tif", array))
    chip = source.read(Window(-1, -2, shape[0] + 3, shape[1] + 4))

    source.check()
    np.testing.assert_array_equal(chip.data[:, 1:-2, 2:-2], array)
    assert chip.valid.sum() == array[0].size


@pytest.mark.parametrize("nodata", [None, 0, 255])
def test_tiles_that_were_never_written_are_what_gdal_says(write_raster, tmp_path, nodata):
    uri, options = str(tmp_path / "a.tif"), {"tiled": True, "blockxsize": 16, "blockysize": 16}
    with rasterio.open(
        uri, "w", driver="GTiff", count=1, height=64, width=48, dtype="uint8", sparse_ok=True,
        crs="EPSG:32619", transform=SOUTH_UP, nodata=nodata, **options,
    ) as file:  # fmt: skip
        file.write(noise(height=16, width=16), window=Window(16, 16, 16, 16).to_rasterio())

    assert os.stat(uri).st_size < 64 * 48 / 2  # noqa: PTH116
    assert_as_rasterio(uri)
    assert read_all(uri).valid.mean() == (1 if nodata is None else 1 / 12)


def test_a_jpeg2000_without_loss_is_read(write_raster):
    array = noise(3, height=90, width=70, dtype="uint16")
    uri = write_raster("a.jp2", array, driver="JP2OpenJPEG", quality=100, reversible="yes")

    np.testing.assert_array_equal(read_all(uri).data, array)
    assert GeoTIFFSource(uri=uri).grid == Grid.of(write_raster("a.tif", array))


def test_a_file_of_several_rasters_names_them(write_raster, tmp_path):
    array = noise(6)
    uri = str(tmp_path / "a.nc")
    rasterio.shutil.copy(write_raster("a.tif", array), uri, driver="netCDF")

    with pytest.raises(
        SourceError, match=r"a\.nc: holds no raster band; .*netcdf:.*a\.nc:Band1, .* and 2 more"
    ):
        GeoTIFFSource(uri=uri).check()
    np.testing.assert_array_equal(read_all(f"netcdf:{uri}:Band3").data[0], array[2])


def test_a_tiff_of_several_pages_is_read_from_its_first_with_a_warning(tmp_path):
    pages, uri = noise(2), str(tmp_path / "a.tif")
    for page in pages:
        tifffile.imwrite(uri, page, append=True)

    with pytest.warns(
        UserWarning, match=r"a\.tif: holds 2 pages, .*: GTIFF_DIR:1:.*, GTIFF_DIR:2:"
    ):
        np.testing.assert_array_equal(read_all(uri).data[0], pages[0])
    np.testing.assert_array_equal(read_all(f"GTIFF_DIR:2:{uri}").data[0], pages[1])


def write_vrt(path, bands):
    path.write_text(
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}">{bands}</VRTDataset>'
    )
    return str(path)


@pytest.mark.parametrize(
    "broken", [None, lambda path: path.unlink(), lambda path: path.write_text("words")]
)
def test_a_virtual_raster_finds_its_files_beside_it_and_misses_none_silently(
    write_raster, tmp_path, monkeypatch, broken
):
    array = noise(2)
    one, two = write_raster("one.tif", array[0]), write_raster("two.tif", array[1])
    (tmp_path / "sub").mkdir()
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">'
        f"../{Path(uri).name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, uri in enumerate((one, two), start=1)
    )
    uri = write_vrt(tmp_path / "sub" / "a.vrt", bands)
    if broken is None:
        np.testing.assert_array_equal(read_all(uri).data, array)
        return
    broken(Path(two))
    with pytest.raises(
        SourceError, match=r"a\.vrt: cannot read rows 0\.\.1, .*two\.tif.* this VRT"
    ):
        GeoTIFFSource(uri=uri).check()


# Names and things that are no rasters


@pytest.mark.parametrize("name", ["a b.tif", "ä-日本.tif", "a#1.tif", "a?b=c.tif", "A.TIF", "a%20b.tif", "a+b!.tif", "a"])  # fmt: skip
def test_any_name_of_a_file_is_taken_as_it_is(write_raster, tmp_path, name):
    array = noise()
    write_raster("plain.tif", array)
    (tmp_path / "plain.tif").rename(tmp_path / name)

    np.testing.assert_array_equal(read_all(str(tmp_path / name)).data, array)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)  # a full path may be too long


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names, few links")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: os.mkfifo(path, 0o600), "is a pipe or a device, expected a raster file"),
        (make_socket, "is a pipe or a device, expected a raster file"),
        (lambda path: path.symlink_to("/dev/null"), "is a pipe or a device"),
        (lambda path: path.symlink_to("gone.tif"), "is a link to gone.tif, which is not there"),
        (lambda path: path.symlink_to("a.tif"), "is a link to a.tif, which is not there"),
    ],
    ids=["pipe", "socket", "device", "broken link", "link to itself"],
)
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, monkeypatch, make, reason):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.tif")

    with pytest.raises(SourceError, match=rf"a\.tif: {reason}"):
        GeoTIFFSource(uri="a.tif").check()


# Damage


def tiff_header(width, height):
    """A TIFF of one strip that says it has this size, and four bytes of pixels."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1),
            (278, min(max(height, 1), 2**31 - 1)), (279, 4)]  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 16) + b"abcdefgh" + struct.pack("<H", len(tags))
    return head + b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in tags) + bytes(4)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (2**32 - 1, 5)])
def test_a_header_of_no_size_is_no_raster(tmp_path, size):
    (tmp_path / "a.tif").write_bytes(tiff_header(*size))

    with pytest.raises(SourceError, match=r"a\.tif: is no raster .*, or its header is damaged"):
        GeoTIFFSource(uri=str(tmp_path / "a.tif")).check()


@pytest.mark.parametrize("size", [(1000, 2**31 - 1), (2_000_000, 2_000_000)])
def test_a_header_of_absurd_size_is_an_error_when_checked(tmp_path, size):
    (tmp_path / "a.tif").write_bytes(tiff_header(*size))

    with pytest.raises(SourceError, match=r"a\.tif: cannot read rows .* truncated or damaged"):
        GeoTIFFSource(uri=str(tmp_path / "a.tif")).check()


@pytest.mark.parametrize(
    "options",
    [{}, {"interleave": "band"}, {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
     {"driver": "COG"}, {"BIGTIFF": "YES"}],
    ids=["strips", "planes", "tiles", "cog", "bigtiff"],
)  # fmt: skip
def test_a_check_finds_that_a_file_was_cut_short(write_raster, options):
    uri = write_raster("a.tif", noise(3, height=200, width=100), **options)
    content = Path(uri).read_bytes()
    GeoTIFFSource(uri=uri).check()
    Path(uri).write_bytes(content[: len(content) * 2 // 3])

    with pytest.raises(SourceError, match=r"a\.tif: .*truncated or damaged, copy it again"):
        GeoTIFFSource(uri=uri).check()
