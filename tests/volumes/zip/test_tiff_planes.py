"""TIFF files whose writer says what their pages are, and where they lie."""

import io
import struct

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import SourceError
from geoseg.volumes import VolumeZip, VolumeZipWriter, zip_to_scenes
from geoseg.volumes.metadata import VolumeFacts, VolumeMetadata
from geoseg.volumes.zip.images import tiffhead
from geoseg.volumes.zip.images.tiffhead import TiffHead, alike_placed, tiff_head
from tests.volumes.zip.zips import SHAPE, frame, plain, ramp, write

tifffile = pytest.importorskip("tifffile")
HYPER = ramp((4, 2, 6, 9))
"""(slice, channel, height, width)"""
UTM = CRS.from_epsg(32633)
TRANSFORM = Affine(10, 0, 5e5, 0, -10, 4e6)


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack"} | options)
    return buffer.getvalue()


def row_of(tmp_path, data, packed=False):
    return VolumeZip(plain(tmp_path / "a.zip", data, name="v.tif", packed=packed)).frame("train")[0]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (tiff(HYPER, imagej=True, metadata={"axes": "ZCYX"}), "2 channels, 4 slices"),
        (tiff(HYPER, imagej=True, metadata={"axes": "TZYX"}), "2 slices, 4 frames"),
        (tiff(HYPER, ome=True, metadata={"axes": "ZCYX"}), "2 channels, 4 slices"),
        (tiff(HYPER, ome=True, metadata={"axes": "TCYX"}, bigtiff=True), "2 channels, 4 frames"),
        (tiff(HYPER), "4 along axis 0, 2 along axis 1"),
        (tiff(HYPER, byteorder=">"), "4 along axis 0, 2 along axis 1"),
    ],
)
def test_pages_of_several_axes_are_refused(tmp_path, data, problem, packed):
    row = row_of(tmp_path, data, packed)

    with pytest.raises(SourceError, match=rf"images/v.tif: .* says that its pages are {problem};"):
        row.image()
    (error,) = (text for text in row.zip.validate().errors if "pages" in text)
    assert problem in error


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            tiff(ramp(), imagej=True, truncate=True, metadata={"axes": "ZYX"}),
            "tells of 4 slices, but the count of its pages is 1",
        ),
        (tiff(ramp(), truncate=True), "tells of 4 along axis 0, but the count of its pages is 1"),
        (
            tiff(ramp((16, 32, 48)), volumetric=True, tile=(16, 16, 16), metadata=None),
            "a page holds 16 planes",
        ),
    ],
)
def test_planes_that_are_no_pages_are_refused(tmp_path, data, problem):
    with pytest.raises(SourceError, match=rf"images/v.tif: .*{problem}"):
        _ = row_of(tmp_path, data).shape


def one_by_one():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for plane in ramp():
            file.write(plane)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        one_by_one(),
        tiff(ramp(), imagej=True),  # tifffile calls the one axis channels here
        tiff(ramp(), imagej=True, metadata={"axes": "ZYX"}),
        tiff(ramp(), imagej=True, metadata={"axes": "TYX"}),
        tiff(ramp(), ome=True, metadata={"axes": "ZYX"}),
        tiff(ramp(), bigtiff=True),
        tiff(ramp(), metadata=None),
        tiff(ramp(), metadata=None, description='{"shape": [4, '),
        tiff(ramp(), metadata=None, description="ImageJ=1.53\nunit=\u00b5m\n".encode("latin-1")),
    ],
)
def test_pages_of_one_axis_are_slices_whatever_it_is_called(tmp_path, data):
    np.testing.assert_array_equal(row_of(tmp_path, data).image(), ramp()[np.newaxis])


def described(array, text, **options):
    """Bands of a GeoTIFF to which the tags of another file were copied."""
    bands, height, width = array.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": array.dtype}
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", crs=UTM, transform=TRANSFORM, **shape, **options) as file:
            file.write(array)
            file.update_tags(TIFFTAG_IMAGEDESCRIPTION=text)
        return memory.read()


STACK = ramp((6, 20, 30))
OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Pixels {} /></OME>'
IMAGEJ = "ImageJ=1.53t\nimages=6\nslices=6\n"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("part", "text"),
    [
        (STACK[:, :10, :15], '{"shape": [6, 20, 30]}'),  # a crop
        (STACK[:1, :10, :15], '{"shape": [20, 30]}'),
        (STACK[:1, :10, :30], '{"shape": [20, 30]}'),
        (STACK[:1, :20, :20], '{"shape": [20, 30]}'),
        (STACK[:3], '{"shape": [6, 20, 30]}'),  # some bands
        (STACK[:1], '{"shape": [6, 20, 30]}'),  # a page alone
        (STACK[:1], '{"shape": [2, 3, 20, 30]}'),
        (STACK[:1], IMAGEJ),
        (STACK, IMAGEJ),  # pages that became bands
        (STACK, "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\n"),
        (STACK[:1], OME.format('SizeX="30" SizeY="20" SizeC="2" SizeZ="3" SizeT="1"')),
        (STACK[:1, :10], OME.format('SizeX="30" SizeY="20" SizeC="1" SizeZ="6" SizeT="1"')),
    ],
)
@pytest.mark.parametrize("options", [{}, {"compress": "deflate"}, {"tiled": True}])
def test_a_description_of_another_array_is_not_believed(tmp_path, part, text, options, packed):
    row = row_of(tmp_path, described(part, text, **options), packed)

    np.testing.assert_array_equal(row.image(), part[np.newaxis])
    assert (row.crs, row.transform) == (UTM, TRANSFORM)


def test_a_file_of_one_channel_may_describe_the_whole_set(tmp_path):
    sizes = OME.format('SizeX="9" SizeY="6" SizeC="2" SizeZ="4" SizeT="1"')
    found = row_of(tmp_path, tiff(ramp(), metadata=None, description=sizes)).image()

    np.testing.assert_array_equal(found, ramp()[np.newaxis])


def test_planes_in_colour_behind_the_only_page_are_refused(tmp_path):
    colours = (ramp((4, 6, 9, 3)) % 251).astype(np.uint8)
    options = {"imagej": True, "truncate": True, "metadata": {"axes": "ZYXS"}}
    row = row_of(tmp_path, tiff(colours, photometric="rgb", **options))

    with pytest.raises(SourceError, match="tells of 4 slices, but the count of its pages is 1"):
        row.image()


def test_colours_of_pages_stay_channels(tmp_path):
    volume = (ramp((4, 6, 9, 3)) % 251).astype(np.uint8)
    for options in (
        {"imagej": True, "metadata": {"axes": "ZYXS"}},
        {"ome": True, "metadata": {"axes": "ZYXS"}},
        {},
    ):
        found = row_of(tmp_path, tiff(volume, photometric="rgb", **options)).image()
        np.testing.assert_array_equal(found, volume.transpose(3, 0, 1, 2))


def geotiff(folder, transforms=(TRANSFORM,), bands=4):
    """A page for each transform."""
    path = folder / "made.tif"
    for page, transform in enumerate(transforms):
        shape = {"count": bands, "height": 6, "width": 9, "dtype": "uint16"}
        append = {"APPEND_SUBDATASET": True} if page else {}
        with rasterio.open(
            path, "w", driver="GTiff", crs=UTM, transform=transform, **shape, **append
        ) as file:
            file.write(ramp()[page : page + bands])
    return path.read_bytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("pages", "bands"), [(1, 4), (4, 1)])
def test_a_geotiff_tells_its_place_where_the_metadata_do_not(tmp_path, pages, bands, packed):
    row = row_of(tmp_path, geotiff(tmp_path, [TRANSFORM] * pages, bands), packed)
    (scene,) = zip_to_scenes(row.zip, label_axis="drop")

    assert row.shape == SHAPE
    assert (row.crs, row.transform) == (UTM, TRANSFORM)
    assert (scene.grid.crs, scene.grid.transform) == (UTM, TRANSFORM)
    np.testing.assert_array_equal(row.image(), ramp()[np.newaxis])


def test_pages_of_several_places_have_none(tmp_path):
    moved = [TRANSFORM, TRANSFORM, TRANSFORM * Affine.translation(1, 0), TRANSFORM]
    row = row_of(tmp_path, geotiff(tmp_path, moved, bands=1))

    assert (row.crs, row.transform) == (None, None)


SCALE = (33550, "d", 3, (10.0, 20.0, 0.0), True)
TIE = (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True)
ELSEWHERE = (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True)


def paged(*tags, **options):
    """A page with each list of tags; the second one is a smaller copy, which is no page."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as file:
        for number, own in enumerate(tags):
            plain = {"metadata": None, "photometric": "minisblack"}
            file.write(ramp()[number], extratags=own, **plain)
            if not number:
                file.write(ramp()[number, ::2, ::2], subfiletype=1, **plain)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}]
)
@pytest.mark.parametrize(
    ("tags", "alike"),
    [
        ([[SCALE, TIE]] * 4, True),
        ([[TIE, SCALE]] * 2, True),
        ([[SCALE, TIE]], True),
        ([[SCALE, TIE], [SCALE, TIE], [SCALE, ELSEWHERE]], False),
        ([[SCALE, TIE], []], False),
        ([[], [SCALE, TIE]], False),
        ([[], []], False),
    ],
)
def test_pages_alike_in_all_kinds_of_tiff_tell_their_place(tmp_path, tags, alike, options):
    row = row_of(tmp_path, paged(*tags, **options))

    assert row.transform == (Affine(10, 0, 5e5, 0, -20, 4e6) if alike else None)
    np.testing.assert_array_equal(row.image(), ramp()[np.newaxis, : len(tags)])


def test_the_place_of_many_pages_is_read_from_the_first(tmp_path, monkeypatch):
    row, opened = row_of(tmp_path, paged(*[[SCALE, TIE]] * 4)), []
    monkeypatch.setattr(
        rasterio,
        "open",
        lambda name, *args, _open=rasterio.open, **more: (
            opened.append(name) or _open(name, *args, **more)
        ),
    )

    assert row.transform is not None
    assert {name.split(":")[1] for name in opened if name.startswith("GTIFF_DIR")} == {"1"}


def directories(*following, big=False, entries=()):
    """A TIFF of directories with the same entries; each tells a place where the next one lies."""
    end, count, place = ("<Q", "<Q", "<HHQ8s") if big else ("<I", "<H", "<HHI4s")
    data = (
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) if big else struct.pack("<2sHI", b"II", 42, 8)
    )
    for following_one in following:
        data += struct.pack(count, len(entries))
        data += b"".join(struct.pack(place, *entry) for entry in entries)
        data += struct.pack(end, following_one)
    return data


@pytest.mark.parametrize(
    ("data", "pages", "alike"),
    [
        (directories(14, 0), [1, 2], True),
        (directories(14, 0), [2], True),
        (directories(14, 0), [1, 3], False),
        (directories(14, 8), [1, 2], True),
        (directories(14, 8), [1, 2, 3], False),
        (directories(8), [1, 2], False),  # a loop
        (directories(2**32 - 1), [1, 2], False),  # past the end
        (directories(2**64 - 1, big=True), [1, 2], False),  # past any end
        (directories(32, 0, big=True), [1, 2], True),
        (directories(0, entries=[(33550, 12, 2**32 - 1, b"\xff" * 4)]), [1], False),
        (directories(0, entries=[(33550, 12, 2**61, b"\xff" * 8)], big=True), [1], False),
        (directories(0, entries=[(33550, 99, 3, b"\0" * 4)]), [1], True),
        (directories(14)[:12], [1, 2], False),
        (b"", [1], False),
        (b"II", [1], False),
        (b"no TIFF at all", [1], False),
    ],
)
def test_chains_of_directories_that_loop_or_leave_the_file_are_survived(data, pages, alike):
    assert alike_placed(data, pages) == alike
    assert alike_placed(np.frombuffer(data, np.uint8), pages) == alike
    assert tiff_head(data) == TiffHead()


def test_very_many_entries_are_not_all_looked_at(monkeypatch):
    monkeypatch.setattr(tiffhead, "_MOST", 5500)
    entries = [(0, 1, 0, b"")] * 1000
    size = 2 + 12 * len(entries) + 4
    data = directories(*(8 + size * number for number in range(1, 7)), entries=entries)

    assert alike_placed(data, [1, 5])
    assert not alike_placed(data, [1, 6])


def test_the_metadata_come_before_the_file(tmp_path):
    facts = VolumeFacts(transform=Affine(5, 0, 1, 0, -5, 2))
    told = VolumeMetadata(
        image_axes="HWD", rle_order="dhw", classes=("a", "b"), volumes={"v.tif": facts}
    )
    members = {
        "train.pq": frame(["v.tif"], [["", ""]], metadata=told),
        "images/v.tif": geotiff(tmp_path),
    }
    row = VolumeZip(write(tmp_path / "a.zip", members)).frame("train")[0]

    assert (row.crs, row.transform) == (None, facts.transform)


def test_arrays_have_no_place_of_their_own(tmp_path):
    uri = tmp_path / "a.zip"
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write("v", ramp(), {})
    row = VolumeZip(uri).frame("train")[0]

    assert (row.crs, row.transform) == (None, None)
