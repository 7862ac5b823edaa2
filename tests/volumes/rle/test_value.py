import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given

import geoseg.volumes
from geoseg.errors import ConfigError, LabelError
from geoseg.volumes.rle import Rle
from tests.volumes.rle.documented import masks, orders

SHAPE = 4, 3, 2


@given(masks(), orders)
def test_equal_masks_are_equal_values(mask, order):
    one, other = Rle.encode(mask, order=order), Rle.encode(mask.copy(), order=order)

    assert one == other
    assert hash(one) == hash(other)
    assert {one: 1}[other] == 1


def test_masks_that_differ_in_runs_shape_or_order_are_not_equal():
    one = Rle.parse("1 1", shape=SHAPE)
    others = [
        Rle.parse("2 1", shape=SHAPE),
        Rle.parse("1 2", shape=SHAPE),
        Rle.parse("1 1 3 1", shape=SHAPE),
        Rle.parse("", shape=SHAPE),
        Rle.parse("1 1", shape=(3, 4, 2)),
        Rle.parse("1 1", shape=SHAPE, order="hwd"),
        "1 1",
    ]

    assert one not in others


def test_nothing_in_it_can_be_changed():
    mask = Rle.parse("1 1", shape=SHAPE)

    for name in ("starts", "lengths", "shape", "order"):
        with pytest.raises(AttributeError):
            setattr(mask, name, None)
    for made in (mask, Rle([0], [1], SHAPE), Rle.encode([[1]]), pickle.loads(pickle.dumps(mask))):
        for runs in (made.starts, made.lengths):
            with pytest.raises(ValueError, match="read-only"):
                runs[0] = 7


def test_arrays_given_to_it_stay_free_to_change():
    starts, lengths = np.array([0, 5]), np.array([2, 3])
    mask = Rle(starts, lengths, SHAPE)
    starts[0] = lengths[0] = 9

    assert mask.to_string() == "1 2 6 3"


@given(masks(), orders)
def test_it_is_pickled_and_copied(mask, order):
    encoded = Rle.encode(mask, order=order)
    assert encoded.area == np.count_nonzero(mask)

    for again in (pickle.loads(pickle.dumps(encoded)), copy.deepcopy(encoded)):
        assert again == encoded
        assert again.starts.dtype == np.int64


def test_a_pickle_holds_the_runs_and_nothing_that_was_worked_out():
    starts = np.arange(0, 10**6, 10)
    mask = Rle(starts, np.full_like(starts, 3), (100, 200, 500))
    fresh = len(pickle.dumps(mask))
    mask.voxel(7), mask.box, mask.window(np.s_[:2, :2, :2])

    assert len(pickle.dumps(mask)) == fresh < 8.1 * len(starts)


def test_a_pickle_of_a_volume_beyond_64_bits_of_halves_comes_back():
    mask = Rle.parse(f"{2**61} {2**60}", shape=(2**21, 2**21, 2**20))

    assert pickle.loads(pickle.dumps(mask)) == mask


def test_runs_that_touch_are_joined():
    assert Rle([0, 2, 7], [2, 3, 1], SHAPE) == Rle.parse("1 5 8 1", shape=SHAPE)
    assert Rle([], [], SHAPE) == Rle.parse("", shape=SHAPE)


@pytest.mark.parametrize(
    ("starts", "lengths", "run"),
    [
        ([-1], [1], 0),
        ([24], [1], 0),
        ([23], [2], 0),
        ([0, 5], [1, 0], 1),
        ([0, 5], [6, 1], 1),
        ([5, 0], [1, 1], 1),
        ([0, 2**63 - 1], [1, 1], 1),
        ([1], [2**63 - 1], 0),
    ],
)
def test_runs_that_are_not_sorted_apart_and_inside_are_refused(starts, lengths, run):
    with pytest.raises(LabelError, match=f"^run {run} starts at .*within positions 0 to 23"):
        Rle(starts, lengths, SHAPE)


def test_runs_that_are_no_integers_or_not_as_many_are_refused():
    with pytest.raises(ConfigError, match=r"starts are float64 \(1,\), expected integers"):
        Rle([0.5], [1], SHAPE)
    with pytest.raises(ConfigError, match=r"lengths are int64 \(1, 1\), expected integers"):
        Rle([0], [[1]], SHAPE)
    with pytest.raises(ConfigError, match="2 starts but 1 lengths"):
        Rle([0, 5], [1], SHAPE)


def test_it_is_shown_in_one_line():
    mask = Rle.parse("1 2 5 1", shape=SHAPE, order="hwd")

    assert repr(mask) == "Rle(2 runs, 3 voxels, shape=(4, 3, 2), order='hwd')"


def test_it_is_a_public_name_and_loads_no_heavy_library():
    code = """
import sys
import geoseg.volumes
before = [name for name in ("torch", "pyarrow") if name in sys.modules]
assert geoseg.volumes.Rle.encode([[0, 1]]).to_string() == "2 1"
print(before, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[] False"
    assert geoseg.volumes.Rle is Rle


def test_a_long_list_of_runs_is_one_text(monkeypatch):
    monkeypatch.setattr("geoseg.volumes.rle.text._CHUNK", 6)
    starts = np.arange(0, 24, 2)
    mask = Rle(starts, np.ones_like(starts), SHAPE)

    assert mask.to_string() == " ".join(f"{start + 1} 1" for start in starts)
