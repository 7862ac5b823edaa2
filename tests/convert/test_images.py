"""Files that cannot be read, and damaged ones: an error that names the file, never other pixels."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from geoseg.convert.images import read_image
from geoseg.errors import SourceError
from tests.convert.tiff.judging import by_rasterio

ARRAY = np.random.default_rng(1).integers(0, 200, (2, 33, 47), "uint16")


def refused(path, text, **options):
    """See that a file is refused with a text that names it."""
    with pytest.raises(SourceError, match=text) as caught:
        read_image(path, **options)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_names_its_neighbour(write_raster):
    path = write_raster("patch_B02.tif", ARRAY)
    refused(path.replace("B02", "B03"), "no such file; did you mean patch_B02.tif")


def test_an_empty_file(tmp_path):
    path = tmp_path / "a.tif"
    path.touch()
    refused(str(path), "is empty")


def test_a_folder(tmp_path):
    refused(str(tmp_path), "is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    refused(str(tmp_path / "a.tif"), "is a pipe")


@pytest.mark.parametrize(
    "content", [b"hello", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0+" + b"\xff" * 12]
)
def test_what_is_no_raster(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    refused(str(path), "no raster that GDAL can open")


def test_a_file_without_bands_of_its_own(write_raster):
    for table, more in (("one", {}), ("two", {"APPEND_SUBDATASET": "YES"})):
        picture = ARRAY[:1].astype("uint8")
        place = {"crs": "EPSG:3857", "driver": "GPKG", "RASTER_TABLE": table}
        path = write_raster("a.gpkg", picture, **place, **more)
    refused(path, "holds no raster band; name one of its subdatasets")


@pytest.mark.parametrize("options", [{}, {"compress": "lzw"}])
@pytest.mark.parametrize("bands", [(3,), (0,), (1, -1), ()])
def test_bands_that_are_not_there(write_raster, options, bands):
    path = write_raster("a.tif", ARRAY, **options)
    refused(path, "expected numbers from 1 to 2", bands=bands)
    read_image(path)
    refused(path, "expected numbers from 1 to 2", bands=bands)


def test_bands_of_different_dtype_are_read_one_by_one(tmp_path, write_raster):
    write_raster("a.tif", ARRAY[:1])
    write_raster("b.tif", ARRAY[:1].astype("float32"))
    bands = "".join(
        f"<VRTRasterBand dataType='{kind}' band='{band}'><SimpleSource><SourceFilename "
        f"relativeToVRT='1'>{name}.tif</SourceFilename></SimpleSource></VRTRasterBand>"
        for band, name, kind in [(1, "a", "UInt16"), (2, "b", "Float32")]
    )
    path = tmp_path / "c.vrt"
    path.write_text(f"<VRTDataset rasterXSize='47' rasterYSize='33'>{bands}</VRTDataset>")
    refused(str(path), "differ in dtype .1: uint16, 2: float32.")
    assert [read_image(str(path), bands=[band]).data.dtype for band in (1, 2)] == [
        "uint16",
        "float32",
    ]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("options", [{}, {"compress": "deflate"}, {"compress": "lzw"}])
def test_a_truncated_file(tmp_path, write_raster, options, known):
    path = Path(write_raster("a.tif", ARRAY, **options))
    if known:
        read_image(str(path))
    whole = path.read_bytes()
    for keep in (len(whole) - 1, len(whole) // 2, 300, 9):
        path.write_bytes(whole[:keep])
        refused(str(path), "damaged")


@pytest.mark.parametrize(
    "options", [{"interleave": "band"}, {"interleave": "pixel"}, {"mask": ARRAY[0] > 9}]
)
def test_a_damaged_deflated_block_is_never_noise(write_raster, options):
    path = Path(write_raster("a.tif", ARRAY, compress="deflate", **options))
    whole, rng = path.read_bytes(), random.Random(4)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        blocks = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    for _ in range(40):
        offset, size = rng.choice(blocks)
        damaged = bytearray(whole)
        damaged[offset + rng.randrange(2, size)] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        refused(str(path), "damaged|deflated block|decod")


def test_a_cut_picture(write_raster):
    for name, driver in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        picture = ARRAY[:1].astype("uint8")
        path = Path(write_raster(name, picture, driver=driver, crs=None, transform=None))
        path.write_bytes(path.read_bytes()[:-700])
        refused(str(path), "damaged")


@pytest.mark.parametrize("compress", ["none", "deflate", "lzw"])
def test_a_header_that_promises_too_much_takes_no_memory(write_raster, compress):
    path = Path(write_raster("a.tif", ARRAY[:1], compress=compress, blockysize=33))
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(60_000)
        file.pages[0].tags["RowsPerStrip"].overwrite(60_000)
    tracemalloc.start()
    try:
        refused(str(path), "promises|damaged")
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """The bytes of small files of many kinds, each read once."""
    folder, contents = tmp_path_factory.mktemp("samples"), []
    options = [
        {
            "compress": compress,
            "interleave": interleave,
            "BIGTIFF": big,
            "ENDIANNESS": order,
            **block,
        }
        for compress, interleave in (("none", "band"), ("none", "pixel"), ("lzw", "band"))
        for big, order in (("NO", "LITTLE"), ("YES", "BIG"))
        for block in ({"blockysize": 7}, {"tiled": True, "blockxsize": 32, "blockysize": 16})
    ]
    for number, each in enumerate(options):
        path = folder / f"{number}.tif"
        place = {
            "crs": "EPSG:32633",
            "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 4e6),
            "nodata": 7,
        }
        shape = {"count": 2, "height": 33, "width": 47, "dtype": "uint16"}
        with rasterio.open(path, "w", driver="GTiff", **shape, **place, **each) as file:
            file.write(ARRAY)
        read_image(str(path))
        contents.append(path.read_bytes())
    return contents


def damaged(content, rng):
    """A copy with a few bytes changed, mostly in the header, and perhaps cut short."""
    content = bytearray(content)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(min(len(content), rng.choice((600, 1 << 30))))
        content[at] = rng.choice((0, 255, content[at] ^ 1, content[at] ^ 16))
    return content[: rng.randrange(len(content))] if rng.random() < 0.3 else content


@pytest.mark.parametrize("seed", range(150))
def test_damaged_files_are_read_as_rasterio_reads_them_or_refused(tmp_path, samples, seed):
    rng = random.Random(seed)
    content = damaged(rng.choice(samples), rng)
    path = str(tmp_path / "a.tif")
    Path(path).write_bytes(content)
    try:
        image = read_image(path)
    except SourceError:
        refused(path, "damaged|promises|no band")
        return
    pixels, crs, transform, nodata = by_rasterio(path)
    assert image.data.dtype == pixels.dtype
    assert image.data.tobytes() == pixels.tobytes()
    assert image.crs == crs
    assert (image.transform or rasterio.Affine.identity()) == transform
    np.testing.assert_array_equal(np.array(image.nodata, float), np.array(nodata, float))
