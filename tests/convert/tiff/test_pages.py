"""What is understood of one file is used for another only where that would come out the same."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.convert.tiff import page
from geoseg.convert.tiff.header import NotPlainError, parse
from geoseg.convert.tiff.page import page_of
from tests.convert.tiff.judging import same_as_rasterio

FORMS = [(order, big) for order in ("LITTLE", "BIG") for big in ("NO", "YES")]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(page, "_common", {})
    monkeypatch.setattr(page, "_pages", {})


@pytest.fixture
def parsed(monkeypatch):
    """The lengths of the files whose tags are parsed from here on."""
    lengths = []
    monkeypatch.setattr(page, "parse", lambda file: lengths.append(len(file)) or parse(file))
    return lengths


def _understood(file):
    """What is made of a file, to be compared; None where it is left to GDAL."""
    try:
        found = page_of(file)
        return found.blocks, found.kind, found.transform_in(file)
    except (ValueError, struct.error, OverflowError, MemoryError):
        return None


def _forget():
    page._common.clear()
    page._pages.clear()


def _write(write_raster, *, order="LITTLE", big="NO", **options):
    """The bytes of a file of two bands with all that is told of one."""
    options = {"crs": "ESRI:54009", "nodata": 7, "blockysize": 2, "interleave": "band"} | options
    place = {"transform": Affine(10, 0, 5e5, 0, -10, 4e6)}
    array = np.arange(2 * 5 * 7, dtype="uint16").reshape(2, 5, 7)
    path = write_raster("a.tif", array, ENDIANNESS=order, BIGTIFF=big, **place | options)
    with rasterio.open(path, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2017:06:13 10:10:31", note="a text of many words")
    return Path(path).read_bytes()


@pytest.mark.parametrize(("order", "big"), FORMS)
def test_each_byte_that_differs_is_noticed_or_does_not_matter(write_raster, order, big):
    file = _write(write_raster, order=order, big=big)
    assert _understood(file) is not None
    for at in range(len(file)):
        other = bytearray(file)
        other[at] ^= 1 << at % 8
        other = bytes(other)
        _forget()
        fresh = _understood(other)
        _forget()
        assert _understood(file) is not None
        assert _understood(other) == fresh, at


@pytest.mark.parametrize(("order", "big"), FORMS)
def test_a_file_of_another_length_is_understood_anew(write_raster, order, big):
    file = _write(write_raster, order=order, big=big)
    assert _understood(file) is not None
    for cut in range(1, len(file)):
        known = _understood(file[:-cut])
        _forget()
        assert known == _understood(file[:-cut])
        assert _understood(file) is not None


def test_files_with_other_pixels_and_places_are_parsed_once(tmp_path, write_raster, parsed):
    file = _write(write_raster)
    for number in range(5):
        moved = struct.pack("<2d", 5e5 + 1200 * number, 4e6)
        other = file.replace(struct.pack("<2d", 5e5, 4e6), moved)
        other = other.replace(b"2017:06:13", b"2017:07:%02d" % (number + 1))
        path = tmp_path / f"{number}.tif"
        path.write_bytes(other[:-8] + bytes([number] * 8))
        image = same_as_rasterio(str(path))
        assert image.transform.c == 5e5 + 1200 * number
    assert len(parsed) == 1


def test_files_of_two_zones_are_not_taken_for_one_another(write_raster, tmp_path):
    array = np.arange(35, dtype="uint16").reshape(1, 5, 7)
    place = {"transform": Affine(10, 0, 5e5, 0, -10, 4e6)}
    for turn in range(2):
        for zone in (32632, 32633):
            path = write_raster(f"{turn}{zone}.tif", array, crs=f"EPSG:{zone}", **place)
            assert same_as_rasterio(str(path)).crs == f"EPSG:{zone}"


def test_deflated_files_are_not_remembered(write_raster):
    assert _understood(_write(write_raster, compress="deflate")) is not None
    assert not page._pages


def test_pages_are_forgotten_when_there_are_many(write_raster, monkeypatch):
    monkeypatch.setattr(page, "_PAGES", 2)
    for width in (3, 4, 5):
        array = np.zeros((1, 2, width), "uint8")
        path = write_raster(f"{width}.tif", array, crs="EPSG:32633", transform=Affine.scale(2, -2))
        assert same_as_rasterio(str(path)).data.shape[2] == width
        assert 1 <= len(page._pages) <= 2


def test_a_place_of_one_number_in_the_directory_itself_is_left_to_gdal():
    """A matrix of one number, which a BigTIFF has room for in the entry."""
    tags = [
        (256, 3, 1),
        (257, 3, 1),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 0),
        (279, 4, 1),
    ]
    entries = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in tags)
    matrix = struct.pack("<HHQd", 34264, 12, 1, 3.0)

    def file(*more):
        count = len(tags) + len(more)
        head = b"II+\x00\x08\x00\x00\x00" + struct.pack("<QQ", 16, count)
        body = head + b"".join((entries, *more)) + bytes(8)
        at = struct.pack("<HHQQ", 273, 4, 1, len(body))
        return body.replace(struct.pack("<HHQQ", 273, 4, 1, 0), at) + b"\x05"

    assert page_of(file()).transform_in(file()) is None
    with pytest.raises(NotPlainError):
        page_of(file(matrix))
