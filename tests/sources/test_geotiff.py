import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp as Color

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources import cache, geotiff, handles
from geoseg.sources.cache import remember, stamp
from geoseg.sources.files import rasterfile
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster
from geoseg.window import Window

HEIGHT, WIDTH = 37, 53
WHOLE = Window(0, 0, HEIGHT, WIDTH)
RGBA = (Color.red, Color.green, Color.blue, Color.alpha)
UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)
windows = st.builds(
    Window, st.integers(-60, 60), st.integers(-60, 60), st.integers(1, 70), st.integers(1, 70)
)
one_fixture_for_all_examples = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def noise(bands=3, *, height=HEIGHT, width=WIDTH, dtype="uint8", seed=0, low=1):
    random = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.integer):
        high = min(np.iinfo(dtype).max, 1000)
        return random.integers(low, high, (bands, height, width)).astype(dtype)
    return random.normal(size=(bands, height, width)).astype(dtype)


def cut(array, valid, window):
    """What a read has to give: the plainest code for it, pixel by pixel of the window's frame."""
    data = np.zeros((len(array), *window.shape), array.dtype)
    seen = np.zeros(window.shape, bool)
    for row in range(max(window.row, 0), min(window.row_stop, array.shape[1])):
        for col in range(max(window.col, 0), min(window.col_stop, array.shape[2])):
            at = row - window.row, col - window.col
            data[:, at[0], at[1]] = array[:, row, col]
            seen[at] = valid[row, col]
    return data, seen


def assert_reads(source, array, valid, window=WHOLE):
    data, seen = cut(array, valid, window)
    chip = source.read(window)
    assert chip.data.dtype == source.dtype == array.dtype
    assert chip.valid.dtype == bool
    np.testing.assert_array_equal(chip.valid, seen)
    np.testing.assert_array_equal(chip.data[:, seen], data[:, seen])
    outside = ~cut(array, np.ones(array.shape[1:], bool), window)[1]
    assert not chip.data[:, outside].any()


# Windows


@one_fixture_for_all_examples
@given(window=windows)
def test_any_window_is_what_rasterio_reads_and_zero_not_valid_outside(write_raster, window):
    array = noise()
    uri = write_raster("a.tif", array)

    assert_reads(GeoTIFFSource(uri=uri), array, np.ones(WHOLE.shape, bool), window)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tiled": True, "blockxsize": 16, "blockysize": 32, "compress": "deflate", "predictor": 2},
        {"blockysize": 1, "interleave": "band"},
        {"BIGTIFF": "YES", "compress": "zstd", "interleave": "pixel"},
        {"driver": "COG", "blocksize": 128},
        {"driver": "PNG"},
    ],
    ids=["strips", "tiles", "lines", "bigtiff", "cog", "png"],
)
def test_any_layout_of_a_file_reads_the_same(write_raster, options):
    array = noise()
    source = GeoTIFFSource(uri=write_raster("a.tif", array, **options))

    for window in (WHOLE, Window(3, 5, 20, 31), Window(30, 40, 20, 31)):
        assert_reads(source, array, np.ones(WHOLE.shape, bool), window)


def test_overviews_are_never_read_in_place_of_pixels(write_raster):
    array = noise(height=300, width=280)
    uri = write_raster("a.tif", array, tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(uri, "r+") as file:
        file.build_overviews([2, 4])

    chip = GeoTIFFSource(uri=uri).read(Window(0, 0, 300, 280))
    np.testing.assert_array_equal(chip.data, array)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_the_dtype_of_the_file_is_kept(write_raster, dtype):
    array = noise(dtype=dtype)
    source = GeoTIFFSource(uri=write_raster("a.tif", array))

    assert source.dtype == np.dtype(dtype)
    assert_reads(source, array, np.ones(WHOLE.shape, bool), Window(-2, 50, 12, 9))


def test_the_grid_is_that_of_the_file(write_raster):
    rotated = Affine(8, 6, 5e5, 6, -8, 4e6)
    for transform in (UTM, rotated):
        uri = write_raster("a.tif", noise(), transform=transform)
        os.utime(uri, ns=(1, int(transform.a)))
        source = GeoTIFFSource(uri=uri)

        assert source.grid == Grid(
            crs="EPSG:32619", transform=transform, height=HEIGHT, width=WIDTH
        )
        assert source.grid == Grid.of(uri)


# Bands


NAMED = ("red", "green", None, "nir")


@pytest.mark.parametrize(
    ("bands", "numbers", "names"),
    [
        (None, [1, 2, 3, 4], ("red", "green", "3", "nir")),
        ((4, 1), [4, 1], ("nir", "red")),
        (("nir", "3"), [4, 3], ("nir", "3")),
        ((2, "red", 3), [2, 1, 3], ("green", "red", "3")),
        ((1, "red", 1), [1, 1, 1], ("red", "red", "red")),
    ],
)
def test_bands_are_chosen_by_number_and_name_in_any_order(write_raster, bands, numbers, names):
    array = noise(bands=4)
    uri = write_raster("a.tif", array, descriptions=NAMED, photometric="minisblack")
    source = GeoTIFFSource(uri=uri, bands=bands)

    assert source.band_names == names
    assert_reads(source, array[[n - 1 for n in numbers]], np.ones(WHOLE.shape, bool))


def test_a_name_that_looks_like_a_number_is_a_name_first(write_raster):
    array = noise(bands=2)
    uri = write_raster("a.tif", array, descriptions=("2", "1"))

    np.testing.assert_array_equal(
        GeoTIFFSource(uri=uri, bands=("2",)).read(WHOLE).data[0], array[0]
    )
    np.testing.assert_array_equal(GeoTIFFSource(uri=uri, bands=(2,)).read(WHOLE).data[0], array[1])


@pytest.mark.parametrize("band", [0, 5, -1, "blue", "5"])
def test_a_band_that_is_not_there_is_an_error_that_lists_the_bands(write_raster, band):
    uri = write_raster("a.tif", noise(bands=4), descriptions=NAMED)

    with pytest.raises(
        SourceError, match=rf"a\.tif: has no band {band!r}, .* 1 to 4 .*: red, green, 3, nir"
    ):
        GeoTIFFSource(uri=uri, bands=(1, band)).check()


def test_no_band_is_an_error(write_raster):
    with pytest.raises(SourceError, match="`bands` is empty"):
        GeoTIFFSource(uri=write_raster("a.tif", noise()), bands=()).check()


# Alpha


def with_alpha(bands, dtype="uint8"):
    array = noise(bands=bands, dtype=dtype)
    array[-1] = np.iinfo(dtype).max
    array[-1, 5:20, 7:30] = 0
    array[-1, 20:22] = 1  # half seen is seen
    return array


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("bands", "nodata"), [(2, None), (4, None), (4, 9), (5, None), (5, 9)])
def test_alpha_is_no_band_and_tells_what_is_valid_beside_any_number_of_bands(
    write_raster, bands, nodata, dtype
):
    array = with_alpha(bands, dtype)
    colors = (
        *[Color.gray, Color.undefined, Color.undefined, Color.undefined][: bands - 1],
        Color.alpha,
    )
    uri = write_raster("a.tif", array, colors=colors, nodata=nodata)
    source = GeoTIFFSource(uri=uri)
    valid = array[-1] > 0
    if nodata is not None:
        valid &= (array[:-1] != nodata).all(axis=0)

    assert len(source.band_names) == bands - 1
    assert_reads(source, array[:-1], valid)
    assert_reads(source, array[:-1], valid, Window(-3, 20, 30, 40))


def test_alpha_that_is_asked_for_is_data_and_hides_nothing(write_raster):
    array = with_alpha(4)
    uri = write_raster("a.tif", array, colors=RGBA)

    assert_reads(GeoTIFFSource(uri=uri, bands=(2, 3)), array[[1, 2]], array[-1] > 0)
    everywhere = np.ones(WHOLE.shape, bool)
    assert_reads(GeoTIFFSource(uri=uri, bands=(3, 4)), array[[2, 3]], everywhere)
    assert_reads(GeoTIFFSource(uri=uri, bands=(4,)), array[[3]], np.ones(WHOLE.shape, bool))


def test_alpha_hides_also_where_nodata_is_given(write_raster):
    array = with_alpha(4)
    source = GeoTIFFSource(uri=write_raster("a.tif", array, colors=RGBA), bands=(1, 2), nodata=7)

    assert_reads(source, array[:2], (array[-1] > 0) & (array[:2] != 7).all(axis=0))


# Masks


@pytest.mark.parametrize("nodata", [None, 9])
def test_an_internal_mask_tells_what_is_valid(write_raster, nodata):
    array, mask = noise(), np.random.default_rng(1).random(WHOLE.shape) > 0.3
    uri = write_raster("a.tif", array, mask=mask, nodata=nodata)
    valid = mask if nodata is None else mask & (array != nodata).all(axis=0)

    assert not Path(f"{uri}.msk").exists()
    assert_reads(GeoTIFFSource(uri=uri), array, valid)
    assert_reads(GeoTIFFSource(uri=uri, bands=(2,), nodata=7), array[[1]], mask & (array[1] != 7))


def test_a_mask_beside_the_file_tells_what_is_valid(write_raster):
    array, mask = noise(), np.random.default_rng(1).random(WHOLE.shape) > 0.3
    uri = write_raster("a.tif", array)
    with rasterio.open(uri, "r+") as file, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        file.write_mask(mask)

    assert Path(f"{uri}.msk").exists()
    assert_reads(GeoTIFFSource(uri=uri), array, mask)


def vrt(path, bands, width=WIDTH, height=HEIGHT):
    """A GDAL virtual raster of (file, dtype, extra XML) a band: what GeoTIFF cannot hold."""
    text = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{i}">{extra}<SimpleSource>'
        f"<SourceFilename>{file}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (file, dtype, extra) in enumerate(bands, start=1)
    )
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{text}</VRTDataset>')
    return str(path)


def test_masks_of_single_bands_are_joined(write_raster, tmp_path):
    array, masks = noise(bands=2), np.random.default_rng(2).random((2, *WHOLE.shape)) > 0.3
    bands = []
    for i in range(2):
        file = write_raster(f"{i}.tif", array[i])
        mask = write_raster(f"mask{i}.tif", masks[i].astype("uint8") * 255)
        inside = f"<SourceFilename>{mask}</SourceFilename><SourceBand>1</SourceBand>"
        inside = (
            f'<VRTRasterBand dataType="Byte"><SimpleSource>{inside}</SimpleSource></VRTRasterBand>'
        )
        bands.append((file, "Byte", f"<MaskBand>{inside}</MaskBand>"))
    uri = vrt(tmp_path / "a.vrt", bands)

    assert_reads(GeoTIFFSource(uri=uri), array, masks.all(axis=0))
    assert_reads(GeoTIFFSource(uri=uri, bands=(2,)), array[[1]], masks[1])


# Nodata


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", 0),
        ("uint8", 255),
        ("uint16", 65535),
        ("int16", -32768),
        ("int32", -(2**31)),
        ("float32", -9999.1),
        ("float32", -3.4028234663852886e38),
        ("float64", -1.7976931348623157e308),
        ("float32", math.inf),
    ],
)
def test_a_pixel_is_valid_where_no_band_that_is_read_holds_nodata(write_raster, dtype, nodata):
    array, random = noise(dtype=dtype), np.random.default_rng(3)
    holes = random.random(array.shape) > 0.8
    array[holes] = nodata
    uri = write_raster("a.tif", array, nodata=nodata)

    assert_reads(GeoTIFFSource(uri=uri), array, ~holes.any(axis=0))
    assert_reads(GeoTIFFSource(uri=uri, bands=(2,)), array[[1]], ~holes[1])


@pytest.mark.parametrize("nodata", [None, math.nan, -9999])
def test_nan_and_infinity_are_never_valid(write_raster, nodata):
    array = noise(dtype="float32")
    array[0, :9] = np.nan
    array[2, 20, 30:], array[1, 21] = np.inf, -np.inf
    array[1, :, :4] = -9999
    uri = write_raster("a.tif", array, nodata=nodata)
    valid = ~(np.isnan(array) | np.isinf(array)).any(axis=0)
    if nodata == -9999:
        valid[:, :4] = False

    assert_reads(GeoTIFFSource(uri=uri), array, valid)


def test_a_nodata_given_replaces_the_files(write_raster):
    array = noise()
    array[:, :9], array[:, 9:20] = 7, 8
    uri = write_raster("a.tif", array, nodata=7)

    assert_reads(GeoTIFFSource(uri=uri, nodata=8), array, (array != 8).all(axis=0))


@pytest.mark.parametrize("nodata", [math.nan, np.nan, np.float32("nan")])
def test_nodata_of_nan_turns_the_files_number_off_and_is_equal_to_itself(write_raster, nodata):
    array = noise(bands=1, dtype="float32")
    array[:, :9], array[:, 9:12] = -1, np.nan
    source = GeoTIFFSource(uri=write_raster("a.tif", array, nodata=-1), nodata=nodata)

    assert_reads(source, array, ~np.isnan(array[0]))
    for again in (pickle.loads(pickle.dumps(source)), GeoTIFFSource.from_yaml(source.to_yaml())):
        assert again == source
        assert hash(again) == hash(source)
    assert GeoTIFFSource.from_yaml("{uri: a, nodata: .nan}").nodata == "nan"


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", -9999), ("uint8", 256), ("int16", 0.5), ("uint8", math.nan), ("int32", math.inf), ("float32", -1e300)],
)  # fmt: skip
def test_a_nodata_that_the_dtype_cannot_hold_marks_nothing(write_raster, tmp_path, dtype, nodata):
    array = noise(bands=1, dtype=dtype, low=0)
    uri = write_raster("a.tif", array)

    assert_reads(GeoTIFFSource(uri=uri, nodata=nodata), array, np.ones(WHOLE.shape, bool))


def test_a_nodata_in_the_file_that_the_dtype_cannot_hold_marks_nothing(write_raster, tmp_path):
    array = noise(bands=1)
    uri = vrt(
        tmp_path / "a.vrt",
        [(write_raster("a.tif", array), "Byte", "<NoDataValue>-9999</NoDataValue>")],
    )

    assert_reads(GeoTIFFSource(uri=uri), array, np.ones(WHOLE.shape, bool))


def test_bands_of_different_dtype_and_nodata_are_read_in_their_common_dtype(write_raster, tmp_path):
    counts, heights = noise(bands=1), noise(bands=1, dtype="float32")
    counts[0, :5], heights[0, :, :6] = 3, -9999.1
    uri = vrt(
        tmp_path / "a.vrt",
        [
            (write_raster("counts.tif", counts), "Byte", "<NoDataValue>3</NoDataValue>"),
            (write_raster("heights.tif", heights), "Float32", "<NoDataValue>-9999.1</NoDataValue>"),
        ],
    )
    array = np.concatenate([counts.astype("float32"), heights])
    valid = (counts[0] != 3) & (heights[0] != np.float32(-9999.1))

    assert_reads(GeoTIFFSource(uri=uri), array, valid, Window(-1, 2, 20, 70))
    assert_reads(GeoTIFFSource(uri=uri, bands=(1,)), counts, counts[0] != 3)


# Pictures


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "GTiff"])
def test_a_picture_without_georeference_lies_on_its_own_pixels(write_raster, driver):
    uri = write_raster("a", noise(), driver=driver, crs=None, transform=None)
    source = GeoTIFFSource(uri=uri)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(uri) as file:
        array = file.read()

    assert source.grid == Grid(height=HEIGHT, width=WIDTH)
    assert_reads(source, array, np.ones(WHOLE.shape, bool), Window(30, -5, 12, 30))
    source.check()


def test_a_transparent_png_is_valid_where_it_is_seen(write_raster):
    array = with_alpha(4)
    uri = write_raster("a.png", array, driver="PNG", crs=None, transform=None)

    assert_reads(GeoTIFFSource(uri=uri), array[:3], array[3] > 0)


# Mosaics

PLACES = ((0, 0, 20, 30), (10, 25, 25, 20), (31, 2, 9, 21))  # row, col, height, width


@pytest.fixture
def mosaic(write_raster):
    """Three files that overlap, with a gap between them, and holes in each; and the truth."""
    first_row, first_col = 5, 3  # the first file is not the one in the corner
    random = np.random.default_rng(4)
    truth, valid, uris = np.zeros((2, 40, 45), "int16"), np.zeros((40, 45), bool), []
    for i in (1, 0, 2):
        row, col, height, width = PLACES[i]
        array = noise(2, height=height, width=width, dtype="int16", seed=i)
        array[random.random(array.shape) > 0.8] = 0
        x, y = 5e5 + 10 * (col + first_col), 4e6 - 10 * (row + first_row)
        transform = Affine(10, 0, x, 0, -10, y)
        uris.append(write_raster(f"{i}.tif", array, transform=transform, nodata=0))
        for r in range(height):
            for c in range(width):
                if not valid[row + r, col + c] and (array[:, r, c] != 0).all():
                    truth[:, row + r, col + c] = array[:, r, c]
                    valid[row + r, col + c] = True
    assert 0 < valid.sum() < valid.size
    return GeoTIFFSource(uri=tuple(uris)), truth, valid


def test_the_grid_of_a_mosaic_holds_all_its_files(mosaic):
    source, _, _ = mosaic

    assert source.grid.shape == (40, 45)
    assert tuple(source.grid.transform)[:6] == (10, 0, 5e5 + 30, 0, -10, 4e6 - 50)
    assert source.band_names == ("1", "2")


@one_fixture_for_all_examples
@given(window=windows)
def test_in_a_mosaic_the_first_listed_valid_pixel_wins(mosaic, window):
    source, truth, valid = mosaic

    assert_reads(source, truth, valid, window)


def test_a_mosaic_is_0_in_its_gaps(mosaic):
    source, _, _ = mosaic
    chip = source.read(Window(0, 40, 9, 5))

    assert not chip.valid.any()
    assert not chip.data.any()


def test_a_mosaic_of_one_file_is_the_file(write_raster):
    array = noise()
    uri = write_raster("a.tif", array)

    assert GeoTIFFSource(uri=(uri,)).grid == GeoTIFFSource(uri=uri).grid
    assert_reads(GeoTIFFSource(uri=(uri,)), array, np.ones(WHOLE.shape, bool))


def test_the_order_of_files_decides_where_they_overlap(write_raster):
    one = write_raster("one.tif", np.full((5, 5), 1, "uint8"))
    two = write_raster("two.tif", np.full((5, 5), 2, "uint8"))

    for uris, value in (((one, two), 1), ((two, one), 2)):
        assert (GeoTIFFSource(uri=uris).read(Window(0, 0, 5, 5)).data == value).all()


@pytest.mark.parametrize(
    "change",
    [
        {"crs": "EPSG:32618"},
        {"crs": None},
        {"transform": Affine(20, 0, 500_000, 0, -20, 4_000_000)},
        {"transform": Affine(10, 0, 500_004, 0, -10, 4_000_000)},
        {"transform": Affine(10, 0, 500_000, 0, 10, 4_000_000)},
        {"transform": Affine(8, 6, 500_000, 6, -8, 4_000_000)},
    ],
    ids=["crs", "no-crs", "resolution", "sub-pixel", "south-up", "rotated"],
)
def test_files_on_another_lattice_are_no_mosaic_and_the_error_names_both_and_the_cure(
    write_raster, change
):
    uris = write_raster("one.tif", noise()), write_raster("two.tif", noise(), **change)

    with pytest.raises(GridError, match=r"two\.tif: .*, but .*one\.tif is .*WarpedSource"):
        GeoTIFFSource(uri=uris).check()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"bands": 2}, "2 bands of uint8, but .*one.tif has 3 of uint8; choose bands"),
        ({"dtype": "uint16"}, "3 bands of uint16, but .*one.tif has 3 of uint8"),
    ],
)
def test_files_of_other_bands_or_dtype_are_no_mosaic(write_raster, other, message):
    uris = write_raster("one.tif", noise()), write_raster("two.tif", noise(**other))

    with pytest.raises(SourceError, match=rf"two\.tif: cannot join a mosaic: {message}"):
        GeoTIFFSource(uri=uris).check()


def test_files_with_their_bands_in_another_order_are_a_mosaic_by_name_only(write_raster):
    place = Affine(10, 0, 500_000 + 10 * WIDTH, 0, -10, 4_000_000)
    one, two = noise(seed=1), noise(seed=2)
    uris = (
        write_raster("one.tif", one, descriptions=("red", "green", "blue")),
        write_raster("two.tif", two, descriptions=("blue", "green", "red"), transform=place),
    )
    by_name = GeoTIFFSource(uri=uris, bands=("red", "blue"))

    with pytest.raises(
        SourceError, match=r"two\.tif: .* come as blue, green, red, .*by name with bands"
    ):
        GeoTIFFSource(uri=uris).check()
    np.testing.assert_array_equal(
        by_name.read(Window(0, 0, HEIGHT, 2 * WIDTH)).data,
        np.concatenate([one[[0, 2]], two[[2, 0]]], axis=2),
    )


def test_a_mosaic_of_no_file_is_an_error():
    with pytest.raises(SourceError, match="`uri` is an empty list; name a file"):
        GeoTIFFSource(uri=()).check()


# Files that cannot be read


def test_check_passes_on_a_good_file_and_opens_every_file_of_a_mosaic(write_raster, tmp_path):
    uri = write_raster("a.tif", noise())
    GeoTIFFSource(uri=uri).check()

    with pytest.raises(SourceError, match=r"gone\.tif: no such file"):
        GeoTIFFSource(uri=(uri, str(tmp_path / "gone.tif"))).check()


def test_nothing_is_opened_when_a_source_is_made():
    assert GeoTIFFSource(uri="gone.tif").uris == ("gone.tif",)


@pytest.mark.parametrize(
    ("name", "hint"), [("scene_01.tiff", r"did you mean scene_01\.tif\?"), ("x", "check the path")]
)
def test_a_missing_file_is_named_with_its_nearest_neighbour(write_raster, tmp_path, name, hint):
    write_raster("scene_01.tif", noise())

    with pytest.raises(SourceError, match=f"{name}: no such file; {hint}"):
        GeoTIFFSource(uri=str(tmp_path / name)).check()


@pytest.mark.parametrize("uri", ["/nowhere/at/all.tif", "x" * 300])
def test_a_path_that_leads_nowhere_is_no_such_file(uri):
    with pytest.raises(SourceError, match="no such file; check the"):
        GeoTIFFSource(uri=uri).check()


def test_a_folder_is_no_raster(tmp_path):
    with pytest.raises(
        SourceError, match="is a folder, expected a raster file; name the file in it"
    ):
        GeoTIFFSource(uri=str(tmp_path)).check()


def test_an_empty_file_is_no_raster(tmp_path):
    (tmp_path / "a.tif").touch()

    with pytest.raises(SourceError, match=r"a\.tif: is empty \(0 bytes\), expected a raster"):
        GeoTIFFSource(uri=str(tmp_path / "a.tif")).check()


def test_a_text_file_is_no_raster(tmp_path):
    (tmp_path / "a.tif").write_text("no pixels here")

    with pytest.raises(SourceError, match=r"a\.tif: is no raster that GDAL can open"):
        GeoTIFFSource(uri=str(tmp_path / "a.tif")).check()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(write_raster):
    uri = write_raster("a.tif", noise())
    Path(uri).chmod(0)

    with pytest.raises(SourceError, match=r"a\.tif: may not be read; check its permissions"):
        GeoTIFFSource(uri=uri).check()


def test_a_virtual_path_that_leads_nowhere_gives_gdals_own_reason(tmp_path):
    with pytest.raises(
        SourceError, match=r"^/vsizip/.*a\.tif: cannot be opened as a raster: .*not exist"
    ):
        GeoTIFFSource(uri=f"/vsizip/{tmp_path}/gone.zip/a.tif").check()


def test_a_file_in_memory_is_read_by_its_virtual_path(write_raster):
    array = noise()
    content = Path(write_raster("a.tif", array)).read_bytes()

    with rasterio.MemoryFile(content) as memory:
        assert_reads(GeoTIFFSource(uri=memory.name), array, np.ones(WHOLE.shape, bool))


@pytest.mark.parametrize("mask", [None, np.ones(WHOLE.shape, bool)], ids=["plain", "masked"])
def test_a_truncated_file_is_an_error_that_names_file_and_place(write_raster, mask):
    array = noise(dtype="uint16")
    uri = write_raster("a.tif", array, mask=mask, tiled=True, blockxsize=16, blockysize=16)
    content = Path(uri).read_bytes()
    Path(uri).write_bytes(content[: len(content) // 2])
    source = GeoTIFFSource(uri=uri)

    with pytest.raises(SourceError, match=r"a\.tif: .* is truncated or damaged, copy it again"):
        source.read(WHOLE)


def test_a_damaged_block_is_an_error_that_names_its_rows_and_leaves_the_others_readable(
    write_raster,
):
    array = noise(bands=1, height=64, width=48)
    uri = write_raster("a.tif", array, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    with rasterio.open(uri) as file:
        tags = [file.get_tag_item(f"BLOCK_OFFSET_1_{row}", "TIFF", bidx=1) for row in range(4)]
    with Path(uri).open("r+b") as file:
        file.seek(int(tags[2]))
        file.write(b"\xff" * 40)
    source = GeoTIFFSource(uri=uri)

    np.testing.assert_array_equal(source.read(Window(0, 0, 32, 48)).data, array[:, :32])
    with pytest.raises(
        SourceError, match=r"a\.tif: cannot read rows 30\.\.40, columns 20\.\.30: .*copy it"
    ):
        source.read(Window(30, 20, 10, 10))


def test_a_file_georeferenced_by_points_only_is_refused_with_the_cure(write_raster):
    points = [
        GroundControlPoint(r, c, 5e5 + c, 4e6 - r) for r, c in ((0, 0), (0, 9), (9, 0), (9, 9))
    ]
    uri = write_raster("a.tif", noise(), crs=None, transform=None)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(uri, "r+") as file:
        file.gcps = (points, rasterio.CRS.from_epsg(32619))

    with pytest.raises(SourceError, match=r"a\.tif: .*ground control points only.*gdalwarp"):
        GeoTIFFSource(uri=uri).check()


# Files that change


def test_a_changed_file_is_read_anew(write_raster):
    one, two = noise(seed=1), noise(seed=2)
    uri = write_raster("a.tif", one)
    source = GeoTIFFSource(uri=uri)
    assert_reads(source, one, np.ones(WHOLE.shape, bool))

    write_raster("a.tif", two)
    os.utime(uri, ns=(1, 1))
    assert_reads(source, two, np.ones(WHOLE.shape, bool))


def test_the_grid_and_bands_of_a_changed_file_are_found_anew(write_raster):
    uri = write_raster("a.tif", noise())
    source = GeoTIFFSource(uri=uri)
    assert source.grid.shape == WHOLE.shape

    array = noise(bands=2, height=5, width=9, dtype="float32")
    write_raster("a.tif", array, descriptions=("x", "y"))
    os.utime(uri, ns=(1, 1))

    assert source.band_names == ("x", "y")
    assert source.grid.shape == (5, 9)
    assert_reads(source, array, np.ones((5, 9), bool), Window(0, 0, 5, 9))


def columns_of(write_raster, count):
    """Files of 3 x 2 pixels side by side, each full of its own number."""
    return tuple(
        write_raster(
            f"{i}.tif",
            np.full((3, 2), i, "uint8"),
            transform=UTM @ Affine.translation(2 * i, 0),
        )
        for i in range(count)
    )


def test_a_read_asks_the_cache_once_and_looks_at_few_files(write_raster, monkeypatch):
    uris = columns_of(write_raster, 40)
    asked, looked = [], []
    for module in (cache, geotiff, handles, rasterfile):
        monkeypatch.setattr(module, "stamp", lambda uri: looked.append(uri) or stamp(uri))
    monkeypatch.setattr(
        geotiff, "remember", lambda *args, **rest: asked.append(args[0]) or remember(*args, **rest)
    )
    for source, window, most in (
        (GeoTIFFSource(uri=uris[3]), Window(0, 0, 3, 2), 2),
        (GeoTIFFSource(uri=uris[3]), Window(-1, 0, 3, 2), 2),
        (GeoTIFFSource(uri=uris), Window(0, 61, 3, 2), 16 + 4),
    ):
        source.read(window)
        asked.clear()
        looked.clear()
        source.read(window)

        assert len(asked) == 1
        assert len(looked) <= most


def test_a_window_of_a_large_mosaic_opens_the_files_it_meets_only(write_raster, monkeypatch):
    source = GeoTIFFSource(uri=columns_of(write_raster, 40))
    assert source.grid.shape == (3, 80)
    opened = []
    monkeypatch.setattr(
        rasterfile,
        "open_raster",
        lambda uri, **options: opened.append(Path(uri).name) or open_raster(uri, **options),
    )
    data = source.read(Window(1, 9, 1, 4)).data

    np.testing.assert_array_equal(data, [[[4, 5, 5, 6]]])
    assert opened == ["4.tif", "5.tif", "6.tif"]
    assert not source.read(Window(0, 80, 3, 5)).valid.any()
    assert len(opened) == 3


@pytest.mark.parametrize("number", [2, 30])
def test_any_file_of_a_large_mosaic_may_change(write_raster, number):
    uris = columns_of(write_raster, 40)
    source = GeoTIFFSource(uri=uris)
    window = Window(0, 2 * number, 3, 2)
    assert (source.read(window).data == number).all()

    place = UTM @ Affine.translation(2 * number, 0)
    write_raster(f"{number}.tif", np.full((5, 2), 99, "uint8"), transform=place)
    os.utime(uris[number], ns=(1, 1))
    assert (source.read(window).data == 99).all()
    assert source.grid.shape == (5, 80)

    Path(uris[number]).unlink()
    with pytest.raises(SourceError, match=rf"{number}\.tif: no such file"):
        source.read(window)
    with pytest.raises(SourceError, match=rf"{number}\.tif: no such file"):
        source.check()


def test_a_deleted_file_is_missed(write_raster):
    uri = write_raster("a.tif", noise())
    source = GeoTIFFSource(uri=uri)
    source.check()
    Path(uri).unlink()

    with pytest.raises(SourceError, match="no such file"):
        source.read(WHOLE)


@pytest.mark.parametrize("name", [None, "nir"])
def test_a_fourth_byte_band_that_a_writer_called_alpha_can_be_read_as_data(tmp_path, name):
    data = np.random.default_rng(0).integers(1, 255, (4, 9, 11), np.uint8)
    data[3, 2:4, 3:6] = 0
    path = tmp_path / "rgbn.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=9, width=11, dtype="uint8", crs="EPSG:32619",
        transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4e6),
    ) as file:  # fmt: skip
        file.write(data)
        if name:
            file.set_band_description(4, name)
        assert file.colorinterp[3] == rasterio.enums.ColorInterp.alpha
    asked = GeoTIFFSource(uri=str(path), bands=(1, 2, 3, 4)).read(Window(0, 0, 9, 11))
    assert np.array_equal(asked.data, data)
    assert asked.valid.all()
    left_out = GeoTIFFSource(uri=str(path))
    chip = left_out.read(Window(0, 0, 9, 11))
    if name:
        assert left_out.band_names[3] == "nir"
        assert chip.valid.all()
    else:
        assert len(left_out.band_names) == 3
        assert np.array_equal(chip.valid, data[3] > 0)
