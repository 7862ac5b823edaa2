import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import SourceError
from geoseg.sources.statistics import RunningStatistics, Statistics


@given(st.integers(0, 99), st.lists(st.integers(1, 30), max_size=4))
def test_statistics_are_numpys_however_the_pixels_are_cut(seed, cuts):
    random = np.random.default_rng(seed)
    data = random.normal([[[5.0]], [[-300.0]]], [[[2.0]], [[40.0]]], (2, 31, 17)).astype("float32")
    valid = random.random((31, 17)) > 0.4
    running = RunningStatistics(bands=2)
    edges = [0, *sorted(set(cuts)), 31]
    for first, stop in itertools.pairwise(edges):
        running.update(data[:, first:stop], valid[first:stop])
    found = running.result()
    pixels = data[:, valid].astype("float64")

    np.testing.assert_allclose(found.mean, pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=1), rtol=1e-10)
    assert found.count == valid.sum()


def test_small_spread_on_a_large_offset_is_kept():
    data = 1e9 + np.random.default_rng(0).normal(0, 1, (1, 200, 50))
    running = RunningStatistics(bands=1)
    for rows in range(0, 200, 20):
        running.update(data[:, rows : rows + 20], np.ones((20, 50), bool))

    assert running.result().std == pytest.approx((data.std(),), rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64"])
def test_wide_blocks_take_little_memory_and_the_statistics_stay_numpys(dtype):
    random = np.random.default_rng(1)
    data = random.integers(0, 1000, (2, 300, 9001)).astype(dtype)
    valid = random.random((300, 9001)) > 0.1
    running = RunningStatistics(bands=2)
    tracemalloc.start()
    running.update(data, valid)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found, pixels = running.result(), data[:, valid].astype("float64")

    assert most < 30e6
    np.testing.assert_allclose(found.mean, pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=1), rtol=1e-10)
    assert found.count == valid.sum()


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, 1.7e308])
def test_statistics_that_are_not_finite_are_an_error_that_names_the_band(wrong):
    running = RunningStatistics(bands=2)
    data = np.ones((2, 3, 4))
    data[1, 1, 2:] = wrong
    running.update(data, np.ones((3, 4), bool))

    with pytest.raises(SourceError, match=r"band 2: mean .* not finite: .* mark them as not valid"):
        running.result()


def test_whole_numbers_do_not_overflow():
    running = RunningStatistics(bands=2)
    for _ in range(3):
        running.update(np.full((2, 40, 50), 255, "uint8"), np.ones((40, 50), bool))

    assert running.result() == Statistics(mean=(255, 255), std=(0, 0), count=6000)


def test_what_is_not_valid_does_not_count_whatever_it_holds():
    data, valid = np.full((1, 3, 3), np.nan), np.zeros((3, 3), bool)
    data[0, 1, 1], valid[1, 1] = 7, True
    running = RunningStatistics(bands=1)
    running.update(data, valid)
    running.update(data, ~valid & False)

    assert running.result() == Statistics(mean=(7.0,), std=(0.0,), count=1)


def test_statistics_of_no_pixel_are_an_error():
    running = RunningStatistics(bands=1)
    running.update(np.ones((1, 2, 2)), np.zeros((2, 2), bool))

    with pytest.raises(SourceError, match="no valid pixel to take statistics of; look at nodata"):
        running.result()
