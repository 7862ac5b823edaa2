"""Bands of rows, and how shards divide them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError
from geoseg.labels.rows import LabelRows, by_bands, in_bands, row_bands, shard_rows


@given(first=st.integers(0, 3000), length=st.integers(0, 3000))
def test_bands_cover_the_rows_and_are_cut_where_tiles_begin(first, length):
    bands = list(row_bands(range(first, first + length)))
    assert [row for band in bands for row in band] == list(range(first, first + length))
    assert all(band.start % 512 == 0 for band in bands[1:])
    assert all(band.stop % 512 == 0 for band in bands[:-1])


@given(height=st.integers(1, 40_000), count=st.integers(1, 80))
def test_shards_cover_the_scene_by_whole_bands_as_evenly_as_they_go(height, count):
    bands = -(-height // 512)
    if count > bands:
        with pytest.raises(ConfigError, match=f"use {bands} shards at most"):
            shard_rows(height, (0, count))
        return
    shards = [shard_rows(height, (i, count)) for i in range(count)]
    assert [row for shard in shards for row in shard] == list(range(height))
    lengths = {-(-len(shard) // 512) for shard in shards}
    assert max(lengths) - min(lengths) <= 1
    assert all(shard.start % 512 == 0 for shard in shards)


@pytest.mark.parametrize("shard", [(-1, 2), (2, 2), (0, 0)])
def test_a_shard_that_there_is_not_is_refused(shard):
    with pytest.raises(ConfigError, match="from 0 to one less"):
        shard_rows(2000, shard)


@given(
    first=st.integers(0, 1100),
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=5),
    scores=st.booleans(),
)
def test_pieces_are_joined_to_bands_and_hold_the_same_rows(first, lengths, scores):
    rng = np.random.default_rng(0)
    total = sum(lengths)
    ids = rng.integers(0, 9, (total, 3), np.uint8)
    values = rng.random((2, total, 3), np.float32) if scores else None
    whole = LabelRows(first, ids, values)
    stops = np.cumsum([first, *lengths])
    pieces = [whole.cut(a, b) for a, b in itertools.pairwise(stops)]
    found = list(in_bands(pieces))
    np.testing.assert_array_equal(np.concatenate([piece.ids for piece in found]), ids)
    if scores:
        joined = np.concatenate([piece.scores for piece in found], axis=1)
        np.testing.assert_array_equal(joined, values)
    else:
        assert [(p.row, len(p.ids)) for p in found] == [
            (band.start, len(band)) for band in row_bands(range(first, first + total))
        ]
    numbers = [number for number, group in by_bands(pieces) for _ in group]
    assert numbers == sorted(numbers)
    assert all(piece.window.row == piece.row for piece in found)
