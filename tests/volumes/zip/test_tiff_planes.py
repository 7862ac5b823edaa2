"""TIFF files whose writer says what their pages are, and where they lie."""

import io

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import SourceError
from geoseg.volumes import VolumeZip, VolumeZipWriter, zip_to_scenes
from geoseg.volumes.metadata import VolumeFacts, VolumeMetadata
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
