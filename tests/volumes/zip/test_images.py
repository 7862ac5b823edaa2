"""Image formats, judged by numpy, tifffile, rasterio and nibabel."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

from geoseg.errors import SourceError
from geoseg.volumes import VolumeZip
from tests.volumes.zip.zips import frame, npy, plain, ramp, write

nibabel = pytest.importorskip("nibabel")
tifffile = pytest.importorskip("tifffile")
data_path = pytest.importorskip("nibabel.testing").data_path
PART = np.s_[1:3, -2:5, 4:]


def row_of(tmp_path, name, data, packed=False, **options):
    uri = plain(tmp_path / "a.zip", data, name=name, packed=packed)
    return VolumeZip(uri, **options).frame("train")[0]


def check(row, volume, dtype=None):
    """The whole, a part that reaches outside, and the header."""
    assert (row.channels, *row.shape) == volume.shape
    assert row.dtype == (dtype or volume.dtype)
    assert row.image().dtype == row.dtype
    np.testing.assert_array_equal(row.image(), volume)
    wide = np.pad(volume, ((0, 0), (0, 0), (2, 0), (0, 0)))
    np.testing.assert_array_equal(row.image_window(PART), wide[:, 1:3, 0:7, 4:])


@pytest.fixture(params=[False, True], ids=["stored", "packed"])
def packed(request):
    return request.param


@pytest.mark.parametrize("dtype", ["<u2", ">u2", ">f4", "f8", "i1", "bool", "f2", "<i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_in_any_byte_order_and_memory_order(tmp_path, dtype, order, packed):
    stored = (ramp() % 100).transpose(1, 2, 0).astype(dtype, order=order)
    row = row_of(tmp_path, "v.npy", npy(stored), packed)

    check(row, (ramp() % 100).astype(np.dtype(dtype).newbyteorder("="))[np.newaxis])


@pytest.mark.parametrize("axes", ["HWD", "DHW"])
@pytest.mark.parametrize("channels", [1, 2])
def test_channels_stand_last_beside_hwd_and_first_beside_dhw(tmp_path, axes, channels, packed):
    volume = ramp((channels, 4, 6, 9))
    stored = volume if axes == "DHW" else volume.transpose(2, 3, 1, 0)

    check(row_of(tmp_path, "v.npy", npy(stored), packed, image_axes=axes), volume)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(tmp_path, version):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, ramp(), version=version)

    check(row_of(tmp_path, "v.npy", buffer.getvalue(), image_axes="DHW"), ramp()[np.newaxis])


def test_a_flat_image_is_a_volume_of_depth_1(tmp_path):
    row = row_of(tmp_path, "v.npy", npy(ramp((6, 9))))

    assert row.shape == (1, 6, 9)
    np.testing.assert_array_equal(row.image(), ramp((6, 9))[np.newaxis, np.newaxis])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_one_array(tmp_path, save, packed):
    buffer = io.BytesIO()
    save(buffer, any_name=ramp().transpose(1, 2, 0))

    check(row_of(tmp_path, "v.NPZ", buffer.getvalue(), packed), ramp()[np.newaxis])


@pytest.mark.parametrize("arrays", [{}, {"a": ramp(), "b": ramp()}])
def test_npz_with_another_number_of_arrays_is_refused(tmp_path, arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)

    with pytest.raises(
        SourceError, match=rf"images/v.npz: holds {len(arrays)} arrays .*expected one"
    ):
        row_of(tmp_path, "v.npz", buffer.getvalue()).image()


@pytest.mark.parametrize("axes", ["HWD", "DHW"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_pages_of_a_tiff_are_slices_whatever_the_axes(tmp_path, axes, options, packed):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, ramp(), photometric="minisblack", **options)
    row = row_of(tmp_path, "v.tif", buffer.getvalue(), packed, image_axes=axes)

    check(row, ramp()[np.newaxis])


def test_bands_of_pages_are_channels(tmp_path, packed):
    volume = ramp((4, 6, 9, 3), np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, volume, photometric="rgb")

    check(row_of(tmp_path, "v.tiff", buffer.getvalue(), packed), volume.transpose(3, 0, 1, 2))


def test_bands_of_a_geotiff_of_one_page_are_slices(tmp_path, packed):
    with MemoryFile() as memory:
        profile = {"count": 4, "height": 6, "width": 9, "dtype": "float32", "crs": "EPSG:32633"}
        transform = rasterio.Affine(10, 0, 5, 0, -10, 7)
        with memory.open(driver="GTiff", transform=transform, **profile) as file:
            file.write(ramp(dtype=np.float32))
            file.build_overviews([2])  # further directories, which are no pages
        data = memory.read()

    check(row_of(tmp_path, "v.tif", data, packed), ramp(dtype=np.float32)[np.newaxis])


def test_pages_that_differ_are_refused(tmp_path):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(ramp()[0])
        file.write(ramp()[0, 1:])
    row = row_of(tmp_path, "v.tif", buffer.getvalue())

    with pytest.raises(
        SourceError, match=r"images/v.tif: page 2 has .* \(1, 5, 9, uint16\), the first"
    ):
        row.image()


def test_a_tiff_of_more_bands_than_gdal_reads_in_time_is_refused(tmp_path):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, ramp((2, 3, 5000)), photometric="minisblack", planarconfig="contig")

    with pytest.raises(SourceError, match=r"images/v.tif: has 5000 bands, expected at most 4096"):
        _ = row_of(tmp_path, "v.tif", buffer.getvalue()).shape


def test_a_tiff_that_is_something_else_is_refused(tmp_path):
    image = b"P5 9 6 255\n" + bytes(54)

    with pytest.raises(SourceError, match=r"images/v.tif: cannot be read as TIFF"):
        _ = row_of(tmp_path, "v.tif", image).shape


def nifti(array, **header):
    image = nibabel.Nifti1Image(array, np.eye(4))
    for key, value in header.items():
        image.header[key] = value
    return image


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8", "i1", "u2"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_is_read_as_nibabel_reads_it(tmp_path, dtype, suffix, packed):
    image = nifti((ramp() % 100).transpose(1, 2, 0).astype(dtype))
    data = image.to_bytes()
    expected = np.asanyarray(image.dataobj).transpose(2, 0, 1)[np.newaxis]
    data = gzip.compress(data) if suffix == ".nii.gz" else data

    check(row_of(tmp_path, f"v{suffix}", data, packed), expected)


def test_a_big_endian_nifti_and_one_that_is_gzipped_under_another_name(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.uint16)
    image = nibabel.Nifti1Image(ramp(), None, header)
    data = image.to_bytes()
    assert data[:4] == b"\0\0\1\x5c"

    check(row_of(tmp_path, "v.nii", data, image_axes="DHW"), ramp()[np.newaxis])
    check(row_of(tmp_path, "w.nii", gzip.compress(data), image_axes="DHW"), ramp()[np.newaxis])


@pytest.mark.parametrize("endianness", "<>")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_nifti_2_is_read_as_nibabel_reads_it(tmp_path, endianness, pack):
    header = nibabel.Nifti2Header(endianness=endianness)
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti2Image(ramp((4, 6, 9, 2), np.int16), None, header)
    image.header.set_slope_inter(0.25, 7)
    data = bytearray(image.to_bytes())
    assert data[:4] == np.array(540, f"{endianness}i4").tobytes()
    data[176:192] = np.array([0.25, 7], f"{endianness}f8").tobytes()
    expected = nibabel.Nifti2Image.from_bytes(bytes(data)).get_fdata()
    assert expected[0, 0, 1, 1] == 7.75

    row = row_of(tmp_path, "v.nii", pack(bytes(data)), image_axes="DHW")
    check(row, np.moveaxis(expected, -1, 0), np.float32)


def test_scaled_values_of_nifti_are_those_of_nibabel(tmp_path):
    image = nifti(ramp(dtype=np.int16))
    image.header.set_slope_inter(0.5, -3)
    data = bytearray(image.to_bytes())
    data[112:120] = np.array([0.5, -3], "<f4").tobytes()
    expected = nibabel.Nifti1Image.from_bytes(bytes(data)).get_fdata()[np.newaxis]
    assert expected[0, 0, 0, 3] == -1.5

    check(row_of(tmp_path, "v.nii", bytes(data), image_axes="DHW"), expected, np.float32)


@pytest.mark.parametrize("shape", [(4, 6, 9, 2), (4, 6, 9, 1, 2), (4, 6, 9, 1)])
def test_further_axes_of_nifti_are_channels(tmp_path, shape):
    array = ramp(shape)
    expected = np.moveaxis(array.reshape(4, 6, 9, -1), -1, 0)
    row = row_of(tmp_path, "v.nii", nifti(array).to_bytes(), image_axes="DHW")

    check(row, expected)


def test_the_sample_of_nibabel_is_read_alike(tmp_path):
    sample = Path(str(data_path)) / "anatomical.nii"
    expected = np.asanyarray(nibabel.load(sample).dataobj)
    row = row_of(tmp_path, "v.nii", sample.read_bytes())

    assert len(set(row.shape)) == 3
    np.testing.assert_array_equal(row.image()[0], expected.transpose(2, 0, 1))
    assert row.dtype == expected.dtype.newbyteorder("=") == np.int16


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (0, b"\0\0\0\0", "is no NIfTI file"),
        (0, np.array(540, "<i4").tobytes(), "no NIfTI-2 file that holds its own image"),
        (344, b"ni1\0", "no NIfTI-1 file that holds its own image"),
        (70, np.array(1792, "<i2").tobytes(), "holds values of NIfTI's type 1792"),
        (108, np.array(0, "<f4").tobytes(), "says that the image begins at byte 0"),
        (108, np.array(np.nan, "<f4").tobytes(), "says that the image begins at byte nan"),
        (40, np.array(9, "<i2").tobytes(), "its header tells the axes"),
        (42, np.array(0, "<i2").tobytes(), "its header tells the axes"),
        (42, np.array(9000, "<i2").tobytes(), "its header promises 972000 bytes"),
    ],
)
def test_a_nifti_header_that_is_not_plain_is_refused(tmp_path, place, value, problem):
    data = bytearray(nifti(ramp(dtype=np.int16)).to_bytes())
    data[place : place + len(value)] = value

    with pytest.raises(SourceError, match=rf"images/v.nii: .*{problem}"):
        _ = row_of(tmp_path, "v.nii", bytes(data)).shape


def test_a_gzipped_nifti_that_ends_early_is_refused(tmp_path):
    data = nifti(ramp(dtype=np.int16)).to_bytes()
    for cut in (gzip.compress(data[:-9]), gzip.compress(data)[:-9]):
        row = row_of(tmp_path, "v.nii.gz", cut)
        with pytest.raises(SourceError, match=r"images/v.nii.gz: "):
            row.image()


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((2, 2, 2), complex), "holds '<c16', expected whole or floating numbers"),
        (np.array([{}]), "holds Python objects, which are pickled and never loaded"),
        (np.zeros((2, 2), [("a", "u1")]), "holds 'a type with fields'"),
        (np.zeros((2, 2), "U3"), "holds '<U3'"),
        (np.zeros(9), r"holds an array of shape \(9,\), expected two axes"),
        (np.zeros((2,) * 5), r"holds an array of shape \(2, 2, 2, 2, 2\)"),
        (np.zeros((0, 3, 3)), r"its header tells an array of shape \(0, 3, 3\)"),
    ],
)
def test_arrays_that_are_no_volumes_of_numbers_are_refused(tmp_path, array, problem):
    row = row_of(tmp_path, "v.npy", npy(array))

    with pytest.raises(SourceError, match=rf"a.zip: images/v.npy: {problem}"):
        row.image()


def test_a_kind_that_is_not_read_names_those_that_are(tmp_path):
    uri = plain(tmp_path / "a.zip", b"?", name="v.mha", **{"images/w.npy": npy(ramp())})

    with pytest.raises(SourceError, match=r"images/v.mha: is of a kind .* \.npy, \.npz, \.tif"):
        VolumeZip(uri).frame("train")[0].image()


def test_a_missing_image_is_told_with_the_nearest_name(tmp_path):
    table = frame(["vol_2.npy", "../v.npy"], [["", ""]] * 2)
    uri = write(tmp_path / "a.zip", {"train.pq": table, "i/vol_1.npy": npy(ramp())})
    one, two = VolumeZip(uri).frame("train")
    with pytest.raises(
        SourceError, match=r"no member 'i/vol_2.npy' in the zip; did you mean 'i/vol_1"
    ):
        one.image()
    with pytest.raises(
        SourceError, match=r"image '../v.npy': names a path, expected a bare file name"
    ):
        two.image()


@pytest.mark.parametrize("kind", ["mask", "reduced"])
def test_masks_and_small_copies_between_the_pages_of_a_tiff_are_no_slices(tmp_path, kind):
    volume = np.arange(60, 60 + 4 * 7 * 9).astype(np.uint8).reshape(4, 7, 9)
    path = tmp_path / "v.tif"
    if kind == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            options = {"dtype": "uint8", "count": 1, "transform": Affine.scale(2)}
            for number, page in enumerate(volume):
                options["append_subdataset"] = number > 0
                with rasterio.open(path, "w", "GTiff", width=9, height=7, **options) as file:
                    file.write(page, 1)
                    file.write_mask(page > 100)
    else:
        with tifffile.TiffWriter(path) as file:
            for page in volume:
                file.write(page, photometric="minisblack", metadata=None)
                file.write(page[:3, :4], photometric="minisblack", metadata=None, subfiletype=1)
    uri = plain(tmp_path / "a.zip", path.read_bytes(), ["", ""], name="v.tif")
    row = VolumeZip(uri).frame("train")[0]

    np.testing.assert_array_equal(row.image(), volume[np.newaxis])
    np.testing.assert_array_equal(row.image_window(np.s_[1:3, 2:5, :]), volume[None, 1:3, 2:5])
    assert VolumeZip(uri).validate().errors == ()
