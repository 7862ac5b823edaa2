"""Zips that are damaged, or mean harm: one clear SourceError, and nothing written."""

import ctypes
import gzip
import io
import stat
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import GeosegError, SourceError
from geoseg.volumes import VolumeZip
from tests.volumes.zip.memory import peak_of
from tests.volumes.zip.zips import box, frame, npy, plain, ramp, text, write

GOOD = {"train.pq": frame(["v.npy"], [["1 2", ""]]), "images/v.npy": npy(ramp())}


def with_member(path, info, data=b"?", **members):
    """The good zip with one more member."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (GOOD | members).items():
            file.writestr(name, content)
        file.writestr(info, data)
    return str(path)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../out.npy", "leads out of its folder"),
        ("images/../../out.npy", "leads out of its folder"),
        ("/etc/out.npy", "has an absolute name"),
        ("C:/out.npy", "names a drive"),
        ("c:out.npy", "names a drive"),
        ("images\\..\\out.npy", "has a backslash"),
        ("images//out.npy", "has an empty part"),
        ("./out.npy", "has an empty part"),
        ("images/v\0.npy", "has no proper name"),
    ],
)
def test_names_that_lead_out_of_the_zip_are_refused(tmp_path, name, problem):
    info = zipfile.ZipInfo("x")
    info.filename = name
    uri = with_member(tmp_path / "a.zip", info)

    with pytest.raises(SourceError, match=rf"a.zip: the member .*{problem}"):
        VolumeZip(uri)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_symbolic_links_are_refused(tmp_path):
    info = zipfile.ZipInfo("images/w.npy")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    uri = with_member(tmp_path / "a.zip", info, b"/etc/passwd")

    with pytest.raises(SourceError, match=r"a.zip: the member 'images/w.npy' is a symbolic link"):
        VolumeZip(uri)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    uri = with_member(tmp_path / "a.zip", "images/v.npy")

    with pytest.raises(SourceError, match=r"'images/v.npy' is there more than once"):
        VolumeZip(uri)


def test_encrypted_members_are_refused(tmp_path):
    uri = plain(tmp_path / "a.zip")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)

    with pytest.raises(SourceError, match=r"a.zip: the member 'images/v.npy' is encrypted"):
        VolumeZip(uri)


@pytest.mark.parametrize("packed", [False, True])
def test_an_array_that_promises_more_than_it_holds_is_refused(tmp_path, packed):
    data = npy(ramp()).replace(b"(4, 6, 9)", b"(4, 6, 8000000000)")
    data = npy(ramp())[:8] + struct.pack("<H", len(data) - 10 - ramp().nbytes) + data[10:]
    row = VolumeZip(plain(tmp_path / "a.zip", data, packed=packed)).frame("train")[0]

    for read in (lambda: row.shape, row.image):
        with pytest.raises(
            SourceError, match=r"images/v.npy: its header promises 384000000000 bytes"
        ):
            read()


def test_an_array_that_is_cut_short_is_refused(tmp_path):
    row = VolumeZip(plain(tmp_path / "a.zip", npy(ramp())[:-1])).frame("train")[0]

    with pytest.raises(SourceError, match=r"its header promises 432 bytes.* but it holds 431"):
        row.image()


def refused(path, name, data):
    """What is said of an image that is a bomb, told with little memory."""
    row = VolumeZip(plain(path, data, packed=True, name=name)).frame("train")[0]
    tracemalloc.start()
    try:
        with pytest.raises(SourceError) as caught:
            row.image()
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.fixture
def low(monkeypatch):
    """The size from which packing is looked at, so that small files are bombs."""
    for room in ("archive", "images.plain", "images.tiff", "parquet"):
        assert hasattr(__import__(f"geoseg.volumes.zip.{room}", fromlist=["x"]), "check_promise")
    monkeypatch.setattr("geoseg.volumes.zip.archive.LARGE", 100_000)


def test_members_packed_too_tightly_are_refused(tmp_path, low):
    zeros = np.zeros((100, 100, 100), np.uint8)
    inner = io.BytesIO()
    np.savez_compressed(inner, zeros)
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, zeros, compression="zlib", photometric="minisblack")
    nifti = bytearray(352)
    struct.pack_into("<i", nifti, 0, 348)
    struct.pack_into("<8h", nifti, 40, 3, 100, 100, 100, 1, 1, 1, 1)
    struct.pack_into("<h", nifti, 70, 2)
    struct.pack_into("<f", nifti, 108, 352)
    nifti[344:348] = b"n+1\0"
    packed = gzip.compress(bytes(nifti) + zeros.tobytes())

    for name, data in {"v.npy": npy(zeros), "v.npz": inner.getvalue(), "v.nii.gz": packed}.items():
        problem = refused(tmp_path / f"{name}.zip", name, data)
        assert f"images/{name}" in problem
        assert "expected at most 200 from each" in problem
    if len(tiff.getvalue()) * 200 < zeros.nbytes:
        assert "at most 200" in refused(tmp_path / "t.zip", "v.tif", tiff.getvalue())


def test_what_a_bomb_is_begins_at_256_mb(tmp_path):
    zeros = np.zeros((100, 100, 1000), np.uint8)
    row = VolumeZip(plain(tmp_path / "a.zip", npy(zeros), packed=True)).frame("train")[0]

    assert row.zip.archive.member("images/v.npy").size > 200 * 10_000
    assert not row.image().any()


def test_a_table_that_is_a_bomb_is_refused(tmp_path, low):
    table = frame(["v.npy"], [["1 1" * 200_000, ""]], compression="zstd")
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": table})

    with pytest.raises(SourceError, match=r"a.zip: train.pq: \d+ bytes promise to become"):
        VolumeZip(uri)


LISTS = pa.list_(pa.string())


def repeated(count, value, **columns):
    """A table of so many rows, whose lists hold one text that the file holds once."""
    numbers = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [value])
    ends = pa.array(np.arange(count + 1, dtype=np.int32))
    data = {
        "image": pa.array([f"{number}.npy" for number in range(count)]),
        "class_id": pa.array([["a"]] * count, LISTS),
        "rle_mask": pa.ListArray.from_arrays(ends, numbers),
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(data | columns), buffer, store_schema=False)
    return buffer.getvalue()


@pytest.fixture
def pool():
    """Where pyarrow takes memory from in this test alone."""
    usual = pa.default_memory_pool()
    own = pa.proxy_memory_pool(usual)
    # It lives for ever: what was taken from it is given back as late as at the end of the process.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(own))
    pa.set_memory_pool(own)
    yield own
    pa.set_memory_pool(usual)


def test_a_text_that_many_rows_share_takes_the_memory_of_one(tmp_path, pool):
    line = "1 1 " * 49_999 + "1 1"
    volumes = VolumeZip(write(tmp_path / "a.zip", GOOD | {"train.pq": repeated(3000, line)}))
    table, found = volumes.table("train"), []

    assert peak_of(lambda: found.append(table.cells(volumes.archive, 2999))) < 3e6
    assert found[0].rle_mask == [line]
    same, _ = islice(table.all_cells(volumes.archive), 2)
    assert same == found[0]
    assert 0 < pool.max_memory() < 10e6


def test_a_group_of_rows_too_large_to_keep_is_read_alike(tmp_path, monkeypatch):
    line = "1 1 " * 999 + "1 1"
    members = GOOD | {"train.pq": repeated(70, line)}
    monkeypatch.setattr("geoseg.volumes.zip.table._KEPT", 0)
    monkeypatch.setattr("geoseg.volumes.zip.archive.RATIO", 0.1)
    for harmless in (2**28, 70 * len(line) - 1):
        monkeypatch.setattr("geoseg.volumes.zip.archive.LARGE", harmless)
        volumes = VolumeZip(write(tmp_path / f"{harmless}.zip", members))
        table = volumes.table("train")
        assert table.cells(volumes.archive, 69).rle_mask == [line]
        assert [cells.rle_mask for cells in table.all_cells(volumes.archive)] == [[line]] * 70
    monkeypatch.setattr("geoseg.volumes.zip.table._LARGEST", 1000)
    volumes = VolumeZip(write(tmp_path / "large.zip", members))
    with pytest.raises(
        SourceError, match=r"train.pq: holds texts of \d+ bytes in one group of rows"
    ):
        volumes.table("train").cells(volumes.archive, 0)


def test_a_row_of_texts_that_are_too_long_together_is_refused(tmp_path, monkeypatch):
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": repeated(3, "1 1" * 99)})
    monkeypatch.setattr("geoseg.volumes.zip.texts.ROW_BYTES", 296)

    with pytest.raises(
        SourceError, match=r"train.pq: image '0.npy': texts take more than 296 bytes"
    ):
        VolumeZip(uri).frame("train")[0].rles()
    assert any("more than 296 bytes" in error for error in VolumeZip(uri).validate().errors)


def test_a_row_packed_too_tightly_is_refused_however_its_table_is_kept(tmp_path, low, monkeypatch):
    line = "1 1 " * 9_999 + "1 1"
    texts = pa.ListArray.from_arrays(
        pa.array([0, 100], pa.int32()),
        pa.DictionaryArray.from_arrays(np.zeros(100, np.int32), [line]),
    )
    names = pa.array([[f"c{number}" for number in range(100)]], LISTS)
    table = repeated(1, "", class_id=names, rle_mask=texts)
    assert len(table) * 200 < 100 * len(line)
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": table, "images/0.npy": npy(ramp())})
    for kept in (2**26, 0):
        monkeypatch.setattr("geoseg.volumes.zip.table._KEPT", kept)
        with pytest.raises(
            SourceError, match=r"image '0.npy': \d+ bytes promise to become 3999900"
        ):
            VolumeZip(uri).frame("train")[0].rles()


def noisy(count, seed=0):
    """A text of runs that cannot be packed tightly."""
    steps = np.random.default_rng(seed).integers(2, 90, count).cumsum()
    return " ".join(f"{start} 1" for start in steps)


def test_honest_texts_of_any_size_are_read(tmp_path, low, monkeypatch):
    lines = [noisy(9_000, seed) for seed in range(6)]
    table = frame([f"{row}.npy" for row in range(6)], [[line, ""] for line in lines])
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": table})
    monkeypatch.setattr("geoseg.volumes.zip.table._KEPT", 0)
    monkeypatch.setattr("geoseg.volumes.zip.table._LARGEST", 100_000)
    volumes = VolumeZip(uri)
    found = list(volumes.table("train").all_cells(volumes.archive))

    assert sum(map(len, lines)) > 400_000
    assert [cells.rle_mask for cells in found] == [[line, ""] for line in lines]


def test_lists_of_very_many_items_are_refused_before_they_are_read(tmp_path):
    items = pa.DictionaryArray.from_arrays(np.zeros(5000, np.int32), ["a"])
    lists = pa.ListArray.from_arrays(pa.array([0, 5000], pa.int32()), items)
    table = repeated(1, "", class_id=lists, rle_mask=lists)
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": table})

    with pytest.raises(SourceError, match=r"a group of 1 rows lists 5000 classes or texts"):
        VolumeZip(uri)


def test_a_long_list_among_short_ones_is_refused(tmp_path):
    items = pa.array(["a"] * 5001)
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 5001], pa.int32()), items)
    table = frame(["v.npy", "w.npy"], class_id=lists, rle_mask=lists)
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": table})

    with pytest.raises(SourceError, match=r"train.pq: a row lists 5000 classes or texts"):
        VolumeZip(uri)


def test_names_that_a_few_bytes_repeat_are_refused(tmp_path):
    names = pa.DictionaryArray.from_arrays(np.zeros(4000, np.int32), ["n" * 100_000])
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": repeated(4000, "", image=names)})
    assert (tmp_path / "a.zip").stat().st_size < 10_000

    def opened():
        with pytest.raises(SourceError, match=r"train.pq: names and folds: texts take more than"):
            VolumeZip(uri)

    assert peak_of(opened) < 5e6


def test_a_member_whose_entry_lies_about_its_size_is_told(tmp_path):
    plain(tmp_path / "a.zip", packed=True)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.rfind(b"PK\x01\x02")
    (size,) = struct.unpack_from("<I", data, at + 24)
    struct.pack_into("<I", data, at + 24, size + 1000)
    (tmp_path / "a.zip").write_bytes(data)
    (problem,) = VolumeZip(tmp_path / "a.zip").validate().errors

    assert f"holds {size} bytes, its entry promises {size + 1000}" in problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "cannot be read as a zip"), (b"PK" * 99, "cannot be read as a zip")],
)
def test_a_file_that_is_no_zip_is_one_clear_error(tmp_path, data, problem):
    (tmp_path / "a.zip").write_bytes(data)

    with pytest.raises(SourceError, match=rf"a.zip: {problem}"):
        VolumeZip(tmp_path / "a.zip")
    with pytest.raises(SourceError, match=r"b.zip: there is no such file"):
        VolumeZip(tmp_path / "b.zip")
    with pytest.raises(SourceError, match=r"there is no such file"):
        VolumeZip(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", frame(["v.npy"])[:-20], b"PAR1" + bytes(99) + b"PAR1"]
)
def test_a_damaged_table_is_one_clear_error(tmp_path, data):
    uri = write(tmp_path / "a.zip", GOOD | {"train.pq": data})

    with pytest.raises(SourceError, match=r"a.zip: train.pq: cannot be read as Parquet"):
        VolumeZip(uri)


@pytest.mark.parametrize("packed", [False, True])
def test_a_checksum_that_does_not_fit_is_told(tmp_path, packed):
    uri = plain(tmp_path / "a.zip", packed=packed)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 16] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    volumes = VolumeZip(uri)

    (problem,) = volumes.validate().errors
    assert problem.startswith(
        "train.pq: image 'v.npy': images/v.npy: cannot be read, it is damaged"
    )
    assert "CRC" in problem


def use(uri):
    """Everything that reads."""
    volumes = VolumeZip(uri)
    volumes.validate()
    volumes.diagnose_axes()
    for row in volumes.frame("train"):
        row.image()
        row.image_window(np.s_[0:1, 0:2, 1:4])
        row.masks()


def image_of(kind):
    buffer = io.BytesIO()
    if kind == "tif":
        tifffile.imwrite(buffer, ramp((2, 3, 5)), compression="zlib", photometric="minisblack")
    elif kind == "npz":
        np.savez_compressed(buffer, ramp((2, 3, 5)))
    elif kind == "nii.gz":
        head = bytearray(352)
        struct.pack_into("<i", head, 0, 348)
        struct.pack_into("<8h", head, 40, 3, 2, 3, 5, 1, 1, 1, 1)
        struct.pack_into("<h", head, 70, 4)
        struct.pack_into("<f", head, 108, 352)
        head[344:348] = b"n+1\0"
        buffer.write(gzip.compress(bytes(head) + ramp((2, 3, 5)).tobytes(), mtime=0))
    else:
        np.save(buffer, ramp((2, 3, 5)))
    return buffer.getvalue()


KINDS = ["npy", "npz", "tif", "nii.gz"]
DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
)


def damaged(data, changes, cut):
    out = bytearray(data)
    for place, value in changes:
        out[int(place * len(out))] = value
    return bytes(out[: max(int(cut * len(out)), 1)])


def survives(uri):
    """Read all of it, or be told why not."""
    with suppress(GeosegError):
        use(uri)


CUTS = st.one_of(st.just(1.0), st.floats(0, 1))
EXAMPLES = settings(max_examples=20)


@EXAMPLES
@given(st.sampled_from(KINDS), DAMAGE, CUTS)
@pytest.mark.filterwarnings("ignore:.*run-length text")
def test_damaged_images_are_source_errors(tmp_path_factory, kind, changes, cut):
    path = tmp_path_factory.mktemp("z") / "a.zip"
    survives(plain(path, damaged(image_of(kind), changes, cut), ["1 2", ""], name=f"v.{kind}"))


@EXAMPLES
@given(DAMAGE, CUTS)
@pytest.mark.filterwarnings("ignore:.*run-length text")
def test_damaged_tables_are_errors_of_geoseg(tmp_path_factory, changes, cut):
    path = tmp_path_factory.mktemp("z") / "a.zip"
    table = frame(["v.npy"], [[text(box()), "1 2"]])
    members = {"train.pq": damaged(table, changes, cut), "images/v.npy": npy(ramp())}
    survives(write(path, members))


@EXAMPLES
@given(st.booleans(), DAMAGE, CUTS)
@pytest.mark.filterwarnings("ignore:.*run-length text")
def test_damaged_zips_are_errors_of_geoseg(tmp_path_factory, packed, changes, cut):
    path = tmp_path_factory.mktemp("z") / "a.zip"
    uri = plain(path, packed=packed)
    path.write_bytes(damaged(path.read_bytes(), changes, cut))
    survives(uri)
