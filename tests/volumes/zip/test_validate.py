"""What is wrong with a zip: every problem at once, each with its place."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
import tifffile

from geoseg.errors import SourceError
from geoseg.volumes import VolumeZip
from geoseg.volumes.metadata import VolumeFacts, VolumeMetadata
from tests.volumes.zip.memory import peak_of
from tests.volumes.zip.zips import SHAPE, box, frame, npy, plain, ramp, text, write

LISTS = pa.list_(pa.string())


def report_of(tmp_path, members, **options):
    return VolumeZip(write(tmp_path / "a.zip", members), **options).validate()


def with_rows(names, classes, texts, **columns):
    """A zip of rows with lists of their own, each image there."""
    table = frame(
        names, class_id=pa.array(classes, LISTS), rle_mask=pa.array(texts, LISTS), **columns
    )
    return {"train.pq": table} | {f"i/{name}": npy(ramp().transpose(1, 2, 0)) for name in names}


def test_a_sound_zip_has_nothing_to_tell(tmp_path):
    report = VolumeZip(plain(tmp_path / "a.zip")).validate()

    assert report.errors == report.warnings == ()
    assert report.ok
    assert json.loads(json.dumps(report.to_dict())) == {
        "uri": str(tmp_path / "a.zip"),
        "rows": {"train": 1},
        "errors": [],
        "warnings": [],
    }


BAD = [
    (" ", "there is white space"),
    ("1", "1 values, an odd count"),
    ("1 2 3", "3 values, an odd count"),
    ("0 4", "value 1 is the start 0"),
    ("-3 4", "value 1 is '-3'; starts count from 1"),
    ("5 0", "value 2 is the length 0"),
    ("5 -1", "value 2 is '-1'; a run is at least 1"),
    ("216 2", "value 2 is the length 2 .* the volume has 216 voxels"),
    ("300 1", "value 1 is the start 300; the run starts past the end"),
    ("5 4 6 1", "value 3, the start 6, overlaps"),
    ("9 1 5 1", "value 3, the start 5, lies before"),
    ("1.5 2", "value 1 is '1.5'"),
    ("1e3 2", "value 1 is '1e3'"),
    ("[1 2", r"value 1 is '\[1'"),
    ("1,2", "value 1 is '1,2'"),
    ("1_0 2", "value 1 is '1_0'"),
    ("+1 2", r"value 1 is '\+1'"),
    ("\u0661 2", "value 1 is "),
    ("9" * 30 + " 1", "starts past the end"),
    ("1\t2", "there is white space"),
    (None, "it is missing"),
    ("nan", "value 1 is 'nan'"),
]


@pytest.mark.parametrize(("bad", "problem"), BAD)
def test_every_bad_text_is_an_error_with_frame_image_class_and_token(tmp_path, bad, problem):
    report = VolumeZip(plain(tmp_path / "a.zip", texts=["", bad])).validate()

    assert len(report.errors) == 1
    where = r"^train.pq: image 'v.npy': class 'b': run-length text: .*"
    with pytest.raises(SourceError, match=where + problem):
        raise SourceError(report.errors[0])


def test_all_bad_texts_are_told_in_one_pass(tmp_path):
    names = [f"{number}.npy" for number in range(len(BAD))]
    members = with_rows(names, [["a", "b"]] * len(BAD), [[bad, "1 x"] for bad, _ in BAD])
    errors = report_of(tmp_path, members).errors

    for name in names:
        for key in "ab":
            assert any(f"image {name!r}: class {key!r}: " in error for error in errors)


def test_all_bad_values_of_a_text_are_told(tmp_path):
    line = "5 x 0 3 20 2 15 900 30 1 y 0"
    errors = VolumeZip(plain(tmp_path / "a.zip", texts=[line, ""])).validate().errors
    told = [error.split("run-length text: ")[1] for error in errors]

    assert told == [
        "value 2 is 'x'; expected a whole number in the digits 0 to 9",
        "value 3 is the start 0; expected 1 to 216",
        "value 7, the start 15, lies before the end of another run",
        "value 8 is the length 900; the run reaches past the end",
        "value 9, the start 30, lies before the end of another run",
        "value 11 is 'y'; expected a whole number",
        "value 12 is the length 0; a run is at least 1 voxel long",
    ]


def test_a_text_of_many_bad_values_is_told_in_part(tmp_path):
    errors = VolumeZip(plain(tmp_path / "a.zip", texts=["x " * 99 + "x", ""])).validate().errors

    assert len(errors) == 12
    assert errors[-1].endswith("class 'a': run-length text: 89 more values are wrong")


def test_lists_that_do_not_fit_are_errors(tmp_path):
    members = with_rows(
        ["1.npy", "2.npy", "3.npy", "4.npy", "5.npy", "6.npy", "7.npy"],
        [["a", "b"], ["a"], ["a", "a", "b"], ["b", "c", "a"], None, ["a", "b"], ["a", None]],
        [["", ""], ["", ""], ["", "", ""], ["", "", ""], ["", ""], None, ["", "1 x"]],
    )
    report = report_of(tmp_path, members)

    expected = {
        "2": ["class_id lists 1 names, rle_mask 2 texts", "class 'b': is missing in class_id"],
        "3": ["class 'a': is listed 2 times, expected once"],
        "4": ["class 'c': is unknown; classes: a, b"],
        "5": ["class_id is null; expected a list"],
        "6": ["rle_mask is null; expected a list"],
        "7": [
            "class_id holds null as item 2; expected a name",
            "class 'b': is missing in class_id",
            "class None: run-length text: value 2 is 'x'",
        ],
    }
    starts = [
        f"train.pq: image '{key}.npy': {text}" for key, texts in expected.items() for text in texts
    ]
    assert len(report.errors) == len(starts)
    for error, start in zip(report.errors, starts, strict=True):
        assert error.startswith(start)
    assert report.warnings == ()


def test_a_first_row_that_misses_a_class_is_the_one_that_is_wrong(tmp_path):
    names = [f"{number}.npy" for number in range(4)]
    lists = [["a"], ["a", "b"], ["b", "a"], ["a", "b"]]
    report = report_of(tmp_path, with_rows(names, lists, [[""], *[["", ""]] * 3]))

    (error,) = report.errors
    assert error.startswith("train.pq: image '0.npy': class 'b': is missing in class_id")
    (warning,) = report.warnings
    assert warning.startswith(
        "train.pq: image '2.npy': class_id lists b, a, another order than a, b"
    )


def test_of_two_rows_the_one_that_misses_a_class_is_wrong_in_either_order(tmp_path):
    for lists in ([["a"], ["a", "b"]], [["a", "b"], ["a"]]):
        texts = [[""] * len(names) for names in lists]
        (error,) = report_of(tmp_path, with_rows(["0.npy", "1.npy"], lists, texts)).errors
        assert error.startswith(
            f"train.pq: image '{lists.index(['a'])}.npy': class 'b': is missing"
        )


@pytest.mark.parametrize("first", ["test", "validation"])
def test_a_frame_opened_for_another_split_before_is_judged_anew(tmp_path, first):
    members = {
        "train.pq": frame(["v.npy"], [["", ""]]),
        "other.pq": frame(["w.npy"]),
        "i/v.npy": npy(ramp()),
        "i/w.npy": npy(ramp()),
    }
    uri = write(tmp_path / "a.zip", members)

    def as_test():
        assert VolumeZip(uri, test="other.pq").validate().ok
        assert VolumeZip(uri, test="other.pq").frame("test")[0].masks() is None

    def as_validation():
        volumes = VolumeZip(uri, validation="other.pq")
        assert any("there is no column class_id" in error for error in volumes.validate().errors)
        with pytest.raises(SourceError, match="there is no column rle_mask"):
            volumes.frame("validation")

    steps = [as_test, as_validation]
    for step in steps if first == "test" else steps[::-1]:
        step()


def test_another_order_of_classes_and_touching_runs_are_warnings(tmp_path):
    members = with_rows(
        ["1.npy", "2.npy"], [["a", "b"], ["b", "a"]], [["1 2 3 1", "216 1"], ["07 1", ""]]
    )
    report = report_of(tmp_path, members)

    assert report.errors == ()
    assert [warning.split("; ")[0] for warning in report.warnings] == [
        "train.pq: image '1.npy': class 'a': run-length text: 1 of 2 runs touch the one before",
        "train.pq: image '2.npy': class_id lists b, a, another order than a, b",
        "train.pq: image '2.npy': class 'b': run-length text: values with leading zeros: 1",
    ]


def test_overlapping_classes_are_counted(tmp_path):
    members = with_rows(
        ["1.npy", "2.npy", "3.npy"],
        [["a", "b", "c"]] * 3,
        [["1 4", "5 4", "9 1"], ["1 4", "3 4", "4 1"], ["216 1", "7 9", "8 1"]],
    )
    report = report_of(tmp_path, members)

    assert report.errors == ()
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith(
        "train.pq: classes overlap in 2 of 3 images, 5 voxels in pairs of classes; most in train.pq: "
        "image '2.npy': 2 voxels in 'a' and 'b'"
    )


def test_images_missing_unread_doubled_and_unnamed(tmp_path):
    members = {
        "train.pq": frame(["1.npy", "2.npy", "1.npy", None, "3.npy"], [["1 9", "x"]] * 5),
        "validation.pq": frame(["4.npy", "1.npy"], [["", ""]] * 2),
        "test.pq": frame(["5.npy"]),
        "other.pq": frame(["5.npy"]),
        "i/1.npy": npy(ramp()),
        "i/3.npy": npy(ramp())[:-3],
        "i/4.npy": npy(ramp()),
        "i/5.npy": npy(ramp()),
        "i/6.npy": npy(ramp()),
    }
    report = report_of(tmp_path, members, validation="validation.pq", test="test.pq")
    token = "class 'b': run-length text: value 1 is 'x'"

    assert report.rows == {"train": 5, "validation": 2, "test": 1}
    for expected in (
        "train.pq: image '1.npy': is named by 2 rows",
        "train.pq: image '2.npy': there is no member 'i/2.npy'",
        "train.pq: row 4: names no image",
        "train.pq: image '3.npy': i/3.npy: its header promises",
        "train.pq and validation.pq: image '1.npy': is in more than one frame",
        f"train.pq: image '2.npy': {token}",
        f"train.pq: row 4: {token}",
    ):
        assert sum(error.startswith(expected) for error in report.errors) == 1, expected
    assert len(report.errors) == 10
    assert report.warnings == (
        "i/6.npy: no row names this image",
        "other.pq: a Parquet file that no frame names; pass train=, validation= or test= to read it",
    )


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            {"class_id": pa.array(["['a']"]), "rle_mask": pa.array(['["1 2"]'])},
            "the column class_id is of type string: lists stored as text",
        ),
        (
            {"class_id": pa.array([["a"]]), "rle_mask": pa.array(["1 2"])},
            "the column rle_mask is of type string: lists stored as text",
        ),
        (
            {"class_id": pa.array([[1]]), "rle_mask": pa.array([["1 2"]])},
            "the column class_id is of type list<.*int64>, expected lists of strings",
        ),
        ({"class_id": pa.array([["a"]])}, "there is no column rle_mask; columns: image, class_id"),
        ({"image": pa.array([3])}, "the column image is of type int64, expected strings"),
        (
            {"class_id": pa.array([["a"]]), "rle_mask": pa.array([[""]]), "fold": pa.array([1.0])},
            "the column fold is of type double, expected whole numbers or text",
        ),
    ],
)
def test_columns_of_other_types_are_errors(tmp_path, columns, problem):
    members = {"train.pq": frame(["v.npy"], **columns), "i/v.npy": npy(ramp())}
    volumes = VolumeZip(write(tmp_path / "a.zip", members))

    with pytest.raises(SourceError, match=rf"^train.pq: {problem}"):
        raise SourceError(volumes.validate().errors[0])
    with pytest.raises(SourceError, match=rf"a.zip: train.pq: {problem}"):
        volumes.frame("train")


@pytest.mark.parametrize(
    ("train", "validation", "errors", "warnings"),
    [
        (pa.array([0, 1]), pa.array([2]), [], []),
        (pa.array([1, 2]), pa.array([2]), [], []),
        (pa.array(["x", "y"]), pa.array(["z"]), [], []),
        (pa.array([0, 3]), pa.array([1]), [], ["no row has the fold 2, between 0 and 3"]),
        (pa.array([2, 3]), None, ["begins with 2, expected 0 or 1"], []),
        (pa.array([-1, 0]), None, ["begins with -1"], []),
        (
            pa.array([0, 1]),
            pa.array(["x"]),
            ["different types: whole numbers in train.pq, text"],
            [],
        ),
        (pa.array(["1", "x"]), None, ["mixes numbers written as text ('1') and names ('x')"], []),
        (pa.array([0, None]), None, ["image '2.npy': its fold is null"], []),
    ],
)
def test_folds(tmp_path, train, validation, errors, warnings):
    members = {
        "train.pq": frame(["1.npy", "2.npy"], [["", ""]] * 2, fold=train),
        "validation.pq": frame(["3.npy"], [["", ""]], fold=validation),
    } | {f"i/{number}.npy": npy(ramp()) for number in (1, 2, 3)}
    report = report_of(tmp_path, members, validation="validation.pq")

    for found, expected in ((report.errors, errors), (report.warnings, warnings)):
        assert len(found) == len(expected)
        assert all(part in one for part, one in zip(expected, found, strict=True))


def test_images_that_differ_and_metadata_that_do_not_fit_are_told(tmp_path):
    facts = {
        "1.npy": VolumeFacts(times=("t",), channels=("x", "y")),
        "9.npy": VolumeFacts(crs="EPSG:4326"),
    }
    metadata = VolumeMetadata(image_axes="DHW", rle_order="dhw", classes=("a", "b"), volumes=facts)
    members = {
        "train.pq": frame(["1.npy", "2.npy"], [["", ""]] * 2, metadata=metadata),
        "i/1.npy": npy(ramp()),
        "i/2.npy": npy(np.stack([ramp()] * 2)),
    }
    report = report_of(tmp_path, members)

    assert report.errors == (
        "train.pq: image '1.npy': the metadata tell 1 times, but the image has 4 slices",
        "train.pq: image '1.npy': the metadata name 2 channels, but the image has 1",
    )
    assert report.warnings == (
        "train.pq: images differ in channels or type: 1 of uint16 (1 images), 2 of uint16 (1 images)",
        "train.pq: image '9.npy': the metadata tell of it, but no row names it",
    )


def test_a_frame_without_rows_or_classes_is_told(tmp_path):
    report = report_of(
        tmp_path,
        {
            "train.pq": frame([], class_id=pa.array([], LISTS), rle_mask=pa.array([], LISTS)),
            "validation.pq": frame(["v.npy"], [["x", "y"]], classes=("a", "a")),
            "i/v.npy": npy(ramp()),
        },
        validation="validation.pq",
    )

    assert report.warnings == ("train.pq: the frame has no rows",)
    assert report.errors[0] == "validation.pq: no row lists classes, each once and by name"


def test_runs_past_the_end_are_those_of_the_images_own_size(tmp_path):
    last = f"{np.prod(SHAPE)} 1"
    members = {
        "train.pq": frame(["1.npy", "2.npy"], [[last, text(box())]] * 2),
        "i/1.npy": npy(ramp()),
        "i/2.npy": npy(ramp((4, 6, 8))),
    }
    (error,) = report_of(tmp_path, members, image_axes="DHW").errors

    assert "image '2.npy': class 'a': " in error
    assert error.endswith("the run starts past the end: the volume has 192 voxels")


def test_memory_is_that_of_one_row(tmp_path):
    texts = " ".join(f"{start} 1" for start in range(1, 50_000, 2))
    small, large = (plain_many(tmp_path / f"{count}.zip", count, texts) for count in (2, 12))

    VolumeZip(small).validate()  # once for imports and caches
    assert peak_of(VolumeZip(large).validate) < 1.3 * peak_of(VolumeZip(small).validate)


def test_the_callback_is_told_how_many_rows_are_done(tmp_path):
    members = {
        "train.pq": frame(["1.npy", "2.npy"], [["", ""]] * 2),
        "test.pq": frame(["3.npy"]),
    } | {f"i/{number}.npy": npy(ramp()) for number in (1, 2, 3)}
    told = []
    volumes = VolumeZip(write(tmp_path / "a.zip", members), test="test.pq")
    volumes.validate(progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("image", "lines", "warned"),
    [
        (np.zeros((8, 9, 3), np.uint8), ["1 72", ""], True),
        (np.zeros((8, 9, 4), np.uint8), ["1 64", "65 8"], True),
        (np.zeros((8, 9, 3), np.uint8), ["1 73", ""], False),
        (np.zeros((8, 9, 3), np.uint8), ["", ""], False),
        (np.zeros((8, 9, 5), np.uint8), ["1 72", ""], False),
    ],
)
def test_slices_that_may_be_the_colours_of_a_flat_picture_are_told(tmp_path, image, lines, warned):
    report = VolumeZip(plain(tmp_path / "a.zip", npy(image), lines)).validate(axes=False)

    assert report.errors == ()
    assert [text.split(", and")[0] for text in report.warnings] == (
        ["train.pq: images have 3 or 4 slices"] if warned else []
    )


def test_bands_that_are_said_to_be_colours_are_told(tmp_path):
    picture = io.BytesIO()
    tifffile.imwrite(picture, np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    uri = plain(tmp_path / "a.zip", picture.getvalue(), ["200 16", ""], name="v.tif")
    (warning,) = VolumeZip(uri).validate(axes=False).warnings

    assert warning.startswith("train.pq: image 'v.tif': the bands are said to be red, green and")


def test_many_problems_of_a_row_are_counted(tmp_path):
    names = [[f"x{number}" for number in range(99)]]
    members = with_rows(["1.npy"], names, [["1 x"] * 98])
    errors = report_of(tmp_path, members).errors

    assert len(errors) == 1 + 20 + 1
    assert errors[-1].endswith("image '1.npy': 78 more texts are wrong")
    members["train.pq"] = frame(
        ["0.npy", "1.npy"],
        class_id=pa.array([["a"], [f"x{number}" for number in range(99)]], LISTS),
        rle_mask=pa.array([[""], [""] * 99], LISTS),
    )
    errors = report_of(tmp_path, members | {"i/0.npy": npy(ramp())}).errors
    assert len(errors) == 21
    assert errors[-1].endswith("image '1.npy': 80 more problems of its lists")


def plain_many(path, count, line):
    names = [f"{number}.npy" for number in range(count)]
    members = {"train.pq": frame(names, [[line, ""]] * count)}
    members |= {f"i/{name}": npy(np.zeros((50, 50, 99), np.uint8)) for name in names}
    return write(path, members)
