"""Which files are read without GDAL, and that they come out as rasterio gives them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.convert.images import read_image
from geoseg.rasterpath import georeference_optional
from tests.convert.tiff.judging import same_as_rasterio

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float32", "float64")
PLAIN = ("none", "deflate")
CODECS = (*PLAIN, "lzw", "zstd")
MANY = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def noise(dtype, *shape):
    """Numbers of the whole range of a dtype; floating-point ones with NaN and infinity among them."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 256, (*shape[:-1], shape[-1] * np.dtype(dtype).itemsize), "uint8")
    return bits.view(dtype)


@st.composite
def stored(draw, codecs=CODECS):
    """(array, options of `write_raster`)."""
    dtype = draw(st.sampled_from(INTEGERS + FLOATS))
    shape = [draw(st.integers(1, most)) for most in (4, 70, 70)]
    options = {"compress": draw(st.sampled_from(codecs)), "crs": None, "transform": None}
    if options["compress"] != "none":
        predictors = (1, 2, 3) if dtype in FLOATS else (1, 2)
        options["predictor"] = draw(st.sampled_from(predictors))
    if draw(st.booleans()):
        blocks = {"blockxsize": draw(st.sampled_from((16, 48, 128)))}
        options |= blocks | {"tiled": True, "blockysize": draw(st.sampled_from((16, 96)))}
    else:
        options["blockysize"] = draw(st.sampled_from((1, 3, 32, 100)))
    options["interleave"] = draw(st.sampled_from(("pixel", "band")))
    options["ENDIANNESS"] = draw(st.sampled_from(("LITTLE", "BIG")))
    options["BIGTIFF"] = draw(st.sampled_from(("YES", "NO")))
    if draw(st.booleans()):
        options["crs"] = draw(st.sampled_from(("EPSG:32633", "EPSG:4326", "ESRI:54009")))
    if draw(st.booleans()):
        turn = draw(st.sampled_from((0, 30)))
        options["transform"] = Affine(10, 0, 5e5, 0, -7.5, 4e6) @ Affine.rotation(turn)
    options["nodata"] = draw(st.sampled_from((None, 0, 77)))
    return noise(dtype, *shape), options


@MANY
@given(case=stored(), data=st.data())
def test_what_gdal_writes_is_read_as_rasterio_reads_it(write_raster, case, data):
    array, options = case
    path = write_raster("a.tif", array, **options)
    same_as_rasterio(path)
    bands = data.draw(st.lists(st.integers(1, len(array)), min_size=1, max_size=3))
    same_as_rasterio(path, bands)


@st.composite
def written(draw):
    """(array, options of `tifffile.imwrite`)."""
    dtype = draw(st.sampled_from((*INTEGERS, *FLOATS, "float16", "bool")))
    *size, count = [draw(st.integers(1, most)) for most in (40, 40, 3)]
    planar = count > 1 and draw(st.booleans())
    shape = size if count == 1 else (count, *size) if planar else (*size, count)
    options = {"photometric": "minisblack", "planarconfig": None}
    if count > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    options["tile"] = draw(st.sampled_from((None, (16, 32), (64, 64))))
    if options["tile"] is None:
        options["rowsperstrip"] = draw(st.sampled_from((1, 7, 64)))
    options["compression"] = draw(st.sampled_from((None, "zlib", "lzw", "zstd")))
    if options["compression"] and dtype not in ("bool", "uint64", "int64"):
        options["predictor"] = draw(st.booleans())
    order, big = draw(st.sampled_from("<>")), draw(st.booleans())
    array = noise("uint8", *shape) > 128 if dtype == "bool" else noise(dtype, *shape)
    return array, options | {"byteorder": order, "bigtiff": big}


@settings(MANY, max_examples=40)
@given(case=written())
def test_what_tifffile_writes_is_read_as_rasterio_reads_it(tmp_path, case):
    array, options = case
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    same_as_rasterio(str(tmp_path / "a.tif"))


@settings(MANY, max_examples=40)
@given(case=stored(codecs=PLAIN))
def test_plain_files_are_opened_by_rasterio_only_once_for_their_kind(
    write_raster, monkeypatch, case
):
    array, options = case
    options["transform"] = Affine(10, 0, 5e5, 0, -7.5, 4e6)
    paths = [write_raster(name, array, **options) for name in ("a.tif", "b.tif")]
    read_image(paths[0])
    with monkeypatch.context() as patch:
        patch.setattr(rasterio, "open", None)
        image = read_image(paths[1])
    assert image.data.tobytes() == array.tobytes()
    assert image.transform == options["transform"]


@pytest.mark.parametrize("compress", PLAIN)
def test_files_of_one_kind_may_differ_in_size_and_place(write_raster, opened, compress):
    for size in (9, 33, 64):
        array = noise("uint16", 2, size, size + 1)
        path = write_raster(
            f"{size}.tif",
            array,
            transform=Affine(size, 0, 7, 0, -1, 5),
            compress=compress,
            nodata=3,
            blockysize=4,
        )
        opened.clear()
        image = read_image(path)
        assert len(opened) == (size == 9)
        assert image.transform == Affine(size, 0, 7, 0, -1, 5)
        assert image.crs == "EPSG:32619"
        assert image.nodata == (3, 3)


@pytest.mark.parametrize("change", [{"crs": "EPSG:32620"}, {"nodata": 4}, {"crs": None}])
def test_another_crs_or_nodata_is_another_kind(write_raster, change):
    array = noise("uint16", 1, 5, 7)
    base = {"crs": "EPSG:32619", "nodata": 3}
    same_as_rasterio(write_raster("a.tif", array, **base))
    same_as_rasterio(write_raster("b.tif", array, **base | change))


@pytest.mark.parametrize(
    "transform", [None, Affine(2, 0, 10, 0, -3, 20), Affine(2, 1, 10, 1, -3, 20)]
)
def test_centres_of_pixels_are_brought_to_corners(write_raster, opened, transform):
    path = write_raster("a.tif", noise("uint8", 1, 4, 6), transform=transform)
    with georeference_optional(), rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT="Point")
    opened.clear()
    same_as_rasterio(path)
    assert len(opened) == 2  # the judge's own, and the first of its kind


def test_control_points_are_no_transform(write_raster):
    path = write_raster("a.tif", noise("uint8", 1, 4, 6), crs=None, transform=None)
    points = [
        rasterio.control.GroundControlPoint(r, c, c * 2.0, r * 3.0)
        for r, c in [(0, 0), (0, 6), (4, 0)]
    ]
    with georeference_optional(), rasterio.open(path, "r+") as file:
        file.gcps = points, "EPSG:4326"
    assert same_as_rasterio(path).transform is None


def test_a_kind_that_the_quick_reader_gets_wrong_is_left_to_gdal(write_raster, monkeypatch):
    array = noise("uint16", 1, 5, 7)
    path = write_raster("a.tif", array)
    monkeypatch.setattr(
        "geoseg.convert.tiff.plain.read_pixels", lambda *_, **__: np.zeros((1, 5, 7), "uint16")
    )
    same_as_rasterio(path)
