import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError, LabelError
from geoseg.volumes.rle import Rle, parse_with_notes

SHAPE = 4, 3, 2
WIDE = "expected a whole number in the digits 0 to 9"
ERRORS = {
    "5": "it holds 1 values, an odd count; expected pairs of start and length",
    "1 2 5": "it holds 3 values, an odd count",
    "1 2 5 1 9": "it holds 5 values, an odd count",
    "0 3": "value 1 is the start 0; starts count from 1",
    "5 1 0 3": "value 3 is the start 0; starts count from 1",
    "-3 2": "value 1 is '-3'; starts count from 1",
    "5 1 -3 2": "value 3 is '-3'; starts count from 1",
    "3 0": "value 2 is the length 0 of the run at 3; a run is at least 1 voxel long",
    "1 1 3 0": "value 4 is the length 0 of the run at 3; a run is at least 1 voxel long",
    "3 -1": "value 2 is '-1'; a run is at least 1 voxel long",
    "1 25": "value 2 is the length 25 of the run at 1; the run reaches past the end: "
    "the volume has 24 voxels",
    "1 1 24 2": "value 4 is the length 2 of the run at 24; the run reaches past the end",
    "25 1": "value 1 is the start 25; the run starts past the end: the volume has 24 voxels",
    "1.5 2": f"value 1 is '1.5'; {WIDE}",
    "1 2 1e1 3": f"value 3 is '1e1'; {WIDE}",
    "1 two": f"value 2 is 'two'; {WIDE}",
    "nan": f"value 1 is 'nan'; {WIDE}",
    "1, 2": f"value 1 is '1,'; {WIDE}",
    "[1 2]": f"value 1 is '[1'; {WIDE}",
    "1_0 2": f"value 1 is '1_0'; {WIDE}",
    "+1 2": f"value 1 is '+1'; {WIDE}",
    "1 \u0663": rf"value 2 is '\u0663'; {WIDE}",
    "\uff11 2": rf"value 1 is '\uff11'; {WIDE}",
    "1\u00a02": rf"value 1 is '1\xa02'; {WIDE}",
    "1\x002": rf"value 1 is '1\x002'; {WIDE}",
    "9223372036854775808 1": "value 1 is the start 9223372036854775808; the run starts past the end",
    "1 9223372036854775807": "value 2 is the length 9223372036854775807 of the run at 1; the run",
    "1 18446744073709551617": "value 2 is the length 18446744073709551617 of the run at 1; the run",
    "7" * 90 + " 1": f"value 1 is the start {'7' * 40}...; the run starts past the end",
}
STRICT_ERRORS = {
    " ": "there is white space ' ' at character 1; expected single spaces",
    "  ": "there is white space '  ' at character 1",
    "\t": r"there is white space '\t' at character 1",
    "1\t2": r"there is white space '\t2' at character 2",
    "1 2\n": r"there is white space '\n' at character 4",
    "1 2\r\n5 1": r"there is white space '\r\n' at character 4",
    "1  2": "there is white space '  ' at character 2",
    " 1 2": "there is white space ' 1' at character 1",
    "1 2 ": "there is white space ' ' at character 4; expected single spaces between values and "
    "none at the ends; strict=False passes over it",
    "1 4 3 2": "value 3, the start 3, overlaps the previous run, 1 to 4; expected starts that ascend "
    "and runs that lie apart; strict=False merges them",
    "1 4 1 4": "value 3, the start 1, overlaps the previous run, 1 to 4",
    "1 1 9 2 5 2": "value 5, the start 5, lies before the previous run, 9 to 10",
    "5 2 3 2": "value 3, the start 3, lies before the previous run, 5 to 6",
}
LENIENT = {
    " ": ("", "there is white space other than single spaces between values; passed over"),
    "\t": ("", "there is white space other than single spaces between values; passed over"),
    "1\t2\r\n5 1 ": ("1 2 5 1", "there is white space other than single spaces"),
    "1 4 3 4": ("1 6", "1 of 2 runs overlap the one before or come out of order; merged"),
    "9 2 5 2 1 2": (
        "1 2 5 2 9 2",
        "2 of 3 runs overlap the one before or come out of order; merged",
    ),
    "3 1 1 9 2 2": ("1 9", "2 of 3 runs overlap the one before or come out of order; merged"),
    "5 2 3 2": ("3 4", "1 of 2 runs overlap the one before or come out of order; merged"),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("text", ERRORS)
def test_a_text_that_lists_no_runs_of_the_volume_is_refused(text, strict):
    with pytest.raises(LabelError, match="^run-length text: " + re.escape(ERRORS[text])):
        Rle.parse(text, shape=SHAPE, strict=strict)


@pytest.mark.parametrize("text", STRICT_ERRORS)
def test_a_text_that_only_a_lenient_reader_takes_is_refused(text):
    with pytest.raises(LabelError, match=re.escape(STRICT_ERRORS[text])):
        Rle.parse(text, shape=SHAPE)


@pytest.mark.parametrize("text", STRICT_ERRORS)
def test_a_lenient_reader_takes_it_with_a_warning(text):
    with pytest.warns(UserWarning, match="^run-length text: "):
        Rle.parse(text, shape=SHAPE, strict=False)


@pytest.mark.parametrize("text", LENIENT)
def test_a_lenient_reader_merges_and_counts(text):
    wanted, note = LENIENT[text]
    with pytest.warns(UserWarning, match=re.escape(note)):
        found = Rle.parse(text, shape=SHAPE, strict=False)

    assert found.to_string() == wanted


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.float64("nan"), np.float32("nan"), np.float16("nan"), pd.NA]
)
def test_a_missing_text_is_an_error_or_an_empty_mask(missing):
    with pytest.raises(LabelError, match=r"it is missing \(.*\); expected the empty string"):
        Rle.parse(missing, shape=SHAPE)
    with pytest.warns(UserWarning, match=r"the text is missing \(.*\); read as an empty mask"):
        assert Rle.parse(missing, shape=SHAPE, strict=False).area == 0


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("cell", "name"), [(7, "int 7"), (1.5, "float 1.5"), ([1, 2], "list"), (b"1 2", "bytes")]
)
def test_what_is_no_text_is_refused(cell, name, strict):
    with pytest.raises(LabelError, match=rf"it is {name}.*; expected a string"):
        Rle.parse(cell, shape=SHAPE, strict=strict)


@pytest.mark.parametrize("strict", [True, False])
def test_touching_runs_are_joined_with_a_warning_and_never_written(strict):
    with pytest.warns(UserWarning, match="2 of 4 runs touch the one before; joined"):
        found = Rle.parse("1 2 3 2 5 1 9 1", shape=SHAPE, strict=strict)

    assert found.to_string() == "1 5 9 1"


@pytest.mark.parametrize("strict", [True, False])
def test_leading_zeros_are_counted(strict):
    with pytest.warns(UserWarning, match="values with leading zeros: 2"):
        found = Rle.parse("01 2 10 001", shape=SHAPE, strict=strict)

    assert found.to_string() == "1 2 10 1"


def test_an_error_and_a_warning_begin_with_the_place():
    place = "train.pq: image a.npy: class water"
    with pytest.raises(LabelError, match=f"^{place}: run-length text: it holds 1 values"):
        Rle.parse("1", shape=SHAPE, where=place)
    with pytest.warns(UserWarning, match=f"^{place}: run-length text: 1 of 2 runs touch"):
        Rle.parse("1 1 2 1", shape=SHAPE, where=place)


def test_a_warning_points_at_the_caller():
    with pytest.warns(UserWarning, match="touch") as caught:
        Rle.parse("1 1 2 1", shape=SHAPE)

    assert caught[0].filename == __file__


def test_notes_are_returned_for_a_report():
    found, notes = parse_with_notes("1 1 2 1 09 1", shape=SHAPE, where="a")

    assert found.to_string() == "1 2 9 1"
    assert notes == (
        "a: run-length text: values with leading zeros: 1",
        "a: run-length text: 1 of 3 runs touch the one before; joined",
    )
    assert parse_with_notes("1 2 9 1", shape=SHAPE) == (found, ())


def test_nothing_is_noted_of_what_geoseg_writes():
    assert parse_with_notes("", shape=SHAPE)[1] == ()
    assert parse_with_notes("1 10 20 1", shape=SHAPE)[1] == ()


@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 24)), max_size=12))
def test_a_lenient_reader_takes_the_union_of_any_runs_inside(runs):
    runs = [(start, min(length, 25 - start)) for start, length in runs]
    line = np.zeros(24, bool)
    for start, length in runs:
        line[start - 1 : start - 1 + length] = True
    text = " ".join(f"{start} {length}" for start, length in runs)

    found, _ = parse_with_notes(text, shape=SHAPE, strict=False)
    np.testing.assert_array_equal(found.decode(), line.reshape(SHAPE, order="F"))
    assert found == Rle.encode(found.decode())


@given(st.text(alphabet="0123456789 -\t\n.x\u0663", max_size=12), st.booleans())
def test_any_text_is_either_runs_or_an_error(text, strict):
    try:
        found, notes = parse_with_notes(text, shape=SHAPE, strict=strict)
    except LabelError as error:
        assert str(error).startswith("run-length text: ")  # noqa: PT017
    else:
        assert notes or found.to_string() == text


@pytest.mark.parametrize(
    "shape", [(4,), (4, 3, 2, 1), (4, 0, 2), (4, -1), (4.0, 3, 2), ("4", "3"), 4, None]
)
def test_a_shape_of_other_than_whole_numbers_from_1_is_refused(shape):
    with pytest.raises(ConfigError, match=r"shape is .*, expected whole numbers from 1"):
        Rle.parse("", shape=shape)


def test_a_volume_of_more_voxels_than_positions_is_refused():
    with pytest.raises(ConfigError, match=r"9671406556917033397649408 voxels, expected at most"):
        Rle.parse("", shape=(2**28, 2**28, 2**27))
    whole = Rle.parse(f"1 {2**62}", shape=(2**21, 2**21, 2**20))
    assert whole.area == 2**62
