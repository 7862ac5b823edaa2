import io
import struct
import subprocess
import sys
import weakref
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ConfigError, LabelError, SourceError, StoreError
from geoseg.volumes import Rle, VolumeZip, VolumeZipWriter, read_scores
from geoseg.volumes.metadata import VolumeMetadata
from geoseg.volumes.writing.frames import FrameWriter
from tests.volumes.rle.documented import documented_decoder, documented_encoder

CLASSES = ["river", "ice", "fog"]
SHAPE = (4, 3, 5)


def table(uri, name="train.pq"):
    with zipfile.ZipFile(uri) as file:
        return pq.read_table(io.BytesIO(file.read(name)))


def stored(uri, name):
    with zipfile.ZipFile(uri) as file:
        return np.load(io.BytesIO(file.read(name)))


def image_of(channels=2, shape=SHAPE, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(0, 200, (channels, *shape)).astype(dtype)


def masks_of(shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "river": rng.random(shape) < 0.5,
        "fog": (rng.random(shape) < 0.2).astype("uint8") * 255,
    }


def write(uri, *, classes=CLASSES, **options):
    with VolumeZipWriter(str(uri), classes, **options) as writer:
        writer.write("a", image_of(), masks_of(), fold=1, crs=32619, channel_names=["red", "nir"])
        writer.write("b.npy", image_of(1)[0], {"ice": Rle.encode(masks_of()["river"])}, fold=0)
        writer.write("c", image_of(1, (2, 5, 3)), {}, "validation")
        writer.write("d", image_of(3), None, "test", times=["2020-01-01", *dates()])
    return str(uri)


def dates():
    return [date(2020, 2, day) for day in (1, 2, 3)]


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "new" / "volumes.zip")


@settings(max_examples=60)
@given(
    shape=st.permutations([1, 2, 3, 4, 5, 7]).map(lambda sides: tuple(sides[:3])),
    channels=st.integers(1, 3),
    dialect=st.tuples(st.sampled_from(["HWD", "DHW"]), st.sampled_from(["dhw", "hwd"])),
    dtype=st.sampled_from(["bool", "uint8", "int16", ">u2", "float16", "float32", "int64"]),
)
def test_any_volume_reads_back_by_the_documented_helpers(
    tmp_path_factory, shape, channels, dialect, dtype
):
    axes, order = dialect
    uri = tmp_path_factory.mktemp("zip") / "a.zip"
    image = image_of(channels, shape, dtype)
    mask = masks_of(shape)["river"]
    with VolumeZipWriter(str(uri), ["x"], image_axes=axes, rle_order=order) as writer:
        writer.write("a", image, {"x": mask})
    found = stored(uri, "images/a.npy")
    assert found.dtype == image.dtype
    if channels == 1:
        expected = image[0].transpose(1, 2, 0) if axes == "HWD" else image[0]
    else:
        expected = image.transpose(2, 3, 1, 0) if axes == "HWD" else image
    np.testing.assert_array_equal(found, expected)
    text = table(uri)["rle_mask"][0][0].as_py()
    depth, height, width = shape
    if order == "dhw":
        assert text == documented_encoder(mask)
        read = documented_decoder(text, (height, width, depth))
        np.testing.assert_array_equal(read, mask)
    else:
        assert text == documented_encoder(mask.transpose(1, 2, 0))


def test_the_tables_have_the_columns_of_the_layout(uri):
    write(uri)
    train = table(uri)
    assert train.to_pylist() == [
        {
            "image": "a.npy",
            "class_id": CLASSES,
            "rle_mask": [
                documented_encoder(masks_of()["river"]),
                "",
                documented_encoder(masks_of()["fog"]),
            ],
            "fold": 1,
        },
        {
            "image": "b.npy",
            "class_id": CLASSES,
            "rle_mask": ["", documented_encoder(masks_of()["river"]), ""],
            "fold": 0,
        },
    ]
    assert [str(field.type) for field in train.schema] == [
        "string",
        "list<element: string>",
        "list<element: string>",
        "int64",
    ]
    assert table(uri, "validation.pq").to_pylist() == [
        {"image": "c.npy", "class_id": CLASSES, "rle_mask": ["", "", ""]}
    ]
    assert table(uri, "test.pq").to_pylist() == [{"image": "d.npy"}]


def test_the_schema_tells_what_columns_cannot(uri):
    write(uri, image_axes="DHW", rle_order="hwd")
    told = VolumeMetadata.from_schema(table(uri, "test.pq").schema.metadata, where="test.pq")
    assert (told.image_axes, told.rle_order, told.classes) == ("DHW", "hwd", tuple(CLASSES))
    assert told.volumes["d.npy"].times == ("2020-01-01", "2020-02-01", "2020-02-02", "2020-02-03")
    told = VolumeMetadata.from_schema(table(uri).schema.metadata, where="train.pq")
    assert told.volumes["a.npy"].crs.to_epsg() == 32619
    assert told.volumes["a.npy"].channel_names == ("red", "nir")
    assert set(told.volumes) == {"a.npy"}


def test_writing_twice_gives_the_same_bytes(tmp_path):
    one, two = write(tmp_path / "one.zip"), write(tmp_path / "two.zip")
    assert Path(one).read_bytes() == Path(two).read_bytes()


@pytest.mark.parametrize("large", [False, True])
def test_arrays_lie_at_multiples_of_64_bytes_and_can_be_mapped(uri, monkeypatch, large):
    if large:  # as members past 4 GB are written
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    write(uri)
    with zipfile.ZipFile(uri) as file:
        assert file.testzip() is None
        members = [member for member in file.infolist() if member.filename.endswith(".npy")]
    data = Path(uri).read_bytes()
    for member in members:
        assert member.compress_type == zipfile.ZIP_STORED
        name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
        begin = member.header_offset + 30 + name + extra
        with io.BytesIO(data[begin : begin + member.file_size]) as file:
            np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            place = begin + file.tell()
        mapped = np.memmap(uri, dtype, "r", place, shape, "F" if fortran else "C")
        assert place % 64 == 0
        np.testing.assert_array_equal(mapped, stored(uri, member.filename))
        del mapped


def test_members_have_one_time_and_mode(uri):
    write(uri)
    with zipfile.ZipFile(uri) as file:
        members = file.infolist()
    assert {(m.date_time, m.create_system, m.external_attr >> 16) for m in members} == {
        ((1980, 1, 1, 0, 0, 0), 3, 0o100644)
    }
    assert [m.filename for m in members] == [
        *(f"images/{name}.npy" for name in "abcd"),
        *("train.pq", "validation.pq", "test.pq"),
    ]


@pytest.mark.parametrize("axes", ["HWD", "DHW"])
@pytest.mark.parametrize("order", ["dhw", "hwd"])
def test_the_reader_gives_back_what_was_written(uri, axes, order):
    write(uri, image_axes=axes, rle_order=order)
    opened = VolumeZip(uri, validation="validation.pq", test="test.pq")
    first, second = opened.frame("train")
    assert opened.classes == tuple(CLASSES)
    np.testing.assert_array_equal(first.image(), image_of())
    np.testing.assert_array_equal(second.image(), image_of(1))
    masks = masks_of()
    expected = [masks["river"], np.zeros(SHAPE, bool), masks["fog"] > 0]
    np.testing.assert_array_equal(first.masks(), expected)
    assert (first.fold, second.fold) == (1, 0)
    assert first.crs.to_epsg() == 32619
    (test,) = opened.frame("test")
    assert test.masks() is None
    assert test.times[1] == "2020-02-01"
    assert opened.validate().errors == ()


def test_a_large_volume_is_read_by_slabs(uri, monkeypatch):
    monkeypatch.setattr("geoseg.volumes.writing.arrays._SLAB_BYTES", 64)
    image = image_of()

    class Lazy:
        shape, dtype = image.shape, image.dtype

        def __getitem__(self, key):
            part = image[key]
            assert part.nbytes <= 64
            return part

    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", Lazy(), {})
    np.testing.assert_array_equal(stored(uri, "images/a.npy"), image.transpose(2, 3, 1, 0))


def test_tables_of_many_volumes_are_written_in_parts(uri, monkeypatch):
    monkeypatch.setattr("geoseg.volumes.writing.frames.GROUP_BYTES", 100)
    with VolumeZipWriter(uri, ["river"]) as writer:
        for number in range(9):
            mask = masks_of(seed=number)["river"]
            writer.write(f"v{number}", image_of(1), {"river": mask}, fold=f"site {number % 2}")
    found = table(uri)
    assert found["image"].to_pylist() == [f"v{number}.npy" for number in range(9)]
    assert found["fold"].to_pylist()[:2] == ["site 0", "site 1"]
    for number, texts in enumerate(found["rle_mask"].to_pylist()):
        assert texts == [documented_encoder(masks_of(seed=number)["river"])]


def test_what_one_row_may_hold_is_the_same_for_writer_and_reader(uri, monkeypatch):
    mask = np.zeros(SHAPE, bool)
    mask[:, :, ::2] = True
    longest = len(documented_encoder(mask))
    for room in ("writing.frames", "zip.texts"):
        monkeypatch.setattr(f"geoseg.volumes.{room}.ROW_BYTES", longest)
    with VolumeZipWriter(uri, ["river"]) as writer:
        writer.write("a", image_of(1), {"river": mask})
        longer = mask ^ (np.arange(60).reshape(SHAPE) == 20)
        assert len(documented_encoder(longer)) > longest
        with pytest.raises(StoreError, match=rf"b\.npy: .*at most {longest}; cut the volume"):
            writer.write("b", image_of(1), {"river": longer})
    np.testing.assert_array_equal(VolumeZip(uri).frame("train")[0].masks(), [mask])


def test_groups_of_rows_hold_as_many_items_as_the_reader_takes(uri, monkeypatch):
    for room in ("writing.frames", "zip.texts"):
        monkeypatch.setattr(f"geoseg.volumes.{room}.GROUP_ITEMS", 7)
    with VolumeZipWriter(uri, CLASSES) as writer:
        for number in range(5):
            writer.write(f"v{number}", image_of(1), {})
    with zipfile.ZipFile(uri) as file:
        parquet = pq.ParquetFile(io.BytesIO(file.read("train.pq"))).metadata
    assert [parquet.row_group(group).num_rows for group in range(parquet.num_row_groups)] == [
        2,
        2,
        1,
    ]
    assert VolumeZip(uri).validate().ok


def test_as_many_classes_are_written_as_a_row_may_list(uri):
    names = [f"c{number}" for number in range(4097)]
    with pytest.raises(ConfigError, match="there are 4097 classes, expected at most 4096"):
        VolumeZipWriter(uri, names)
    with VolumeZipWriter(uri, names[:4096]) as writer:
        writer.write("a", image_of(1), {"c4095": image_of(1)[0] > 9})
    assert VolumeZip(uri).frame("train")[0].rles()[-1].area == np.count_nonzero(image_of(1) > 9)


def write_then_fail(writer):
    writer.write("z", image_of(), {})
    writer.write("y", image_of(), {"no class": None})


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(uri):
    write(uri)
    before = Path(uri).read_bytes()
    with pytest.raises(LabelError), VolumeZipWriter(uri, CLASSES) as writer:
        write_then_fail(writer)
    assert Path(uri).read_bytes() == before
    assert [path.name for path in Path(uri).parent.iterdir()] == ["volumes.zip"]


def test_an_image_that_fails_half_way_fails_the_zip_even_where_it_is_caught(uri):
    class Torn:
        shape, dtype = SHAPE, np.dtype("uint8")

        def __getitem__(self, key):
            raise SourceError("torn")

    def write_all():
        with VolumeZipWriter(uri, CLASSES) as writer:
            writer.write("ok", image_of(), {})
            with pytest.raises(SourceError, match="torn"):
                writer.write("a", Torn(), {})
            with pytest.raises(StoreError, match="begin anew"):
                writer.write("b", image_of(), {})

    with pytest.raises(StoreError, match=r"images/a\.npy was not written whole"):
        write_all()
    assert not list(Path(uri).parent.iterdir())


def test_what_is_refused_leaves_the_writer_as_it_was(uri):
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", image_of(), {})
        with pytest.raises(
            LabelError, match=r"a2\.npy: there is a mask of 'rivers', which is no class"
        ):
            writer.write("a2", image_of(), {"rivers": masks_of()["river"]})
        writer.write("b", image_of(), {})
    assert table(uri)["image"].to_pylist() == ["a.npy", "b.npy"]


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        (
            {"river": np.zeros((5, 4, 3), bool)},
            r"a\.npy, class 'river': the mask has the shape \(5, 4, 3\)",
        ),
        ({"fog": np.arange(60).reshape(SHAPE)}, r"a\.npy, class 'fog': the mask holds the values"),
        ({"fog": np.zeros(SHAPE)}, r"a\.npy, class 'fog': the mask is float64"),
        ({"fog": Rle.encode(np.ones((1, 4, 3), bool))}, r"shape \(1, 4, 3\), expected \(4, 3, 5\)"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_by_name(uri, masks, text):
    with pytest.raises(LabelError, match=text), VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", image_of(), masks)


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/b",
        "a\\b",
        ".hidden",
        "",
        "a\n",
        "a:b",
        "con",
        "NUL.npy",
        "a.",
        " a",
        "a" * 201,
        "..",
        "a\0",
        "a\x7fb",
        "a|b",
        'a"b',
        "a?",
        "<a>",
        "a*",
        "a\u202eb",
        "a\u2028b",
        "a\udc80b",
        "aux .npy",
        "CONOUT$",
        "com\u00b9.npy",
        "a\u00a0",
    ],
)
def test_unsafe_names_are_refused(uri, name):
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", image_of(), {})
        with pytest.raises(StoreError, match="a volume is named"):
            writer.write(name, image_of(), {})


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a"), ("a", "a.npy"), ("Site", "sITE"), ("Z\u00fcrich", "Zu\u0308rich")],
)
def test_names_that_are_one_on_some_system_are_refused(uri, one, other):
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write(one, image_of(), {})
        with pytest.raises(StoreError, match="was written already"):
            writer.write(other, image_of(), {})


@pytest.mark.parametrize(
    "name",
    [
        "Z\u00fcrich (2020) 1.5",
        "cafe\u0301 #1",
        "a&b",
        "50% [x] {y} ~z!'$^;`",
        "-a",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
    ],
)
def test_names_in_any_script_and_with_any_harmless_mark_are_kept(uri, name):
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write(name, image_of(), {})
    assert f"images/{name}.npy" in zipfile.ZipFile(uri).namelist()
    (row,) = VolumeZip(uri).frame("train")
    assert row.name == f"{name}.npy"
    assert (row.image() == image_of()).all()


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        (
            {"split": "valid"},
            ConfigError,
            "split is 'valid', expected one of: train, validation, test",
        ),
        ({"split": "test"}, StoreError, "has masks, but goes to the split 'test'"),
        ({"masks": None}, StoreError, "has no masks, but goes to the split 'train'"),
        ({"fold": 1.5}, ConfigError, r"fold is 1\.5"),
        ({"fold": True}, ConfigError, "fold is True"),
        ({"fold": 1 << 63}, ConfigError, "at most 64 bits"),
        ({"fold": -(1 << 63) - 1}, ConfigError, "at most 64 bits"),
        ({"fold": "a\ud800"}, ConfigError, "fold is 'a.ud800', .* no character"),
        ({"channel_names": ["a", "\udfff"]}, ConfigError, "name of a channel is '.udfff'"),
        ({"transform": Affine(1, 0, float("nan"), 0, -1, 0)}, ConfigError, "transform is .*finite"),
        ({"transform": Affine(float("inf"), 0, 0, 0, -1, 0)}, ConfigError, "transform is .*finite"),
        ({"transform": Affine(0, 0, 0, 0, 0, 0)}, ConfigError, "give a pixel an area"),
        ({"fold": "one"}, StoreError, "fold is 'one', but that of first.npy is 0"),
        ({"fold": None}, StoreError, "fold is None, but that of first.npy is 0"),
        ({"times": ["2020-01-01"]}, ConfigError, "1 times are given, expected 4"),
        ({"times": ["May"] * 4}, ConfigError, "'May' is no time"),
        ({"channel_names": ["a"]}, ConfigError, "1 names of channels are given, expected 2"),
        ({"transform": "here"}, ConfigError, "transform"),
        ({"image": np.zeros((3, 4))}, ConfigError, r"shape \(3, 4\), expected \(channel, depth"),
        ({"image": np.zeros((0, 3, 4))}, ConfigError, r"shape \(0, 3, 4\)"),
        ({"image": np.zeros(SHAPE, complex)}, ConfigError, "complex128"),
        ({"image": np.zeros(SHAPE, object)}, ConfigError, "object"),
    ],
)
def test_what_does_not_fit_is_refused(uri, options, kind, text):
    given = {"name": "a", "image": image_of(), "masks": {}, "fold": 0} | options
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("first", image_of(), {}, fold=0)
        with pytest.raises(kind, match=text):
            writer.write(given.pop("name"), given.pop("image"), given.pop("masks"), **given)


@pytest.mark.parametrize(
    ("classes", "options", "text"),
    [
        ([], {}, "expected a list of one or more names"),
        ("river", {}, "expected a list of one or more names"),
        (["a", "b", "a"], {}, "classes named twice: a"),
        (["a", "b\ud800"], {}, "name of a class is 'b.ud800', .* no character"),
        (["a"], {"image_axes": "hwd"}, "image_axes is 'hwd', expected one of: HWD, DHW"),
        (["a"], {"rle_order": "HWD"}, "rle_order is 'HWD', expected one of: dhw, hwd"),
    ],
)
def test_a_writer_refuses_what_cannot_be_before_any_work(uri, classes, options, text):
    with pytest.raises(ConfigError, match=text):
        VolumeZipWriter(uri, classes, **options)


def test_a_zip_without_volumes_is_refused(uri):
    with pytest.raises(StoreError, match="no volume was written"), VolumeZipWriter(uri, CLASSES):
        pass
    assert not Path(uri).exists()


def test_writing_outside_the_block_is_refused(uri):
    writer = VolumeZipWriter(uri, CLASSES)
    with pytest.raises(StoreError, match="is not open"):
        writer.write("a", image_of(), {})


def test_the_transform_comes_back_to_the_bit(uri):
    transform = Affine(0.1 + 0.2, 1e-17, 500_000.1, 0, -1 / 3, 7e6)
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", image_of(), {}, transform=transform)
    told = VolumeMetadata.from_schema(table(uri).schema.metadata, where="")
    assert told.volumes["a.npy"].transform == transform


def test_scores_come_slab_by_slab_and_lie_slices_first(uri):
    scores = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", image_of(), {})
        writer.write_scores("a", (scores[:, first : first + 3] for first in (0, 3)))
        with pytest.raises(StoreError, match="has scores already"):
            writer.write_scores("a", [scores])
        with pytest.raises(StoreError, match=r"b\.npy: was not written"):
            writer.write_scores("b", [scores])
        writer.write("b", image_of(seed=1), {})
    one, other = VolumeZip(uri).frame("train")
    np.testing.assert_array_equal(read_scores(one), scores.astype("float16"))
    assert read_scores(other) is None
    np.testing.assert_array_equal(other.image(), image_of(seed=1))
    found = stored(uri, "scores/a.npy")
    np.testing.assert_array_equal(found, scores.transpose(1, 0, 2, 3).astype("float16"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda scores: scores[:, :3], "scores of 3 planes came, expected 4"),
        (lambda scores: np.concatenate([scores, scores], 1), "scores of 8 planes or more"),
        (lambda scores: scores[:2], r"shape \(2, 4, 3, 5\)"),
        (lambda scores: scores * 3, "expected probabilities"),
        (lambda scores: scores * np.nan, "expected probabilities"),
        (lambda scores: scores.astype(int), "expected probabilities"),
    ],
)
def test_scores_that_do_not_fit_are_refused(uri, change, text):
    scores = np.full((3, *SHAPE), 0.9)

    def write_all():
        with VolumeZipWriter(uri, CLASSES) as writer:
            writer.write("a", image_of(), {})
            with pytest.raises(LabelError, match=text):
                writer.write_scores("a", [change(scores)])

    with pytest.raises(StoreError, match="begin anew"):
        write_all()


@contextmanager
def files_up_to(size):
    """No file may grow past so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [1000, 1500])
def test_a_full_disk_is_told_and_leaves_nothing(uri, size):
    def write_one():
        with VolumeZipWriter(uri, CLASSES) as writer:
            writer.write("a", np.zeros((3, 5, 7), "float64"), {})

    with files_up_to(size), pytest.raises(StoreError, match="cannot be written: File too large"):
        write_one()
    assert not list(Path(uri).parent.iterdir())


_KILLED = """
import os, signal, sys
import numpy as np
from geoseg.volumes import VolumeZipWriter
with VolumeZipWriter(sys.argv[1], ["river"]) as writer:
    writer.write("a", np.zeros((4, 3, 5)), {})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_write_leaves_no_file_and_the_next_one_tidies_up(uri):
    Path(uri).parent.mkdir()
    subprocess.run([sys.executable, "-c", _KILLED, uri], check=False)
    assert not Path(uri).exists()
    write(uri)
    assert [path.name for path in Path(uri).parent.iterdir()] == ["volumes.zip"]


def test_a_refused_first_volume_says_nothing_of_the_folds_of_others(uri):
    with VolumeZipWriter(uri, CLASSES) as writer:
        with pytest.raises(ConfigError, match="at most 64 bits"):
            writer.write("a", image_of(), {}, fold=1 << 63)
        writer.write("b", image_of(), {}, fold="north")
        writer.write("c", image_of(), {}, fold=np.str_("south"))
    assert table(uri)["fold"].to_pylist() == ["north", "south"]


def test_the_least_and_the_largest_fold_come_back(uri):
    folds = [-(1 << 63), (1 << 63) - 1]
    with VolumeZipWriter(uri, CLASSES) as writer:
        for fold in folds:
            writer.write(f"v{fold}", image_of(), {}, fold=fold)
    assert [row.fold for row in VolumeZip(uri).frame("train")] == folds


def test_a_path_names_the_zip_too(uri):
    write(Path(uri))
    with VolumeZipWriter(Path(uri), CLASSES) as writer:
        writer.write("a", image_of(), {})
    assert writer.uri == uri
    assert len(VolumeZip(uri).frame("train")) == 1
    with pytest.raises(ConfigError, match="expected a path"):
        VolumeZipWriter(3, CLASSES)


def test_a_row_that_cannot_be_kept_fails_the_zip(uri, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    writer = VolumeZipWriter(uri, CLASSES).__enter__()
    monkeypatch.setattr(FrameWriter, "add", full)
    with pytest.raises(StoreError, match="No space left"):
        writer.write("a", image_of(), {})
    with pytest.raises(StoreError, match=r"a\.npy was not written whole"):
        writer.write("b", image_of(), {})
    with pytest.raises(StoreError, match=r"a\.npy was not written whole"):
        writer.__exit__(None, None, None)
    assert not Path(uri).exists()


class Loaded(Mapping):
    """Masks that are made when asked for, each only once all others are forgotten."""

    def __init__(self, masks, kind):
        self._masks, self._kind, self._given = masks, kind, []

    def __getitem__(self, name):
        assert not any(given() is not None for given in self._given)
        mask = self._kind(self._masks[name])
        self._given.append(weakref.ref(mask))
        return mask

    def __iter__(self):
        return iter(self._masks)

    def __len__(self):
        return len(self._masks)


@pytest.mark.parametrize("kind", [np.copy, Rle.encode, lambda mask: Rle.encode(mask, order="hwd")])
def test_of_many_masks_one_at_a_time_is_held(uri, kind):
    names = [f"c{number}" for number in range(7)]
    masks = {name: np.random.default_rng(int(name[1:])).random(SHAPE) < 0.4 for name in names[::-1]}
    with VolumeZipWriter(str(uri), names) as writer:
        writer.write("a", image_of(), Loaded(masks, kind), valid=np.ones(SHAPE, bool))

    (texts,) = table(uri)["rle_mask"].to_pylist()
    assert texts == [documented_encoder(masks[name]) for name in names]


def test_the_last_mask_that_does_not_fit_refuses_the_volume(uri):
    masks = masks_of() | {"ice": np.zeros((4, 3, 6), bool)}
    with VolumeZipWriter(str(uri), CLASSES) as writer:
        with pytest.raises(LabelError, match=r"class 'ice': the mask has the shape \(4, 3, 6\)"):
            writer.write("a", image_of(), masks)
        writer.write("a", image_of(), masks_of())
    assert len(table(uri)) == 1
