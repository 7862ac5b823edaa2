"""Rows of a zip: names, folds, images and masks in all dialects."""

import multiprocessing
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ConfigError, GridError, LabelError, SourceError
from geoseg.volumes import Rle, VolumeZip
from geoseg.volumes.metadata import VolumeFacts, VolumeMetadata
from tests.volumes.rle.documented import documented_decoder, masks
from tests.volumes.zip.zips import SHAPE, box, frame, npy, plain, ramp, text, write


def told(image_axes="DHW", rle_order="dhw", **more):
    return VolumeMetadata(image_axes=image_axes, rle_order=rle_order, **more)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("image_axes", "rle_order", "encoded"),
    [
        ("HWD", "dhw", text),  # literal
        ("DHW", "dhw", text),
        ("HWD", "hwd", partial(text, rle_order="hwd")),  # hfast
        ("DHW", "hwd", partial(text, rle_order="hwd")),
    ],
)
def test_image_and_masks_of_every_dialect_are_depth_height_width(
    tmp_path, packed, image_axes, rle_order, encoded
):
    stored = ramp() if image_axes == "DHW" else ramp().transpose(1, 2, 0)
    uri = plain(tmp_path / "a.zip", npy(stored), ["", encoded(box())], packed)
    (row,) = VolumeZip(uri, image_axes=image_axes, rle_order=rle_order).frame("train")

    assert (row.name, row.shape, row.channels, row.dtype) == ("v.npy", SHAPE, 1, np.uint16)
    np.testing.assert_array_equal(row.image(), ramp()[np.newaxis])
    np.testing.assert_array_equal(row.masks(), [np.zeros(SHAPE), box()])
    assert [rle.area for rle in row.rles()] == [0, box().sum()]


@settings(max_examples=25)
@given(masks())
def test_the_default_is_what_the_documented_decoder_makes_of_the_files_own_shape(
    tmp_path_factory, mask
):
    depth, height, width = mask.shape
    stored = np.zeros((height, width, depth), np.uint8)
    line = text(mask)
    uri = plain(tmp_path_factory.mktemp("z") / "a.zip", npy(stored), [line, ""])
    found = VolumeZip(uri).frame("train")[0].masks()

    np.testing.assert_array_equal(found[0], documented_decoder(line, stored.shape))
    np.testing.assert_array_equal(found[0], mask)


def test_our_own_metadata_tell_dialect_classes_and_place(tmp_path):
    facts = VolumeFacts(crs="EPSG:32633", transform=Affine(10, 0, 5, 0, -10, 7), times=("t",) * 4)
    metadata = told(rle_order="hwd", classes=("b", "a"), volumes={"v.npy": facts})
    members = {
        "train.pq": frame(["v.npy", "w.npy"], [[text(box(), "hwd"), ""]] * 2, metadata=metadata),
        "images/v.npy": npy(ramp()),
        "images/w.npy": npy(ramp()),
    }
    volumes = VolumeZip(write(tmp_path / "a.zip", members))
    one, other = volumes.frame("train")

    assert (volumes.image_axes, volumes.rle_order) == ("DHW", "hwd")
    assert one.classes == volumes.classes == ("b", "a")
    np.testing.assert_array_equal(one.masks(), [np.zeros(SHAPE), box()])
    assert (one.crs.to_epsg(), one.transform, one.times) == (32633, facts.transform, ("t",) * 4)
    assert (other.crs, other.transform, other.times) == (None, None, None)


def test_choices_that_contradict_the_metadata_are_refused(tmp_path):
    members = {"train.pq": frame(["v.npy"], [["", ""]], metadata=told()), "i/v.npy": npy(ramp())}
    uri = write(tmp_path / "a.zip", members)

    with pytest.raises(ConfigError, match=r"image_axes='HWD' was given, but .* say 'DHW'"):
        VolumeZip(uri, image_axes="HWD")
    with pytest.raises(ConfigError, match=r"rle_order='hwd' was given"):
        VolumeZip(uri, rle_order="hwd")
    with pytest.raises(ConfigError, match=r"rle_order is 'whd', expected one of: dhw, hwd"):
        VolumeZip(uri, rle_order="whd")
    assert VolumeZip(uri, image_axes="DHW", rle_order="dhw").image_axes == "DHW"


def test_frames_whose_metadata_contradict_each_other_are_refused(tmp_path):
    members = {
        "train.pq": frame(["v.npy"], [["", ""]], metadata=told()),
        "validation.pq": frame(["v.npy"], [["", ""]], metadata=told("HWD")),
        "i/v.npy": npy(ramp()),
    }
    uri = write(tmp_path / "a.zip", members)

    with pytest.raises(
        SourceError, match=r"contradict each other: image_axes is 'DHW' in train.pq"
    ):
        VolumeZip(uri, validation="validation.pq")


def test_frames_are_found_by_name_and_test_has_no_labels(tmp_path):
    members = {
        "sub/learn.parquet": frame(["v.npy"], [["", ""]], fold=pa.array([3])),
        "test.pq": frame(["w.npy", "v.npy"]),
        "i/v.npy": npy(ramp()),
        "i/w.npy": npy(ramp()),
    }
    uri = write(tmp_path / "a.zip", members)
    volumes = VolumeZip(uri, train="sub/learn.parquet", test="test.pq")

    assert [row.name for row in volumes.frame("test")] == ["w.npy", "v.npy"]
    assert volumes.frame("test")[0].rles() is volumes.frame("test")[-1].masks() is None
    assert volumes.frame("train")[0].fold == 3
    assert volumes.frame("test")[0].fold is None
    assert [row.name for row in volumes.frame("test")[1:]] == ["v.npy"]
    with pytest.raises(IndexError):
        volumes.frame("test")[2]
    with pytest.raises(ConfigError, match=r"no frame 'validation'; frames that are named: train="):
        volumes.frame("validation")
    with pytest.raises(
        SourceError, match=r"no 'learn.parquet', .* did you mean 'sub/learn.parquet'"
    ):
        VolumeZip(uri, train="learn.parquet")
    with pytest.raises(SourceError, match=r"no 'train.pq', the frame 'train'"):
        VolumeZip(uri)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["x", "y"]), ["x", "y"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array([0, 1], pa.int8()), [0, 1]),
        (pa.array([1, 2]).dictionary_encode(), [1, 2]),
    ],
)
def test_folds_are_numbers_or_names(tmp_path, values, expected):
    table = frame(["v.npy", "v.npy"], [["", ""]] * 2, fold=values)
    uri = write(tmp_path / "a.zip", {"train.pq": table, "i/v.npy": npy(ramp())})

    assert [row.fold for row in VolumeZip(uri).frame("train")] == expected


def test_the_images_folder_is_the_only_one_with_images(tmp_path):
    members = {"train.pq": frame(["v.npy"], [["", ""]]), "deep/in/v.npy": npy(ramp((3, 5, 8)))}
    noise = {"__MACOSX/deep/in/._v.npy": b"?", "deep/in/.v.npy": b"?", "docs/readme.txt": b"?"}
    uri = write(tmp_path / "a.zip", members | noise)

    assert VolumeZip(uri).folder == "deep/in/"
    assert VolumeZip(uri).frame("train")[0].shape == (8, 3, 5)
    for name in ("deep/in", "deep/in/"):
        assert VolumeZip(uri, folder=name).folder == "deep/in/"
    with pytest.raises(SourceError, match=r"no folder 'images'; folders with images: 'deep/in/'"):
        VolumeZip(uri, folder="images")


def test_several_folders_of_images_must_be_told_apart(tmp_path):
    table = frame(["v.npy"], [["", ""]])
    members = {"train.pq": table, "one/v.npy": npy(ramp()), "two/v.npy": npy(ramp()[1:])}
    uri = write(tmp_path / "a.zip", members)

    with pytest.raises(
        SourceError, match=r"several folders hold images: 'one/' \(1\), 'two/' \(1\)"
    ):
        VolumeZip(uri)
    assert VolumeZip(uri, folder="two").frame("train")[0].shape == (9, 3, 6)
    with pytest.raises(SourceError, match=r"no folder holds images"):
        VolumeZip(write(tmp_path / "b.zip", {"train.pq": table}))


def test_images_may_lie_beside_the_frames(tmp_path):
    members = {"train.pq": frame(["v.npy"], [["", ""]]), "v.npy": npy(ramp())}

    assert VolumeZip(write(tmp_path / "a.zip", members)).frame("train")[0].channels == 1


def test_masks_come_by_name_in_the_order_of_the_first_row(tmp_path):
    lists = pa.list_(pa.string())
    table = frame(
        ["v.npy", "w.npy"],
        class_id=pa.array([["a", "b"], ["b", "a"]], lists),
        rle_mask=pa.array([["", "1 2"], ["3 4", "7 1"]], lists),
    )
    members = {"train.pq": table, "i/v.npy": npy(ramp()), "i/w.npy": npy(ramp())}
    first, second = VolumeZip(write(tmp_path / "a.zip", members)).frame("train")

    assert [rle.to_string() for rle in first.rles()] == ["", "1 2"]
    assert [rle.to_string() for rle in second.rles()] == ["7 1", "3 4"]


@pytest.mark.parametrize("groups", [None, 1, 2])
def test_rows_of_any_group_of_the_table_are_found(tmp_path, groups, monkeypatch):
    names = [f"{number}.npy" for number in range(5)]
    texts = [[f"{number + 1} 1", ""] for number in range(5)]
    members = {"train.pq": frame(names, texts, groups=groups)}
    members |= {f"i/{name}": npy(ramp()) for name in names}
    rows = VolumeZip(write(tmp_path / "a.zip", members)).frame("train")
    small = [row.rles()[0].to_string() for row in rows]
    monkeypatch.setattr("geoseg.volumes.zip.table._KEPT", 0)
    large = [row.rles()[0].to_string() for row in rows]

    assert small == large == [f"{number + 1} 1" for number in range(5)]


def test_bad_texts_and_lists_name_zip_frame_image_class_and_token(tmp_path):
    uri = plain(tmp_path / "a.zip", texts=["1 2", "1 x"])
    with pytest.raises(LabelError, match=r"a.zip: train.pq: image 'v.npy': class 'b': .* 2 is 'x'"):
        VolumeZip(uri).frame("train")[0].rles()
    uri = plain(tmp_path / "b.zip", texts=["1 2"])
    with pytest.raises(
        SourceError, match=r"image 'v.npy': class_id lists 2 names, rle_mask 1 text"
    ):
        VolumeZip(uri).frame("train")[0].masks()


boxes = st.tuples(
    *[st.tuples(st.integers(-3, 10), st.integers(1, 12)).map(lambda s: slice(s[0], s[0] + s[1]))]
    * 3
)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The same volume of two channels, stored and packed."""
    folder = tmp_path_factory.mktemp("two")
    volume = np.stack([ramp(), ramp() + 1000])
    stored = volume.transpose(2, 3, 1, 0)
    uris = [
        plain(folder / f"{packed}.zip", npy(np.asfortranarray(stored)), packed=packed)
        for packed in (False, True)
    ]
    return volume, [VolumeZip(uri).frame("train")[0] for uri in uris]


@settings(max_examples=40)
@given(boxes)
def test_a_window_is_that_of_the_image_and_0_outside(two, part):
    volume, rows = two
    room = 30
    wide = np.pad(volume, ((0, 0), *[(room, room)] * 3))
    expected = wide[(slice(None), *(slice(s.start + room, s.stop + room) for s in part))]
    for row in rows:
        found = row.image_window(part)
        np.testing.assert_array_equal(found, expected)
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert found.dtype == row.dtype


def test_boxes_are_read_as_those_of_masks(two):
    _, (row, _) = two

    np.testing.assert_array_equal(row.image_window(np.s_[:, :2, 3:]), row.image()[:, :, :2, 3:])
    with pytest.raises(GridError, match=r"the slice of depth has the step 2"):
        row.image_window(np.s_[::2, :, :])
    with pytest.raises(GridError, match=r"the box has 2 slices"):
        row.image_window(np.s_[:, :])


def test_a_window_of_a_stored_image_touches_its_own_bytes_only(tmp_path, monkeypatch):
    volume = np.lib.stride_tricks.as_strided(np.ones(1, np.uint8), (64, 256, 256), (0, 0, 0))
    uri = plain(tmp_path / "a.zip", npy(volume), name="v.npy")
    row = VolumeZip(uri, image_axes="DHW").frame("train")[0]
    sizes = []
    array = np.ndarray

    def seen(shape, dtype, buffer, *rest):
        sizes.append(buffer.nbytes)
        return array(shape, dtype, buffer, *rest)

    monkeypatch.setattr("geoseg.volumes.zip.images.plain.np.ndarray", seen)
    assert row.image_window(np.s_[3:5, :, :]).all()
    assert sizes == [2 * 256 * 256]


def test_a_row_is_pickled_small_and_reads_as_before(two):
    _, rows = two
    for row in rows:
        row.masks()
        data = pickle.dumps(row)
        assert len(data) < 600
        np.testing.assert_array_equal(pickle.loads(data).image(), row.image())
    frame = VolumeZip(rows[0].zip.uri).frame("train")
    assert len(pickle.dumps([frame[0]] * 1000)) < 10_000


def test_threads_read_the_same(two):
    _, rows = two
    expected = [row.image().sum() for row in rows]
    barrier = threading.Barrier(4)

    def read(_):
        barrier.wait()
        return [[int(row.image().sum()), row.masks().sum()] for row in rows * 5]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(read, range(4)):
            assert [one for one, _ in found] == expected * 5


def sums(row):
    return int(row.image().sum()), int(row.masks().sum())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_other_processes_read_the_same(two, method):
    _, rows = two
    expected = [sums(row) for row in rows] * 8
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(sums, rows * 8) == expected


def test_a_file_replaced_meanwhile_is_noticed(tmp_path):
    path = tmp_path / "a.zip"
    row = VolumeZip(plain(path)).frame("train")[0]
    copied = pickle.loads(pickle.dumps(row))
    row.image()
    other = plain(tmp_path / "b.zip", npy(np.zeros((3, 3, 3))))
    shutil.move(other, path)

    for one in (row, copied):
        with pytest.raises(
            SourceError, match=r"the file has changed, or is gone, since it was opened"
        ):
            one.image()
    assert VolumeZip(path).frame("train")[0].shape == (3, 3, 3)


def test_rows_of_empty_lists_are_refused_and_not_read_as_no_classes(tmp_path):
    empty = pa.array([[]], pa.list_(pa.string()))
    table = frame(["v.npy"], class_id=empty, rle_mask=empty)
    row = VolumeZip(write(tmp_path / "a.zip", {"train.pq": table, "i/v.npy": npy(ramp())}))

    with pytest.raises(SourceError, match=r"train.pq: image 'v.npy': no row of the zip lists cl"):
        row.frame("train")[0].masks()


def test_a_mask_of_another_shape_than_the_image_is_refused(tmp_path):
    flat = Rle.encode(np.ones((9, 9, 9), bool)).to_string()
    uri = plain(tmp_path / "a.zip", texts=[flat, ""])

    with pytest.raises(LabelError, match=r"past the end: the volume has 216 voxels"):
        VolumeZip(uri).frame("train")[0].masks()
