"""Files that look plain but are not: rasterio opens each of them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import Resampling

from geoseg.convert.images import read_image
from tests.convert.tiff.judging import same_as_rasterio

ARRAY = np.arange(2 * 20 * 30, dtype="uint8").reshape(2, 20, 30)


def opens_once(path, opened):
    """See that it is read as rasterio reads it, by one open a time."""
    same_as_rasterio(path)
    opened.clear()
    read_image(path)
    assert len(opened) == 1


@pytest.mark.parametrize("compress", ["lzw", "zstd", "packbits"])
def test_other_codecs(write_raster, opened, compress):
    opens_once(write_raster("a.tif", ARRAY, compress=compress), opened)


def test_sparse_blocks(write_raster, opened):
    empty = np.zeros((1, 64, 64), "uint8")
    path = write_raster("a.tif", empty, tiled=True, blockxsize=16, blockysize=16, SPARSE_OK="TRUE")
    opens_once(path, opened)


def test_a_palette(write_raster, opened):
    path = write_raster("a.tif", ARRAY[:1], photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {7: (255, 0, 0, 255)})
    opens_once(path, opened)


def test_a_mask_and_overviews(write_raster, opened):
    path = write_raster("a.tif", ARRAY, mask=ARRAY[0] > 9)
    opens_once(path, opened)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2], Resampling.nearest)
    opens_once(path, opened)


def test_few_bits_a_sample(write_raster, opened):
    opens_once(write_raster("a.tif", ARRAY % 4, NBITS=2), opened)


@pytest.mark.parametrize("tag", [(274, "H", 1, 3, True), (65000, "H", 1, 3, True)])
def test_odd_tags(tmp_path, opened, tag):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, ARRAY[0], extratags=[tag])
    opens_once(path, opened)


def test_white_is_zero(tmp_path, opened):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, ARRAY[0], photometric="miniswhite")
    opens_once(path, opened)


def test_several_pages(tmp_path, opened):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, ARRAY, photometric="minisblack")
    opens_once(path, opened)


@pytest.mark.parametrize("name", ["a.tfw", "a.wld", "A.TFW", "a.tifw"])
def test_a_world_file(write_raster, opened, name):
    path = write_raster("a.tif", ARRAY, crs=None, transform=None)
    assert read_image(path).transform is None
    Path(path).with_name(name).write_text("2\n0\n0\n-2\n100\n200\n")
    opens_once(path, opened)
    assert read_image(path).transform is not None or name.startswith("A")


def test_a_crs_and_nodata_beside_the_file(write_raster, opened):
    path = write_raster("a.tif", ARRAY, crs=None)
    assert read_image(path).crs is None
    Path(path + ".aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32633</SRS><PAMRasterBand band='1'><NoDataValue>9</NoDataValue>"
        "</PAMRasterBand></PAMDataset>"
    )
    opens_once(path, opened)
    assert read_image(path).crs == "EPSG:32633"
    assert read_image(path).nodata == (9, None)


def test_sidecars_of_other_files_do_not_matter(write_raster, opened):
    path = write_raster("a.tif", ARRAY)
    Path(path).with_name("b.tif.aux.xml").write_text("<PAMDataset/>")
    read_image(path)
    opened.clear()
    read_image(path)
    assert not opened


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pictures(write_raster, opened, name):
    driver = {"a.png": "PNG", "a.jpg": "JPEG"}[name]
    path = write_raster(name, ARRAY[:1], driver=driver, crs=None, transform=None)
    Path(path + ".aux.xml").unlink(missing_ok=True)
    opens_once(path, opened)
