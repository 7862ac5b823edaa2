"""Pixels through tifffile: GDAL is the oracle."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from geoseg.errors import SourceError
from geoseg.sources.files import tiffreader
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import decoding_threads
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window
from tests.support.waiting import PATIENCE

HEIGHT, WIDTH = 93, 150
WINDOWS = [
    Window(0, 0, HEIGHT, WIDTH),
    Window(17, 30, 40, 55),
    Window(47, 95, 2, 3),
    Window(HEIGHT - 1, WIDTH - 1, 1, 1),
    Window(-5, 140, 30, 20),
]


def smooth(bands, dtype="uint8"):
    """(band, 93, 150) of gentle slopes, as pictures have them, with a little noise."""
    rows, cols = np.indices((HEIGHT, WIDTH))
    noise = np.random.default_rng(0).integers(0, 6, (bands, HEIGHT, WIDTH))
    slopes = np.stack([40 + rows + (i + 1) * cols / 4 for i in range(bands)])
    return (slopes + noise).astype(dtype)


def both(uri, **options):
    return GeoTIFFSource(uri=uri, **options), GeoTIFFSource(uri=uri, reader="tifffile", **options)


def assert_equal_reads(uri, **options):
    gdal, tiff = both(uri, **options)
    for window in WINDOWS:
        expected, found = gdal.read(window), tiff.read(window)
        assert found.data.dtype == expected.data.dtype
        np.testing.assert_array_equal(found.valid, expected.valid)
        np.testing.assert_array_equal(found.data * found.valid, expected.data * expected.valid)


TILED = {"tiled": True, "blockxsize": 48, "blockysize": 32}


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", [TILED, {"blockysize": 7}, {}])
@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint8", {}),
        ("uint8", {"compress": "deflate"}),
        ("uint8", {"compress": "lzw", "predictor": 2}),
        ("uint16", {"compress": "zstd", "predictor": 2}),
        ("int16", {"compress": "lzw"}),
        ("float32", {"compress": "deflate", "predictor": 3}),
        ("float32", {"compress": "zstd", "predictor": 2}),
        ("uint16", {"compress": "deflate", "ENDIANNESS": "BIG"}),
    ],
)
def test_lossless_files_give_the_same_bytes_as_gdal(
    write_raster, dtype, options, layout, interleave
):
    uri = write_raster("a.tif", smooth(3, dtype), interleave=interleave, **layout, **options)

    assert_equal_reads(uri)
    assert_equal_reads(uri, bands=(3, 1))


@pytest.mark.parametrize("photometric", ["ycbcr", "rgb"])
def test_jpeg_differs_from_gdal_by_some_grey_levels_only(write_raster, photometric):
    uri = write_raster(
        "a.tif", smooth(3), compress="jpeg", photometric=photometric, interleave="pixel",
        tiled=True, blockxsize=48, blockysize=32,
    )  # fmt: skip
    gdal, tiff = (source.read(WINDOWS[0]).data.astype(int) for source in both(uri))
    difference = np.abs(gdal - tiff)

    assert difference.mean() < 1
    assert difference.max() <= 12


def test_a_jpeg_band_alone_is_that_band_of_all(write_raster):
    uri = write_raster(
        "a.tif", smooth(3), compress="jpeg", photometric="ycbcr", interleave="pixel", **TILED
    )
    whole = GeoTIFFSource(uri=uri, reader="tifffile").read(WINDOWS[1]).data
    alone = GeoTIFFSource(uri=uri, reader="tifffile", bands=(2,)).read(WINDOWS[1]).data

    np.testing.assert_array_equal(alone[0], whole[1])


def test_nodata_alpha_and_masks_hide_pixels_as_they_do_with_gdal(write_raster):
    holes = np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.2
    data = smooth(3) * holes
    assert_equal_reads(write_raster("nodata.tif", data, nodata=0, compress="deflate", **TILED))
    assert_equal_reads(write_raster("mask.tif", smooth(3), mask=holes, compress="lzw", **TILED))
    rgba = np.concatenate([smooth(3), holes[None].astype("uint8") * 255])
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    uri = write_raster("alpha.tif", rgba, colors=colors, compress="deflate", **TILED)
    assert_equal_reads(uri)
    assert not GeoTIFFSource(uri=uri, reader="tifffile").read(WINDOWS[0]).valid.all()
    floats = np.where(holes, smooth(2, "float32"), np.nan)
    assert_equal_reads(write_raster("nan.tif", floats.astype("float32"), **TILED))


def test_a_jpeg_with_an_internal_mask_hides_what_gdal_hides(write_raster):
    holes = np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.2
    uri = write_raster(
        "a.tif", smooth(3), mask=holes, compress="jpeg", photometric="ycbcr", **TILED
    )
    found = GeoTIFFSource(uri=uri, reader="tifffile").read(WINDOWS[0])

    np.testing.assert_array_equal(found.valid, holes)


@pytest.mark.parametrize("nodata", [None, 7])
def test_tiles_that_were_left_out_are_filled_as_gdal_fills_them(tmp_path, nodata):
    uri = str(tmp_path / "sparse.tif")
    with rasterio.open(
        uri, "w", driver="GTiff", height=HEIGHT, width=WIDTH, count=2, dtype="uint8",
        crs="EPSG:32619", transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6), nodata=nodata,
        sparse_ok=True, compress="deflate", **TILED,
    ) as file:  # fmt: skip
        file.write(np.full((2, 20, 30), 9, "uint8"), window=rasterio.windows.Window(40, 30, 30, 20))

    gdal, tiff = both(uri)
    np.testing.assert_array_equal(tiff.read(WINDOWS[0]).data, gdal.read(WINDOWS[0]).data)
    assert_equal_reads(uri)


def test_palettes_and_grey_with_white_as_zero_are_read_as_they_are(write_raster):
    assert_equal_reads(write_raster("a.tif", smooth(1), photometric="miniswhite", **TILED))
    uri = write_raster("b.tif", smooth(1), photometric="palette", **TILED)
    assert_equal_reads(uri)


def test_a_mosaic_is_read_by_tifffile_too(write_raster):
    left = write_raster("left.tif", smooth(2)[:, :, :80], **TILED)
    right = write_raster(
        "right.tif", smooth(2)[:, :, 80:],
        transform=rasterio.Affine(10, 0, 500_800, 0, -10, 4_000_000), **TILED,
    )  # fmt: skip

    assert_equal_reads((left, right))


@settings(max_examples=30)
@given(st.integers(0, 92), st.integers(0, 149), st.integers(1, 93), st.integers(1, 150))
def test_any_window_is_a_part_of_the_whole(tmp_path_factory, row, col, height, width):
    folder = tmp_path_factory.getbasetemp() / "any"
    uri = str(folder / "a.tif")
    if not folder.exists():
        folder.mkdir()
        with rasterio.open(
            uri, "w", driver="GTiff", height=HEIGHT, width=WIDTH, count=2, dtype="uint8",
            crs="EPSG:32619", transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6), **TILED,
        ) as file:  # fmt: skip
            file.write(smooth(2))
    window = Window(row, col, min(height, HEIGHT - row), min(width, WIDTH - col))

    found = GeoTIFFSource(uri=uri, reader="tifffile").read(window)
    np.testing.assert_array_equal(found.data, smooth(2)[(slice(None), *window.slices)])


def test_each_tile_is_decoded_once_while_rows_are_read_in_order(write_raster, monkeypatch):
    uri = write_raster("a.tif", smooth(3), compress="deflate", **TILED)
    decoded = []
    decode = tiffreader._decode

    def counting(uri, tiff, number, *rest):
        decoded.append(number)
        return decode(uri, tiff, number, *rest)

    monkeypatch.setattr(tiffreader, "_decode", counting)
    gdal, tiff = both(uri)
    for (row, found), (_, expected) in zip(
        tiff.iter_rows(20, 7, num_threads=2), gdal.iter_rows(20, 7), strict=True
    ):
        np.testing.assert_array_equal(found.data, expected.data, err_msg=str(row))
    assert sorted(decoded) == list(range(12))


def test_a_file_that_changes_is_read_anew(write_raster):
    first = GeoTIFFSource(uri=write_raster("a.tif", smooth(2), **TILED), reader="tifffile")
    first.read(WINDOWS[0])
    write_raster("a.tif", smooth(2)[:, :90] + 1, compress="deflate", **TILED)

    expected = smooth(2)[:, :90] + 1
    np.testing.assert_array_equal(first.read(Window(0, 0, 90, WIDTH)).data, expected)


def test_threads_give_the_same_pixels(write_raster):
    uri = write_raster("a.tif", smooth(3), compress="deflate", **TILED)
    tiff = GeoTIFFSource(uri=uri, reader="tifffile")
    with decoding_threads(3):
        np.testing.assert_array_equal(tiff.read(WINDOWS[0]).data, smooth(3))
    with ThreadPoolExecutor(4) as pool:
        for chip in pool.map(tiff.read, [WINDOWS[0]] * 20):
            np.testing.assert_array_equal(chip.data, smooth(3))


def _read_in_child(source, queue):
    queue.put([source.read(window).data for window in WINDOWS])


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes_give_the_same_pixels(write_raster, start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    uri = write_raster("a.tif", smooth(3), compress="deflate", **TILED)
    tiff = GeoTIFFSource(uri=uri, reader="tifffile")
    here = [tiff.read(window).data for window in WINDOWS]
    context = multiprocessing.get_context(start)
    queue = context.Queue()
    children = [context.Process(target=_read_in_child, args=(tiff, queue)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        for found, expected in zip(queue.get(timeout=PATIENCE), here, strict=True):
            np.testing.assert_array_equal(found, expected)
    for child in children:
        child.join()


def test_what_it_cannot_read_is_an_error_and_not_left_to_gdal(write_raster, tmp_path):
    png = write_raster(
        "a.png", smooth(3), driver="PNG", crs=None, transform=rasterio.Affine.identity()
    )
    with pytest.raises(SourceError, match="reads TIFF only"):
        GeoTIFFSource(uri=png, reader="tifffile").check()
    tif = write_raster("a.tif", smooth(3), **TILED)
    with pytest.raises(SourceError, match="local files only"):
        GeoTIFFSource(uri=f"/vsisubfile/0,/{tif}".replace("//", "/"), reader="tifffile").check()
    cmyk = write_raster("b.tif", smooth(4), photometric="cmyk", **TILED)
    with pytest.raises(SourceError, match="SEPARATED"):
        GeoTIFFSource(uri=cmyk, reader="tifffile").check()


def test_an_overview_is_an_error_and_warping_reads_the_full_resolution(write_raster):
    uri = write_raster("a.tif", smooth(3), **TILED)
    with rasterio.open(uri, "r+") as file:
        file.build_overviews([2, 4])
    with pytest.raises(SourceError, match="full resolution only"):
        GeoTIFFSource(uri=uri, reader="tifffile", overview=0).check()
    tiff = GeoTIFFSource(uri=uri, reader="tifffile")
    assert tiff.coarser(4) == tiff
    warped = WarpedSource(source=tiff, onto=tiff.grid.crop(Window(3, 5, 20, 30)))
    np.testing.assert_array_equal(warped.read(Window(0, 0, 20, 30)).data, smooth(3)[:, 3:23, 5:35])


def test_a_truncated_file_is_told_with_its_tile(write_raster):
    uri = write_raster("a.tif", smooth(3), compress="deflate", **TILED)
    with Path(uri).open("r+b") as file:
        file.truncate(Path(uri).stat().st_size - 3000)
    with pytest.raises(SourceError, match=r"a\.tif"):
        GeoTIFFSource(uri=uri, reader="tifffile").read(Window(0, 0, HEIGHT, WIDTH))


@pytest.mark.parametrize(
    "options", [{"compress": "deflate"}, {"compress": "jpeg"}, {"compress": "lzw"}]
)
def test_a_tile_of_garbage_is_told_by_its_number(write_raster, options):
    uri = write_raster("a.tif", smooth(3), interleave="pixel", **TILED, **options)
    header = tiffreader._describe(uri)
    with Path(uri).open("r+b") as file:
        file.seek(header.places[5, 0])
        file.write(bytes(range(40, 90)))
    source = GeoTIFFSource(uri=uri, reader="tifffile")
    source.read(Window(0, 0, 32, 48))
    with pytest.raises(SourceError, match="tile 5 cannot be decoded"):
        source.read(Window(0, 0, HEIGHT, WIDTH))


def test_without_the_extra_the_error_names_it(write_raster, monkeypatch):
    uri = write_raster("a.tif", smooth(1))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(SourceError, match=r'pip install "geoseg\[tifffile\]"'):
        GeoTIFFSource(uri=uri, reader="tifffile").check()


def test_the_reader_is_kept_in_yaml():
    source = GeoTIFFSource(uri="a.tif", reader="tifffile")
    assert "tifffile" in source.to_yaml()
    assert GeoTIFFSource.from_yaml(source.to_yaml()) == source
