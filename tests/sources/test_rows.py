from collections import Counter
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.array import ArraySource
from geoseg.sources.base import RasterSource
from geoseg.sources.rows import RowRing
from geoseg.window import Window, starts


class Counting(RasterSource):
    """An ArraySource that counts how often each of its rows is read, and fails at a row if told to."""

    type: Literal["test-counting"] = "test-counting"
    source: ArraySource
    rows_read: ClassVar[Counter[int]] = Counter()
    fail_at: ClassVar[set[int]] = set()

    @property
    def grid(self):
        return self.source.grid

    @property
    def band_names(self):
        return self.source.band_names

    @property
    def dtype(self):
        return self.source.dtype

    def read(self, window):
        rows = range(window.row, window.row_stop)
        if self.fail_at & set(rows):
            raise SourceError("told to fail")
        self.rows_read.update(rows)
        return self.source.read(window)


@pytest.fixture
def counting():
    Counting.rows_read.clear()
    Counting.fail_at.clear()
    return Counting(source=scene(23, 7))


def scene(height, width):
    random = np.random.default_rng(height)
    data = random.integers(1, 999, (2, height, width)).astype("uint16")
    return ArraySource(data=data, valid=random.random((height, width)) > 0.3)


def assert_same(chip, expected):
    assert chip.data.dtype == expected.data.dtype
    np.testing.assert_array_equal(chip.data, expected.data)
    np.testing.assert_array_equal(chip.valid, expected.valid)


@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 50),
    st.integers(1, 60),
    st.sampled_from(["flush", "pad", "drop"]),
)
def test_rows_are_what_plain_reads_give(height, width, size, stride, edge):
    stride = min(stride, size) if edge == "flush" else stride
    source = scene(height, width)
    rows = []
    for row, chip in source.iter_rows(size, stride, edge=edge):
        assert_same(chip, source.read(Window(row, 0, size, width)))
        rows.append(row)

    assert rows == starts(height, size, stride, edge)


@pytest.mark.parametrize(("size", "stride"), [(8, 3), (8, 8), (5, 1), (23, 23), (40, 10), (1, 1)])
def test_every_row_is_read_once(counting, size, stride):
    list(counting.iter_rows(size, stride))

    assert {row: counting.rows_read[row] for row in range(23)} == dict.fromkeys(range(23), 1)
    assert max(counting.rows_read.values()) == 1


def test_rows_that_no_band_holds_are_not_read(counting):
    list(counting.iter_rows(2, 10, edge="drop"))

    assert set(counting.rows_read) == {0, 1, 10, 11, 20, 21}


def test_the_chip_is_one_buffer_that_the_next_step_overwrites(counting):
    chips = [chip for _, chip in counting.iter_rows(8, 3)]

    assert all(np.shares_memory(chip.data, chips[0].data) for chip in chips)


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (4, 0), (4, 5)])
def test_sizes_and_strides_that_cannot_be_are_refused(counting, size, stride):
    with pytest.raises(ConfigError, match=r"at least 1 pixel|larger than size"):
        list(counting.iter_rows(size, stride))


def test_a_ring_wider_than_the_source_is_not_valid_there(counting):
    ring = RowRing(counting, size=5, width=11)

    for row in (-2, 0, 3, 21):
        assert_same(ring.at(row), counting.source.read(Window(row, 0, 5, 11)))


@given(st.lists(st.integers(-9, 30), max_size=8))
def test_a_ring_goes_to_any_row_in_any_order(rows):
    source = scene(23, 7)
    ring = RowRing(source, size=6, width=7)

    for row in rows:
        assert_same(ring.at(row), source.read(Window(row, 0, 6, 7)))


def test_a_failed_read_leaves_no_wrong_rows_behind(counting):
    ring = RowRing(counting, size=6, width=7)
    ring.at(0)
    counting.fail_at.add(7)
    with pytest.raises(SourceError, match="told to fail"):
        ring.at(2)
    counting.fail_at.clear()

    for row in (0, 2):
        assert_same(ring.at(row), counting.source.read(Window(row, 0, 6, 7)))
